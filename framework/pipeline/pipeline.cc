#include "pipeline/pipeline.h"

#include <utility>

#include "host/make_plugin.h"
#include "model/checkpoint/fingerprint.h"
#include "model/decoder/llm_hidden.h"
#include "model/sentence/sentence_encoder.h"
#include "pipeline/model/model_fit.h"
#include "pipeline/pipeline_impl.h"
#include "pipeline/pool/chat_prompt.h"

namespace dbsa {

Result<std::unique_ptr<Pipeline>> Pipeline::open(const host::ResolvedPipeline& resolved,
                                                 host::PluginRegistry& registry,
                                                 host::HostServices& services, OpenOptions options,
                                                 std::shared_ptr<LoadedModel> model) {
  DBSA_ASSIGN_OR_RETURN(Settings settings, read_settings(resolved.json));
  DBSA_ASSIGN_OR_RETURN(nlohmann::json tables, pipeline_identity(resolved));
  if (model == nullptr) {
    DBSA_ASSIGN_OR_RETURN(model,
                          LoadedModel::load(resolved, settings, registry, services, options));
  } else {
    DBSA_RETURN_IF_ERROR(model->check_same(resolved));
  }
  auto impl =
      std::make_unique<Impl>(std::move(settings), resolved, registry, services, std::move(model));
  host::offer_plugins(impl->services, registry);
  impl->tables = std::move(tables);
  DBSA_RETURN_IF_ERROR(impl->prepare());
  // Plugins ask for embeddings while they are made, so the embedder is there before them.
  DBSA_RETURN_IF_ERROR(impl->make_embedder({default_cache_folder(), !options.rehash_weights}));
  DBSA_RETURN_IF_ERROR(impl->make_plugins());
  DBSA_ASSIGN_OR_RETURN(impl->anchor_blocks, impl->plugins->mask.anchor_blocks());
  DBSA_RETURN_IF_ERROR(check_zero_shot(impl->settings, impl->anchor_blocks));
  DBSA_RETURN_IF_ERROR(impl->identify_pool());
  return std::unique_ptr<Pipeline>(new Pipeline(std::move(impl)));
}

Pipeline::Pipeline(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Pipeline::~Pipeline() = default;

// What the model says of the settings, and what its blocks will be known by.
Status Pipeline::Impl::prepare() {
  inputs = model->inputs();
  if (settings.prompt.chat) {
    DBSA_ASSIGN_OR_RETURN(const ChatTemplate chat, model->chat_template());
    DBSA_RETURN_IF_ERROR(apply_chat_template(chat, model->tokenizer(), settings.prompt));
    identify_chat(chat.source(), inputs);
  }
  for (const std::string& warning : model_warnings(settings, model->config(), model->tokenizer()))
    services.log(host::LogLevel::kWarning, warning);
  DBSA_ASSIGN_OR_RETURN(const dbsa_kv_format format, model->backend().block_format(1));
  InputIdentity known = inputs;  // blocks are known by their tokens, not by the template
  known.tokenizer = model->inputs().tokenizer;
  kv_identity = dbsa::kv_identity(
      tables, known,
      {compute_name(model->decoder().precision()), format, model->backend().code_path()});
  return {};
}

// What plugins embed texts with, as [embedding] says.
Status Pipeline::Impl::make_embedder(const DigestCache& digests) {
  const EmbeddingSettings& embedding = settings.embedding;
  if (embedding.method == EmbeddingMethod::kLlmHidden) {
    DBSA_ASSIGN_OR_RETURN(embedder,
                          LlmHidden::create(model->scheduler(), model->decoder(), model->backend(),
                                            model->tokenizer(), services, embedding.layer,
                                            identity_hash(kv_identity)));
  } else if (embedding.method == EmbeddingMethod::kSentenceTransformer) {
    DBSA_ASSIGN_OR_RETURN(const std::string content,
                          SentenceEncoder::content(embedding.path, digests));
    inputs.embedding = identity_hash(content);
    // A separate instance: a backend has one attention shape.
    DBSA_ASSIGN_OR_RETURN(auto backend,
                          host::make_plugin<host::AttentionBackend>(
                              resolved, DBSA_KIND_ATTENTION_BACKEND, registry, services));
    DBSA_ASSIGN_OR_RETURN(embedder,
                          SentenceEncoder::open(embedding.path, std::move(backend), &services,
                                                kv_identity.at("attention_backend").dump()));
  }
  services.set_embedder(embedder.get());
  return {};
}

Status Pipeline::Impl::make_plugins() {
  DBSA_ASSIGN_OR_RETURN(auto grouper, host::make_plugin<host::BlockGrouper>(
                                          resolved, DBSA_KIND_BLOCK_GROUPER, registry, services));
  DBSA_ASSIGN_OR_RETURN(auto mask, host::make_plugin<host::MaskPattern>(
                                       resolved, DBSA_KIND_MASK_PATTERN, registry, services));
  DBSA_RETURN_IF_ERROR(renew_retriever());
  DBSA_ASSIGN_OR_RETURN(auto store, host::make_plugin<host::KvStore>(resolved, DBSA_KIND_KV_STORE,
                                                                     registry, services));
  plugins =
      std::make_unique<Plugins>(Plugins{std::move(grouper), std::move(mask), std::move(store)});
  cache = std::make_unique<BlockCache>(plugins->store, model->backend(),
                                       settings.model.block_cache_bytes);
  return {};
}

// The one before stays with the pool that it has indexed.
Status Pipeline::Impl::renew_retriever() {
  if (next_index) return {};
  auto own = std::make_unique<host::HostServices>(services);
  host::offer_plugins(*own, registry);
  own->set_embedder(embedder.get());
  DBSA_ASSIGN_OR_RETURN(auto retriever, host::make_plugin<host::Retriever>(
                                            resolved, DBSA_KIND_RETRIEVER, registry, *own));
  next_index.emplace(PoolRetriever{std::move(own), std::move(retriever)});
  return {};
}

Status Pipeline::Impl::identify_pool() {
  identities.pool = pool_identity(tables, inputs, settings);
  identities.kv = kv_identity;
  DBSA_ASSIGN_OR_RETURN(
      identities.index,
      index_identity(resolved, tables, embedder != nullptr ? embedder->identity() : ""));
  DBSA_ASSIGN_OR_RETURN(identities.grouper_library,
                        library_identity(resolved.stage(DBSA_KIND_BLOCK_GROUPER)));
  pool_id = dbsa::pool_id(identities.pool);
  return {};
}

// Opens a pool; the retriever, which holds its index, goes over to it.
Result<std::shared_ptr<OpenedPool>> Pipeline::Impl::open_with_retriever(Pool pool) {
  return dbsa::open_pool(std::move(pool), *std::exchange(next_index, std::nullopt), anchor_blocks,
                         settings);
}

std::shared_ptr<Answerer> Pipeline::Impl::answerer_of(std::shared_ptr<const OpenedPool> opened) {
  auto rebuilder = std::make_shared<BlockRebuilder>(
      opened, [this] { return make_encoder(); }, plugins->store, *cache, services);
  return std::make_shared<Answerer>(
      Answerer::Parts{settings, services, *cache, model, std::move(opened), std::move(rebuilder)},
      std::optional<Calibration>());
}

Result<std::shared_ptr<Answerer>> Pipeline::Impl::adopt(BuiltPool built) {
  DBSA_ASSIGN_OR_RETURN(const std::shared_ptr<OpenedPool> opened,
                        open_with_retriever(std::move(built.pool)));
  opened->planned = std::move(built.blocks);
  return answerer_of(opened);
}

void Pipeline::Impl::publish(std::shared_ptr<Answerer> answerer) {
  const std::lock_guard lock(mutex);
  open = std::move(answerer);
}

Result<Answer> Pipeline::answer(std::string_view text, const RequestLimits& limits) {
  return impl_->answerer()->answer(text, limits);
}

std::vector<Result<Outcome>> Pipeline::answer_together(std::span<const std::string> texts,
                                                       const RequestLimits& limits) {
  return impl_->answerer()->answer_together(texts, limits);
}

int64_t Pipeline::batch_size() const { return dbsa::batch_size(impl_->settings); }

Result<std::vector<Example>> Pipeline::load_queries() const {
  const DataSettings& data = impl_->settings.data;
  log_table(data, data.queries, impl_->services);
  DBSA_ASSIGN_OR_RETURN(QueryRows rows, read_queries(data));
  if (std::string faults = describe_faults(rows.chosen, data.queries); !faults.empty())
    return Error{ErrorCode::kConfig, std::move(faults), ""};
  std::vector<Example> queries;
  for (Row& row : rows.chosen) queries.push_back(std::move(row.example));
  return queries;
}

Result<RunIdentity> Pipeline::identity(const std::string& queries) const {
  InputIdentity inputs = impl_->inputs;
  inputs.demonstrations = pool().demonstration_rows;
  inputs.labels = pool().label_rows;
  inputs.queries = queries;
  DBSA_ASSIGN_OR_RETURN(inputs.query_indices, content_identity(impl_->settings.data.query_indices));
  return run_identity(impl_->tables, inputs, seed_keys(impl_->resolved));
}

std::string Pipeline::draw() const {
  return draw_identity(impl_->tables, seed_keys(impl_->resolved), pool().line_hash());
}

std::vector<std::string> Pipeline::labels() const {
  std::vector<std::string> names;
  for (const PoolLabel& label : pool().labels) names.push_back(label.text);
  return names;
}

const Pool& Pipeline::pool() const { return impl_->answerer()->pool()->pool; }

int64_t Pipeline::pool_changed_unix_s() const { return impl_->answerer()->pool()->changed_unix_s; }

const std::optional<Calibration>& Pipeline::calibration() const {
  return impl_->answerer()->calibration();
}

BlockCacheCounts Pipeline::cache_counts() const { return impl_->cache->counts(); }

const std::shared_ptr<LoadedModel>& Pipeline::model() const { return impl_->model; }

const Settings& Pipeline::settings() const { return impl_->settings; }

const Tokenizer& Pipeline::tokenizer() const { return impl_->model->tokenizer(); }

ModelInfo Pipeline::model_info() const { return impl_->model->info(); }

}  // namespace dbsa
