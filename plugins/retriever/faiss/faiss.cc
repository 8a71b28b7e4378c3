// Retriever `faiss`: dense retrieval over the host's embeddings. See dense_index.h.
#include <dbsa/sdk/retriever.h>

#include <optional>

#include "dense_index.h"

namespace dbsa {
namespace {

class Faiss final : public Retriever {
 public:
  static constexpr uint32_t kRevision = 2;

  static Status check_config(const Config& config) {
    DBSA_ASSIGN_OR_RETURN(const std::string factory, config.get<std::string>("index"));
    return dense::DenseIndex::check(factory);
  }

  static Result<std::unique_ptr<Faiss>> create(Host host, const Config& config) {
    dense::IndexOptions options;
    options.width = host.embedding_width();
    if (options.width < 1)
      return Error{ErrorCode::kConfig,
                   "needs embeddings: add a table [embedding] to the pipeline file", ""};
    DBSA_ASSIGN_OR_RETURN(options.factory, config.get<std::string>("index"));
    DBSA_ASSIGN_OR_RETURN(options.search_parameters, config.get<std::string>("search_parameters"));
    // Made once for the errors it gives: before any document is embedded.
    DBSA_RETURN_IF_ERROR(dense::DenseIndex::create(options));
    return std::make_unique<Faiss>(host, options);
  }

  Faiss(Host host, const dense::IndexOptions& options) : host_(host), options_(options) {}

  Status index(Texts documents) override {
    index_.reset();
    DBSA_ASSIGN_OR_RETURN(dense::DenseIndex made, dense::DenseIndex::create(options_));
    DBSA_RETURN_IF_ERROR(made.check_count(documents.size()));
    DBSA_ASSIGN_OR_RETURN(const std::vector<float> vectors, host_.embed(documents.abi()));
    DBSA_RETURN_IF_ERROR(made.add(vectors));
    index_ = std::move(made);
    return {};
  }

  Result<std::string> save() const override {
    if (!index_) return Error{ErrorCode::kInvalidArgument, "there is no index to save", ""};
    return index_->serialize();
  }

  Status load(std::string_view bytes) override {
    index_.reset();
    DBSA_ASSIGN_OR_RETURN(index_, dense::DenseIndex::parse(bytes, options_));
    return {};
  }

  Result<std::vector<Hit>> query(std::string_view text, int64_t count) const override {
    if (!index_) return Error{ErrorCode::kInvalidArgument, "there is no index to query", ""};
    const char* data = text.data();
    const uint64_t length = text.size();
    DBSA_ASSIGN_OR_RETURN(const std::vector<float> vector,
                          host_.embed({sizeof(dbsa_texts), 1, &data, &length}));
    return index_->search(vector, count);
  }

 private:
  Host host_;
  dense::IndexOptions options_;
  std::optional<dense::DenseIndex> index_;
};

}  // namespace
}  // namespace dbsa

DBSA_PLUGIN(dbsa::Faiss);
