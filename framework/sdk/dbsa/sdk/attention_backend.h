// AttentionBackend: base class of attention backend plugins. See dbsa/attention_backend.h for what
// each function does; here are the same functions with Result instead of codes. A backend defines
// the structs dbsa_buffer, dbsa_weight, dbsa_kv and dbsa_plan as it likes.
#pragma once

#include <dbsa/attention_backend.h>
#include <dbsa/sdk/plugin.h>

namespace dbsa {

class AttentionBackend {
 public:
  using Kind = AttentionBackend;
  using Vtable = dbsa_attention_backend_vtable;
  static constexpr uint32_t kKind = DBSA_KIND_ATTENTION_BACKEND;
  static const Vtable kVtable;

  virtual ~AttentionBackend() = default;
  virtual Status configure(const dbsa_attention_shape& shape) = 0;
  virtual const char* describe() const = 0;

  virtual Result<dbsa_buffer*> buffer_create(int64_t rows, int64_t width) = 0;
  virtual void buffer_destroy(dbsa_buffer* buffer) = 0;
  virtual Status upload(const float* source, int64_t first_row, int64_t rows,
                        dbsa_buffer* buffer) = 0;
  virtual Status download(const dbsa_buffer* buffer, int64_t first_row, int64_t rows,
                          float* destination) = 0;
  virtual Status sync() = 0;

  virtual Result<dbsa_weight*> weight_create(int32_t use, const dbsa_tensor& tensor) = 0;
  virtual void weight_destroy(dbsa_weight* weight) = 0;

  virtual Status embedding(const int32_t* ids, int64_t rows, const dbsa_weight* table,
                           dbsa_buffer* out) = 0;
  virtual Status linear(const dbsa_buffer* x, int64_t rows, const dbsa_linear_layer* layers,
                        int64_t count) = 0;
  virtual Status rms_norm(const dbsa_buffer* x, int64_t rows, const dbsa_weight* weight,
                          float epsilon, dbsa_buffer* out) = 0;
  virtual Status gated_mlp(const dbsa_buffer* x, int64_t rows,
                           const dbsa_gated_mlp_weights& weights, const dbsa_buffer* residual,
                           dbsa_buffer* out) = 0;
  virtual Status gather_rows(const dbsa_buffer* x, const int64_t* indices, int64_t count,
                             dbsa_buffer* out) = 0;

  virtual Result<dbsa_kv*> kv_create(int64_t tokens) = 0;
  virtual void kv_destroy(dbsa_kv* kv) = 0;
  virtual Status kv_append(const dbsa_buffer* k, const dbsa_buffer* v, int64_t first_row,
                           int64_t rows, int32_t layer, int64_t first_token, dbsa_kv* kv) = 0;

  virtual Result<dbsa_kv_format> block_format(int64_t tokens) const = 0;
  virtual Result<dbsa_kv*> block_import(const dbsa_kv_format& format,
                                        const void* const* planes) = 0;
  virtual Status block_export(const dbsa_kv* kv, const dbsa_kv_format& format, int32_t layer,
                              void* plane) = 0;
  virtual Status block_to_token_major(const dbsa_kv_format& format, const void* plane,
                                      float* destination) const = 0;

  virtual Result<dbsa_plan*> plan_prepare(const dbsa_plan_description& description) = 0;
  virtual void plan_destroy(dbsa_plan* plan) = 0;
  virtual Status attention(const dbsa_plan* plan, int32_t layer, const dbsa_buffer* q,
                           dbsa_buffer* out) = 0;

  virtual Status layer_norm(const dbsa_buffer* x, int64_t rows, const dbsa_weight* weight,
                            const dbsa_weight* bias, float epsilon, dbsa_buffer* out) = 0;
  virtual Status gelu(const dbsa_buffer* x, int64_t rows, dbsa_buffer* out) = 0;

  virtual Status score_tokens(const dbsa_buffer* x, int64_t rows, const dbsa_weight* weight,
                              float factor, float soft_cap, const int64_t* first,
                              const int32_t* ids, double* values, int32_t* best,
                              double* best_values) = 0;

