#include "pipeline/engine.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "host/make_plugin.h"
#include "model/checkpoint/fingerprint.h"
#include "model/decoder/llm_hidden.h"
#include "model/open_model.h"
#include "model/sentence/sentence_encoder.h"
#include "pipeline/engine_impl.h"
#include "pipeline/model_fit.h"
#include "pipeline/pool/chat_prompt.h"

namespace dbsa {
namespace {

Result<std::unique_ptr<Plugins>> make_plugins(const host::ResolvedPipeline& resolved,
                                              host::PluginRegistry& registry,
                                              host::HostServices& services) {
  DBSA_ASSIGN_OR_RETURN(auto grouper, host::make_plugin<host::BlockGrouper>(
                                          resolved, DBSA_KIND_BLOCK_GROUPER, registry, services));
  DBSA_ASSIGN_OR_RETURN(auto mask, host::make_plugin<host::MaskPattern>(
                                       resolved, DBSA_KIND_MASK_PATTERN, registry, services));
  DBSA_ASSIGN_OR_RETURN(auto retriever, host::make_plugin<host::Retriever>(
                                            resolved, DBSA_KIND_RETRIEVER, registry, services));
  DBSA_ASSIGN_OR_RETURN(auto store, host::make_plugin<host::KvStore>(resolved, DBSA_KIND_KV_STORE,
                                                                     registry, services));
  return std::make_unique<Plugins>(
      Plugins{std::move(grouper), std::move(mask), std::move(retriever), std::move(store)});
}

// What plugins embed texts with, as [embedding] says; nullptr where there is none.
Result<std::unique_ptr<host::Embedder>> make_embedder(const EmbeddingSettings& embedding,
                                                      const Computing& computing,
                                                      const host::ResolvedPipeline& resolved,
                                                      host::PluginRegistry& registry,
                                                      host::HostServices& services) {
  std::unique_ptr<host::Embedder> embedder;
  if (embedding.method == EmbeddingMethod::kLlmHidden) {
    DBSA_ASSIGN_OR_RETURN(
        embedder,
        LlmHidden::create(*computing.model, *computing.backend, *computing.tokenizer, services,
                          embedding.layer, identity_hash(computing.kv_identity)));
  } else if (embedding.method == EmbeddingMethod::kSentenceTransformer) {
    // A separate instance: a backend has one attention shape.
    DBSA_ASSIGN_OR_RETURN(auto backend,
                          host::make_plugin<host::AttentionBackend>(
                              resolved, DBSA_KIND_ATTENTION_BACKEND, registry, services));
    DBSA_ASSIGN_OR_RETURN(
        embedder, SentenceEncoder::open(embedding.path, std::move(backend), &services,
                                        computing.kv_identity.at("attention_backend").dump()));
  }
  return embedder;
}

// Names all that stored blocks depend on except their tokens.
Status identify(const nlohmann::json& tables, const EmbeddingSettings& embedding,
                const DigestCache& cache, Computing& computing) {
  identify_model(computing.config, computing.fingerprint, computing.inputs);
  computing.inputs.tokenizer = tokenizer_identity(*computing.tokenizer);
  if (embedding.method == EmbeddingMethod::kSentenceTransformer) {
    DBSA_ASSIGN_OR_RETURN(const std::string content,
                          SentenceEncoder::content(embedding.path, cache));
    computing.inputs.embedding = identity_hash(content);
  }
  DBSA_ASSIGN_OR_RETURN(const dbsa_kv_format format, computing.backend->block_format(1));
  computing.kv_identity = kv_identity(
      tables, computing.inputs,
      {compute_name(computing.model->precision()), format, computing.backend->code_path()});
  return {};
}

// settings: what the model's chat template says goes into its prompt.
Result<Computing> load_model(Settings& settings, const host::ResolvedPipeline& resolved,
                             host::PluginRegistry& registry, host::HostServices& services,
                             const nlohmann::json& tables, OpenOptions options) {
  Computing computing;
  const DigestCache cache = {default_cache_folder(), !options.rehash_weights};
  DBSA_ASSIGN_OR_RETURN(const auto source, open_model(settings.model.path));
  DBSA_ASSIGN_OR_RETURN(computing.config, source->config());
  limit_positions(computing.config, settings.model.max_positions);
  DBSA_ASSIGN_OR_RETURN(computing.weights, source->weights());
  DBSA_RETURN_IF_ERROR(computing.weights->check(computing.config));
  DBSA_ASSIGN_OR_RETURN(computing.tokenizer, source->tokenizer());
  fit_tokenizer(*computing.tokenizer, computing.config);
  std::optional<ChatTemplate> chat;
  if (settings.prompt.chat) {
    DBSA_ASSIGN_OR_RETURN(chat, source->chat_template());
    DBSA_RETURN_IF_ERROR(apply_chat_template(*chat, *computing.tokenizer, settings.prompt));
  }
  for (const std::string& warning :
       model_warnings(settings, computing.config, *computing.tokenizer))
    services.log(host::LogLevel::kWarning, warning);
  DBSA_ASSIGN_OR_RETURN(
      auto backend, host::make_plugin<host::AttentionBackend>(resolved, DBSA_KIND_ATTENTION_BACKEND,
                                                              registry, services));
  computing.backend = std::make_unique<host::AttentionBackend>(std::move(backend));
  DBSA_ASSIGN_OR_RETURN(const ModelFingerprint fingerprint,
                        fingerprint_model(computing.config, *computing.weights, cache));
  computing.fingerprint = fingerprint.value.hex();
  if (settings.model.packed_weights && !settings.store_path.empty())
    computing.packed = std::make_unique<PackedWeights>(settings.store_path + "/weights",
                                                       fingerprint.value, cache, services);
  DBSA_ASSIGN_OR_RETURN(computing.model,
                        Decoder::load(*computing.weights, computing.config,
                                      choose_precision(settings.model, *computing.weights),
                                      *computing.backend, computing.packed.get()));
  DBSA_RETURN_IF_ERROR(identify(tables, settings.embedding, cache, computing));
  if (chat) identify_chat(chat->source(), computing.inputs);  // blocks are known by their tokens
  DBSA_ASSIGN_OR_RETURN(auto embedder,
                        make_embedder(settings.embedding, computing, resolved, registry, services));
  computing.embedder = std::make_unique<OfferedEmbedder>(services, std::move(embedder));
  return computing;
}

}  // namespace

Precision choose_precision(const ModelSettings& settings, const Weights& weights) {
  bool half = false, blocks = false;
  for (const TensorFile* file : weights.tensor_files())
    for (const TensorEntry& entry : file->entries()) {
      blocks = blocks || entry.dtype == TensorDtype::kBlocks;
      half = half || entry.dtype == TensorDtype::kBF16 || entry.dtype == TensorDtype::kF16;
    }
  const bool automatic = settings.dtype == "auto";
  const bool compute_half = automatic ? half || blocks : settings.dtype == "bf16";
  Precision precision;
  precision.quantised = automatic && blocks;
  precision.compute = compute_half ? DBSA_COMPUTE_BF16 : DBSA_COMPUTE_F32;
  precision.kv_dtype = settings.kv_dtype == "int8"   ? DBSA_KV_DTYPE_I8
                       : settings.kv_dtype == "bf16" ? DBSA_KV_DTYPE_BF16
                       : settings.kv_dtype == "f32"  ? DBSA_KV_DTYPE_F32
                       : compute_half                ? DBSA_KV_DTYPE_BF16
                                                     : DBSA_KV_DTYPE_F32;
  return precision;
}

Status Engine::Impl::adopt(Pool opened) {
  pool = std::move(opened);
  blocks.clear();
  lengths.clear();
  for (const PoolBlock& block : pool.blocks)
    lengths.push_back(static_cast<int64_t>(block.token_ids.size()));
  block_of.clear();
  if (settings.retriever.by_demonstration) block_of = blocks_of_demonstrations(pool);
  trie.reset();
  tree.reset();
  scoring.reset();
  known_prior.reset();
  calibration.reset();
  const DecodingMethod method = settings.decoding.method;
  if (method == DecodingMethod::kFree || method == DecodingMethod::kVote) return {};
  std::vector<LabelTokens> tokens;
  std::vector<std::string> names;
  for (const PoolLabel& label : pool.labels) {
    tokens.push_back(label.tokens);
    names.push_back(label.text);
  }
  if (method == DecodingMethod::kLikelihood) {
    tree.emplace(tokens);
    scoring.emplace(settings.decoding.scorer, tokens, names);
  } else {
    DBSA_ASSIGN_OR_RETURN(trie, LabelTrie::build(tokens, names));
  }
  return {};
}

Result<std::unique_ptr<Engine>> Engine::open(const host::ResolvedPipeline& resolved,
                                             host::PluginRegistry& registry,
                                             host::HostServices& services, OpenOptions options) {
  offer_plugins(services, registry);
  DBSA_ASSIGN_OR_RETURN(Settings settings, read_settings(resolved.json));
  DBSA_ASSIGN_OR_RETURN(nlohmann::json tables, pipeline_identity(resolved));
  // Plugins ask for embeddings while they are made, so the model is there before them.
  DBSA_ASSIGN_OR_RETURN(Computing computing,
                        load_model(settings, resolved, registry, services, tables, options));
  DBSA_ASSIGN_OR_RETURN(std::unique_ptr<Plugins> plugins,
                        make_plugins(resolved, registry, services));
  auto impl = std::make_unique<Impl>(std::move(settings), services, std::move(computing),
                                     std::move(plugins));
  DBSA_ASSIGN_OR_RETURN(impl->anchor_blocks, impl->plugins->mask.anchor_blocks());
  DBSA_RETURN_IF_ERROR(check_zero_shot(impl->settings, impl->anchor_blocks));
  DBSA_RETURN_IF_ERROR(impl->identify(resolved, std::move(tables)));
  return std::unique_ptr<Engine>(new Engine(std::move(impl)));
}

Status Engine::Impl::identify(const host::ResolvedPipeline& resolved, nlohmann::json all) {
  tables = std::move(all);
  identities.pool = pool_identity(tables, computing.inputs, settings);
  identities.kv = computing.kv_identity;
  const host::Embedder* embedder = services.embedder();
  DBSA_ASSIGN_OR_RETURN(
      identities.index,
      index_identity(resolved, tables, embedder != nullptr ? embedder->identity() : ""));
  DBSA_ASSIGN_OR_RETURN(identities.grouper_library,
                        library_identity(resolved.stage(DBSA_KIND_BLOCK_GROUPER)));
  pool_id = dbsa::pool_id(identities.pool);
  return {};
}

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

Result<DataRows> read_demonstrations(const DataSettings& data) {
  DBSA_ASSIGN_OR_RETURN(const std::vector<Example> all,
                        load_dataset(data.demonstrations, data.text, data.label_field,
                                     LabelPolicy::kRequired, data.delimiter, data.names));
  DataRows rows;
  rows.identity = hash_rows(all);
  DBSA_ASSIGN_OR_RETURN(rows.chosen, draw(all, data.demonstration_count, data.seed));
  if (data.held_out == 0) return rows;
  const auto count = static_cast<int64_t>(rows.chosen.size());
  if (data.held_out >= count)
    return Error{ErrorCode::kConfig,
                 "data.held_out: must be below the number of demonstrations, " +
                     std::to_string(count) + ", got " + std::to_string(data.held_out) +
                     "; hold fewer of them out of the pool",
                 "/data/held_out"};
  // Not the order that demonstrations are drawn in.
  constexpr uint64_t kHeldOut = 0x68656c646f7574;  // "heldout"
  std::vector<Example> pool;
  const std::vector<int64_t> held = draw_indices(count, data.held_out, data.seed ^ kHeldOut);
  for (int64_t i = 0; i < count; ++i)
    (std::binary_search(held.begin(), held.end(), i) ? rows.held_out : pool)
        .push_back(std::move(rows.chosen[static_cast<size_t>(i)]));
  rows.chosen = std::move(pool);
  return rows;
}

Result<LabelRows> read_labels(const DataSettings& data, const DataRows& demonstrations) {
  LabelRows rows;
  std::vector<Example> labelled = demonstrations.chosen;
  labelled.insert(labelled.end(), demonstrations.held_out.begin(), demonstrations.held_out.end());
  if (!data.labels.empty()) {
    // Only the label is looked at, so that a file of labels will do.
    DBSA_ASSIGN_OR_RETURN(const std::vector<Example> more,
                          load_dataset(data.labels, data.label_field, data.label_field,
                                       LabelPolicy::kRequired, data.delimiter, data.names));
    labelled.insert(labelled.end(), more.begin(), more.end());
    rows.identity = hash_rows(more);
  }
  rows.labels = label_table(labelled);
  return rows;
}

void log_table(const DataSettings& data, const std::string& path, host::HostServices& services) {
  const std::string text = describe_table(path, data.text, data.label_field, data.delimiter);
  if (!text.empty()) services.log(host::LogLevel::kDebug, text);
}

Result<QueryRows> read_queries(const DataSettings& data) {
  QueryRows rows;
  DBSA_ASSIGN_OR_RETURN(const std::vector<Row> queries,
                        load_rows(data.queries, data.text, data.label_field, LabelPolicy::kOptional,
                                  data.delimiter, data.names));
  if (std::all_of(queries.begin(), queries.end(), [](const Row& row) { return row.error; }))
    return Error{ErrorCode::kConfig, describe_faults(queries, data.queries), ""};
  rows.identity = hash_rows(queries);
  std::vector<int64_t> chosen;
  if (!data.query_indices.empty()) {
    Result<std::vector<int64_t>> indices =
        load_indices(data.query_indices, static_cast<int64_t>(queries.size()));
    if (!indices.ok()) {
      // It does not hide what is wrong with the queries.
      const std::string faults = describe_faults(queries, data.queries);
      Error error = std::move(indices).error();
      if (!faults.empty()) error.message = faults + "\n" + error.message;
      return error;
    }
    chosen = std::move(indices).value();
  } else {
    chosen = all_indices(queries.size());
  }
  if (data.query_count > 0) {
    // Not the order that demonstrations are drawn in, which may come from the same file.
    constexpr uint64_t kQueries = 0x71756572696573;  // "queries"
    std::vector<int64_t> drawn;
    for (const int64_t i :
         draw_indices(static_cast<int64_t>(chosen.size()), data.query_count, data.seed ^ kQueries))
      drawn.push_back(chosen[static_cast<size_t>(i)]);
    chosen = std::move(drawn);
  }
  for (const int64_t i : chosen) rows.chosen.push_back(queries[static_cast<size_t>(i)]);
  return rows;
}

Result<std::vector<Example>> Engine::load_queries() const {
  const DataSettings& data = impl_->settings.data;
  log_table(data, data.queries, impl_->services);
  DBSA_ASSIGN_OR_RETURN(QueryRows rows, read_queries(data));
  if (std::string faults = describe_faults(rows.chosen, data.queries); !faults.empty())
    return Error{ErrorCode::kConfig, std::move(faults), ""};
  std::vector<Example> queries;
  for (Row& row : rows.chosen) queries.push_back(std::move(row.example));
  return queries;
}

Result<RunIdentity> Engine::identity(const std::string& queries) const {
  InputIdentity inputs = impl_->computing.inputs;
  inputs.queries = queries;
  DBSA_ASSIGN_OR_RETURN(inputs.query_indices, content_identity(impl_->settings.data.query_indices));
  return run_identity(impl_->tables, inputs);
}

std::string Engine::draw() const { return draw_identity(impl_->tables, impl_->pool.line_hash()); }

std::vector<std::string> Engine::labels() const {
  std::vector<std::string> names;
  for (const PoolLabel& label : impl_->pool.labels) names.push_back(label.text);
  return names;
}

const Settings& Engine::settings() const { return impl_->settings; }

const Tokenizer& Engine::tokenizer() const { return *impl_->computing.tokenizer; }

ModelInfo Engine::model_info() const {
  const Computing& self = impl_->computing;
  const Precision precision = self.model->precision();
  return {impl_->settings.model.path,
          self.config.model_type,
          self.fingerprint,
          compute_name(precision),
          host::kv_dtype_name(precision.kv_dtype),
          parameter_count(self.config),
          self.backend->describe(),
          tokenizer_identity(*self.tokenizer)};
}

}  // namespace dbsa
