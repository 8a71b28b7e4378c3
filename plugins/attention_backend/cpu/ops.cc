// The ops on rows: checked, then run on the host's threads.
#include "backend.h"
#include "checks.h"
#include "token_scores.h"

#include <algorithm>
#include <cstring>
#include <span>

namespace dbsa::cpu {
namespace {

const float* values_of(const dbsa_buffer* residual) {
  return residual == nullptr ? nullptr : residual->row(0);
}

}  // namespace

Status CpuBackend::embedding(const int32_t* ids, int64_t rows, const dbsa_weight* table,
                             dbsa_buffer* out) {
  DBSA_RETURN_IF_ERROR(check_embedding(ids, rows, table, out));
  change(out);
  for (int64_t i = 0; i < rows; ++i) table->in_place->read(ids[i], out->row(i));
  return {};
}

Status CpuBackend::linear(const dbsa_buffer* x, int64_t rows, const dbsa_linear_layer* layers,
                          int64_t count) {
  DBSA_RETURN_IF_ERROR(check_linear(x, rows, layers, count));
  if (rows == 0) return {};
  for (const dbsa_linear_layer& l : std::span(layers, static_cast<size_t>(count))) {
    change(l.out);
    l.weight->packed->multiply({x->row(0), rows, x->content}, values_of(l.bias),
                               values_of(l.residual), l.out->row(0));
  }
  return {};
}

Status CpuBackend::rms_norm(const dbsa_buffer* x, int64_t rows, const dbsa_weight* weight,
                            float epsilon, dbsa_buffer* out) {
  DBSA_RETURN_IF_ERROR(check_rms_norm(x, rows, weight, out));
  change(out);
  const int64_t width = weight->width;
  host_.parallel_for(rows, row_grain(x->width), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      for (int64_t i = 0; i < x->width; i += width)
        path_.kernels->rms_norm(x->row(r) + i, weight->values(), width, epsilon, out->row(r) + i);
    }
  });
  return {};
}

Status CpuBackend::add(const dbsa_buffer* x, int64_t rows, const dbsa_buffer* y, float factor,
                       dbsa_buffer* out) {
  DBSA_RETURN_IF_ERROR(check_add(x, rows, y, out));
  change(out);
  host_.parallel_for(rows, row_grain(x->width), [&](int64_t begin, int64_t end) {
    path_.kernels->add_scaled(x->row(begin), y->row(begin), factor, (end - begin) * x->width,
                              out->row(begin));
  });
  return {};
}

Status CpuBackend::scale(const dbsa_buffer* x, int64_t rows, float factor, float soft_cap,
                         dbsa_buffer* out) {
  DBSA_RETURN_IF_ERROR(check_scale(x, rows, soft_cap, out));
  change(out);
  host_.parallel_for(rows, row_grain(x->width), [&](int64_t begin, int64_t end) {
    path_.kernels->scale(x->row(begin), factor, soft_cap, (end - begin) * x->width,
                         out->row(begin));
  });
  return {};
}

Status CpuBackend::gated_mlp(const dbsa_buffer* x, int64_t rows,
                             const dbsa_gated_mlp_weights& weights, const dbsa_buffer* residual,
                             dbsa_buffer* out) {
  DBSA_RETURN_IF_ERROR(check_gated_mlp(x, rows, weights, residual, out));
  if (rows == 0) return {};
  change(out);
  gated_mlp_.run({x->row(0), rows, x->content}, weights, values_of(residual), out->row(0));
  return {};
}

Status CpuBackend::experts(const dbsa_buffer* x, int64_t rows, const dbsa_expert_weights& weights,
                           const dbsa_buffer* residual, dbsa_buffer* out) {
  DBSA_RETURN_IF_ERROR(check_experts(x, rows, weights, residual, out));
  if (rows == 0) return {};
  change(out);
  experts_.run({x->row(0), rows, x->content}, weights, values_of(residual), out->row(0));
  return {};
}

Status CpuBackend::layer_norm(const dbsa_buffer* x, int64_t rows, const dbsa_weight* weight,
                              const dbsa_weight* bias, float epsilon, dbsa_buffer* out) {
  DBSA_RETURN_IF_ERROR(check_layer_norm(x, rows, weight, bias, out));
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
  DBSA_RETURN_IF_ERROR(check_gelu(x, rows, out));
  change(out);
  host_.parallel_for(rows, row_grain(x->width), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) path_.kernels->gelu(x->row(r), x->width, out->row(r));
  });
  return {};
}

Status CpuBackend::score_tokens(const dbsa_buffer* x, int64_t rows, const dbsa_weight* weight,
                                float factor, float soft_cap, const int64_t* first,
                                const int32_t* ids, double* values, int32_t* best,
                                double* best_values) {
  DBSA_RETURN_IF_ERROR(
      check_score_tokens(x, rows, weight, soft_cap, first, ids, values, best, best_values));
  if (rows == 0) return {};
  cpu::score_tokens(linear_, {x->row(0), rows, x->content}, *weight,
                    {factor, soft_cap, first, ids, values, best, best_values});
  return {};
}

Status CpuBackend::gather_rows(const dbsa_buffer* x, const int64_t* indices, int64_t count,
                               dbsa_buffer* out) {
  DBSA_RETURN_IF_ERROR(check_gather_rows(x, indices, count, out));
  change(out);
  for (int64_t i = 0; i < count; ++i) {
    std::memcpy(out->row(i), x->row(indices[i]), static_cast<size_t>(x->width) * sizeof(float));
  }
  return {};
}

Result<dbsa_plan*> CpuBackend::plan_prepare(const dbsa_plan_description& description) {
  DBSA_RETURN_IF_ERROR(check_configured());
  DBSA_RETURN_IF_ERROR(
      check_plan_type(description.type, static_cast<int32_t>(attention_types_.size())));
  const AttentionType& type = attention_types_[static_cast<size_t>(description.type)];
  DBSA_ASSIGN_OR_RETURN(std::unique_ptr<dbsa_plan> plan,
                        make_plan(description, {shape_.query_heads / shape_.live.kv_heads,
                                                type.inv_freq, type.factor}));
  return plan.release();
}

Status CpuBackend::attention(const dbsa_plan* plan, int32_t layer, const dbsa_buffer* q,
                             dbsa_buffer* out) {
  DBSA_RETURN_IF_ERROR(check_configured());
  if (plan == nullptr) return invalid("attention: plan is null");
  DBSA_RETURN_IF_ERROR(
      check_attention(plan->rows, plan->type, layer, layer_types_, q, query_width(), out));
  change(out);
  run_attention(host_, *path_.kernels, shape_, attention_types_[static_cast<size_t>(plan->type)],
                *plan, layer, q->row(0), out->row(0), attention_memory_);
  return {};
}

}  // namespace dbsa::cpu
