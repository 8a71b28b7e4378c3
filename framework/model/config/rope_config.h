// The RoPE part of config.json: rope_theta with rope_scaling, or the newer rope_parameters.
#pragma once

#include <cstdint>
#include <optional>

#include "model/config/json_reader.h"
#include "model/config/rope.h"

namespace dbsa {

struct RopeConfig {
  RopeParameters rope;
  std::optional<RopeParameters> window_rope;  // Gemma 3: of layers with a window
  int64_t max_positions = 0;
};

// What the rest of the file and the family say.
struct RopeContext {
  int64_t head_dim = 0;
  int64_t max_position_embeddings = 0;
  double theta = 10000.0;             // where the file has none
  bool partial = false;               // partial_rotary_factor may be below 1, and LongRoPE used
  int64_t original_positions = 4096;  // LongRoPE: where its own object does not say
  bool by_layer_type = false;         // Gemma 3: layers with a window have their own RoPE
};

// Faults go to the reader.
RopeConfig read_rope(JsonReader& config, const RopeContext& context);

}  // namespace dbsa
