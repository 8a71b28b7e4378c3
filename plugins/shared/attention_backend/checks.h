// Checks of the calls of an attention backend, all kInvalidArgument unless said: the same words
// whichever backend.
//
// To be included where the backend's objects are defined: dbsa_buffer with rows and width,
// dbsa_weight with use, rows and width, dbsa_kv with tokens and live, as int64_t except use, an
// int32_t, and live, a bool.
#pragma once

#include <dbsa/attention_backend.h>
#include <dbsa/sdk/result.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

namespace dbsa::backend_checks {

inline Error invalid(const std::string& message) {
  return Error{ErrorCode::kInvalidArgument, message, ""};
}

// Rows first..first + rows - 1 of `buffer`, which must not be null.
inline Status check_rows(const char* op, const char* name, const dbsa_buffer* buffer, int64_t first,
                         int64_t rows) {
  const std::string what = std::string(op) + ": " + name;
  if (buffer == nullptr) return invalid(what + " is null");
  if (first < 0 || rows < 0 || first > buffer->rows || rows > buffer->rows - first) {
    return invalid(what + " has " + std::to_string(buffer->rows) + " rows, asked for " +
                   std::to_string(rows) + " from row " + std::to_string(first));
  }
  return {};
}

inline Status check_buffer(const char* op, const char* name, const dbsa_buffer* buffer,
                           int64_t rows, int64_t width) {
  DBSA_RETURN_IF_ERROR(check_rows(op, name, buffer, 0, rows));
  if (buffer->width != width) {
    return invalid(std::string(op) + ": " + name + " must be " + std::to_string(width) +
                   " wide, got " + std::to_string(buffer->width));
  }
  return {};
}

inline const char* use_name(int32_t use) {
  switch (use) {
    case DBSA_WEIGHT_LINEAR:
      return "LINEAR";
    case DBSA_WEIGHT_EMBEDDING:
      return "EMBEDDING";
    case DBSA_WEIGHT_VECTOR:
      return "VECTOR";
    default:
      return "unknown";
  }
}

inline Status check_weight(const char* op, const char* name, const dbsa_weight* weight,
                           int32_t use) {
  if (weight != nullptr && weight->use == use) return {};
  const std::string what = std::string(op) + ": " + name;
  if (weight == nullptr) return invalid(what + " is null");
  return invalid(what + " must be a " + use_name(use) + " weight, got " + use_name(weight->use));
}

inline Status check_vector(const char* op, const char* name, const dbsa_weight* weight,
                           int64_t width) {
  DBSA_RETURN_IF_ERROR(check_weight(op, name, weight, DBSA_WEIGHT_VECTOR));
  if (weight->width != width) {
    return invalid(std::string(op) + ": " + name + " must have " + std::to_string(width) +
                   " values, got " + std::to_string(weight->width));
  }
  return {};
}

inline Status check_distinct(const char* op, const char* name, const dbsa_buffer* in,
                             const dbsa_buffer* out) {
  if (in == out) return invalid(std::string(op) + ": out must not be " + name);
  return {};
}

// ---- arguments that may be left out ----------------------------------------------------------

inline Status check_bias(const char* op, const char* name, const dbsa_weight* bias, int64_t width) {
  return bias == nullptr ? Status() : check_vector(op, name, bias, width);
}
inline Status check_residual(const char* op, const dbsa_buffer* residual, int64_t rows,
                             int64_t width) {
  return residual == nullptr ? Status() : check_buffer(op, "residual", residual, rows, width);
}

// ---- whole calls -----------------------------------------------------------------------------

// a * b fits where b >= 0 and a >= 1.
inline bool product_fits(int64_t a, int64_t b, int64_t limit) { return b <= limit / a; }
constexpr int64_t kMostElements = int64_t{1} << 45;  // more than any machine has
constexpr int64_t kMostTokens = int64_t{1} << 32;

inline bool all_finite(const float* values, int32_t count) {
  for (int32_t i = 0; i < count; ++i) {
    if (!std::isfinite(values[i])) return false;
  }
  return true;
}

inline Status check_type(const dbsa_attention_shape& shape, int32_t index) {
  const dbsa_attention_type& type = shape.types[index];
  const std::string where = "configure: type " + std::to_string(index) + ": ";
  const int32_t half = shape.head_dim / 2;
  if (!std::isfinite(type.scale)) return invalid(where + "scale must be finite");
  if (!std::isfinite(type.soft_cap) || type.soft_cap < 0) {
    return invalid(where + "soft_cap must be finite and >= 0");
  }
  if (type.inv_freq == nullptr) return invalid(where + "inv_freq is null");
  if (!all_finite(type.inv_freq, half)) return invalid(where + "inv_freq must be finite");
  if (type.factor != nullptr && !all_finite(type.factor, half)) {
    return invalid(where + "factor must be finite");
  }
  if (type.sink != nullptr && !all_finite(type.sink, shape.query_heads)) {
    return invalid(where + "sink must be finite");
  }
  return {};
}

inline Status check_shape(const dbsa_attention_shape& shape) {
  const auto fault = [](const char* what, int64_t got) {
    return invalid(std::string("configure: ") + what + ", got " + std::to_string(got));
  };
  if (shape.layers < 1) return fault("layers must be >= 1", shape.layers);
  if (shape.kv_heads < 1) return fault("kv_heads must be >= 1", shape.kv_heads);
  if (shape.query_heads < 1 || shape.query_heads % shape.kv_heads != 0) {
    return fault("query_heads must be a multiple of kv_heads", shape.query_heads);
  }
  if (shape.head_dim < 2 || shape.head_dim > 256 || shape.head_dim % 2 != 0) {
    return fault("head_dim must be even and 2..256", shape.head_dim);
  }
  if (shape.compute != DBSA_COMPUTE_F32 && shape.compute != DBSA_COMPUTE_BF16) {
    return fault("compute must be F32 (1) or BF16 (2)", shape.compute);
  }
  if (shape.kv_dtype != DBSA_KV_DTYPE_F32 && shape.kv_dtype != DBSA_KV_DTYPE_BF16 &&
      shape.kv_dtype != DBSA_KV_DTYPE_I8) {
    return fault("kv_dtype must be F32 (1), BF16 (2) or I8 (3)", shape.kv_dtype);
  }
  if (shape.type_count < 1) return fault("type_count must be >= 1", shape.type_count);
  if (shape.types == nullptr) return invalid("configure: types is null");
  for (int32_t i = 0; i < shape.type_count; ++i) {
    DBSA_RETURN_IF_ERROR(check_type(shape, i));
  }
  for (int32_t i = 0; shape.layer_types != nullptr && i < shape.layers; ++i) {
    if (shape.layer_types[i] < 0 || shape.layer_types[i] >= shape.type_count) {
      return invalid("configure: layer_types must be 0.." + std::to_string(shape.type_count - 1) +
                     ", got " + std::to_string(shape.layer_types[i]) + " for layer " +
                     std::to_string(i));
    }
  }
  return {};
}

inline Status check_buffer_create(int64_t rows, int64_t width) {
  if (rows < 0 || width < 1 || !product_fits(width, rows, kMostElements)) {
    return invalid("buffer_create: rows must be >= 0 and width >= 1, got " + std::to_string(rows) +
                   " x " + std::to_string(width));
  }
  return {};
}

inline Status check_tensor(int32_t use, const dbsa_tensor& tensor) {
  const auto fault = [](const std::string& what) { return invalid("weight_create: " + what); };
  if (use != DBSA_WEIGHT_LINEAR && use != DBSA_WEIGHT_EMBEDDING && use != DBSA_WEIGHT_VECTOR) {
    return fault("use must be LINEAR (1), EMBEDDING (2) or VECTOR (3), got " + std::to_string(use));
  }
  if (tensor.data == nullptr || tensor.shape == nullptr || tensor.strides == nullptr) {
    return fault("the tensor's data, shape or strides are null");
  }
  if (tensor.device.type != DBSA_DEVICE_CPU && tensor.device.type != DBSA_DEVICE_CUDA_HOST) {
    return fault("the tensor is not in the CPU's memory");
  }
  const bool f32 = tensor.dtype.code == DBSA_DTYPE_FLOAT && tensor.dtype.bits == 32;
  const bool f16 = tensor.dtype.code == DBSA_DTYPE_FLOAT && tensor.dtype.bits == 16;
  const bool bf16 = tensor.dtype.code == DBSA_DTYPE_BFLOAT && tensor.dtype.bits == 16;
  if (!(f32 || f16 || bf16) || tensor.dtype.lanes != 1) {
    return fault("the tensor must be float32, float16 or bfloat16");
  }
  const int32_t dimensions = use == DBSA_WEIGHT_VECTOR ? 1 : 2;
  if (tensor.ndim != dimensions) {
    return fault("a " + std::string(use_name(use)) + " weight has " + std::to_string(dimensions) +
                 " dimensions, got " + std::to_string(tensor.ndim));
  }
  int64_t stride = 1;
  for (int32_t i = tensor.ndim - 1; i >= 0; --i) {
    if (tensor.shape[i] < 1 || !product_fits(stride, tensor.shape[i], kMostElements)) {
      return fault("dimension " + std::to_string(i) + " must be >= 1 and fit in memory, got " +
                   std::to_string(tensor.shape[i]));
    }
    if (tensor.shape[i] > 1 && tensor.strides[i] != stride) {
      return fault("the tensor must be contiguous");
    }
    stride *= tensor.shape[i];
  }
  return {};
}

inline Status check_embedding(const int32_t* ids, int64_t rows, const dbsa_weight* table,
                              const dbsa_buffer* out) {
  DBSA_RETURN_IF_ERROR(check_weight("embedding", "table", table, DBSA_WEIGHT_EMBEDDING));
  DBSA_RETURN_IF_ERROR(check_buffer("embedding", "out", out, rows, table->width));
  if (rows > 0 && ids == nullptr) return invalid("embedding: ids is null");
  for (int64_t i = 0; i < rows; ++i) {
    if (ids[i] < 0 || ids[i] >= table->rows) {
      return invalid("embedding: id " + std::to_string(ids[i]) + " of row " + std::to_string(i) +
                     " is not in 0.." + std::to_string(table->rows - 1));
    }
  }
  return {};
}

inline Status check_linear(const dbsa_buffer* x, int64_t rows, const dbsa_linear_layer* layers,
                           int64_t count) {
  if (count < 1) return invalid("linear: count must be >= 1, got " + std::to_string(count));
  if (layers == nullptr) return invalid("linear: layers is null");
  for (int64_t i = 0; i < count; ++i) {
    const auto& [size, reserved, weight, bias, residual, out] = layers[i];
    const std::string where = count == 1 ? "linear" : "linear: layer " + std::to_string(i);
    const char* name = where.c_str();
    DBSA_RETURN_IF_ERROR(check_weight(name, "weight", weight, DBSA_WEIGHT_LINEAR));
    DBSA_RETURN_IF_ERROR(check_buffer(name, "x", x, rows, weight->width));
    DBSA_RETURN_IF_ERROR(check_buffer(name, "out", out, rows, weight->rows));
    DBSA_RETURN_IF_ERROR(check_distinct(name, "x", x, out));
    DBSA_RETURN_IF_ERROR(check_bias(name, "bias", bias, weight->rows));
    DBSA_RETURN_IF_ERROR(check_residual(name, residual, rows, weight->rows));
    for (int64_t other = 0; other < count; ++other) {
      if (other == i || (layers[other].out != out && layers[other].out != residual)) continue;
      return invalid(where + ": " + (layers[other].out == out ? "out" : "residual") +
                     " must not be the out of layer " + std::to_string(other));
    }
  }
  return {};
}

inline std::string shape_of(const dbsa_weight& weight) {
  return "[" + std::to_string(weight.rows) + ", " + std::to_string(weight.width) + "]";
}

// The weights of a gated layer among themselves.
inline Status check_gated(const char* op, const dbsa_gated_mlp_weights& weights) {
  DBSA_RETURN_IF_ERROR(check_weight(op, "gate", weights.gate, DBSA_WEIGHT_LINEAR));
  DBSA_RETURN_IF_ERROR(check_weight(op, "up", weights.up, DBSA_WEIGHT_LINEAR));
  DBSA_RETURN_IF_ERROR(check_weight(op, "down", weights.down, DBSA_WEIGHT_LINEAR));
  if (weights.activation > DBSA_ACTIVATION_GELU_TANH) {
    return invalid(std::string(op) + ": activation must be SILU (0) or GELU_TANH (1), got " +
                   std::to_string(weights.activation));
  }
  const int64_t inner = weights.gate->rows;
  if (weights.up->rows != inner || weights.up->width != weights.gate->width ||
      weights.down->width != inner) {
    return invalid(std::string(op) + ": gate, up and down must be [m, k], [m, k] and [n, m], got " +
                   shape_of(*weights.gate) + ", " + shape_of(*weights.up) + " and " +
                   shape_of(*weights.down));
  }
  DBSA_RETURN_IF_ERROR(check_bias(op, "gate_bias", weights.gate_bias, inner));
  DBSA_RETURN_IF_ERROR(check_bias(op, "up_bias", weights.up_bias, inner));
  return check_bias(op, "down_bias", weights.down_bias, weights.down->rows);
}

inline Status check_gated_mlp(const dbsa_buffer* x, int64_t rows,
                              const dbsa_gated_mlp_weights& weights, const dbsa_buffer* residual,
                              const dbsa_buffer* out) {
  DBSA_RETURN_IF_ERROR(check_gated("gated_mlp", weights));
  DBSA_RETURN_IF_ERROR(check_buffer("gated_mlp", "x", x, rows, weights.gate->width));
  DBSA_RETURN_IF_ERROR(check_buffer("gated_mlp", "out", out, rows, weights.down->rows));
  DBSA_RETURN_IF_ERROR(check_distinct("gated_mlp", "x", x, out));
  return check_residual("gated_mlp", residual, rows, weights.down->rows);
}

inline Status check_experts(const dbsa_buffer* x, int64_t rows, const dbsa_expert_weights& weights,
                            const dbsa_buffer* residual, const dbsa_buffer* out) {
  DBSA_RETURN_IF_ERROR(check_weight("experts", "router", weights.router, DBSA_WEIGHT_LINEAR));
  if (weights.count != weights.router->rows) {
    return invalid("experts: count must be the router's " + std::to_string(weights.router->rows) +
                   " rows, got " + std::to_string(weights.count));
  }
  if (weights.used < 1 || weights.used > weights.count) {
    return invalid("experts: used must be 1.." + std::to_string(weights.count) + ", got " +
                   std::to_string(weights.used));
  }
  if (weights.normalised > 1) {
    return invalid("experts: normalised must be 0 or 1, got " + std::to_string(weights.normalised));
  }
  if (weights.experts == nullptr) return invalid("experts: experts is null");
  const int64_t width = weights.router->width;
  DBSA_RETURN_IF_ERROR(check_buffer("experts", "x", x, rows, width));
  DBSA_RETURN_IF_ERROR(check_rows("experts", "out", out, 0, rows));
  DBSA_RETURN_IF_ERROR(check_distinct("experts", "x", x, out));
  for (int64_t i = 0; i < weights.count; ++i) {
    const dbsa_gated_mlp_weights& expert = weights.experts[i];
    const std::string where = "experts: expert " + std::to_string(i);
    DBSA_RETURN_IF_ERROR(check_gated(where.c_str(), expert));
    if (expert.gate->width != width || expert.down->rows != out->width) {
      return invalid(where + ": gate must be " + std::to_string(width) + " wide and down have " +
                     std::to_string(out->width) + " rows, got " + shape_of(*expert.gate) + " and " +
                     shape_of(*expert.down));
    }
  }
  return check_residual("experts", residual, rows, out->width);
}

inline Status check_rms_norm(const dbsa_buffer* x, int64_t rows, const dbsa_weight* weight,
                             const dbsa_buffer* out) {
  DBSA_RETURN_IF_ERROR(check_rows("rms_norm", "x", x, 0, rows));
  DBSA_RETURN_IF_ERROR(check_buffer("rms_norm", "out", out, rows, x->width));
  DBSA_RETURN_IF_ERROR(check_weight("rms_norm", "weight", weight, DBSA_WEIGHT_VECTOR));
  if (x->width % weight->width != 0) {
    return invalid("rms_norm: weight must have a divisor of " + std::to_string(x->width) +
                   " values, got " + std::to_string(weight->width));
  }
  return {};
}

inline Status check_add(const dbsa_buffer* x, int64_t rows, const dbsa_buffer* y,
                        const dbsa_buffer* out) {
  DBSA_RETURN_IF_ERROR(check_rows("add", "x", x, 0, rows));
  DBSA_RETURN_IF_ERROR(check_buffer("add", "y", y, rows, x->width));
  return check_buffer("add", "out", out, rows, x->width);
}

inline Status check_soft_cap(const char* op, float soft_cap) {
  if (!std::isfinite(soft_cap) || soft_cap < 0)
    return invalid(std::string(op) + ": soft_cap must be finite and >= 0");
  return {};
}

inline Status check_scale(const dbsa_buffer* x, int64_t rows, float soft_cap,
                          const dbsa_buffer* out) {
  DBSA_RETURN_IF_ERROR(check_rows("scale", "x", x, 0, rows));
  DBSA_RETURN_IF_ERROR(check_buffer("scale", "out", out, rows, x->width));
  return check_soft_cap("scale", soft_cap);
}

inline Status check_layer_norm(const dbsa_buffer* x, int64_t rows, const dbsa_weight* weight,
                               const dbsa_weight* bias, const dbsa_buffer* out) {
  DBSA_RETURN_IF_ERROR(check_rows("layer_norm", "x", x, 0, rows));
  DBSA_RETURN_IF_ERROR(check_buffer("layer_norm", "out", out, rows, x->width));
  DBSA_RETURN_IF_ERROR(check_vector("layer_norm", "weight", weight, x->width));
  DBSA_RETURN_IF_ERROR(check_vector("layer_norm", "bias", bias, x->width));
  return check_distinct("layer_norm", "x", x, out);
}

inline Status check_gelu(const dbsa_buffer* x, int64_t rows, const dbsa_buffer* out) {
  DBSA_RETURN_IF_ERROR(check_rows("gelu", "x", x, 0, rows));
  return check_buffer("gelu", "out", out, rows, x->width);
}

inline Status check_gather_rows(const dbsa_buffer* x, const int64_t* indices, int64_t count,
                                const dbsa_buffer* out) {
  DBSA_RETURN_IF_ERROR(check_rows("gather_rows", "x", x, 0, 0));
  DBSA_RETURN_IF_ERROR(check_buffer("gather_rows", "out", out, count, x->width));
  DBSA_RETURN_IF_ERROR(check_distinct("gather_rows", "x", x, out));
  if (count > 0 && indices == nullptr) return invalid("gather_rows: indices is null");
  for (int64_t i = 0; i < count; ++i) {
    if (indices[i] < 0 || indices[i] >= x->rows) {
      return invalid("gather_rows: index " + std::to_string(indices[i]) + " is not in 0.." +
                     std::to_string(x->rows - 1));
    }
  }
  return {};
}

inline Status check_score_tokens(const dbsa_buffer* x, int64_t rows, const dbsa_weight* weight,
                                 float soft_cap, const int64_t* first, const int32_t* ids,
                                 const double* values, const int32_t* best,
                                 const double* best_values) {
  DBSA_RETURN_IF_ERROR(check_weight("score_tokens", "weight", weight, DBSA_WEIGHT_LINEAR));
  DBSA_RETURN_IF_ERROR(check_buffer("score_tokens", "x", x, rows, weight->width));
  DBSA_RETURN_IF_ERROR(check_soft_cap("score_tokens", soft_cap));
  if (first == nullptr) return invalid("score_tokens: first is null");
  if (first[0] != 0) return invalid("score_tokens: first must begin with 0");
  for (int64_t r = 0; r < rows; ++r) {
    if (first[r + 1] < first[r]) return invalid("score_tokens: first must ascend");
  }
  if (rows > 0 && (best == nullptr || best_values == nullptr)) {
    return invalid("score_tokens: best or best_values is null");
  }
  const int64_t count = first[rows];
  if (count > 0 && (ids == nullptr || values == nullptr)) {
    return invalid("score_tokens: ids or values is null");
  }
  for (int64_t i = 0; i < count; ++i) {
    if (ids[i] < 0 || ids[i] >= weight->rows) {
      return invalid("score_tokens: id " + std::to_string(ids[i]) + " is not in 0.." +
                     std::to_string(weight->rows - 1));
    }
  }
  return {};
}

// ---- keys, values, blocks --------------------------------------------------------------------

inline Status check_tokens(const char* op, int64_t tokens) {
  if (tokens < 1 || tokens > kMostTokens) {
    return invalid(std::string(op) + ": tokens must be 1.." + std::to_string(kMostTokens) +
                   ", got " + std::to_string(tokens));
  }
  return {};
}

inline Status check_layer(const char* op, int32_t layer, int32_t layers) {
  if (layer < 0 || layer >= layers) {
    return invalid(std::string(op) + ": layer " + std::to_string(layer) + " is not in 0.." +
                   std::to_string(layers - 1));
  }
  return {};
}

// width: of rows of k and v.
inline Status check_kv_append(const dbsa_buffer* k, const dbsa_buffer* v, int64_t width,
                              int64_t first_row, int64_t rows, int32_t layer, int32_t layers,
                              int64_t first_token, const dbsa_kv* kv) {
  if (kv == nullptr) return invalid("kv_append: kv is null");
  if (!kv->live) return invalid("kv_append: imported KV cannot be written");
  DBSA_RETURN_IF_ERROR(check_rows("kv_append", "k", k, first_row, rows));
  DBSA_RETURN_IF_ERROR(check_rows("kv_append", "v", v, first_row, rows));
  DBSA_RETURN_IF_ERROR(check_buffer("kv_append", "k", k, 0, width));
  DBSA_RETURN_IF_ERROR(check_buffer("kv_append", "v", v, 0, width));
  DBSA_RETURN_IF_ERROR(check_layer("kv_append", layer, layers));
  if (first_token < 0 || first_token > kv->tokens || rows > kv->tokens - first_token) {
    return invalid("kv_append: " + std::to_string(rows) + " tokens from token " +
                   std::to_string(first_token) + " lie outside the KV of " +
                   std::to_string(kv->tokens) + " tokens");
  }
  return {};
}

// kUnsupported for a number of tokens that no format has.
inline Status check_format_tokens(const dbsa_kv_format& format) {
  if (format.tokens >= 1 && format.tokens <= static_cast<uint64_t>(kMostTokens)) return {};
  return Error{ErrorCode::kUnsupported,
               "KV format: tokens must be 1.." + std::to_string(kMostTokens) + ", got " +
                   std::to_string(format.tokens),
               ""};
}

// kUnsupported unless `format` is `own`, the backend's of as many tokens.
inline Status check_format(const dbsa_kv_format& own, const dbsa_kv_format& format) {
  const struct {
    const char* name;
    uint64_t expected;
    uint64_t got;
  } fields[] = {{"layout", own.layout, format.layout},
                {"dtype", own.dtype, format.dtype},
                {"panel", own.panel, format.panel},
                {"layers", own.layers, format.layers},
                {"kv_heads", own.kv_heads, format.kv_heads},
                {"head_dim", own.head_dim, format.head_dim},
                {"reserved", own.reserved, format.reserved},
                {"plane_bytes", own.plane_bytes, format.plane_bytes},
                {"scale_offset", own.scale_offset, format.scale_offset}};
  for (const auto& field : fields) {
    if (field.expected != field.got) {
      return Error{ErrorCode::kUnsupported,
                   std::string("KV format: this backend reads ") + field.name + " " +
                       std::to_string(field.expected) + ", got " + std::to_string(field.got),
                   ""};
    }
  }
  return {};
}

inline Status check_planes(const void* const* planes, int32_t layers) {
  if (planes == nullptr) return invalid("block_import: planes is null");
  for (int32_t layer = 0; layer < layers; ++layer) {
    if (planes[layer] == nullptr) {
      return invalid("block_import: plane " + std::to_string(layer) + " is null");
    }
    if (reinterpret_cast<uintptr_t>(planes[layer]) % DBSA_KV_PLANE_ALIGNMENT != 0) {
      return invalid("block_import: plane " + std::to_string(layer) + " is not aligned to " +
                     std::to_string(DBSA_KV_PLANE_ALIGNMENT) + " bytes");
    }
  }
  return {};
}

inline Status check_block_export(const dbsa_kv* kv, const dbsa_kv_format& format, int32_t layer,
                                 int32_t layers, const void* plane) {
  if (kv == nullptr) return invalid("block_export: kv is null");
  if (plane == nullptr) return invalid("block_export: plane is null");
  DBSA_RETURN_IF_ERROR(check_layer("block_export", layer, layers));
  if (static_cast<int64_t>(format.tokens) > kv->tokens) {
    return invalid("block_export: the format has " + std::to_string(format.tokens) +
                   " tokens, the KV only " + std::to_string(kv->tokens));
  }
  return {};
}

inline Status check_plan_type(int32_t type, int32_t count) {
  if (type < 0 || type >= count) {
    return invalid("plan: type must be 0.." + std::to_string(count - 1) + ", got " +
                   std::to_string(type));
  }
  return {};
}

// plan_rows and plan_type: of a plan that is not null. layer_types: one a layer.
inline Status check_attention(int64_t plan_rows, int32_t plan_type, int32_t layer,
                              const std::vector<int32_t>& layer_types, const dbsa_buffer* q,
                              int64_t width, const dbsa_buffer* out) {
  DBSA_RETURN_IF_ERROR(check_layer("attention", layer, static_cast<int32_t>(layer_types.size())));
  if (const int32_t type = layer_types[static_cast<size_t>(layer)]; type != plan_type) {
    return invalid("attention: layer " + std::to_string(layer) + " is of type " +
                   std::to_string(type) + ", the plan of type " + std::to_string(plan_type));
  }
  DBSA_RETURN_IF_ERROR(check_buffer("attention", "q", q, plan_rows, width));
  DBSA_RETURN_IF_ERROR(check_buffer("attention", "out", out, plan_rows, width));
  return check_distinct("attention", "q", q, out);
}

}  // namespace dbsa::backend_checks
