#include "model/gguf/gguf_rope.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "model/config/json_reader.h"

namespace dbsa::gguf {
namespace {

constexpr const char* kFactors = "rope_freqs.weight";
constexpr const char* kLongFactors = "rope_factors_long.weight";
constexpr const char* kShortFactors = "rope_factors_short.weight";

// A factor above 0 for each rotated pair; empty, with a fault, where the tensor is something else.
std::vector<float> read_factors(ConfigReader& reader, const char* tensor) {
  const GgufFile* file = reader.parts.file_of(tensor);
  const auto fault = [&](const std::string& what) {
    reader.faults.push_back((file == nullptr ? reader.parts.first() : *file).path() + ": tensor '" +
                            tensor + "': " + what + "; fetch the file again");
    return std::vector<float>();
  };
  const std::vector<int64_t> shape = {reader.config.rope.head_dim / 2};
  if (file == nullptr) return fault("is missing, expected F32 " + shape_text(shape));
  const TensorEntry& entry = *file->find(tensor);
  if (entry.dtype != TensorDtype::kF32 || entry.shape != shape)
    return fault("expected F32 " + shape_text(shape) + ", found " + entry.dtype_name + " " +
                 shape_text(entry.shape));
  std::vector<float> factors(static_cast<size_t>(shape[0]));
  std::memcpy(factors.data(), file->bytes(entry).data(), entry.bytes);
  for (const float factor : factors)
    if (!std::isfinite(factor) || factor <= 0)
      return fault("expected numbers above 0, found " + std::to_string(factor));
  return factors;
}

void extend_positions(ModelConfig& config, double factor) {
  const double reach = static_cast<double>(config.max_position_embeddings) * std::max(factor, 1.0);
  config.max_positions = static_cast<int64_t>(std::min(reach, static_cast<double>(kMaxDimension)));
}

void read_linear(ConfigReader& reader) {
  RopeParameters& rope = reader.config.rope;
  rope.kind = RopeKind::kLinear;
  rope.factor = reader.keys.number(reader.key("rope.scaling.factor"), std::nullopt, 0);
  // Gemma 3's context counts it already.
  if (reader.config.family != ModelFamily::kGemma3) extend_positions(reader.config, rope.factor);
}

void read_yarn(ConfigReader& reader) {
  RopeParameters& rope = reader.config.rope;
  rope.kind = RopeKind::kYarn;
  rope.factor = reader.keys.number(reader.key("rope.scaling.factor"), std::nullopt, 0);
  rope.original_max_position_embeddings = reader.keys.integer(
      reader.key("rope.scaling.original_context_length"), std::nullopt, 1, kMaxDimension);
  if (rope.original_max_position_embeddings == reader.config.max_position_embeddings)
    extend_positions(reader.config, rope.factor);
}

// Two lists, of which limit_positions chooses.
void read_longrope(ConfigReader& reader) {
  RopeParameters& rope = reader.config.rope;
  rope.kind = RopeKind::kLongRope;
  rope.long_factors = read_factors(reader, kLongFactors);
  rope.short_factors = read_factors(reader, kShortFactors);
  rope.original_max_position_embeddings = reader.keys.integer(
      reader.key("rope.scaling.original_context_length"), std::nullopt, 2, kMaxDimension);
  rope.rotation_factor =
      reader.keys.number(reader.key("rope.scaling.attn_factor"), std::nullopt, 0);
  limit_positions(reader.config, 0);
}

}  // namespace

void read_gguf_rope(ConfigReader& reader) {
  RopeParameters& rope = reader.config.rope;
  rope.theta = reader.keys.number(reader.key("rope.freq_base"), 10000.0, 1);
  const std::string name = reader.key("rope.scaling.type");
  std::string type = reader.keys.text(name, "none");
  const bool phi3 = reader.config.family == ModelFamily::kPhi3;
  if (phi3) {
    // Files without LongRoPE have this key, too, and those with it need not name the type.
    reader.keys.field(reader.key("rope.scaling.original_context_length"));
    if (type == "none" && reader.parts.contains(kLongFactors)) type = "longrope";
  }
  if (type == "linear") {
    read_linear(reader);
  } else if (type == "yarn") {
    read_yarn(reader);
  } else if (type == "longrope" && phi3) {
    read_longrope(reader);
  } else if (type != "none") {
    reader.keys.fault(name, std::string("expected none, linear") +
                                (phi3 ? ", yarn or longrope" : " or yarn") + ", found " +
                                printable_name(type) + "; use a model with one of these");
  }
  // Llama 3's scaling is a tensor: inverse frequency j is divided by its element j.
  if (rope.kind != RopeKind::kLongRope && reader.parts.contains(kFactors))
    rope.divisors = read_factors(reader, kFactors);
}

std::vector<std::string> rope_tensors(const ModelConfig& config) {
  if (config.rope.kind == RopeKind::kLongRope) return {kLongFactors, kShortFactors};
  return {kFactors};
}

}  // namespace dbsa::gguf
