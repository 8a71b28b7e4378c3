// The RoPE part of config.json: rope_theta with rope_scaling, or the newer rope_parameters.
#pragma once

#include <cstdint>

#include "model/json_reader.h"
#include "model/rope.h"

namespace dbsa {

struct RopeConfig {
  RopeParameters rope;
  int64_t max_positions = 0;
};

// Faults go to the reader. head_dim and max_position_embeddings as the rest of the file gives them.
RopeConfig read_rope(JsonReader& config, int64_t head_dim, int64_t max_position_embeddings);

}  // namespace dbsa
