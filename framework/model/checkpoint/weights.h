// The tensors of a model under the names that Hugging Face gives them, from any kind of file.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/checkpoint/tensor_file.h"
#include "model/config/model_config.h"

namespace dbsa {

// A tensor a model of some configuration consists of.
struct TensorSpec {
  std::string name;
  std::vector<int64_t> shape;
};

// Every tensor of a model, in Hugging Face's names, layer by layer.
std::vector<TensorSpec> expected_tensors(const ModelConfig& config);

// Elements of all of them.
int64_t parameter_count(const ModelConfig& config);

// Elements of the matrices that a token is multiplied with in all layers: of experts those used.
int64_t multiplied_elements(const ModelConfig& config);

// The elements of a tensor, float32, float16 or bfloat16, at an address that suits their type: in a
// mapped file, or in `copy`, which moves with the view.
struct TensorData {
  TensorView view;
  std::vector<uint32_t> copy;  // empty: the view is of a file
};

class Weights {
 public:
  virtual ~Weights() = default;

  // A tensor of exactly this shape. Elements are as stored; blocks of the types in `kept`
  // (dbsa/quantised_weights.h) too, row by row, at any address, and others decoded to `decoded`
  // (kF32 or kBF16, rounded to nearest even). What is in a file lives as long as this, as do name
  // and shape. Fails with kConfig if it is missing, of a type that is not read or of another shape,
  // or where its numbers are none. From any thread.
  virtual Result<TensorData> read(std::string_view name, std::span<const int64_t> shape,
                                  TensorDtype decoded, std::span<const uint32_t> kept) const = 0;

  // The same, all blocks decoded.
  Result<TensorData> read(std::string_view name, std::span<const int64_t> shape,
                          TensorDtype decoded) const {
    return read(name, shape, decoded, {});
  }

  // These are exactly the tensors of this configuration: a missing one would be made up, an unknown
  // one might change the result. Fails with kConfig, faults of one kind on a line.
  virtual Status check(const ModelConfig& config) const = 0;

  // Gives back the memory of a tensor's pages, see TensorFile::release_pages.
  virtual void release_pages(std::string_view name) const = 0;

  // The files, ascending by path; valid as long as this.
  virtual std::vector<const TensorFile*> tensor_files() const = 0;
  // Whether a tensor of files()[file] is used: another file may have one of the same name.
  virtual bool is_read_from(size_t file, std::string_view name) const = 0;
  // How the files' tensors become those of the model, for the fingerprint; "" for as they are.
  virtual std::string layout() const { return ""; }

  // See TensorFile::check_unchanged; of all files.
  Status check_unchanged() const;

 protected:
  Weights() = default;
  Weights(const Weights&) = default;
  Weights(Weights&&) = default;
  Weights& operator=(const Weights&) = default;
  Weights& operator=(Weights&&) = default;
};

// A view that suits its type's alignment, copied where it does not lie so.
TensorData aligned(const TensorView& view);

}  // namespace dbsa
