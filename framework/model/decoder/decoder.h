// The forward pass of a decoder, once for every family (model_spec.h says what they differ by), as
// ops of an attention backend. Dense, block-sparse and cached attention differ only by the plan in
// ForwardInput. Logits are computed for the wanted rows only.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "host/attention_backend.h"
#include "model/checkpoint/model_tensors.h"
#include "model/checkpoint/weights.h"
#include "model/config/model_spec.h"
#include "model/decoder/packed_weights.h"
#include "model/decoder/weight_loader.h"
#include "model/decoder/window.h"

namespace dbsa {

// Consecutive rows that see the same segments and whose keys and values go to one live KV object.
struct RowRange {
  int64_t rows = 0;
  host::Kv* kv = nullptr;              // live; receives the rows as tokens first_token..
  int64_t first_token = 0;             // index in kv
  std::vector<dbsa_segment> segments;  // what each row sees, its own tokens included
};

struct ForwardInput {
  std::vector<int32_t> ids;        // [rows]
  std::vector<int32_t> positions;  // [rows]
  std::vector<RowRange> ranges;    // cover the rows in order
};

// How the model computes: arithmetic of linear layers, and element type of KV.
struct Precision {
  uint32_t compute = DBSA_COMPUTE_F32;    // DBSA_COMPUTE_*
  uint32_t kv_dtype = DBSA_KV_DTYPE_F32;  // DBSA_KV_DTYPE_*
  bool quantised = false;  // with BF16: blocks of weights stay so where a backend takes them
};

// "f32", "bf16" or "quantised", as records and keys of blocks say.
std::string compute_name(Precision precision);

// Tells a backend what it will attend with; each backend once. kUnsupported, with the remedy, where
// it says that it cannot.
Status configure_backend(const ModelConfig& config, Precision precision,
                         host::AttentionBackend& backend);

// What is asked of the logits after a row: their log-softmax at these tokens, and the likeliest.
struct ScoreAsk {
  int64_t row = 0;
  std::span<const int32_t> tokens;
};

class Decoder {
 public:
  // Packs the weights into the backend; they must outlive the model (the embedding is
  // read in place). Pages of packed weights are given back to the system. packed: where packed
  // weights are kept, must outlive the model too; nullptr: nowhere. Fails, and keeps nothing, when
  // a file of either was changed since it was opened; so does every pass, and returns nothing.
  static Result<std::unique_ptr<Decoder>> load(const Weights& weights, const ModelConfig& config,
                                               Precision precision, host::AttentionBackend& backend,
                                               PackedWeights* packed = nullptr);
  ~Decoder();

  // May check stored planes of a layer, or take what it wrote; an error stops the pass.
  using LayerHook = std::function<Status(int32_t layer)>;
  // Computes all rows. before_layer is called before each layer, kv_written once its keys and
  // values of all rows are written and before any of them is read. Returns logits, [logit_rows,
  // vocabulary] float32, row-major. With no logit_rows the pass ends once the last layer's KV is
  // written. Cost of memory: O(rows * hidden_size) activations, kept for the next call.
  Result<std::vector<float>> forward(const ForwardInput& input, std::span<const int64_t> logit_rows,
                                     const LayerHook& before_layer = nullptr,
                                     const LayerHook& kv_written = nullptr);

  // Like forward(), but downloads only the scores in `asks`.
  Result<std::vector<host::TokenScores>> score(const ForwardInput& input,
                                               std::span<const ScoreAsk> asks,
                                               const LayerHook& before_layer = nullptr);

  // The residual stream after the first `layers` layers (1 to the model's), [rows, hidden_size]
  // row-major, no norm applied.
  Result<std::vector<float>> hidden_states(const ForwardInput& input, int32_t layers);

  const ModelConfig& config() const { return config_; }
  const ModelSpec& spec() const { return spec_; }
  // Whose planes of stored tokens up to position last_token the backend reads where rows stand at
  // first_row and later: all but those of layers with a window that does not reach them, and all
  // where the backend does not leave such planes out.
  LayerSet layers_reading(int64_t first_row, int64_t last_token) const;
  // Not quantised where the backend takes no blocks.
  Precision precision() const { return precision_; }

 private:
  struct Layer;
  struct Activations;

  Decoder(const Weights& weights, const ModelConfig& config, Precision precision,
          host::AttentionBackend& backend, PackedWeights* packed);
  float epsilon() const { return static_cast<float>(spec_.rms_norm_eps); }
  float logit_factor() const { return static_cast<float>(spec_.logit_multiplier); }
  float logit_soft_cap() const { return static_cast<float>(spec_.logit_soft_cap); }
  Status load_weights();
  host::Weight* slot(const ModelTensor& tensor);
  Status check_unchanged() const;
  Status reserve(int64_t rows, int64_t last_rows);
  Status compute_layers(const ForwardInput& input, std::span<const int64_t> wanted_rows,
                        const LayerHook& before_layer, const LayerHook& kv_written);
  Status norm_last(int64_t rows);
  Result<std::vector<float>> compute_logits(int64_t rows);
  Result<std::vector<host::Plan>> prepare(const ForwardInput& input);
  Status embed(const ForwardInput& input);
  Status append_kv(const ForwardInput& input, int32_t layer);
  Status write_kv(const ForwardInput& input, int32_t layer, bool queries);
  Status attend(const std::vector<host::Plan>& plans, int32_t layer);
  Status add_attention(const Layer& layer, int64_t rows, const host::Buffer& attended,
                       host::Buffer& x);
  Status feed_forward(const Layer& layer, int64_t rows, host::Buffer& x);
  Status mlp(const Layer& layer, const host::Buffer& from, int64_t rows,
             const host::Buffer* residual, host::Buffer& out);
  Status add_branch(const host::Weight& norm, int64_t rows, host::Buffer& x);

  const Weights& weights_;
  ModelConfig config_;
  ModelSpec spec_;
  Precision precision_;
  host::AttentionBackend& backend_;
  PackedWeights* packed_;
  std::vector<Layer> layers_;
  bool skips_unseen_ = false;     // the backend reads no plane of which no row sees a token
  bool changes_outputs_ = false;  // of attention and the MLP, by norms or a multiplier
  EmbeddingTable embedding_;
  host::Weight norm_;
  host::Weight head_;
  std::unique_ptr<Activations> activations_;
};

}  // namespace dbsa
