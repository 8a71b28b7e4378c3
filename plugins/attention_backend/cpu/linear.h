// Linear layers: y = x W^T, by oneDNN or by the plugin's own kernels, the weights packed once.
//
// Both sum each output element in an order that depends on the weight's shape alone, so a row's
// result is the same bits for every number of rows and threads. For oneDNN that holds for its
// batched-reduce kernels ("brg:..."), whose packed layout and blocking do not depend on the number
// of rows; a weight for which it would choose anything else is left to our own kernels.
#pragma once

#include "code_path.h"
#include "memory.h"

#include <dbsa/attention_backend.h>
#include <dbsa/sdk/host.h>
#include <dbsa/sdk/result.h>

#include <memory>

namespace dbsa::cpu {

class PackedMatrix {
 public:
  virtual ~PackedMatrix() = default;
  // out[rows, n] = x[rows, k] W^T (+ bias[n]) (+ residual[rows, n]); residual may be out.
  virtual void multiply(const float* x, int64_t rows, const float* bias, const float* residual,
                        float* out) = 0;
};

// Reads rows of a weight tensor [n, k] of any supported type, as float32.
class WeightRows {
 public:
  explicit WeightRows(const dbsa_tensor& tensor);
  int64_t rows() const { return rows_; }
  int64_t width() const { return width_; }
  void read(int64_t row, float* out) const;

 private:
  const char* data_;
  dbsa_dtype dtype_;
  int64_t rows_;
  int64_t width_;
};

// What products share: the host, the code path, and memory for rounded activations.
struct LinearContext {
  Host host;
  CodePath path;
  Memory activations;
};

// The plugin's own kernels.
std::unique_ptr<PackedMatrix> pack_own(LinearContext& context, const WeightRows& weight, bool bf16);

// oneDNN; null where it has no kernel that keeps the promise above.
class OneDnn;
std::shared_ptr<OneDnn> make_onednn();
std::unique_ptr<PackedMatrix> pack_onednn(LinearContext& context, std::shared_ptr<OneDnn> onednn,
                                          const WeightRows& weight, bool bf16);
std::string onednn_version();

}  // namespace dbsa::cpu

struct dbsa_weight {
  int32_t use = 0;
  int64_t rows = 0;  // output width, vocabulary, or 1
  int64_t width = 0;
  std::unique_ptr<dbsa::cpu::PackedMatrix> packed;  // LINEAR
  std::unique_ptr<dbsa::cpu::WeightRows> in_place;  // EMBEDDING
  dbsa::cpu::Memory vector;                         // VECTOR, float32

  const float* values() const { return static_cast<const float*>(vector.data()); }
};
