// LoadedModel: a model that is ready to compute: its weights in the attention backend, its
// tokenizer, and the one scheduler through which all that compute with it pass. Pools of any number
// of pipelines may share one.
#pragma once

#include <dbsa/sdk/result.h>

#include <memory>
#include <optional>
#include <string>

#include "host/attention_backend.h"
#include "host/host_services.h"
#include "host/plugin_registry.h"
#include "host/resolve.h"
#include "model/checkpoint/weights.h"
#include "model/config/model_config.h"
#include "model/decoder/decoder.h"
#include "model/decoder/packed_weights.h"
#include "model/decoder/scheduler.h"
#include "model/open_model.h"
#include "model/tokenizer/tokenizer.h"
#include "pipeline/identity/identity.h"
#include "pipeline/settings/settings.h"

namespace dbsa {

struct OpenOptions {
  // Hash the weights and the packed weights again, even if their hashes are remembered.
  bool rehash_weights = false;
};

struct ModelInfo {
  std::string path;
  std::string family;
  std::string fingerprint;  // hexadecimal
  std::string compute;      // "f32" | "bf16" | "quantised"
  std::string kv_dtype;     // "f32" | "bf16" | "int8"
  int64_t parameters = 0;   // elements of all tensors
  std::string backend;      // AttentionBackend::describe()
  std::string tokenizer;    // fingerprint of its file, hexadecimal
};

// bf16 arithmetic for weights of 16 bits or fewer, on blocks as they are where the backend takes
// them, float32 for others, unless the file says.
Precision choose_precision(const ModelSettings& settings, const Weights& weights);

// [any]
class LoadedModel {
 public:
  // Loads what the tables [model] and [attention_backend] name. settings: of the same pipeline.
  // The registry and the services outlive it.
  static Result<std::shared_ptr<LoadedModel>> load(const host::ResolvedPipeline& resolved,
                                                   const Settings& settings,
                                                   host::PluginRegistry& registry,
                                                   host::HostServices& services,
                                                   OpenOptions options);
  LoadedModel(const LoadedModel&) = delete;
  LoadedModel& operator=(const LoadedModel&) = delete;

  // Whether a pipeline's tables name this model and this way of computing. kConfig, with the key,
  // where they do not.
  Status check_same(const host::ResolvedPipeline& resolved) const;

  const ModelConfig& config() const { return config_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  // kConfig at /prompt/chat where there is none.
  Result<ChatTemplate> chat_template() const { return source_->chat_template(); }
  host::AttentionBackend& backend() { return *backend_; }
  Scheduler& scheduler() { return *scheduler_; }
  // Its passes, and all that the backend marks [run], are the scheduler's.
  Decoder& decoder() { return *decoder_; }
  const Decoder& decoder() const { return *decoder_; }
  // Weights, model and tokenizer; nothing of data.
  const InputIdentity& inputs() const { return inputs_; }
  ModelInfo info() const;

 private:
  LoadedModel(host::HostServices& services) : services_(services) {}

  host::HostServices services_;
  std::string path_;
  nlohmann::json tables_;  // of [model] and [attention_backend], as they are compared
  std::unique_ptr<ModelSource> source_;
  ModelConfig config_;
  std::unique_ptr<Weights> weights_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::unique_ptr<host::AttentionBackend> backend_;
  std::unique_ptr<PackedWeights> packed_;  // nullptr: none are kept
  std::unique_ptr<Decoder> decoder_;
  std::string fingerprint_;
  InputIdentity inputs_;
  std::unique_ptr<Scheduler> scheduler_;  // last: its thread ends first
};

}  // namespace dbsa
