// The forward pass of BERT's encoder, as ops of an attention backend: no rotation, and each text
// sees only itself, so texts stand side by side in one pass without padding.
//
//   x = layer_norm(word[id] + position[i] + type[0])
//   each layer:  x = layer_norm(x + linear(attention(q, k, v)));  q, k, v = linear(x)
//                x = layer_norm(x + down(gelu(up(x))))
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "host/attention_backend.h"
#include "model/checkpoint/checkpoint.h"
#include "model/decoder/weight_loader.h"
#include "model/sentence/sentence_config.h"

namespace dbsa {

class Bert {
 public:
  // Configures the backend, a fresh one, and packs the weights in float32 arithmetic. Names may
  // begin with "bert."; poolers and heads are ignored, any other tensor is refused. Checkpoint
  // and backend must outlive the model.
  static Result<std::unique_ptr<Bert>> load(const Checkpoint& checkpoint, const BertConfig& config,
                                            host::AttentionBackend& backend);
  ~Bert();

  // texts: the ids of each, 1..max_position_embeddings of them. Returns the last layer's x, [all
  // tokens, hidden_size], text after text. A text's rows do not depend on the others, bit for bit.
  // Fails when the checkpoint was changed since it was opened. Cost of memory: O(tokens *
  // intermediate_size), kept for the next call.
  Result<std::vector<float>> forward(std::span<const std::vector<int32_t>> texts);

 private:
  struct Layer;
  struct Activations;
  struct Pass;

  Bert(const Checkpoint& checkpoint, const BertConfig& config, host::AttentionBackend& backend);
  float epsilon() const { return static_cast<float>(config_.layer_norm_eps); }
  Status load_weights(const std::string& prefix);
  Status read_positions(const std::string& prefix);
  Status reserve(int64_t rows);
  Result<Pass> prepare(std::span<const std::vector<int32_t>> texts);
  Status embed(std::span<const std::vector<int32_t>> texts, int64_t rows);
  Status attend(const Layer& layer, Pass& pass);
  Status feed_forward(const Layer& layer, int64_t rows);

  const Checkpoint& checkpoint_;
  BertConfig config_;
  host::AttentionBackend& backend_;
  EmbeddingTable words_;
  host::Weight norm_, norm_bias_;
  std::vector<float> positions_;  // [max_position_embeddings, hidden], token type 0 added
  std::vector<Layer> layers_;
  std::unique_ptr<Activations> activations_;
};

}  // namespace dbsa
