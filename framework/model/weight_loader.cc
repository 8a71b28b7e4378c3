#include "model/weight_loader.h"

#include <utility>

namespace dbsa {
namespace {

dbsa_dtype abi_dtype(TensorDtype dtype) {
  switch (dtype) {
    case TensorDtype::kF16:
      return {DBSA_DTYPE_FLOAT, 16, 1};
    case TensorDtype::kBF16:
      return {DBSA_DTYPE_BFLOAT, 16, 1};
    default:
      return {DBSA_DTYPE_FLOAT, 32, 1};
  }
}

}  // namespace

Status WeightLoader::linear(const std::string& name, int64_t out, int64_t in,
                            host::Weight& weight) const {
  return read(name, {out, in}, DBSA_WEIGHT_LINEAR, weight);
}

Status WeightLoader::vector(const std::string& name, int64_t width, host::Weight& weight) const {
  return read(name, {width}, DBSA_WEIGHT_VECTOR, weight);
}

Status WeightLoader::embedding(const std::string& name, int64_t rows, int64_t width,
                               host::Weight& weight) const {
  return read(name, {rows, width}, DBSA_WEIGHT_EMBEDDING, weight);
}

Status WeightLoader::linear(const std::string& name, int64_t out, int64_t in, bool biased,
                            host::Weight& weight, host::Weight& bias) const {
  DBSA_RETURN_IF_ERROR(linear(name + ".weight", out, in, weight));
  if (biased) DBSA_RETURN_IF_ERROR(vector(name + ".bias", out, bias));
  return {};
}

Status WeightLoader::read(const std::string& name, std::vector<int64_t> shape, int32_t use,
                          host::Weight& weight) const {
  const std::string full = prefix_ + name;
  DBSA_ASSIGN_OR_RETURN(const TensorView view, checkpoint_.tensor(full, shape));
  std::vector<int64_t> strides(shape.size(), 1);
  if (shape.size() == 2) strides[0] = shape[1];
  dbsa_tensor tensor = {};
  tensor.data = const_cast<unsigned char*>(checkpoint_.aligned(view));
  tensor.device = {DBSA_DEVICE_CPU, 0};
  tensor.ndim = static_cast<int32_t>(shape.size());
  tensor.dtype = abi_dtype(view.dtype);
  tensor.shape = shape.data();
  tensor.strides = strides.data();
  if (use == DBSA_WEIGHT_LINEAR) return pack(full, tensor, weight);
  DBSA_ASSIGN_OR_RETURN(weight, backend_.weight_create(use, tensor));
  return {};
}

Status WeightLoader::pack(const std::string& name, const dbsa_tensor& tensor,
                          host::Weight& weight) const {
  const auto kept = packed_ == nullptr ? std::nullopt : packed_->find(name);
  if (kept) {
    Result<host::Weight> adopted = backend_.weight_adopt(tensor.shape[0], tensor.shape[1], *kept);
    if (!adopted.ok() && adopted.error().code == ErrorCode::kEnvironment) return adopted.error();
    if (!adopted.ok())
      return Error{ErrorCode::kCorrupt,
                   packed_->path() + ": weight '" + name + "': " + adopted.error().message, ""};
    weight = std::move(adopted).value();
    return {};
  }
  DBSA_ASSIGN_OR_RETURN(weight, backend_.weight_create(DBSA_WEIGHT_LINEAR, tensor));
  checkpoint_.release_pages(name);
  if (packed_ != nullptr) DBSA_RETURN_IF_ERROR(packed_->add(name, weight));
  return {};
}

}  // namespace dbsa
