// What families of decoders differ by in config.json: defaults of absent keys, and keys that only
// they have. Defaults are those of transformers 5 (see model_config.h); of sizes that every
// published file has there are none.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "model/config/json_reader.h"
#include "model/config/model_config.h"

namespace dbsa {

struct FamilyConfig {
  std::string_view model_type;
  ModelFamily family;
  int64_t kv_heads;  // 0: as many as heads
  int64_t head_dim;  // 0: hidden_size / heads
  int64_t positions;
  double epsilon;
  double theta;
  bool tied;
  std::optional<int64_t> begin, end;  // token ids
};

// nullptr: no such family is computed.
const FamilyConfig* find_family(std::string_view model_type);
// "gemma2, gemma3_text, ...".
std::string known_families();
// Why a model of a type that is not computed is refused, and what works instead.
std::string refusal(const std::string& model_type);

// Windows, and which layers have them. After the shape.
void read_windows(JsonReader& reader, ModelConfig& config);
// Experts, of families that have them, and which layers do. After the shape.
void read_experts(JsonReader& reader, ModelConfig& config);
// Multipliers, caps, scale, layers without RoPE, and keys with the one value that is computed.
void read_family_keys(JsonReader& reader, ModelConfig& config);

}  // namespace dbsa