  virtual Status add(const dbsa_buffer* x, int64_t rows, const dbsa_buffer* y, float factor,
                     dbsa_buffer* out) = 0;
  virtual Status scale(const dbsa_buffer* x, int64_t rows, float factor, float soft_cap,
                       dbsa_buffer* out) = 0;
  virtual bool supports(const char* op, uint32_t dtype, const char* feature) const = 0;
  virtual Status experts(const dbsa_buffer* x, int64_t rows, const dbsa_expert_weights& weights,
                         const dbsa_buffer* residual, dbsa_buffer* out) {
    (void)x, (void)rows, (void)weights, (void)residual, (void)out;
    return Error{ErrorCode::kUnsupported, "experts: this backend computes no layer of experts", ""};
  }

  // Where the arithmetic depends on the machine: what was chosen. It must live as long as this.
  virtual const char* code_path() const { return nullptr; }

  struct PackedBytes {
    const void* data;
    uint64_t bytes;
  };
  virtual const char* packing() const { return nullptr; }
  virtual Result<PackedBytes> weight_packed(const dbsa_weight* weight) const {
    (void)weight;
    return Error{ErrorCode::kUnsupported, "packed weights cannot be kept", ""};
  }
  virtual Result<dbsa_weight*> weight_adopt(int64_t out, int64_t in, PackedBytes packed) {
    (void)out, (void)in, (void)packed;
    return Error{ErrorCode::kUnsupported, "packed weights cannot be kept", ""};
  }
};

namespace sdk {

inline AttentionBackend& backend(void* instance) {
  return *static_cast<AttentionBackend*>(instance);
}

// Runs a function that makes an object and hands the object out.
template <typename T, typename Make>
int32_t guard_make(T** out, dbsa_error* error, Make&& make) noexcept {
  return guard(error, [&]() -> Status {
    DBSA_ASSIGN_OR_RETURN(*out, make());
    return {};
  });
}

}  // namespace sdk

inline const AttentionBackend::Vtable AttentionBackend::kVtable = {
    sizeof(Vtable),
    [](void* instance, const dbsa_attention_shape* shape, dbsa_error* error) noexcept {
      return sdk::guard(error, [&] {
        const sdk::StructArray<dbsa_attention_type> types(shape->types, shape->type_count);
        dbsa_attention_shape own = sdk::read_struct(shape);
        own.types = types.data();
        return sdk::backend(instance).configure(own);
      });
    },
    [](void* instance) noexcept { return sdk::backend(instance).describe(); },
    // buffers
    [](void* instance, int64_t rows, int64_t width, dbsa_buffer** buffer,
       dbsa_error* error) noexcept {
      return sdk::guard_make(buffer, error,
                             [&] { return sdk::backend(instance).buffer_create(rows, width); });
    },
    [](void* instance, dbsa_buffer* buffer) noexcept {
      sdk::backend(instance).buffer_destroy(buffer);
    },
    [](void* instance, const float* source, int64_t first_row, int64_t rows, dbsa_buffer* buffer,
       dbsa_error* error) noexcept {
      return sdk::guard(
          error, [&] { return sdk::backend(instance).upload(source, first_row, rows, buffer); });
    },
    [](void* instance, const dbsa_buffer* buffer, int64_t first_row, int64_t rows,
       float* destination, dbsa_error* error) noexcept {
      return sdk::guard(error, [&] {
        return sdk::backend(instance).download(buffer, first_row, rows, destination);
      });
    },
    [](void* instance, dbsa_error* error) noexcept {
      return sdk::guard(error, [&] { return sdk::backend(instance).sync(); });
    },
    // weights
    [](void* instance, int32_t use, const dbsa_tensor* tensor, dbsa_weight** weight,
       dbsa_error* error) noexcept {
      return sdk::guard_make(weight, error,
                             [&] { return sdk::backend(instance).weight_create(use, *tensor); });
    },
    [](void* instance, dbsa_weight* weight) noexcept {
      sdk::backend(instance).weight_destroy(weight);
    },
    // ops
    [](void* instance, const int32_t* ids, int64_t rows, const dbsa_weight* table, dbsa_buffer* out,
       dbsa_error* error) noexcept {
      return sdk::guard(error,
                        [&] { return sdk::backend(instance).embedding(ids, rows, table, out); });
    },
    [](void* instance, const dbsa_buffer* x, int64_t rows, const dbsa_linear_layer* layers,
       int64_t count, dbsa_error* error) noexcept {
      return sdk::guard(error, [&] {
        const sdk::StructArray<dbsa_linear_layer> own(layers, count);
        return sdk::backend(instance).linear(x, rows, own.data(), count);
      });
    },
    [](void* instance, const dbsa_buffer* x, int64_t rows, const dbsa_weight* weight, float epsilon,
       dbsa_buffer* out, dbsa_error* error) noexcept {
      return sdk::guard(
          error, [&] { return sdk::backend(instance).rms_norm(x, rows, weight, epsilon, out); });
    },
    [](void* instance, const dbsa_buffer* x, int64_t rows, const dbsa_gated_mlp_weights* weights,
       const dbsa_buffer* residual, dbsa_buffer* out, dbsa_error* error) noexcept {
      return sdk::guard(error, [&] {
        return sdk::backend(instance).gated_mlp(x, rows, *weights, residual, out);
      });
    },
    [](void* instance, const dbsa_buffer* x, const int64_t* indices, int64_t count,
       dbsa_buffer* out, dbsa_error* error) noexcept {
      return sdk::guard(error,
                        [&] { return sdk::backend(instance).gather_rows(x, indices, count, out); });
    },
    // KV
    [](void* instance, int64_t tokens, dbsa_kv** kv, dbsa_error* error) noexcept {
      return sdk::guard_make(kv, error, [&] { return sdk::backend(instance).kv_create(tokens); });
    },
    [](void* instance, dbsa_kv* kv) noexcept { sdk::backend(instance).kv_destroy(kv); },
    [](void* instance, const dbsa_buffer* k, const dbsa_buffer* v, int64_t first_row, int64_t rows,
       int32_t layer, int64_t first_token, dbsa_kv* kv, dbsa_error* error) noexcept {
      return sdk::guard(error, [&] {
        return sdk::backend(instance).kv_append(k, v, first_row, rows, layer, first_token, kv);
      });
    },
    // blocks
    [](void* instance, int64_t tokens, dbsa_kv_format* format, dbsa_error* error) noexcept {
      return sdk::guard(error, [&]() -> Status {
        DBSA_ASSIGN_OR_RETURN(const dbsa_kv_format own,
                              sdk::backend(instance).block_format(tokens));
        sdk::write_struct(own, format);
        return {};
      });
    },
    [](void* instance, const dbsa_kv_format* format, const void* const* planes, dbsa_kv** kv,
       dbsa_error* error) noexcept {
      return sdk::guard_make(kv, error,
                             [&] { return sdk::backend(instance).block_import(*format, planes); });
    },
    [](void* instance, const dbsa_kv* kv, const dbsa_kv_format* format, int32_t layer, void* plane,
       dbsa_error* error) noexcept {
      return sdk::guard(
          error, [&] { return sdk::backend(instance).block_export(kv, *format, layer, plane); });
    },
    [](void* instance, const dbsa_kv_format* format, const void* plane, float* destination,
       dbsa_error* error) noexcept {
      return sdk::guard(error, [&] {
        return sdk::backend(instance).block_to_token_major(*format, plane, destination);
      });
    },
    // attention
    [](void* instance, const dbsa_plan_description* description, dbsa_plan** plan,
       dbsa_error* error) noexcept {
      return sdk::guard_make(plan, error, [&] {
        const sdk::StructArray<dbsa_row_range> ranges(description->ranges,
                                                      description->range_count);
        const sdk::StructArray<dbsa_segment> segments(description->segments,
                                                      description->segment_count);
        dbsa_plan_description own = sdk::read_struct(description);
        own.ranges = ranges.data();
        own.segments = segments.data();
        return sdk::backend(instance).plan_prepare(own);
      });
    },
    [](void* instance, dbsa_plan* plan) noexcept { sdk::backend(instance).plan_destroy(plan); },
    [](void* instance, const dbsa_plan* plan, int32_t layer, const dbsa_buffer* q, dbsa_buffer* out,
       dbsa_error* error) noexcept {
      return sdk::guard(error,
                        [&] { return sdk::backend(instance).attention(plan, layer, q, out); });
    },
    // ops of encoders
    [](void* instance, const dbsa_buffer* x, int64_t rows, const dbsa_weight* weight,
       const dbsa_weight* bias, float epsilon, dbsa_buffer* out, dbsa_error* error) noexcept {
      return sdk::guard(error, [&] {
        return sdk::backend(instance).layer_norm(x, rows, weight, bias, epsilon, out);
      });
    },
    [](void* instance, const dbsa_buffer* x, int64_t rows, dbsa_buffer* out,
       dbsa_error* error) noexcept {
      return sdk::guard(error, [&] { return sdk::backend(instance).gelu(x, rows, out); });
    },
    // packed weights
    [](void* instance) noexcept { return sdk::backend(instance).packing(); },
    [](void* instance, const dbsa_weight* weight, const void** packed, uint64_t* bytes,
       dbsa_error* error) noexcept {
      return sdk::guard(error, [&]() -> Status {
        DBSA_ASSIGN_OR_RETURN(const AttentionBackend::PackedBytes got,
                              sdk::backend(instance).weight_packed(weight));
        *packed = got.data;
        *bytes = got.bytes;
        return {};
      });
    },
    [](void* instance, int64_t out, int64_t in, const void* packed, uint64_t bytes,
       dbsa_weight** weight, dbsa_error* error) noexcept {
      return sdk::guard_make(weight, error, [&] {
        return sdk::backend(instance).weight_adopt(out, in, {packed, bytes});
      });
    },
    // what decoding reads of logits
    [](void* instance, const dbsa_buffer* x, int64_t rows, const dbsa_weight* weight, float factor,
       float soft_cap, const int64_t* first, const int32_t* ids, double* values, int32_t* best,
       double* best_values, dbsa_error* error) noexcept {
      return sdk::guard(error, [&] {
        return sdk::backend(instance).score_tokens(x, rows, weight, factor, soft_cap, first, ids,
                                                   values, best, best_values);
      });
    },
    // identity
    [](void* instance) noexcept { return sdk::backend(instance).code_path(); },
    // multipliers and norms on outputs
    [](void* instance, const dbsa_buffer* x, int64_t rows, const dbsa_buffer* y, float factor,
       dbsa_buffer* out, dbsa_error* error) noexcept {
      return sdk::guard(error, [&] { return sdk::backend(instance).add(x, rows, y, factor, out); });
    },
    [](void* instance, const dbsa_buffer* x, int64_t rows, float factor, float soft_cap,
       dbsa_buffer* out, dbsa_error* error) noexcept {
      return sdk::guard(
          error, [&] { return sdk::backend(instance).scale(x, rows, factor, soft_cap, out); });
    },
    // what cannot be computed
    [](void* instance, const char* op, uint32_t dtype, const char* feature) noexcept -> int32_t {
      return sdk::backend(instance).supports(op, dtype, feature) ? 1 : 0;
    },
    // layers of experts
    [](void* instance, const dbsa_buffer* x, int64_t rows, const dbsa_expert_weights* weights,
       const dbsa_buffer* residual, dbsa_buffer* out, dbsa_error* error) noexcept {
      return sdk::guard(error, [&] {
        const sdk::StructArray<dbsa_gated_mlp_weights> experts(weights->experts, weights->count);
        dbsa_expert_weights own = sdk::read_struct(weights);
        own.experts = experts.data();
        return sdk::backend(instance).experts(x, rows, own, residual, out);
      });
    },
};

}  // namespace dbsa
