#include "model/weight_loader.h"

#include <algorithm>
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

// A tensor as a backend takes it; the data must outlive it.
struct AbiTensor {
  AbiTensor(const TensorData& data, std::vector<int64_t> extents) : shape(std::move(extents)) {
    strides.assign(shape.size(), 1);
    if (shape.size() == 2) strides[0] = shape[1];
    tensor.data = const_cast<unsigned char*>(data.view.data);
    tensor.device = {DBSA_DEVICE_CPU, 0};
    tensor.ndim = static_cast<int32_t>(shape.size());
    tensor.dtype = abi_dtype(data.view.dtype);
    tensor.shape = shape.data();
    tensor.strides = strides.data();
  }
  AbiTensor(const AbiTensor&) = delete;
  AbiTensor& operator=(const AbiTensor&) = delete;

  std::vector<int64_t> shape, strides;
  dbsa_tensor tensor = {};
};

}  // namespace

Result<TensorData> WeightLoader::read(const std::string& name,
                                      const std::vector<int64_t>& shape) const {
  DBSA_ASSIGN_OR_RETURN(TensorData data, weights_.read(name, shape, decoded_));
  if (data.view.dtype != TensorDtype::kBlocks) return data;
  const auto types = backend_.block_types();
  if (std::find(types.begin(), types.end(), data.view.block_type) != types.end()) return data;
  return weights_.read(name, shape, TensorDtype::kBF16);
}

Result<host::Weight> WeightLoader::create(int32_t use, const TensorData& data,
                                          const std::vector<int64_t>& shape) const {
  if (data.view.dtype != TensorDtype::kBlocks)
    return backend_.weight_create(use, AbiTensor(data, shape).tensor);
  return backend_.weight_create(use, data.view.block_type, shape[0], shape[1],
                                {data.view.data, data.view.bytes});
}

Status WeightLoader::linear(const std::string& name, int64_t out, int64_t in,
                            host::Weight& weight) const {
  const std::string full = prefix_ + name;
  DBSA_ASSIGN_OR_RETURN(const bool adopted, adopt(full, out, in, weight));
  if (adopted) return {};
  const std::vector<int64_t> shape = {out, in};
  DBSA_ASSIGN_OR_RETURN(const TensorData data, read(full, shape));
  DBSA_ASSIGN_OR_RETURN(weight, create(DBSA_WEIGHT_LINEAR, data, shape));
  weights_.release_pages(full);
  return packed_ == nullptr ? Status() : packed_->add(full, weight);
}

Status WeightLoader::vector(const std::string& name, int64_t width, host::Weight& weight) const {
  const std::vector<int64_t> shape = {width};
  DBSA_ASSIGN_OR_RETURN(const TensorData data, read(prefix_ + name, shape));
  DBSA_ASSIGN_OR_RETURN(weight, create(DBSA_WEIGHT_VECTOR, data, shape));
  return {};
}

Status WeightLoader::embedding(const std::string& name, int64_t rows, int64_t width,
                               EmbeddingTable& table) const {
  const std::vector<int64_t> shape = {rows, width};
  DBSA_ASSIGN_OR_RETURN(table.data, read(prefix_ + name, shape));
  DBSA_ASSIGN_OR_RETURN(table.weight, create(DBSA_WEIGHT_EMBEDDING, table.data, shape));
  // Its scales were looked at; from here on only rows that are looked up are read.
  if (table.data.view.dtype == TensorDtype::kBlocks) weights_.release_pages(prefix_ + name);
  return {};
}

Status WeightLoader::linear(const std::string& name, int64_t out, int64_t in, bool biased,
                            host::Weight& weight, host::Weight& bias) const {
  DBSA_RETURN_IF_ERROR(linear(name + ".weight", out, in, weight));
  if (biased) DBSA_RETURN_IF_ERROR(vector(name + ".bias", out, bias));
  return {};
}

// Whether the weight was kept packed.
Result<bool> WeightLoader::adopt(const std::string& name, int64_t out, int64_t in,
                                 host::Weight& weight) const {
  const auto kept = packed_ == nullptr ? std::nullopt : packed_->find(name);
  if (!kept) return false;
  Result<host::Weight> adopted = backend_.weight_adopt(out, in, *kept);
  if (!adopted.ok() && adopted.error().code == ErrorCode::kEnvironment) return adopted.error();
  if (!adopted.ok())
    return Error{ErrorCode::kCorrupt,
                 packed_->path() + ": weight '" + name + "': " + adopted.error().message, ""};
  weight = std::move(adopted).value();
  return true;
}

}  // namespace dbsa
