// Demonstrations in the order of the file, from the last where `reversed` is set.
#include <dbsa/sdk/block_grouper.h>

#include <algorithm>

namespace {

class Grouper final : public dbsa::BlockGrouper {
 public:
  static constexpr uint32_t kRevision = REVISION;
  static dbsa::Result<std::unique_ptr<Grouper>> create(dbsa::Host, const dbsa::Config& config) {
    const dbsa::Result<bool> reversed = config.get<bool>("reversed");
    if (!reversed) return reversed.error();
    auto grouper = std::make_unique<Grouper>();
    grouper->reversed_ = *reversed;
    return grouper;
  }

  dbsa::Result<dbsa::Blocks> group(const dbsa::Demonstrations& demonstrations, int64_t block_size,
                                   uint64_t) override {
    const int64_t count = demonstrations.size();
    dbsa::Blocks blocks;
    for (int64_t begin = 0; begin < count; begin += block_size) {
      blocks.emplace_back();
      for (int64_t i = begin; i < std::min(begin + block_size, count); ++i)
        blocks.back().push_back(reversed_ ? count - 1 - i : i);
    }
    return blocks;
  }

 private:
  bool reversed_ = false;
};

}  // namespace

DBSA_PLUGIN(Grouper);
