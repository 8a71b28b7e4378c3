#include "pipeline/engine.h"

#include <algorithm>
#include <utility>

#include "host/attention_backend.h"
#include "host/block_grouper.h"
#include "host/kv_store.h"
#include "host/mask_pattern.h"
#include "host/retriever.h"
#include "icl/prompt.h"
#include "model/fingerprint.h"
#include "model/llama.h"
#include "pipeline/label_decoder.h"
#include "pipeline/pool_builder.h"
#include "pipeline/pool_manifest.h"
#include "pipeline/stopwatch.h"

namespace dbsa {
namespace {

// The plugins of a pipeline, one instance each.
struct Plugins {
  host::BlockGrouper grouper;
  host::MaskPattern mask;
  host::Retriever retriever;
  uint32_t retriever_revision;
  host::KvStore store;
  host::AttentionBackend backend;
};

template <typename Wrapper>
Result<Wrapper> make_plugin(const host::ResolvedPipeline& resolved, uint32_t kind,
                            host::PluginRegistry& registry, host::HostServices& services) {
  const host::ResolvedStage& stage = resolved.stage(kind);
  DBSA_ASSIGN_OR_RETURN(const host::LoadedPlugin loaded, registry.load(*stage.manifest));
  return Wrapper::create(loaded, services, stage.config);
}

Result<std::unique_ptr<Plugins>> make_plugins(const host::ResolvedPipeline& resolved,
                                              host::PluginRegistry& registry,
                                              host::HostServices& services) {
  DBSA_ASSIGN_OR_RETURN(auto grouper, make_plugin<host::BlockGrouper>(
                                          resolved, DBSA_KIND_BLOCK_GROUPER, registry, services));
  DBSA_ASSIGN_OR_RETURN(auto mask, make_plugin<host::MaskPattern>(resolved, DBSA_KIND_MASK_PATTERN,
                                                                  registry, services));
  DBSA_ASSIGN_OR_RETURN(auto retriever, make_plugin<host::Retriever>(resolved, DBSA_KIND_RETRIEVER,
                                                                     registry, services));
  DBSA_ASSIGN_OR_RETURN(
      auto store, make_plugin<host::KvStore>(resolved, DBSA_KIND_KV_STORE, registry, services));
  DBSA_ASSIGN_OR_RETURN(auto backend,
                        make_plugin<host::AttentionBackend>(resolved, DBSA_KIND_ATTENTION_BACKEND,
                                                            registry, services));
  return std::make_unique<Plugins>(Plugins{std::move(grouper), std::move(mask),
                                           std::move(retriever),
                                           resolved.stage(DBSA_KIND_RETRIEVER).manifest->revision,
                                           std::move(store), std::move(backend)});
}

// bf16 arithmetic for 16-bit checkpoints, float32 for others, unless the file says.
Precision choose_precision(const ModelSettings& settings, const Checkpoint& checkpoint) {
  bool half = false;
  for (const SafetensorsFile& file : checkpoint.files())
    for (const SafetensorsEntry& entry : file.entries())
      half = half || entry.dtype == TensorDtype::kBF16 || entry.dtype == TensorDtype::kF16;
  const bool compute_half = settings.dtype == "auto" ? half : settings.dtype == "bf16";
  const bool kv_half = settings.kv_dtype == "auto" ? compute_half : settings.kv_dtype == "bf16";
  return {static_cast<uint32_t>(compute_half ? DBSA_COMPUTE_BF16 : DBSA_COMPUTE_F32),
          static_cast<uint32_t>(kv_half ? DBSA_KV_DTYPE_BF16 : DBSA_KV_DTYPE_F32)};
}

}  // namespace

Status check_tokenizer_fits(const Tokenizer& tokenizer, const ModelConfig& model) {
  if (tokenizer.vocab_size() <= model.vocab_size) return {};
  return Error{ErrorCode::kConfig,
               tokenizer.name() + ": the tokenizer has ids up to " +
                   std::to_string(tokenizer.vocab_size() - 1) + " and the model's vocab_size is " +
                   std::to_string(model.vocab_size) +
                   "; use the tokenizer that was published with the model",
               "/model/path"};
}

struct Engine::Impl {
  Settings settings;
  host::HostServices& services;
  std::unique_ptr<Plugins> plugins;
  ModelConfig config;
  std::unique_ptr<Checkpoint> checkpoint;
  std::unique_ptr<Tokenizer> tokenizer;
  std::unique_ptr<Llama> model;
  std::string fingerprint;
  KvKey model_digest;
  std::string pool_id;
  BlockCache cache;
  Encoder encoder;

