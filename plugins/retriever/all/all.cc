// Retriever `all`: every document in index order, score 0, or from the last to the first.
#include <dbsa/sdk/retriever.h>

#include <algorithm>
#include <optional>

#include "plugins/shared/retrieval/count_index.h"

namespace dbsa {
namespace {

constexpr std::string_view kMagic = "dbsa.retriever.all 1\n";  // then the count in decimal digits

class All final : public Retriever {
 public:
  static constexpr uint32_t kRevision = 1;
  static Result<std::unique_ptr<All>> create(Host, const Config& config) {
    DBSA_ASSIGN_OR_RETURN(const std::string order, config.get<std::string>("order"));
    return std::make_unique<All>(order == "reversed");
  }

  explicit All(bool reversed) : reversed_(reversed) {}

  Status index(Texts documents) override {
    count_ = documents.size();
    return {};
  }

  Result<std::string> save() const override {
    if (!count_) return Error{ErrorCode::kInvalidArgument, "there is no index to save", ""};
    return retrieval::save_count(kMagic, *count_);
  }

  Status load(std::string_view bytes) override {
    count_.reset();
    DBSA_ASSIGN_OR_RETURN(count_, retrieval::load_count(kMagic, bytes));
    return {};
  }

  Result<std::vector<Hit>> query(std::string_view, int64_t count) const override {
    if (!count_) return Error{ErrorCode::kInvalidArgument, "there is no index to query", ""};
    std::vector<Hit> hits(std::max<int64_t>(0, std::min(count, *count_)));
    for (size_t i = 0; i < hits.size(); ++i) {
      const auto rank = static_cast<int64_t>(i);
      hits[i].id = reversed_ ? *count_ - 1 - rank : rank;
      hits[i].score = reversed_ ? static_cast<double>(hits[i].id) : 0;
    }
    return hits;
  }

 private:
  bool reversed_;
  std::optional<int64_t> count_;
};

}  // namespace
}  // namespace dbsa

DBSA_PLUGIN(dbsa::All);
