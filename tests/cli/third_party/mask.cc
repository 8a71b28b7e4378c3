// Each block sees itself, and the one before where `previous` is set.
#include <dbsa/sdk/mask_pattern.h>

namespace {

class Mask final : public dbsa::MaskPattern {
 public:
  static constexpr uint32_t kRevision = REVISION;
  static dbsa::Result<std::unique_ptr<Mask>> create(dbsa::Host, const dbsa::Config& config) {
    const dbsa::Result<bool> previous = config.get<bool>("previous");
    if (!previous) return previous.error();
    auto mask = std::make_unique<Mask>();
    mask->previous_ = *previous;
    return mask;
  }

  dbsa::Result<std::vector<dbsa::Visible>> visible(std::span<const int64_t> block_lengths,
                                                   int64_t block) const override {
    std::vector<dbsa::Visible> seen;
    if (previous_ && block > 0)
      seen.push_back({block - 1, 0, block_lengths[block - 1], DBSA_SEGMENT_FULL, 0});
    seen.push_back({block, 0, block_lengths[block], DBSA_SEGMENT_CAUSAL, 0});
    return seen;
  }

 private:
  bool previous_ = false;
};

}  // namespace

DBSA_PLUGIN(Mask);
