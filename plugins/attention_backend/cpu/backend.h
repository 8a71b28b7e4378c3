// CpuBackend: checks every call, then hands it to the parts: linear.h, attention.h, kv_layout.h.
// Ops run to their end before they return, so sync has nothing to wait for.
#pragma once

#include "attention.h"
#include "experts.h"
#include "gated_mlp.h"
#include "linear.h"

#include <dbsa/sdk/attention_backend.h>
#include <dbsa/sdk/quantised_weights.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dbsa::cpu {

class CpuBackend : public AttentionBackend, public QuantisedWeights {
 public:
  static constexpr uint32_t kRevision = 4;
  static constexpr uint32_t kBlockTypes[] = {DBSA_BLOCKS_Q4_0, DBSA_BLOCKS_Q4_1, DBSA_BLOCKS_Q5_0,
                                             DBSA_BLOCKS_Q5_1, DBSA_BLOCKS_Q8_0, DBSA_BLOCKS_Q4_K,
                                             DBSA_BLOCKS_Q5_K, DBSA_BLOCKS_Q6_K, DBSA_BLOCKS_MXFP4};
  static const void* extension(std::string_view id) { return quantised_extension<CpuBackend>(id); }
  static Result<std::unique_ptr<CpuBackend>> create(Host host, const Config& config);

  Status configure(const dbsa_attention_shape& shape) override;
  const char* describe() const override { return description_.c_str(); }
  const char* code_path() const override { return code_path_.c_str(); }

  Result<dbsa_buffer*> buffer_create(int64_t rows, int64_t width) override;
  void buffer_destroy(dbsa_buffer* buffer) override { delete buffer; }
  Status upload(const float* source, int64_t first_row, int64_t rows, dbsa_buffer* buffer) override;
  Status download(const dbsa_buffer* buffer, int64_t first_row, int64_t rows,
                  float* destination) override;
  Status sync() override { return {}; }

  Result<dbsa_weight*> weight_create(int32_t use, const dbsa_tensor& tensor) override;
  Result<dbsa_weight*> weight_create_from_blocks(int32_t use, uint32_t type, int64_t rows,
                                                 int64_t width,
                                                 std::span<const unsigned char> blocks) override;
  void weight_destroy(dbsa_weight* weight) override { delete weight; }

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

  Status experts(const dbsa_buffer* x, int64_t rows, const dbsa_expert_weights& weights,
                 const dbsa_buffer* residual, dbsa_buffer* out) override;

  bool supports(const char* op, uint32_t dtype, const char* feature) const override;

  Result<dbsa_kv*> kv_create(int64_t tokens) override;
  void kv_destroy(dbsa_kv* kv) override { delete kv; }
  Status kv_append(const dbsa_buffer* k, const dbsa_buffer* v, int64_t first_row, int64_t rows,
                   int32_t layer, int64_t first_token, dbsa_kv* kv) override;

  Result<dbsa_kv_format> block_format(int64_t tokens) const override;
  Result<dbsa_kv*> block_import(const dbsa_kv_format& format, const void* const* planes) override;
  Status block_export(const dbsa_kv* kv, const dbsa_kv_format& format, int32_t layer,
                      void* plane) override;
  Status block_to_token_major(const dbsa_kv_format& format, const void* plane,
                              float* destination) const override;

  Result<dbsa_plan*> plan_prepare(const dbsa_plan_description& description) override;
  void plan_destroy(dbsa_plan* plan) override { delete plan; }
  Status attention(const dbsa_plan* plan, int32_t layer, const dbsa_buffer* q,
                   dbsa_buffer* out) override;

  Status layer_norm(const dbsa_buffer* x, int64_t rows, const dbsa_weight* weight,
                    const dbsa_weight* bias, float epsilon, dbsa_buffer* out) override;
  Status gelu(const dbsa_buffer* x, int64_t rows, dbsa_buffer* out) override;
  Status add(const dbsa_buffer* x, int64_t rows, const dbsa_buffer* y, float factor,
             dbsa_buffer* out) override;
  Status scale(const dbsa_buffer* x, int64_t rows, float factor, float soft_cap,
               dbsa_buffer* out) override;
  Status score_tokens(const dbsa_buffer* x, int64_t rows, const dbsa_weight* weight, float factor,
                      float soft_cap, const int64_t* first, const int32_t* ids, double* values,
                      int32_t* best, double* best_values) override;

  const char* packing() const override { return packing_.c_str(); }
  Result<PackedBytes> weight_packed(const dbsa_weight* weight) const override;
  Result<dbsa_weight*> weight_adopt(int64_t out, int64_t in, PackedBytes packed) override;

 private:
  CpuBackend(Host host, CodePath path);

  // To be called by everything that writes to a buffer.
  void change(dbsa_buffer* buffer) { buffer->content = ++contents_; }

  Status check_configured() const;
  std::unique_ptr<PackedMatrix> make_matrix(int64_t n, int64_t k);
  // The matrix whose packed bytes these are.
  std::unique_ptr<PackedMatrix> matrix_of(int64_t n, int64_t k, PackedBytes packed);
  Status check_format(const dbsa_kv_format& format) const;
  void quantise_prefix(const dbsa_kv& kv, const void* source, int64_t tokens, void* plane) const;
  void remember_rotations(const AttentionType& type, int64_t tokens,
                          std::vector<float>& rotations) const;
  int64_t query_width() const { return shape_.query_heads * shape_.live.head_dim; }
  int64_t kv_width() const { return shape_.live.kv_heads * shape_.live.head_dim; }

  Host host_;
  CodePath path_;
  LinearContext linear_;
  GatedMlp gated_mlp_;
  Experts experts_;
  std::shared_ptr<OneDnn> onednn_;
  std::string description_;
  std::string packing_;
  std::string code_path_;

  uint64_t contents_ = 0;
  bool configured_ = false;
  bool bf16_compute_ = false;
  int32_t layers_ = 0;
  AttentionShape shape_ = {};
  std::vector<AttentionType> attention_types_;
  std::vector<int32_t> layer_types_;  // [layers]
  // Of each type: rotations of KV indices so far, [tokens, 2, half].
  std::vector<std::vector<float>> key_rotations_;
  Memory attention_memory_;
};

}  // namespace dbsa::cpu