  // The open pool.
  Pool pool;
  std::vector<EncodeBlock> blocks;  // with plans; of an opened pool only once a repair needs them
  std::vector<int64_t> lengths;
  std::optional<LabelTrie> trie;

  Impl(Settings s, host::HostServices& host_services, std::unique_ptr<Plugins> p, ModelConfig c,
       std::unique_ptr<Checkpoint> w, std::unique_ptr<Tokenizer> t, std::unique_ptr<Llama> m)
      : settings(std::move(s)),
        services(host_services),
        plugins(std::move(p)),
        config(std::move(c)),
        checkpoint(std::move(w)),
        tokenizer(std::move(t)),
        model(std::move(m)),
        cache(plugins->store, plugins->backend),
        encoder(*model, plugins->backend, plugins->store, cache, services,
                settings.model.chunk_tokens) {}

  PoolParts parts() {
    return {settings,         config,        model_digest,       *tokenizer,
            plugins->grouper, plugins->mask, plugins->retriever, plugins->retriever_revision,
            services};
  }
  Status identify();
  Status adopt(Pool opened);
  Result<std::vector<Example>> load_demonstrations() const;
  Result<std::optional<Pool>> previous_pool(bool regroup) const;
  Result<Selection> select(std::string_view text);
  Result<std::vector<int32_t>> query_ids(std::string_view text) const;
  int64_t longest_continuation() const;
  Result<std::vector<QueryPass::Selected>> open_blocks(const Selection& selection);
  Status decode(QueryPass& pass, std::vector<float> logits, Answer& answer);
  Result<Answer> answer_once(std::string_view text);
  Status repair(int64_t& repaired);
};

// Takes the model's fingerprint and what all keys have in common.
Status Engine::Impl::identify() {
  DBSA_ASSIGN_OR_RETURN(const ModelFingerprint weights,
                        fingerprint_model(config, *checkpoint, default_cache_folder()));
  fingerprint = weights.value.hex();
  DBSA_ASSIGN_OR_RETURN(const dbsa_kv_format format, plugins->backend.block_format(1));
  model_digest = ModelIdentity{fingerprint, rope_identity(config.rope),
                               tokenizer_identity(*tokenizer), model->precision().compute, format}
                     .digest();
  return {};
}

Status Engine::Impl::adopt(Pool opened) {
  pool = std::move(opened);
  blocks.clear();
  lengths.clear();
  for (const PoolBlock& block : pool.blocks)
    lengths.push_back(static_cast<int64_t>(block.token_ids.size()));
  trie.reset();
  if (settings.decoding.free) return {};
  std::vector<LabelTokens> tokens;
  std::vector<std::string> names;
  for (const PoolLabel& label : pool.labels) {
    tokens.push_back(label.tokens);
    names.push_back(label.text);
  }
  DBSA_ASSIGN_OR_RETURN(trie, LabelTrie::build(tokens, names));
  return {};
}

Result<std::unique_ptr<Engine>> Engine::open(const host::ResolvedPipeline& resolved,
                                             host::PluginRegistry& registry,
                                             host::HostServices& services) {
  DBSA_ASSIGN_OR_RETURN(Settings settings, read_settings(resolved.json));
  DBSA_ASSIGN_OR_RETURN(ModelConfig config, load_model_config(settings.model.path));
  DBSA_ASSIGN_OR_RETURN(Checkpoint opened, Checkpoint::open(settings.model.path));
  auto checkpoint = std::make_unique<Checkpoint>(std::move(opened));
  DBSA_RETURN_IF_ERROR(checkpoint->check(config));
  DBSA_ASSIGN_OR_RETURN(std::unique_ptr<Tokenizer> tokenizer, Tokenizer::load(settings.model.path));
  DBSA_RETURN_IF_ERROR(check_tokenizer_fits(*tokenizer, config));
  DBSA_ASSIGN_OR_RETURN(std::unique_ptr<Plugins> plugins,
                        make_plugins(resolved, registry, services));
  DBSA_ASSIGN_OR_RETURN(
      std::unique_ptr<Llama> model,
      Llama::load(*checkpoint, config, choose_precision(settings.model, *checkpoint),
                  plugins->backend));
  auto impl =
      std::make_unique<Impl>(std::move(settings), services, std::move(plugins), std::move(config),
                             std::move(checkpoint), std::move(tokenizer), std::move(model));
  impl->pool_id = dbsa::pool_id(resolved.json);
  DBSA_RETURN_IF_ERROR(impl->identify());
  return std::unique_ptr<Engine>(new Engine(std::move(impl)));
}

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

// ---- stage one ---------------------------------------------------------------------------------

Result<std::vector<Example>> Engine::Impl::load_demonstrations() const {
  const DataSettings& data = settings.data;
  DBSA_ASSIGN_OR_RETURN(
      const std::vector<Example> all,
      load_dataset(data.demonstrations, data.text_field, data.label_field, LabelPolicy::kRequired));
  return draw(all, data.demonstration_count, data.seed);
}

// The pool these settings made before. A damaged manifest is no reason to stop: all in it can be
// made again.
Result<std::optional<Pool>> Engine::Impl::previous_pool(bool regroup) const {
  if (settings.store_path.empty() || regroup) return std::optional<Pool>();
  Result<Pool> previous = read_pool_manifest(pool_manifest_path(settings.store_path, pool_id));
  if (previous.ok()) return std::optional<Pool>(std::move(previous).value());
  if (previous.error().code == ErrorCode::kCorrupt)
    services.log(host::LogLevel::kWarning, previous.error().message + "; dealing blocks anew");
  else if (previous.error().code != ErrorCode::kNotFound)
    return previous.error();
  return std::optional<Pool>();
}

Result<EncodeReport> Engine::encode(bool regroup, const EncodeObserver& observer) {
  Impl& self = *impl_;
  const Stopwatch setup;
  EncodeReport report;
  report.pool_id = self.pool_id;
  DBSA_ASSIGN_OR_RETURN(const std::vector<Example> demonstrations, self.load_demonstrations());
  DBSA_ASSIGN_OR_RETURN(const std::optional<Pool> previous, self.previous_pool(regroup));
  DBSA_ASSIGN_OR_RETURN(BuiltPool built, build_pool(self.parts(), self.pool_id, demonstrations,
                                                    previous ? &*previous : nullptr));
  report.index_reused = built.index_reused;

  std::vector<int64_t> all(built.blocks.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int64_t>(i);
  DBSA_ASSIGN_OR_RETURN(EncodeNeed need, self.encoder.need(built.blocks, all));
  EncodeEstimate& estimate = report.estimate;
  estimate.demonstrations = static_cast<int64_t>(demonstrations.size());
  estimate.blocks = static_cast<int64_t>(built.blocks.size());
  for (const EncodeBlock& block : built.blocks) {
    const auto tokens = static_cast<int64_t>(block.token_ids.size());
    DBSA_ASSIGN_OR_RETURN(const dbsa_kv_format format, self.plugins->backend.block_format(tokens));
    estimate.tokens += tokens;
    report.kv_bytes += format.plane_bytes * format.layers;
  }
  estimate.blocks_to_encode = static_cast<int64_t>(need.blocks.size());
  estimate.tokens_to_encode = need.tokens;
  estimate.bytes_to_store = need.bytes;
  estimate.free_bytes = need.free_bytes;
  if (observer.estimate) observer.estimate(estimate);

  const Stopwatch encoding;
  const int64_t repaired_before = self.encoder.repaired();
  EncodeProgress last;
  DBSA_RETURN_IF_ERROR(
      self.encoder.encode(built.blocks, std::move(need), [&](const EncodeProgress& progress) {
        last = progress;
        if (observer.progress) observer.progress(progress);
      }));
  report.encode_seconds = encoding.seconds();
  report.blocks_encoded = last.blocks_done;
  report.tokens_encoded = last.tokens_done;
  report.blocks_repaired = self.encoder.repaired() - repaired_before;
  if (!self.settings.store_path.empty()) {
    report.manifest_path = pool_manifest_path(self.settings.store_path, self.pool_id);
    DBSA_RETURN_IF_ERROR(write_pool_manifest(built.pool, self.settings.store_path));
  }
  DBSA_RETURN_IF_ERROR(self.adopt(std::move(built.pool)));
  self.blocks = std::move(built.blocks);
  report.setup_seconds = setup.seconds();
  return report;
}

Status Engine::open_pool() {
  Impl& self = *impl_;
  if (self.settings.store_path.empty())
    return Error{ErrorCode::kConfig,
                 "this store is not kept between runs, so there is no encoded pool to open; use "
                 "`dbsa-pipe run`, or a store with a path",
                 "/kv_store/plugin"};
  const std::string path = pool_manifest_path(self.settings.store_path, self.pool_id);
  Result<Pool> pool = read_pool_manifest(path);
  if (!pool.ok() && pool.error().code == ErrorCode::kNotFound)
    return Error{ErrorCode::kConfig,
                 "no pool was encoded with these settings (" + path +
                     " does not exist); run `dbsa-pipe encode` first",
                 "/kv_store/path"};
  if (!pool.ok()) return pool.error();
  if (pool->model != self.model_digest)
    return Error{ErrorCode::kConfig,
                 path +
                     ": the pool was encoded with another model, tokenizer or precision; run "
                     "`dbsa-pipe encode` again",
                 "/model/path"};
  const int64_t documents = static_cast<int64_t>(pool->blocks.size()) - (pool->has_prefix ? 1 : 0);
  if (Status loaded = self.plugins->retriever.load(pool->index, documents); !loaded.ok())
    return Error{loaded.error().code,
                 path + ": its retriever index cannot be used: " + loaded.error().message +
                     "; run `dbsa-pipe encode` again",
                 ""};
  return self.adopt(std::move(pool).value());
}

// ---- stage two ---------------------------------------------------------------------------------

Result<Selection> Engine::Impl::select(std::string_view text) {
  const PoolShape shape = {lengths, settings.mask.anchor_blocks, pool.has_prefix};
  DBSA_ASSIGN_OR_RETURN(const int64_t count, selection_size(settings.selection, shape));
  const std::string query = settings.index_whole_demonstrations
                                ? query_text(prompt_format(settings.prompt), text)
                                : std::string(text);
  DBSA_ASSIGN_OR_RETURN(const std::vector<Hit> ranking, plugins->retriever.query(query, count));
  return select_blocks(settings.selection, shape, ranking);
}

Result<std::vector<int32_t>> Engine::Impl::query_ids(std::string_view text) const {
  DBSA_ASSIGN_OR_RETURN(std::vector<int32_t> ids,
                        tokenizer->encode(query_text(prompt_format(settings.prompt), text),
                                          {.parse_special = false}));
  if (settings.prompt.tail.empty()) return ids;
  const PromptFormat behind = label_format(settings.prompt);
  DBSA_ASSIGN_OR_RETURN(const std::vector<int32_t> tail, tokenizer->encode(label_lead(behind)));
  ids.insert(ids.end(), tail.begin(), tail.end());
  return ids;
}

// Tokens that may follow the query: the longest label, or what free decoding may write.
int64_t Engine::Impl::longest_continuation() const {
  if (!trie) return settings.decoding.max_tokens;
  int64_t longest = 0;
  for (const LabelTrie::Node& node : trie->nodes())
    longest = std::max<int64_t>(longest, node.depth);
  return longest;
}

Result<std::vector<QueryPass::Selected>> Engine::Impl::open_blocks(const Selection& selection) {
  std::vector<QueryPass::Selected> open;
  for (const SelectedBlock& selected : selection.blocks) {
    const auto index = static_cast<size_t>(selected.block);
    DBSA_ASSIGN_OR_RETURN(OpenBlock * block, cache.open(pool.blocks[index].key));
    open.push_back({block, lengths[index], selected.start});
  }
  return open;
}

Status Engine::Impl::decode(QueryPass& pass, std::vector<float> logits, Answer& answer) {
  if (!trie) {
    DBSA_ASSIGN_OR_RETURN(const Generated generated,
                          decode_free(*tokenizer, settings.prompt.separator, config.eos_token_ids,
                                      settings.decoding.max_tokens, pass, std::move(logits)));
    answer.label = {generated.text, generated.log_probability};
    return {};
  }
  DBSA_ASSIGN_OR_RETURN(const Decision decision, decode_trie(*trie, pass, std::move(logits)));
  const auto named = [&](const LabelScore& score) {
    return AnswerLabel{pool.labels[static_cast<size_t>(score.label)].text, score.log_probability};
  };
  answer.label = named(decision.best);
  if (decision.runner_up) answer.runner_up = named(*decision.runner_up);
  return {};
}

// Blocks of the pool that the store lacks, for whatever reason, are computed anew.
Status Engine::Impl::repair(int64_t& repaired) {
  if (blocks.empty()) {
    DBSA_ASSIGN_OR_RETURN(blocks, plan_pool(parts(), pool));
  }
  std::vector<int64_t> all(blocks.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int64_t>(i);
  DBSA_ASSIGN_OR_RETURN(EncodeNeed need, encoder.need(blocks, all));
  repaired += static_cast<int64_t>(need.blocks.size());
  return encoder.encode(blocks, std::move(need), nullptr);
}

// One attempt. On kCorrupt the block at fault is discarded; on kNotFound the store lacks a block.
Result<Answer> Engine::Impl::answer_once(std::string_view text) {
  Answer answer;
  const Stopwatch retrieving;
  DBSA_ASSIGN_OR_RETURN(const Selection selection, select(text));
  answer.seconds.retrieve = retrieving.seconds();

  DBSA_ASSIGN_OR_RETURN(const std::vector<int32_t> ids, query_ids(text));
  const auto query_tokens = static_cast<int64_t>(ids.size());
  const int64_t rows = query_tokens + longest_continuation();
  DBSA_RETURN_IF_ERROR(check_distances(selection, rows, config.max_positions));
  if (config.sliding_window)
    DBSA_RETURN_IF_ERROR(check_distances(selection, rows, *config.sliding_window));

  const Stopwatch loading;
  DBSA_ASSIGN_OR_RETURN(std::vector<QueryPass::Selected> open, open_blocks(selection));
  answer.seconds.load = loading.seconds();

  const Stopwatch computing;
  DBSA_ASSIGN_OR_RETURN(QueryPass pass,
                        QueryPass::begin(*model, plugins->backend, std::move(open),
                                         selection.query_start, rows, settings.model.chunk_tokens));
  Result<std::vector<float>> logits = pass.extend(ids);
  if (!logits.ok()) {
    if (pass.corrupt() != nullptr) {
      const KvKey key = pass.corrupt()->key();
      services.log(host::LogLevel::kWarning, "block " + key.hex() + ": " + logits.error().message +
                                                 "; it is encoded again and the query repeated");
      DBSA_RETURN_IF_ERROR(cache.discard(key));
    }
    return logits.error();
  }
  answer.seconds.verify = pass.verify_seconds();
  answer.seconds.prefill = computing.seconds() - pass.verify_seconds();

  const Stopwatch decoding;
  DBSA_RETURN_IF_ERROR(decode(pass, std::move(logits).value(), answer));
  answer.seconds.decode = decoding.seconds();

  for (const SelectedBlock& block : selection.blocks)
    answer.blocks.push_back(
        {block.block, block.score, block.start, lengths[static_cast<size_t>(block.block)]});
  answer.selected_tokens = selection.tokens;
  answer.query_tokens = query_tokens;
  return answer;
}

Result<Answer> Engine::answer(std::string_view text) {
  Impl& self = *impl_;
  // Every failed attempt drops a block from the store or finds one missing, and mends it. More
  // attempts than this mean a disk that spoils what is written.
  constexpr int kAttempts = 8;
  int64_t repaired = 0;
  for (int attempt = 1;; ++attempt) {
    Result<Answer> answer = self.answer_once(text);
    if (answer.ok()) {
      answer->blocks_repaired = repaired;
      return answer;
    }
    const ErrorCode code = answer.error().code;
    if (code != ErrorCode::kCorrupt && code != ErrorCode::kNotFound) return answer.error();
    if (attempt == kAttempts)
      return Error{ErrorCode::kEnvironment,
                   "stored blocks stay damaged after " + std::to_string(kAttempts) +
                       " attempts to encode them again: " + answer.error().message +
                       "; check the disk that holds kv_store.path",
                   "/kv_store/path"};
    DBSA_RETURN_IF_ERROR(self.repair(repaired));
  }
}

Result<std::vector<Example>> Engine::load_queries() const {
  const DataSettings& data = impl_->settings.data;
  DBSA_ASSIGN_OR_RETURN(
      std::vector<Example> queries,
      load_dataset(data.queries, data.text_field, data.label_field, LabelPolicy::kOptional));
  if (!data.query_indices.empty()) {
    DBSA_ASSIGN_OR_RETURN(const std::vector<int64_t> indices,
                          load_indices(data.query_indices, static_cast<int64_t>(queries.size())));
    queries = pick(queries, indices);
  }
  if (data.query_count > 0 && data.query_count < static_cast<int64_t>(queries.size()))
    queries.resize(static_cast<size_t>(data.query_count));
  if (!impl_->settings.decoding.free)
    DBSA_RETURN_IF_ERROR(check_query_labels(queries, labels(), data.queries));
  return queries;
}

std::vector<std::string> Engine::labels() const {
  std::vector<std::string> names;
  for (const PoolLabel& label : impl_->pool.labels) names.push_back(label.text);
  return names;
}

const Settings& Engine::settings() const { return impl_->settings; }

ModelInfo Engine::model_info() const {
  const Impl& self = *impl_;
  int64_t parameters = 0;
  for (const TensorSpec& tensor : expected_tensors(self.config)) {
    int64_t elements = 1;
    for (const int64_t extent : tensor.shape) elements *= extent;
    parameters += elements;
  }
  const Precision precision = self.model->precision();
  return {self.settings.model.path,
          self.config.model_type,
          self.fingerprint,
          precision.compute == DBSA_COMPUTE_BF16 ? "bf16" : "f32",
          precision.kv_dtype == DBSA_KV_DTYPE_BF16 ? "bf16" : "f32",
          parameters,
          self.plugins->backend.describe(),
          tokenizer_identity(*self.tokenizer)};
}

}  // namespace dbsa
