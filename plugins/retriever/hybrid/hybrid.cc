// Retriever `hybrid`: reciprocal rank fusion of two retrievers (Cormack, Clarke and Buettcher,
// SIGIR 2009): score(d) = sum over both of 1 / (rank_constant + rank of d), ranks from 1.
#include <dbsa/sdk/opened_retriever.h>

#include <xxhash.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <map>
#include <optional>

#include "plugins/shared/retrieval/document_limit.h"

namespace dbsa {
namespace {

// A saved index: this, then XXH3 of what follows, documents and bytes of the first index in decimal
// digits, a line each, then both indexes.
constexpr std::string_view kMagic = "dbsa.retriever.hybrid 1\n";

uint64_t hash_of(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

// The number on the line that `bytes` begins with, and bytes behind it.
template <typename Number>
std::optional<Number> take_number(std::string_view& bytes) {
  Number number = 0;
  const size_t end = std::min(bytes.find('\n'), bytes.size());
  const auto [stop, code] = std::from_chars(bytes.data(), bytes.data() + end, number);
  if (code != std::errc() || stop != bytes.data() + end || end == bytes.size()) return std::nullopt;
  bytes.remove_prefix(end + 1);
  return number;
}

class Hybrid final : public Retriever, public RetrieverWords {
 public:
  static constexpr uint32_t kRevision = 1;
  static const void* extension(std::string_view id) { return words_extension<Hybrid>(id); }
  static Result<std::unique_ptr<Hybrid>> create(Host host, const Config& config) {
    DBSA_ASSIGN_OR_RETURN(OpenedRetriever first, OpenedRetriever::open(host, config, "first"));
    DBSA_ASSIGN_OR_RETURN(OpenedRetriever second, OpenedRetriever::open(host, config, "second"));
    DBSA_ASSIGN_OR_RETURN(const int64_t constant, config.get<int64_t>("rank_constant"));
    return std::make_unique<Hybrid>(std::move(first), std::move(second), constant);
  }

  Hybrid(OpenedRetriever first, OpenedRetriever second, int64_t rank_constant)
      : first_(std::move(first)),
        second_(std::move(second)),
        rank_constant_(static_cast<double>(rank_constant)) {}

  Status index(Texts documents) override {
    documents_.reset();
    DBSA_RETURN_IF_ERROR(retrieval::check_document_count(documents.size()));
    DBSA_RETURN_IF_ERROR(first_.index(documents));
    DBSA_RETURN_IF_ERROR(second_.index(documents));
    documents_ = documents.size();
    return {};
  }

  Result<std::string> save() const override {
    if (!documents_) return Error{ErrorCode::kInvalidArgument, "there is no index to save", ""};
    DBSA_ASSIGN_OR_RETURN(const std::string first, first_.save());
    DBSA_ASSIGN_OR_RETURN(const std::string second, second_.save());
    const std::string body =
        std::to_string(*documents_) + "\n" + std::to_string(first.size()) + "\n" + first + second;
    return std::string(kMagic) + std::to_string(hash_of(body)) + "\n" + body;
  }

  Status load(std::string_view bytes) override {
    const Error corrupt = {ErrorCode::kCorrupt, "not an index of this retriever", ""};
    documents_.reset();
    if (!bytes.starts_with(kMagic)) return corrupt;
    bytes.remove_prefix(kMagic.size());
    const std::optional<uint64_t> hash = take_number<uint64_t>(bytes);
    if (!hash || *hash != hash_of(bytes)) return corrupt;
    const int64_t documents = take_number<int64_t>(bytes).value_or(-1);
    const int64_t first = take_number<int64_t>(bytes).value_or(-1);
    if (documents < 0 || first < 0 || first > static_cast<int64_t>(bytes.size())) return corrupt;
    DBSA_RETURN_IF_ERROR(retrieval::check_saved_count(documents));
    const auto split = static_cast<size_t>(first);
    DBSA_RETURN_IF_ERROR(first_.load(bytes.substr(0, split), documents));
    DBSA_RETURN_IF_ERROR(second_.load(bytes.substr(split), documents));
    documents_ = documents;
    return {};
  }

  Result<std::vector<Hit>> query(std::string_view text, int64_t count) const override {
    if (!documents_) return Error{ErrorCode::kInvalidArgument, "there is no index to query", ""};
    std::vector<double> scores(static_cast<size_t>(*documents_), 0.0);
    for (const OpenedRetriever* retriever : {&first_, &second_}) {
      DBSA_ASSIGN_OR_RETURN(const std::vector<Hit> hits, retriever->query(text, *documents_));
      for (size_t rank = 0; rank < hits.size(); ++rank)
        scores[static_cast<size_t>(hits[rank].id)] +=
            1.0 / (rank_constant_ + 1.0 + static_cast<double>(rank));
    }
    std::vector<Hit> fused;
    for (int64_t id = 0; id < *documents_; ++id)
      if (const double score = scores[static_cast<size_t>(id)]; score > 0)
        fused.push_back({id, score});
    std::stable_sort(fused.begin(), fused.end(),
                     [](const Hit& a, const Hit& b) { return a.score > b.score; });
    fused.resize(std::min(fused.size(), static_cast<size_t>(count)));
    return fused;
  }

  // Those of both, where they go by words. Ranks are fused, so no word adds to a score.
  Result<std::vector<SharedWord>> shared_words(std::string_view text,
                                               int64_t document) const override {
    std::map<std::string, SharedWord> words;
    bool any = false;
    for (const OpenedRetriever* retriever : {&first_, &second_}) {
      const auto shared = retriever->shared_words(text, document);
      if (!shared.ok() && shared.error().code == ErrorCode::kUnsupported) continue;
      if (!shared.ok()) return shared.error();
      any = true;
      for (const SharedWord& word : *shared) {
        SharedWord& one = words.try_emplace(word.word, word).first->second;
        one.score = std::numeric_limits<double>::quiet_NaN();
      }
    }
    if (!any) return Error{ErrorCode::kUnsupported, "neither retriever goes by words", ""};
    std::vector<SharedWord> all;
    for (auto& [name, word] : words) all.push_back(std::move(word));
    return all;
  }

 private:
  OpenedRetriever first_, second_;
  double rank_constant_;
  std::optional<int64_t> documents_;  // of the index, where there is one
};

}  // namespace
}  // namespace dbsa

DBSA_PLUGIN(dbsa::Hybrid);
