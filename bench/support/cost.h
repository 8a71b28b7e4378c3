// What a forward pass costs at least, in operations and bytes.
#pragma once

#include <cstdint>

#include "model/checkpoint/weights.h"
#include "model/config/model_config.h"

namespace dbsa::bench {

// What a pass over the model costs at least.
class Cost {
 public:
  explicit Cost(const ModelConfig& config, double bytes_a_weight = 2)
      : config_(config), bytes_a_weight_(bytes_a_weight) {
    layer_weights_ = multiplied_elements(config) / config.layers;
  }
  // Of all layers; the head only for the rows that want logits.
  double linear_operations(int64_t rows, int64_t logit_rows) const {
    return 2.0 * static_cast<double>(layer_weights_ * config_.layers * rows) +
           2.0 * static_cast<double>(config_.hidden_size * config_.vocab_size * logit_rows);
  }
  // Of a pass that ends once the last layer's keys and values are written.
  double encode_operations(int64_t rows) const {
    const int64_t last = 2 * config_.hidden_size * config_.kv_heads * config_.head_dim;
    return 2.0 * static_cast<double>((layer_weights_ * (config_.layers - 1) + last) * rows);
  }
  double weight_bytes() const {
    return bytes_a_weight_ * static_cast<double>(layer_weights_ * config_.layers +
                                                 config_.hidden_size * config_.vocab_size);
  }
  // pairs: of a row and a token that it sees.
  double attention_operations(double pairs) const {
    return attention_operations(pairs, config_.layers);
  }
  double attention_operations(double pairs, int64_t layers) const {
    return 4.0 * pairs * static_cast<double>(config_.heads * config_.head_dim * layers);
  }
  double kv_bytes(int64_t tokens) const {
    return 2.0 * 2.0 *
           static_cast<double>(tokens * config_.kv_heads * config_.head_dim * config_.layers);
  }

 private:
  ModelConfig config_;
  double bytes_a_weight_;
  int64_t layer_weights_;
};

}  // namespace dbsa::bench
