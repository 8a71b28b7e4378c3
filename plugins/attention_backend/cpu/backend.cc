#include "backend.h"

#include "checks.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace dbsa::cpu {

CpuBackend::CpuBackend(Host host, CodePath path)
    : host_(host),
      path_(path),
      linear_{host, path, {}},
      gated_mlp_(linear_),
      experts_(linear_, gated_mlp_) {
  description_ = cpu_name() + ", " + path.name;
  if (path.onednn_f32 || path.onednn_bf16) {
    onednn_ = make_onednn();
    description_ += ", oneDNN " + onednn_version();
  }
  const int threads = host.thread_count();
  description_ += ", " + std::to_string(threads) + (threads == 1 ? " thread" : " threads");
}

Result<std::unique_ptr<CpuBackend>> CpuBackend::create(Host host, const Config& config) {
  DBSA_ASSIGN_OR_RETURN(const auto instructions, config.get<std::string>("instructions"));
  DBSA_ASSIGN_OR_RETURN(CodePath path, choose_code_path(instructions, detect_features()));
  return std::unique_ptr<CpuBackend>(new CpuBackend(host, std::move(path)));
}

static AttentionType read_type(const dbsa_attention_shape& shape, const dbsa_attention_type& type) {
  const int32_t half = shape.head_dim / 2;
  const auto values = [](const float* from, int32_t count) {
    return from == nullptr ? std::vector<float>() : std::vector<float>(from, from + count);
  };
  return {values(type.inv_freq, half), values(type.factor, half),
          values(type.sink, shape.query_heads), type.scale, type.soft_cap};
}

Status CpuBackend::configure(const dbsa_attention_shape& shape) {
  if (configured_) return invalid("configure: called twice");
  DBSA_RETURN_IF_ERROR(check_shape(shape));

  for (int32_t i = 0; i < shape.type_count; ++i)
    attention_types_.push_back(read_type(shape, shape.types[i]));
  key_rotations_.resize(attention_types_.size());
  layers_ = shape.layers;
  layer_types_.assign(static_cast<size_t>(layers_), 0);
  if (shape.layer_types != nullptr)
    layer_types_.assign(shape.layer_types, shape.layer_types + layers_);
  packing_ = "cpu " + std::to_string(kRevision) + " tagged " + path_.name +
             (shape.compute == DBSA_COMPUTE_BF16 ? " bf16" : " f32") +
             (onednn_ == nullptr ? "" : " onednn " + onednn_identity());
  bf16_compute_ = shape.compute == DBSA_COMPUTE_BF16;
  code_path_ = path_.name;
  if (bf16_compute_ ? path_.onednn_bf16 : path_.onednn_f32)
    code_path_ += ", oneDNN " + onednn_identity();
  const bool f32_kv = shape.kv_dtype == DBSA_KV_DTYPE_F32;
  const bool int8_kv = shape.kv_dtype == DBSA_KV_DTYPE_I8;
  shape_.query_heads = shape.query_heads;
  shape_.live = {shape.head_dim, shape.kv_heads, f32_kv ? KvType::kF32 : KvType::kBf16};
  shape_.stored = shape_.live;
  if (int8_kv) shape_.stored.type = KvType::kInt8;
  // Queries and softmax weights are rounded to bfloat16 only where both the arithmetic asked for
  // and the KV are; int8 is read as bfloat16.
  const bool dot = bf16_compute_ && path_.kernels->attend[kBf16Dot] != nullptr;
  shape_.arithmetic = f32_kv ? kF32 : dot ? kBf16Dot : kBf16Wide;
  configured_ = true;
  return {};
}

// In every arithmetic.
bool CpuBackend::supports(const char* op, uint32_t /*dtype*/, const char* feature) const {
  const std::string name = std::string(op) + " " + feature;
  for (const char* known :
       {"attention types", "attention soft_cap", "attention factor", "attention sink",
        "attention skips_unseen", "gated_mlp gelu_tanh", "experts softmax"})
    if (name == known) return true;
  return false;
}

