#include "model/decoder/backend_types.h"

#include <string>

#include "model/config/rope.h"
#include "model/decoder/decoder.h"

namespace dbsa {
namespace {

// YaRN's magnitude multiplies q and k once each; stored keys stay without it.
float scale_of(const ModelSpec& spec, const AttentionType& type) {
  const double magnitude =
      type.rope < 0 ? 1.0 : rope_attention_factor(spec.ropes[static_cast<size_t>(type.rope)]);
  return static_cast<float>(magnitude * magnitude * type.scale);
}

Status check_supported(const ModelSpec& spec, Precision precision,
                       const host::AttentionBackend& backend) {
  bool several = false, capped = false, factors = false, gelu = false, experts = false;
  for (const int32_t type : backend_types(spec)) several = several || type > 0;
  for (const AttentionType& type : spec.attention_types) {
    capped = capped || type.soft_cap > 0;
    factors = factors || !pair_factors(spec, type).empty();
  }
  for (const LayerSpec& layer : spec.layers) {
    gelu = gelu || layer.activation == Activation::kGeluTanh;
    experts = experts || layer.experts;
  }
  const struct {
    bool needed;
    const char* op;
    uint32_t dtype;
    const char* feature;
    const char* what;
  } needs[] = {
      {several, "attention", precision.kv_dtype, "types", "layers of different attention types"},
      {capped, "attention", precision.kv_dtype, "soft_cap", "soft caps of attention scores"},
      {factors, "attention", precision.kv_dtype, "factor", "LongRoPE's factor"},
      {gelu, "gated_mlp", precision.compute, "gelu_tanh", "GELU in gated layers"},
      {experts, "experts", precision.compute, "softmax", "layers of experts"},
  };
  for (const auto& need : needs)
    if (need.needed && !backend.supports(need.op, need.dtype, need.feature))
      return Error{ErrorCode::kUnsupported,
                   "attention_backend " + backend.plugin_id() + " does not compute " + need.what +
                       ", which models of type " + spec.model_type +
                       " need; set attention_backend.plugin = \"cpu\"",
                   "/attention_backend/plugin"};
  return {};
}

}  // namespace

std::vector<int32_t> backend_types(const ModelSpec& spec) {
  std::vector<int32_t> types;
  int32_t count = 0;
  for (size_t i = 0; i < spec.attention_types.size(); ++i) {
    AttentionType own = spec.attention_types[i];
    own.window = 0;
    for (size_t j = 0; j < i && types.size() == i; ++j) {
      AttentionType earlier = spec.attention_types[j];
      earlier.window = 0;
      if (earlier == own) types.push_back(types[j]);
    }
    if (types.size() == i) types.push_back(count++);
  }
  return types;
}

Status configure_backend(const ModelConfig& config, Precision precision,
                         host::AttentionBackend& backend) {
  const ModelSpec spec = make_model_spec(config);
  DBSA_RETURN_IF_ERROR(check_supported(spec, precision, backend));
  const std::vector<int32_t> type_of = backend_types(spec);
  std::vector<std::vector<float>> frequencies, factors;
  std::vector<dbsa_attention_type> types;
  for (size_t i = 0; i < spec.attention_types.size(); ++i) {
    if (type_of[i] != static_cast<int32_t>(frequencies.size())) continue;  // as one before
    frequencies.push_back(pair_frequencies(spec, spec.attention_types[i]));
    factors.push_back(pair_factors(spec, spec.attention_types[i]));
    types.push_back({sizeof(dbsa_attention_type), scale_of(spec, spec.attention_types[i]),
                     static_cast<float>(spec.attention_types[i].soft_cap), 0, nullptr, nullptr,
                     nullptr});
  }
  for (size_t i = 0; i < types.size(); ++i) {
    types[i].inv_freq = frequencies[i].data();
    if (!factors[i].empty()) types[i].factor = factors[i].data();
  }
  std::vector<int32_t> layer_types;
  for (const LayerSpec& layer : spec.layers)
    layer_types.push_back(type_of[static_cast<size_t>(layer.attention)]);
  dbsa_attention_shape shape = {};
  shape.struct_size = sizeof shape;
  shape.layers = static_cast<int32_t>(spec.layers.size());
  shape.query_heads = static_cast<int32_t>(spec.heads);
  shape.kv_heads = static_cast<int32_t>(spec.kv_heads);
  shape.head_dim = static_cast<int32_t>(spec.head_dim);
  shape.compute = precision.compute;
  shape.kv_dtype = precision.kv_dtype;
  shape.type_count = static_cast<int32_t>(types.size());
  shape.types = types.data();
  shape.layer_types = layer_types.data();
  return backend.configure(shape);
}

}  // namespace dbsa
