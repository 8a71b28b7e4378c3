// Retriever `random`: documents at random, the same for the same query and seed.
#include <dbsa/sdk/random.h>
#include <dbsa/sdk/retriever.h>
#include <xxhash.h>

#include <optional>

#include "plugins/shared/retrieval/best_documents.h"
#include "plugins/shared/retrieval/count_index.h"

namespace dbsa {
namespace {

constexpr std::string_view kMagic = "dbsa.retriever.random 1\n";

class RandomRetriever final : public Retriever {
 public:
  static constexpr uint32_t kRevision = 1;
  static Result<std::unique_ptr<RandomRetriever>> create(Host host, const Config& config) {
    DBSA_ASSIGN_OR_RETURN(const auto seed, config.get<uint64_t>("seed"));
    return std::make_unique<RandomRetriever>(host, seed);
  }

  RandomRetriever(Host host, uint64_t seed) : host_(host), seed_(seed) {}

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

  // Scores are uniform in (0, 1] and do not depend on `count`.
  Result<std::vector<Hit>> query(std::string_view text, int64_t count) const override {
    if (!count_) return Error{ErrorCode::kInvalidArgument, "there is no index to query", ""};
    Random random(XXH3_64bits_withSeed(text.data(), text.size(), seed_));
    auto* scores = host_.scratch<double>(0, *count_);
    for (int64_t i = 0; i < *count_; ++i)
      scores[i] = static_cast<double>((random.next() >> 11) + 1) * 0x1p-53;
    return retrieval::best_documents(scores, *count_, count);
  }

 private:
  Host host_;
  uint64_t seed_;
  std::optional<int64_t> count_;
};

}  // namespace
}  // namespace dbsa

DBSA_PLUGIN(dbsa::RandomRetriever);
