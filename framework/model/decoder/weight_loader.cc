#include "model/decoder/weight_loader.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
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

float from_half(uint16_t bits) {
  const int exponent = bits >> 10 & 31;
  const auto fraction = static_cast<float>(bits & 1023);
  const float size = exponent == 0   ? std::ldexp(fraction, -24)
                     : exponent < 31 ? std::ldexp(1024 + fraction, exponent - 25)
                     : fraction == 0 ? std::numeric_limits<float>::infinity()
                                     : std::numeric_limits<float>::quiet_NaN();
  return bits >> 15 != 0 ? -size : size;
}

float element(const TensorView& view, size_t index) {
  if (view.dtype == TensorDtype::kF32) {
    float value;
    std::memcpy(&value, view.data + 4 * index, 4);
    return value;
  }
  uint16_t bits;
  std::memcpy(&bits, view.data + 2 * index, 2);
  return view.dtype == TensorDtype::kF16 ? from_half(bits)
                                         : std::bit_cast<float>(uint32_t{bits} << 16);
}

bool is_rotated(TensorRole role) {
  return role == TensorRole::kQ || role == TensorRole::kK || role == TensorRole::kQBias ||
         role == TensorRole::kKBias || role == TensorRole::kQNorm || role == TensorRole::kKNorm;
}

bool is_norm(TensorRole role) {
  switch (role) {
    case TensorRole::kAttentionNorm:
    case TensorRole::kAttentionOutputNorm:
    case TensorRole::kMlpNorm:
    case TensorRole::kMlpOutputNorm:
    case TensorRole::kQNorm:
    case TensorRole::kKNorm:
    case TensorRole::kNorm:
      return true;
    default:
      return false;
  }
}

// Leaves the rows that the table names, in the order that it wants within each head.
void take_rows(const ModelTensor& tensor, const std::vector<int64_t>& order, TensorData& data) {
  const uint64_t row_bytes = data.view.bytes / static_cast<uint64_t>(tensor.shape[0]);
  const unsigned char* first = data.view.data + static_cast<uint64_t>(tensor.first_row) * row_bytes;
  const uint64_t bytes = static_cast<uint64_t>(tensor.rows) * row_bytes;
  std::vector<uint32_t> copy((bytes + 3) / 4);
  auto* to = reinterpret_cast<unsigned char*>(copy.data());
  const auto head = static_cast<int64_t>(order.size());
  for (int64_t row = 0; row < tensor.rows; ++row, to += row_bytes) {
    const int64_t from =
        order.empty() ? row : row - row % head + order[static_cast<size_t>(row % head)];
    std::memcpy(to, first + static_cast<uint64_t>(from) * row_bytes, row_bytes);
  }
  data.copy = std::move(copy);
  data.view.data = reinterpret_cast<const unsigned char*>(data.copy.data());
  data.view.bytes = bytes;
}

// 1 + w in float32, of a type of 16 bits too.
void add_one(TensorData& data) {
  const bool f32 = data.view.dtype == TensorDtype::kF32;
  const size_t count = data.view.bytes / (f32 ? 4 : 2);
  std::vector<uint32_t> copy(count);
  for (size_t i = 0; i < count; ++i)
    copy[i] = std::bit_cast<uint32_t>(1.0f + element(data.view, i));
  data.copy = std::move(copy);
  data.view.dtype = TensorDtype::kF32;
  data.view.data = reinterpret_cast<const unsigned char*>(data.copy.data());
  data.view.bytes = count * 4;
}

}  // namespace

Result<TensorData> WeightLoader::read(const std::string& name,
                                      const std::vector<int64_t>& shape) const {
  return weights_.read(name, shape, decoded_, kept_);
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

Status WeightLoader::tensor(const ModelTensor& tensor, const ModelSpec& spec,
                            host::Weight& weight) const {
  const bool matrix = tensor.shape.size() == 2;
  std::vector<int64_t> order =
      is_rotated(tensor.role) ? rotary_order(spec) : std::vector<int64_t>();
  const bool plus_one = spec.norm_plus_one && is_norm(tensor.role);
  if (!tensor.is_slice() && order.empty() && !plus_one)
    return matrix ? linear(tensor.name, tensor.shape[0], tensor.shape[1], weight)
                  : vector(tensor.name, tensor.shape[0], weight);

  // Packed weights are kept under the name of the part.
  std::string part = prefix_ + tensor.name;
  if (tensor.is_slice()) part += " from row " + std::to_string(tensor.first_row);
  std::vector<int64_t> shape = tensor.shape;
  shape[0] = tensor.rows;
  if (matrix) {
    DBSA_ASSIGN_OR_RETURN(const bool adopted, adopt(part, shape[0], shape[1], weight));
    if (adopted) return {};
  }
  DBSA_ASSIGN_OR_RETURN(TensorData data, read(prefix_ + tensor.name, tensor.shape));
  take_rows(tensor, order, data);
  if (plus_one) add_one(data);
  DBSA_ASSIGN_OR_RETURN(weight,
                        create(matrix ? DBSA_WEIGHT_LINEAR : DBSA_WEIGHT_VECTOR, data, shape));
  if (!matrix) return {};
  weights_.release_pages(prefix_ + tensor.name);
  return packed_ == nullptr ? Status() : packed_->add(part, weight);
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
