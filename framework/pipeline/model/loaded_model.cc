#include "pipeline/model/loaded_model.h"

#include <utility>

#include "host/make_plugin.h"
#include "model/checkpoint/fingerprint.h"
#include "model/decoder/packed_files.h"
#include "pipeline/model/model_fit.h"

namespace dbsa {
namespace {

// What two pipelines must have in common to share a model: not the keys of [model] that only affect
// speed.
nlohmann::json shared_tables(const host::ResolvedPipeline& resolved) {
  nlohmann::json model = resolved.json.at("model");
  const nlohmann::json speed = pipeline_speed_keys(resolved).at("model");
  for (const auto& [key, value] : speed.items()) model.erase(key);
  return {{"model", std::move(model)},
          {"attention_backend", resolved.json.at("attention_backend")}};
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

Result<std::shared_ptr<LoadedModel>> LoadedModel::load(const host::ResolvedPipeline& resolved,
                                                       const Settings& settings,
                                                       host::PluginRegistry& registry,
                                                       host::HostServices& services,
                                                       OpenOptions options) {
  std::shared_ptr<LoadedModel> loaded(new LoadedModel(services));
  LoadedModel& self = *loaded;
  const ModelSettings& model = settings.model;
  host::offer_plugins(self.services_, registry);
  self.path_ = model.path;
  self.tables_ = shared_tables(resolved);
  const DigestCache cache = {default_cache_folder(), !options.rehash_weights};
  DBSA_ASSIGN_OR_RETURN(self.source_, open_model(model.path));
  DBSA_ASSIGN_OR_RETURN(self.config_, self.source_->config());
  limit_positions(self.config_, model.max_positions);
  DBSA_ASSIGN_OR_RETURN(self.weights_, self.source_->weights());
  DBSA_RETURN_IF_ERROR(self.weights_->check(self.config_));
  DBSA_ASSIGN_OR_RETURN(self.tokenizer_, self.source_->tokenizer());
  fit_tokenizer(*self.tokenizer_, self.config_);
  // Before the weights are read, so that what a user asked for and a model lacks is told at once.
  if (settings.prompt.chat) {
    if (const auto chat = self.source_->chat_template(); !chat.ok()) return chat.error();
  }
  DBSA_ASSIGN_OR_RETURN(
      auto backend, host::make_plugin<host::AttentionBackend>(resolved, DBSA_KIND_ATTENTION_BACKEND,
                                                              registry, self.services_));
  self.backend_ = std::make_unique<host::AttentionBackend>(std::move(backend));
  DBSA_ASSIGN_OR_RETURN(const ModelFingerprint fingerprint,
                        fingerprint_model(self.config_, *self.weights_, cache));
  self.fingerprint_ = fingerprint.value.hex();
  if (const std::string folder = packed_weights_folder(); model.packed_weights && !folder.empty())
    self.packed_ =
        std::make_unique<PackedWeights>(folder, fingerprint.value, cache, self.services_);
  DBSA_ASSIGN_OR_RETURN(self.decoder_, Decoder::load(*self.weights_, self.config_,
                                                     choose_precision(model, *self.weights_),
                                                     *self.backend_, self.packed_.get()));
  identify_model(self.config_, self.fingerprint_, self.inputs_);
  self.inputs_.tokenizer = tokenizer_identity(*self.tokenizer_);
  self.scheduler_ = std::make_unique<Scheduler>(*self.decoder_, model.chunk_tokens);
  return loaded;
}

Status LoadedModel::check_same(const host::ResolvedPipeline& resolved) const {
  const std::vector<std::string> differences =
      identity_differences(tables_, shared_tables(resolved));
  if (differences.empty()) return {};
  return resolved.fault("/model/path", "another model is loaded, or it computes in another way (" +
                                           differences.front() + "); load one for this pipeline");
}

ModelInfo LoadedModel::info() const {
  const Precision precision = decoder_->precision();
  return {path_,
          config_.model_type,
          fingerprint_,
          compute_name(precision),
          host::kv_dtype_name(precision.kv_dtype),
          parameter_count(config_),
          backend_->describe(),
          inputs_.tokenizer};
}

}  // namespace dbsa
