// Retriever `all`: every document in index order, score 0, or from the last to the first.
#include <dbsa/sdk/retriever.h>

#include <algorithm>

#include "plugins/shared/retrieval/counted_retriever.h"

namespace dbsa {
namespace {

constexpr std::string_view kMagic = "dbsa.retriever.all 1\n";  // then the count in decimal digits

class All final : public retrieval::CountedRetriever {
 public:
  static constexpr uint32_t kRevision = 1;
  static Result<std::unique_ptr<All>> create(Host, const Config& config) {
    // Not moved out of its result: there g++ 12 takes it for uninitialised.
    const Result<std::string> order = config.get<std::string>("order");
    if (!order) return order.error();
    return std::make_unique<All>(*order == "reversed");
  }

  explicit All(bool reversed) : CountedRetriever(kMagic), reversed_(reversed) {}

  Result<std::vector<Hit>> query(std::string_view, int64_t count) const override {
    DBSA_ASSIGN_OR_RETURN(const int64_t documents, this->count());
    std::vector<Hit> hits(std::max<int64_t>(0, std::min(count, documents)));
    for (size_t i = 0; i < hits.size(); ++i) {
      const auto rank = static_cast<int64_t>(i);
      hits[i].id = reversed_ ? documents - 1 - rank : rank;
      hits[i].score = reversed_ ? static_cast<double>(hits[i].id) : 0;
    }
    return hits;
  }

 private:
  bool reversed_;
};

}  // namespace
}  // namespace dbsa

DBSA_PLUGIN(dbsa::All);
