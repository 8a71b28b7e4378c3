// The tensors of GGUF files as those of a model: quantised blocks decoded, rows put in order.
#pragma once

#include <dbsa/sdk/result.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/checkpoint/weights.h"
#include "model/gguf/architecture.h"
#include "model/gguf/gguf_file.h"

namespace dbsa::gguf {

// Conversion of some architectures interleaves the rotary pairs: rows p * d/2 + j (p = 0, 1) of a
// head of d rows of q and k, and of their biases, stand at 2j + p in the file. They are put back.
// The experts of a layer lie behind one another in one tensor [experts, out, in].
class GgufWeights final : public Weights {
 public:
  GgufWeights(std::shared_ptr<const GgufParts> parts, const Architecture& architecture,
              TensorLayout layout)
      : parts_(std::move(parts)), architecture_(architecture), layout_(layout) {}

  Result<TensorData> read(std::string_view name, std::span<const int64_t> shape,
                          TensorDtype decoded, std::span<const uint32_t> kept) const override;
  using Weights::read;
  // See Weights. RoPE factors belong to the configuration.
  Status check(const ModelConfig& config) const override;
  void release_pages(std::string_view name) const override;
  std::vector<const TensorFile*> tensor_files() const override;
  bool is_read_from(size_t, std::string_view) const override { return true; }
  std::string layout() const override;

 private:
  struct Found {
    const TensorEntry* entry;  // of the whole stack for an expert
    std::span<const int64_t> shape;
    std::span<const unsigned char> bytes;
    std::string label;  // "file: tensor 'name': ", with the expert
  };
  Result<Found> find(std::string_view name, std::span<const int64_t> shape) const;
  Status check_stacked() const;
  bool is_interleaved(std::string_view name) const;

  std::shared_ptr<const GgufParts> parts_;
  const Architecture& architecture_;
  TensorLayout layout_;
};

}  // namespace dbsa::gguf
