// Reads tensors of a checkpoint into packed weights of a backend, or maps weights packed before.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <string>
#include <vector>

#include "host/attention_backend.h"
#include "model/checkpoint.h"
#include "model/packed_weights.h"

namespace dbsa {

// Both must outlive it. Pages of what was packed are given back to the system. Errors: see
// Checkpoint::tensor; kCorrupt when the backend does not take a weight that was kept packed.
class WeightLoader {
 public:
  // prefix: goes before every name. packed: of this backend, open; nullptr: none are kept.
  WeightLoader(const Checkpoint& checkpoint, host::AttentionBackend& backend,
               std::string prefix = "", PackedWeights* packed = nullptr)
      : checkpoint_(checkpoint), backend_(backend), prefix_(std::move(prefix)), packed_(packed) {}

  Status linear(const std::string& name, int64_t out, int64_t in, host::Weight& weight) const;
  Status vector(const std::string& name, int64_t width, host::Weight& weight) const;
  // Read in place: the checkpoint must outlive the weight.
  Status embedding(const std::string& name, int64_t rows, int64_t width,
                   host::Weight& weight) const;
  // NAME.weight [out, in] and, where the model has one, NAME.bias [out].
  Status linear(const std::string& name, int64_t out, int64_t in, bool biased, host::Weight& weight,
                host::Weight& bias) const;

 private:
  Status read(const std::string& name, std::vector<int64_t> shape, int32_t use,
              host::Weight& weight) const;
  Status pack(const std::string& name, const dbsa_tensor& tensor, host::Weight& weight) const;

  const Checkpoint& checkpoint_;
  host::AttentionBackend& backend_;
  std::string prefix_;
  PackedWeights* packed_;
};

}  // namespace dbsa
