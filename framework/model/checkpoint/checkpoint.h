// The weights of a Hugging Face model folder: model.safetensors, or the shards that
// model.safetensors.index.json names. Mapped, not copied.
//
// Of a model that reads images, too, the text part is taken.
//
// A tensor is read from the shard that the index names for it; one that is not there, or that the
// index does not list, from the shard that holds it.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/checkpoint/safetensors.h"
#include "model/checkpoint/weights.h"
#include "model/config/model_config.h"

namespace dbsa {

class Checkpoint final : public Weights {
 public:
  // Maps all files and checks their headers and the index. Fails with kEnvironment.
  static Result<Checkpoint> open(const std::string& folder);

  // A tensor of type F32, F16 or BF16 and of exactly this shape, not aligned where its file does
  // not align it. Fails with kConfig if it is missing, of another type or of another shape.
  Result<TensorView> tensor(std::string_view name, std::span<const int64_t> shape) const;
  Result<TensorView> tensor(const TensorSpec& spec) const { return tensor(spec.name, spec.shape); }

  Result<TensorData> read(std::string_view name, std::span<const int64_t> shape,
                          TensorDtype decoded, std::span<const uint32_t> kept) const override;
  using Weights::read;

  // Whether the tensor is read from the file of this index in files().
  bool is_read_from(size_t file, std::string_view name) const override;
  std::vector<const TensorFile*> tensor_files() const override;

  bool contains(std::string_view name) const { return place_.contains(stored_name(name)); }

  // See Weights. Stored RoPE frequencies are ignored, as transformers ignores them; a stored head
  // beside tied embeddings must equal them.
  Status check(const ModelConfig& config) const override;

  void release_pages(std::string_view name) const override;

  // Ascending by path.
  std::span<const SafetensorsFile> files() const { return files_; }

 private:
  Status place_tensors(const std::string& index,
                       const std::map<std::string, std::string>& weight_map);
  Result<TensorView> find(std::string_view name) const;
  void find_text_part();
  std::string stored_name(std::string_view name) const;
  bool is_other_part(std::string_view stored) const;

  std::string folder_;
  std::string
      text_part_;  // of a model that reads images, too: what its text part's names begin with
  std::vector<SafetensorsFile> files_;
  std::map<std::string, size_t, std::less<>> place_;  // tensor name -> index in files_
};

}  // namespace dbsa