Status CpuBackend::check_configured() const {
  if (!configured_) return invalid("configure must be called first");
  return {};
}

// ---- buffers --------------------------------------------------------------------------------

Result<dbsa_buffer*> CpuBackend::buffer_create(int64_t rows, int64_t width) {
  DBSA_RETURN_IF_ERROR(check_buffer_create(rows, width));
  auto buffer = std::make_unique<dbsa_buffer>();
  buffer->rows = rows;
  buffer->width = width;
  buffer->memory = Memory::zeroed(static_cast<uint64_t>(rows * width) * sizeof(float));
  return buffer.release();
}

Status CpuBackend::upload(const float* source, int64_t first_row, int64_t rows,
                          dbsa_buffer* buffer) {
  DBSA_RETURN_IF_ERROR(check_rows("upload", "buffer", buffer, first_row, rows));
  if (rows == 0) return {};
  if (source == nullptr) return invalid("upload: source is null");
  change(buffer);
  std::memcpy(buffer->row(first_row), source,
              static_cast<size_t>(rows * buffer->width) * sizeof(float));
  return {};
}

Status CpuBackend::download(const dbsa_buffer* buffer, int64_t first_row, int64_t rows,
                            float* destination) {
  DBSA_RETURN_IF_ERROR(check_rows("download", "buffer", buffer, first_row, rows));
  if (rows == 0) return {};
  if (destination == nullptr) return invalid("download: destination is null");
  std::memcpy(destination, buffer->row(first_row),
              static_cast<size_t>(rows * buffer->width) * sizeof(float));
  return {};
}

// ---- weights --------------------------------------------------------------------------------

Result<dbsa_weight*> CpuBackend::weight_create(int32_t use, const dbsa_tensor& tensor) {
  DBSA_RETURN_IF_ERROR(check_configured());
  DBSA_RETURN_IF_ERROR(check_tensor(use, tensor));
  const WeightRows rows(tensor);
  auto weight = std::make_unique<dbsa_weight>();
  weight->use = use;
  weight->rows = rows.rows();
  weight->width = rows.width();
  if (use == DBSA_WEIGHT_EMBEDDING) {
    weight->in_place = std::make_unique<WeightRows>(rows);
  } else if (use == DBSA_WEIGHT_VECTOR) {
    weight->vector = Memory::zeroed(static_cast<uint64_t>(rows.width()) * sizeof(float));
    rows.read(0, static_cast<float*>(weight->vector.data()));
  } else {
    weight->packed = make_matrix(rows.rows(), rows.width());
    weight->packed->pack(rows);
  }
  return weight.release();
}

Result<dbsa_weight*> CpuBackend::weight_create_from_blocks(int32_t use, uint32_t type, int64_t rows,
                                                           int64_t width,
                                                           std::span<const unsigned char> blocks) {
  DBSA_RETURN_IF_ERROR(check_configured());
  const auto fault = [](const std::string& what) { return invalid("weight_create: " + what); };
  if (!bf16_compute_) return fault("blocks are computed with in BF16 (2), configured is F32 (1)");
  if (use != DBSA_WEIGHT_LINEAR && use != DBSA_WEIGHT_EMBEDDING)
    return fault("use of blocks must be LINEAR (1) or EMBEDDING (2), got " + std::to_string(use));
  const QuantisedType* known = find_quantised_type(type);
  if (known == nullptr) {
    return Error{ErrorCode::kUnsupported,
                 "weight_create: type of blocks " + std::to_string(type) + " is not known here",
                 ""};
  }
  if (rows < 1 || width < 1 || width % known->elements != 0 ||
      !multiply_fits(rows, width, kMostElements)) {
    return fault("a weight of " + std::string(known->name) + " must have rows of a multiple of " +
                 std::to_string(known->elements) + " values, got " + std::to_string(rows) + " x " +
                 std::to_string(width));
  }
  const auto bytes = static_cast<uint64_t>(rows * (width / known->elements) * known->bytes);
  if (blocks.data() == nullptr || blocks.size() != bytes) {
    return fault("a weight of " + std::to_string(rows) + " x " + std::to_string(width) + " in " +
                 std::string(known->name) + " has " + std::to_string(bytes) + " bytes, got " +
                 std::to_string(blocks.data() == nullptr ? 0 : blocks.size()));
  }
  const WeightRows source(*known, blocks.data(), rows, width);
  auto weight = std::make_unique<dbsa_weight>();
  weight->use = use;
  weight->rows = rows;
  weight->width = width;
  if (use == DBSA_WEIGHT_EMBEDDING) {
    weight->in_place = std::make_unique<WeightRows>(source);
  } else {
    weight->packed = quantised_matrix(linear_, *known, rows, width);
    weight->packed->pack(source);
  }
  return weight.release();
}

