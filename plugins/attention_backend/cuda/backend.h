// CudaBackend: checks every call, then enqueues it on one stream. Keys and values of imported
// blocks go to the device layer by layer, when the attention of that layer is asked for, and stay
// there until something needs their room.
#pragma once

#include "attention.h"
#include "blas.h"
#include "linear.h"
#include "memory.h"
#include "objects.h"

#include <dbsa/sdk/attention_backend.h>
#include <dbsa/sdk/host.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace dbsa::cuda {

class CudaBackend : public AttentionBackend {
 public:
  static constexpr uint32_t kRevision = 1;
  static Result<std::unique_ptr<CudaBackend>> create(Host host, const Config& config);
  ~CudaBackend() override;

  Status configure(const dbsa_attention_shape& shape) override;
  const char* describe() const override {
    return configured_ ? description_.c_str() : device_.c_str();
  }
  const char* code_path() const override { return code_path_.c_str(); }

  Result<dbsa_buffer*> buffer_create(int64_t rows, int64_t width) override;
  void buffer_destroy(dbsa_buffer* buffer) override;
  Status upload(const float* source, int64_t first_row, int64_t rows, dbsa_buffer* buffer) override;
  Status download(const dbsa_buffer* buffer, int64_t first_row, int64_t rows,
                  float* destination) override;
  Status sync() override;

  Result<dbsa_weight*> weight_create(int32_t use, const dbsa_tensor& tensor) override;
  void weight_destroy(dbsa_weight* weight) override;

  Status embedding(const int32_t* ids, int64_t rows, const dbsa_weight* table,
                   dbsa_buffer* out) override;
  Status linear(const dbsa_buffer* x, int64_t rows, const dbsa_linear_layer* layers,
                int64_t count) override;
  Status rms_norm(const dbsa_buffer* x, int64_t rows, const dbsa_weight* weight, float epsilon,
                  dbsa_buffer* out) override;
  Status gated_mlp(const dbsa_buffer* x, int64_t rows, const dbsa_gated_mlp_weights& weights,
                   const dbsa_buffer* residual, dbsa_buffer* out) override;
  Status gather_rows(const dbsa_buffer* x, const int64_t* indices, int64_t count,
                     dbsa_buffer* out) override;

  Result<dbsa_kv*> kv_create(int64_t tokens) override;
  void kv_destroy(dbsa_kv* kv) override;
  Status kv_append(const dbsa_buffer* k, const dbsa_buffer* v, int64_t first_row, int64_t rows,
                   int32_t layer, int64_t first_token, dbsa_kv* kv) override;

  Result<dbsa_kv_format> block_format(int64_t tokens) const override;
  Result<dbsa_kv*> block_import(const dbsa_kv_format& format, const void* const* planes) override;
  Status block_export(const dbsa_kv* kv, const dbsa_kv_format& format, int32_t layer,
                      void* plane) override;
  Status block_to_token_major(const dbsa_kv_format& format, const void* plane,
                              float* destination) const override;

  Result<dbsa_plan*> plan_prepare(const dbsa_plan_description& description) override;
  void plan_destroy(dbsa_plan* plan) override;
  Status attention(const dbsa_plan* plan, int32_t layer, const dbsa_buffer* q,
                   dbsa_buffer* out) override;

  Status layer_norm(const dbsa_buffer* x, int64_t rows, const dbsa_weight* weight,
                    const dbsa_weight* bias, float epsilon, dbsa_buffer* out) override;
  Status gelu(const dbsa_buffer* x, int64_t rows, dbsa_buffer* out) override;
  Status add(const dbsa_buffer* x, int64_t rows, const dbsa_buffer* y, float factor,
             dbsa_buffer* out) override;
  Status scale(const dbsa_buffer* x, int64_t rows, float factor, float soft_cap,
               dbsa_buffer* out) override;
  // None of the features that are asked for.
  bool supports(const char*, uint32_t, const char*) const override { return false; }
  Status score_tokens(const dbsa_buffer* x, int64_t rows, const dbsa_weight* weight, float factor,
                      float soft_cap, const int64_t* first, const int32_t* ids, double* values,
                      int32_t* best, double* best_values) override;

 private:
  CudaBackend(Host host, uint64_t memory_limit)
      : host_(host), pool_(make_gpu_pool(memory_limit)), transfers_(host) {}

  // To be called by everything that writes to a buffer.
  void change(dbsa_buffer* buffer) { buffer->content = ++contents_; }
  Status check_configured() const;
  Status check_format(const dbsa_kv_format& format) const;
  Result<bool> few_rows_agree(const dbsa_weight& weight);
  Result<const void*> rounded(const dbsa_buffer& x, int64_t rows);
  Result<void*> reserve_rounded(int64_t rows, int64_t width);
  void keep_rounded(const dbsa_buffer& of, int64_t rows);
  Status multiply(const void* x, const dbsa_weight& weight, const dbsa_weight* bias,
                  const float* residual, int64_t rows, float* out);
  std::unique_ptr<dbsa_kv> make_kv(int64_t tokens) const;
  Status send(const dbsa_plan& plan, int32_t layer);

  Number kv_type() const { return attention_shape_.kv_f32 ? Number::kF32 : Number::kBf16; }
  int64_t kv_bytes() const { return attention_shape_.kv_f32 ? 4 : 2; }
  int64_t query_width() const {
    return int64_t{attention_shape_.query_heads} * attention_shape_.head_dim;
  }
  int64_t kv_width() const {
    return int64_t{attention_shape_.kv_heads} * attention_shape_.head_dim;
  }

  Host host_;
  std::shared_ptr<DevicePool> pool_;
  cudaStream_t stream_ = nullptr;
  std::string device_;
  std::string compute_capability_;  // "sm_90"
  std::string code_path_;
  std::string description_;
  Staging staging_;
  Transfers transfers_;

  bool configured_ = false;
  bool bf16_compute_ = false;
  bool few_rows_linear_ = false;
  std::map<std::pair<int64_t, int64_t>, bool> few_rows_agree_;  // by n and k of a weight
  int32_t layers_ = 0;
  AttentionShape attention_shape_ = {};
  AttentionKernel kernel_ = AttentionKernel::kSimple;
  int64_t side_by_side_ = 1;
  std::vector<float> inv_freq_;
  DeviceMemory device_inv_freq_;
  std::unique_ptr<Blas> blas_;

  uint64_t contents_ = 0;
  // Activations as bfloat16, of the buffer content they were made from.
  DeviceMemory rounded_;
  uint64_t rounded_content_ = 0;
  int64_t rounded_rows_ = 0;
  DeviceMemory hidden_;   // of a gated layer: gate and up
  DeviceMemory inner_;    // and their product
  DeviceMemory indices_;  // of rows or tokens
  DeviceMemory logits_;   // of some rows
  DeviceMemory scores_;   // of tokens
  DeviceMemory partial_;  // results of attention
};

}  // namespace dbsa::cuda
