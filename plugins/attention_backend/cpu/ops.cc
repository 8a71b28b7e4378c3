// The ops on rows: checked, then run on the host's threads.
#include "backend.h"
#include "checks.h"

#include <cstring>

namespace dbsa::cpu {
namespace {

// Rows of a matrix this wide that are worth a thread's while.
int64_t row_grain(int64_t width) { return std::max<int64_t>(1, 16384 / width); }

// A bias or a residual that may be left out.
Status check_bias(const char* op, const char* name, const dbsa_weight* bias, int64_t width) {
  return bias == nullptr ? Status() : check_vector(op, name, bias, width);
}
Status check_residual(const char* op, const dbsa_buffer* residual, int64_t rows, int64_t width) {
  return residual == nullptr ? Status() : check_buffer(op, "residual", residual, rows, width);
}
const float* values_of(const dbsa_weight* bias) {
  return bias == nullptr ? nullptr : bias->values();
}
const float* values_of(const dbsa_buffer* residual) {
  return residual == nullptr ? nullptr : residual->row(0);
}

std::string shape_of(const dbsa_weight& weight) {
  return "[" + std::to_string(weight.rows) + ", " + std::to_string(weight.width) + "]";
}

}  // namespace

Status CpuBackend::embedding(const int32_t* ids, int64_t rows, const dbsa_weight* table,
                             dbsa_buffer* out) {
  DBSA_RETURN_IF_ERROR(check_weight("embedding", "table", table, DBSA_WEIGHT_EMBEDDING));
  DBSA_RETURN_IF_ERROR(check_buffer("embedding", "out", out, rows, table->width));
  if (rows > 0 && ids == nullptr) return invalid("embedding: ids is null");
  for (int64_t i = 0; i < rows; ++i) {
    if (ids[i] < 0 || ids[i] >= table->rows) {
      return invalid("embedding: id " + std::to_string(ids[i]) + " of row " + std::to_string(i) +
                     " is not in 0.." + std::to_string(table->rows - 1));
    }
  }
  change(out);
  for (int64_t i = 0; i < rows; ++i) table->in_place->read(ids[i], out->row(i));
  return {};
}

Status CpuBackend::linear(const dbsa_buffer* x, int64_t rows, const dbsa_weight* weight,
                          const dbsa_weight* bias, const dbsa_buffer* residual, dbsa_buffer* out) {
  DBSA_RETURN_IF_ERROR(check_weight("linear", "weight", weight, DBSA_WEIGHT_LINEAR));
  DBSA_RETURN_IF_ERROR(check_buffer("linear", "x", x, rows, weight->width));
  DBSA_RETURN_IF_ERROR(check_buffer("linear", "out", out, rows, weight->rows));
  DBSA_RETURN_IF_ERROR(check_distinct("linear", "x", x, out));
  DBSA_RETURN_IF_ERROR(check_bias("linear", "bias", bias, weight->rows));
  DBSA_RETURN_IF_ERROR(check_residual("linear", residual, rows, weight->rows));
  if (rows == 0) return {};
  change(out);
  weight->packed->multiply({x->row(0), rows, x->content}, values_of(bias), values_of(residual),
                           out->row(0));
  return {};
}

Status CpuBackend::rms_norm(const dbsa_buffer* x, int64_t rows, const dbsa_weight* weight,
                            float epsilon, dbsa_buffer* out) {
  DBSA_RETURN_IF_ERROR(check_rows("rms_norm", "x", x, 0, rows));
  DBSA_RETURN_IF_ERROR(check_buffer("rms_norm", "out", out, rows, x->width));
  DBSA_RETURN_IF_ERROR(check_vector("rms_norm", "weight", weight, x->width));
  DBSA_RETURN_IF_ERROR(check_distinct("rms_norm", "x", x, out));
  change(out);
  host_.parallel_for(rows, row_grain(x->width), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      path_.kernels->rms_norm(x->row(r), weight->values(), x->width, epsilon, out->row(r));
    }
  });
  return {};
}

