// Reads tensors of a model into packed weights of a backend, or maps weights packed before.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "host/attention_backend.h"
#include "model/checkpoint/model_tensors.h"
#include "model/checkpoint/weights.h"
#include "model/decoder/packed_weights.h"

namespace dbsa {

// A table whose rows a backend looks up where they lie.
struct EmbeddingTable {
  TensorData data;
  host::Weight weight;  // destroyed first
};

// Both must outlive it. Pages of what was packed are given back to the system. Errors: see
// Weights::read; kCorrupt when the backend does not take a weight that was kept packed.
class WeightLoader {
 public:
  // prefix: goes before every name. packed: of this backend, open; nullptr: none are kept. decoded,
  // kept: see Weights::read; kept types are some that the backend takes, and outlive it, too.
  WeightLoader(const Weights& weights, host::AttentionBackend& backend, std::string prefix = "",
               PackedWeights* packed = nullptr, TensorDtype decoded = TensorDtype::kF32,
               std::span<const uint32_t> kept = {})
      : weights_(weights),
        backend_(backend),
        prefix_(std::move(prefix)),
        packed_(packed),
        decoded_(decoded),
        kept_(kept) {}

  Status linear(const std::string& name, int64_t out, int64_t in, host::Weight& weight) const;
  Status vector(const std::string& name, int64_t width, host::Weight& weight) const;
  // A matrix or a vector of a decoder: of fused tensors the rows that are meant, those of q and k
  // in rotary_order, 1 added to a norm's weights where the model has them so (in float32).
  Status tensor(const ModelTensor& tensor, const ModelSpec& spec, host::Weight& weight) const;
  // Read in place: the weights must outlive the table.
  Status embedding(const std::string& name, int64_t rows, int64_t width,
                   EmbeddingTable& table) const;
  // NAME.weight [out, in] and, where the model has one, NAME.bias [out].
  Status linear(const std::string& name, int64_t out, int64_t in, bool biased, host::Weight& weight,
                host::Weight& bias) const;

 private:
  Result<TensorData> read(const std::string& name, const std::vector<int64_t>& shape) const;
  Result<host::Weight> create(int32_t use, const TensorData& data,
                              const std::vector<int64_t>& shape) const;
  Result<bool> adopt(const std::string& name, int64_t out, int64_t in, host::Weight& weight) const;

  const Weights& weights_;
  host::AttentionBackend& backend_;
  std::string prefix_;
  PackedWeights* packed_;
  TensorDtype decoded_;
  std::span<const uint32_t> kept_;
};

}  // namespace dbsa
