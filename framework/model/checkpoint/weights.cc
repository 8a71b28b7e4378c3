#include "model/checkpoint/weights.h"

#include <cstring>
#include <set>
#include <utility>

#include "model/checkpoint/model_tensors.h"

namespace dbsa {

std::vector<TensorSpec> expected_tensors(const ModelConfig& config) {
  std::vector<TensorSpec> out;
  std::set<std::string> known;
  for (ModelTensor& tensor : model_tensors(make_model_spec(config)))
    if (known.insert(tensor.name).second)
      out.push_back({std::move(tensor.name), std::move(tensor.shape)});
  return out;
}

int64_t parameter_count(const ModelConfig& config) {
  int64_t parameters = 0;
  for (const TensorSpec& tensor : expected_tensors(config)) {
    int64_t elements = 1;
    for (const int64_t extent : tensor.shape) elements *= extent;
    parameters += elements;
  }
  return parameters;
}

int64_t multiplied_elements(const ModelConfig& config) {
  int64_t elements = 0, of_experts = 0;
  for (const ModelTensor& tensor : model_tensors(make_model_spec(config))) {
    if (tensor.layer < 0 || tensor.shape.size() != 2) continue;
    (tensor.expert < 0 ? elements : of_experts) += tensor.rows * tensor.shape[1];
  }
  if (of_experts > 0) elements += of_experts / config.experts.count * config.experts.used;
  return elements;
}

Status Weights::check_unchanged() const {
  for (const TensorFile* file : tensor_files()) DBSA_RETURN_IF_ERROR(file->check_unchanged());
  return {};
}

TensorData aligned(const TensorView& view) {
  TensorData out = {view, {}};
  const uintptr_t alignment = view.dtype == TensorDtype::kF32 ? 4 : 2;
  if (reinterpret_cast<uintptr_t>(view.data) % alignment == 0) return out;
  out.copy.resize((view.bytes + 3) / 4);
  if (view.bytes > 0) std::memcpy(out.copy.data(), view.data, view.bytes);
  out.view.data = reinterpret_cast<const unsigned char*>(out.copy.data());
  return out;
}

}  // namespace dbsa
