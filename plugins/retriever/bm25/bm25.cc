// Retriever `bm25`: see plugin.toml for the formula, index.h for the index.
#include <dbsa/sdk/retriever_words.h>

#include <algorithm>
#include <optional>

#include "index.h"
#include "plugins/shared/retrieval/best_documents.h"

namespace dbsa {
namespace {

class Bm25 final : public Retriever, public RetrieverWords {
 public:
  static constexpr uint32_t kRevision = 3;
  static const void* extension(std::string_view id) { return words_extension<Bm25>(id); }

  static Result<std::unique_ptr<Bm25>> create(Host host, const Config& config) {
    text::Bm25Weights weights;
    DBSA_ASSIGN_OR_RETURN(weights.k1, config.get<double>("k1"));
    DBSA_ASSIGN_OR_RETURN(weights.b, config.get<double>("b"));
    DBSA_ASSIGN_OR_RETURN(const auto options, text::AnalyzerOptions::read(config));
    return std::make_unique<Bm25>(host, options, weights);
  }

  Bm25(Host host, const text::AnalyzerOptions& options, const text::Bm25Weights& weights)
      : host_(host), options_(options), weights_(weights) {}

  Status index(Texts documents) override {
    index_.reset();
    text::ScriptCounts scripts;
    for (int64_t i = 0; i < documents.size(); ++i) scripts.add(documents[i]);
    if (const std::string warning = text::script_warning(scripts, options_); !warning.empty())
      host_.log_warning("retriever bm25: " + warning + " (retriever.plugin = \"faiss\")");
    DBSA_ASSIGN_OR_RETURN(index_, bm25::Index::build(documents, options_, weights_));
    return {};
  }

  Result<std::string> save() const override {
    if (!index_) return Error{ErrorCode::kInvalidArgument, "there is no index to save", ""};
    return index_->serialize();
  }

  Status load(std::string_view bytes) override {
    index_.reset();
    DBSA_ASSIGN_OR_RETURN(index_, bm25::Index::parse(bytes, options_, weights_));
    return {};
  }

  Result<std::vector<Hit>> query(std::string_view text, int64_t count) const override {
    if (!index_) return Error{ErrorCode::kInvalidArgument, "there is no index to query", ""};
    const int64_t documents = index_->document_count();
    auto* scores = host_.scratch<double>(0, documents);
    std::fill_n(scores, documents, 0.0);
    DBSA_RETURN_IF_ERROR(index_->add_scores(text, scores));
    return retrieval::best_documents(scores, documents, count);
  }

  Result<std::vector<SharedWord>> shared_words(std::string_view text,
                                               int64_t document) const override {
    if (!index_ || document < 0 || document >= index_->document_count())
      return Error{ErrorCode::kInvalidArgument,
                   "there is no document " + std::to_string(document) + " in an index", ""};
    return index_->shared_words(text, document);
  }

 private:
  Host host_;
  text::AnalyzerOptions options_;
  text::Bm25Weights weights_;
  std::optional<bm25::Index> index_;
};

}  // namespace
}  // namespace dbsa

DBSA_PLUGIN(dbsa::Bm25);