Status CpuBackend::swiglu(const dbsa_buffer* x, int64_t rows, const dbsa_swiglu_weights& weights,
                          const dbsa_buffer* residual, dbsa_buffer* out) {
  DBSA_RETURN_IF_ERROR(check_weight("swiglu", "gate", weights.gate, DBSA_WEIGHT_LINEAR));
  DBSA_RETURN_IF_ERROR(check_weight("swiglu", "up", weights.up, DBSA_WEIGHT_LINEAR));
  DBSA_RETURN_IF_ERROR(check_weight("swiglu", "down", weights.down, DBSA_WEIGHT_LINEAR));
  const int64_t inner = weights.gate->rows;
  if (weights.up->rows != inner || weights.up->width != weights.gate->width ||
      weights.down->width != inner) {
    return invalid("swiglu: gate, up and down must be [m, k], [m, k] and [n, m], got " +
                   shape_of(*weights.gate) + ", " + shape_of(*weights.up) + " and " +
                   shape_of(*weights.down));
  }
  DBSA_RETURN_IF_ERROR(check_buffer("swiglu", "x", x, rows, weights.gate->width));
  DBSA_RETURN_IF_ERROR(check_buffer("swiglu", "out", out, rows, weights.down->rows));
  DBSA_RETURN_IF_ERROR(check_distinct("swiglu", "x", x, out));
  DBSA_RETURN_IF_ERROR(check_bias("swiglu", "gate_bias", weights.gate_bias, inner));
  DBSA_RETURN_IF_ERROR(check_bias("swiglu", "up_bias", weights.up_bias, inner));
  DBSA_RETURN_IF_ERROR(check_bias("swiglu", "down_bias", weights.down_bias, weights.down->rows));
  DBSA_RETURN_IF_ERROR(check_residual("swiglu", residual, rows, weights.down->rows));
  if (rows == 0) return {};
  change(out);
  swiglu_.run({x->row(0), rows, x->content},
              {*weights.gate, values_of(weights.gate_bias), *weights.up, values_of(weights.up_bias),
               *weights.down, values_of(weights.down_bias)},
              values_of(residual), out->row(0));
  return {};
}

Status CpuBackend::layer_norm(const dbsa_buffer* x, int64_t rows, const dbsa_weight* weight,
                              const dbsa_weight* bias, float epsilon, dbsa_buffer* out) {
  DBSA_RETURN_IF_ERROR(check_rows("layer_norm", "x", x, 0, rows));
  DBSA_RETURN_IF_ERROR(check_buffer("layer_norm", "out", out, rows, x->width));
  DBSA_RETURN_IF_ERROR(check_vector("layer_norm", "weight", weight, x->width));
  DBSA_RETURN_IF_ERROR(check_vector("layer_norm", "bias", bias, x->width));
  DBSA_RETURN_IF_ERROR(check_distinct("layer_norm", "x", x, out));
  change(out);
  host_.parallel_for(rows, row_grain(x->width), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      path_.kernels->layer_norm(x->row(r), weight->values(), bias->values(), x->width, epsilon,
                                out->row(r));
    }
  });
  return {};
}

Status CpuBackend::gelu(const dbsa_buffer* x, int64_t rows, dbsa_buffer* out) {
  DBSA_RETURN_IF_ERROR(check_rows("gelu", "x", x, 0, rows));
  DBSA_RETURN_IF_ERROR(check_buffer("gelu", "out", out, rows, x->width));
  change(out);
  host_.parallel_for(rows, row_grain(x->width), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) path_.kernels->gelu(x->row(r), x->width, out->row(r));
  });
  return {};
}

Status CpuBackend::gather_rows(const dbsa_buffer* x, const int64_t* indices, int64_t count,
                               dbsa_buffer* out) {
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
  change(out);
  for (int64_t i = 0; i < count; ++i) {
    std::memcpy(out->row(i), x->row(indices[i]), static_cast<size_t>(x->width) * sizeof(float));
  }
  return {};
}

Result<dbsa_plan*> CpuBackend::plan_prepare(const dbsa_plan_description& description) {
  DBSA_RETURN_IF_ERROR(check_configured());
  DBSA_ASSIGN_OR_RETURN(
      std::unique_ptr<dbsa_plan> plan,
      make_plan(description, {shape_.query_heads / shape_.live.kv_heads, inv_freq_}));
  return plan.release();
}

Status CpuBackend::attention(const dbsa_plan* plan, int32_t layer, const dbsa_buffer* q,
                             dbsa_buffer* out) {
  DBSA_RETURN_IF_ERROR(check_configured());
  if (plan == nullptr) return invalid("attention: plan is null");
  if (layer < 0 || layer >= layers_) {
    return invalid("attention: layer " + std::to_string(layer) + " is not in 0.." +
                   std::to_string(layers_ - 1));
  }
  DBSA_RETURN_IF_ERROR(check_buffer("attention", "q", q, plan->rows, query_width()));
  DBSA_RETURN_IF_ERROR(check_buffer("attention", "out", out, plan->rows, query_width()));
  DBSA_RETURN_IF_ERROR(check_distinct("attention", "q", q, out));
  change(out);
  run_attention(host_, *path_.kernels, shape_, *plan, layer, q->row(0), out->row(0),
                attention_memory_);
  return {};
}

}  // namespace dbsa::cpu
