// Retriever `random`: documents at random, the same for the same query and seed.
#include <dbsa/sdk/random.h>
#include <dbsa/sdk/retriever.h>
#include <xxhash.h>

#include "plugins/shared/retrieval/best_documents.h"
#include "plugins/shared/retrieval/counted_retriever.h"

namespace dbsa {
namespace {

constexpr std::string_view kMagic = "dbsa.retriever.random 1\n";

class RandomRetriever final : public retrieval::CountedRetriever {
 public:
  static constexpr uint32_t kRevision = 1;
  static Result<std::unique_ptr<RandomRetriever>> create(Host host, const Config& config) {
    DBSA_ASSIGN_OR_RETURN(const auto seed, config.get<uint64_t>("seed"));
    return std::make_unique<RandomRetriever>(host, seed);
  }

  RandomRetriever(Host host, uint64_t seed) : CountedRetriever(kMagic), host_(host), seed_(seed) {}

  // Scores are uniform in (0, 1] and do not depend on `count`.
  Result<std::vector<Hit>> query(std::string_view text, int64_t count) const override {
    DBSA_ASSIGN_OR_RETURN(const int64_t documents, this->count());
    Random random(XXH3_64bits_withSeed(text.data(), text.size(), seed_));
    auto* scores = host_.scratch<double>(0, documents);
    for (int64_t i = 0; i < documents; ++i)
      scores[i] = static_cast<double>((random.next() >> 11) + 1) * 0x1p-53;
    return retrieval::best_documents(scores, documents, count);
  }

 private:
  Host host_;
  uint64_t seed_;
};

}  // namespace
}  // namespace dbsa

DBSA_PLUGIN(dbsa::RandomRetriever);