std::unique_ptr<PackedMatrix> CpuBackend::matrix_of(int64_t n, int64_t k, PackedBytes packed) {
  for (const uint32_t id : kBlockTypes) {
    const QuantisedType& type = *find_quantised_type(id);
    if (bf16_compute_ && packed.bytes >= PackedMatrix::kTagBytes && k % type.elements == 0 &&
        PackedMatrix::is_layout(quantised_layout(type), packed.data, packed.bytes))
      return quantised_matrix(linear_, type, n, k);
  }
  return make_matrix(n, k);
}

std::unique_ptr<PackedMatrix> CpuBackend::make_matrix(int64_t n, int64_t k) {
  if (bf16_compute_ && path_.kernels->multiply_tiles != nullptr) return tile_matrix(linear_, n, k);
  std::unique_ptr<PackedMatrix> matrix;
  if (bf16_compute_ ? path_.onednn_bf16 : path_.onednn_f32)
    matrix = onednn_matrix(linear_, onednn_, n, k, bf16_compute_);
  return matrix != nullptr ? std::move(matrix) : own_matrix(linear_, n, k, bf16_compute_);
}

Result<CpuBackend::PackedBytes> CpuBackend::weight_packed(const dbsa_weight* weight) const {
  DBSA_RETURN_IF_ERROR(check_weight("weight_packed", "weight", weight, DBSA_WEIGHT_LINEAR));
  return PackedBytes{weight->packed->packed(), weight->packed->packed_bytes()};
}

Result<dbsa_weight*> CpuBackend::weight_adopt(int64_t out, int64_t in, PackedBytes packed) {
  DBSA_RETURN_IF_ERROR(check_configured());
  const auto fault = [](const std::string& what) { return invalid("weight_adopt: " + what); };
  if (out < 1 || in < 1 || !multiply_fits(out, in, int64_t{1} << 45)) {
    return fault("out and in must be >= 1 and fit in memory, got " + std::to_string(out) + " x " +
                 std::to_string(in));
  }
  if (packed.data == nullptr || reinterpret_cast<uintptr_t>(packed.data) % Memory::kAlignment != 0)
    return fault("the packed bytes are null or not 64-byte aligned");
  auto weight = std::make_unique<dbsa_weight>();
  weight->use = DBSA_WEIGHT_LINEAR;
  weight->rows = out;
  weight->width = in;
  weight->packed = matrix_of(out, in, packed);
  if (packed.bytes != weight->packed->packed_bytes()) {
    return fault("a weight of " + std::to_string(out) + " x " + std::to_string(in) + " packs to " +
                 std::to_string(weight->packed->packed_bytes()) + " bytes, got " +
                 std::to_string(packed.bytes));
  }
  if (!weight->packed->adopt(packed.data))
    return fault("a weight of " + std::to_string(out) + " x " + std::to_string(in) +
                 " was packed in another layout than it is computed with here");
  return weight.release();
}

}  // namespace dbsa::cpu

DBSA_PLUGIN(dbsa::cpu::CpuBackend);
