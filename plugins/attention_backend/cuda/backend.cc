#include "backend.h"

#include "plugins/shared/attention_backend/checks.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <set>
#include <span>

namespace dbsa::cuda {

using namespace backend_checks;

namespace {

// [K, V][kv_heads][tokens, rounded up to 64][head_dim] of a layer; padding is zero.
constexpr uint32_t kLayout = 0x10000;

constexpr int64_t kLogits = int64_t{16} << 20;  // at a time where tokens are scored: 64 MiB
constexpr int64_t kGatedMlpRows = 4096;  // at a time: bounds the memory of what is in between

int64_t padded(int64_t tokens) { return (tokens + kChunk - 1) / kChunk * kChunk; }

Number number_of(const dbsa_dtype& dtype) {
  if (dtype.bits == 32) return Number::kF32;
  return dtype.code == DBSA_DTYPE_BFLOAT ? Number::kBf16 : Number::kF16;
}
uint64_t bytes_of(Number type) { return type == Number::kF32 ? 4 : 2; }

float bf16_to_f32(uint16_t half) {
  const uint32_t bits = uint32_t{half} << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

const float* values_of(const dbsa_weight* bias) {
  return bias == nullptr ? nullptr : bias->values();
}

int64_t kv_tokens(const dbsa_kv* kv) { return kv->tokens; }
KvPlace kv_place(const dbsa_kv* kv) {
  return {reinterpret_cast<uint64_t>(kv->plane(0)), kv->padded_tokens};
}

}  // namespace

// ---- making it ------------------------------------------------------------------------------

Result<std::unique_ptr<CudaBackend>> CudaBackend::create(Host host, const Config& config) {
  DBSA_ASSIGN_OR_RETURN(const auto memory_gib, config.get<double>("memory_gib"));
  const auto fault = [](const std::string& what) {
    return Error{ErrorCode::kEnvironment,
                 what + "; attention_backend.plugin = \"cpu\" runs without a GPU", ""};
  };
  int count = 0;
  if (const cudaError_t code = cudaGetDeviceCount(&count); code != cudaSuccess || count == 0) {
    const bool no_driver = code == cudaErrorInsufficientDriver;
    int driver = 0;
    (void)cudaDriverGetVersion(&driver);
    return fault(no_driver && driver == 0
                     ? std::string("no NVIDIA driver is installed here, so no GPU can be used")
                     : std::string("no NVIDIA GPU can be used here: ") +
                           (code == cudaSuccess ? "there is none" : cudaGetErrorString(code)));
  }
  // The first, on any thread: CUDA_VISIBLE_DEVICES says which that is.
  cudaDeviceProp properties = {};
  DBSA_RETURN_IF_ERROR(check(cudaGetDeviceProperties(&properties, 0), "asking the GPU"));
  if (properties.major < 8)
    return fault("the GPU " + std::string(properties.name) + " has compute capability " +
                 std::to_string(properties.major) + "." + std::to_string(properties.minor) +
                 ", 8.0 or later is needed");
  std::unique_ptr<CudaBackend> made(
      new CudaBackend(host, static_cast<uint64_t>(memory_gib * 0x1p30)));
  DBSA_RETURN_IF_ERROR(
      check(cudaStreamCreateWithFlags(&made->stream_, cudaStreamNonBlocking), "making a stream"));
  made->device_ = std::string(properties.name);
  made->compute_capability_ =
      "sm_" + std::to_string(properties.major) + std::to_string(properties.minor);
  return made;
}

CudaBackend::~CudaBackend() {
  if (stream_ == nullptr) return;
  (void)cudaStreamSynchronize(stream_);
  (void)cudaStreamDestroy(stream_);
}

Status CudaBackend::configure(const dbsa_attention_shape& shape) {
  if (configured_) return invalid("configure: called twice");
  DBSA_RETURN_IF_ERROR(check_shape(shape));
  if (shape.kv_dtype == DBSA_KV_DTYPE_I8)
    return Error{ErrorCode::kUnsupported,
                 "the cuda backend keeps no int8 keys and values; use model.kv_dtype = \"bf16\"",
                 ""};
  const dbsa_attention_type& type = shape.types[0];
  const char* missing = shape.type_count > 1     ? "layers of different attention types"
                        : type.soft_cap > 0      ? "soft caps"
                        : type.factor != nullptr ? "factors of rotations"
                        : type.sink != nullptr   ? "sinks"
                                                 : nullptr;
  if (missing != nullptr)
    return Error{
        ErrorCode::kUnsupported,
        "the cuda backend does not compute " + std::string(missing) + "; use the cpu backend", ""};
  layers_ = shape.layers;
  bf16_compute_ = shape.compute == DBSA_COMPUTE_BF16;
  attention_shape_ = {shape.query_heads,
                      shape.kv_heads,
                      shape.head_dim,
                      type.scale,
                      shape.kv_dtype == DBSA_KV_DTYPE_F32,
                      bf16_compute_};
  inv_freq_.assign(type.inv_freq, type.inv_freq + shape.head_dim / 2);
  const uint64_t bytes = inv_freq_.size() * sizeof(float);
  DBSA_RETURN_IF_ERROR(device_inv_freq_.reserve(pool_, bytes));
  DBSA_RETURN_IF_ERROR(staging_.upload(stream_, inv_freq_.data(), bytes, device_inv_freq_.data()));
  kernel_ = choose_kernel(attention_shape_);
  DBSA_RETURN_IF_ERROR(check(cuda::side_by_side(&side_by_side_), "asking the GPU"));
  description_ = device_ + ", " + name_of(kernel_);
  code_path_ = compute_capability_ + ", " + name_of(kernel_);
  if (bf16_compute_) {
    few_rows_linear_ = has_few_rows_linear();
    DBSA_ASSIGN_OR_RETURN(blas_, Blas::open(pool_));
    description_ += ", cuBLASLt " + blas_->version();
    code_path_ += ", cuBLASLt " + blas_->version();
  }
  configured_ = true;
  return {};
}

Status CudaBackend::check_configured() const {
  if (!configured_) return invalid("configure must be called first");
  return {};
}

// ---- buffers --------------------------------------------------------------------------------

Result<dbsa_buffer*> CudaBackend::buffer_create(int64_t rows, int64_t width) {
  DBSA_RETURN_IF_ERROR(check_buffer_create(rows, width));
  auto buffer = std::make_unique<dbsa_buffer>();
  buffer->rows = rows;
  buffer->width = width;
  DBSA_ASSIGN_OR_RETURN(
      buffer->memory,
      DeviceMemory::make(pool_, static_cast<uint64_t>(rows * width) * sizeof(float)));
  return buffer.release();
}

void CudaBackend::buffer_destroy(dbsa_buffer* buffer) { delete buffer; }

Status CudaBackend::upload(const float* source, int64_t first_row, int64_t rows,
                           dbsa_buffer* buffer) {
  DBSA_RETURN_IF_ERROR(check_rows("upload", "buffer", buffer, first_row, rows));
  if (rows == 0) return {};
  if (source == nullptr) return invalid("upload: source is null");
  change(buffer);
  return staging_.upload(stream_, source,
                         static_cast<uint64_t>(rows * buffer->width) * sizeof(float),
                         buffer->row(first_row));
}

Status CudaBackend::download(const dbsa_buffer* buffer, int64_t first_row, int64_t rows,
                             float* destination) {
  DBSA_RETURN_IF_ERROR(check_rows("download", "buffer", buffer, first_row, rows));
  if (rows == 0) return {};
  if (destination == nullptr) return invalid("download: destination is null");
  return transfers_.download(stream_, buffer->row(first_row),
                             static_cast<uint64_t>(rows * buffer->width) * sizeof(float),
                             destination);
}

Status CudaBackend::sync() { return check(cudaStreamSynchronize(stream_), "work on the GPU"); }

// ---- weights --------------------------------------------------------------------------------

Result<dbsa_weight*> CudaBackend::weight_create(int32_t use, const dbsa_tensor& tensor) {
  DBSA_RETURN_IF_ERROR(check_configured());
  DBSA_RETURN_IF_ERROR(check_tensor(use, tensor));
  auto weight = std::make_unique<dbsa_weight>();
  weight->use = use;
  weight->rows = tensor.ndim == 1 ? 1 : tensor.shape[0];
  weight->width = tensor.shape[tensor.ndim - 1];
  const int64_t count = weight->rows * weight->width;
  const Number given = number_of(tensor.dtype);
  weight->type = use == DBSA_WEIGHT_EMBEDDING                 ? given
                 : use == DBSA_WEIGHT_LINEAR && bf16_compute_ ? Number::kBf16
                                                              : Number::kF32;
  const uint64_t given_bytes = static_cast<uint64_t>(count) * bytes_of(given);
  const auto* source = static_cast<const char*>(tensor.data) + tensor.byte_offset;
  // All memory before the copy begins: an error must not leave it running.
  DBSA_ASSIGN_OR_RETURN(DeviceMemory as_given, DeviceMemory::make(pool_, given_bytes));
  if (weight->type != given) {
    DBSA_ASSIGN_OR_RETURN(weight->memory, DeviceMemory::make(pool_, static_cast<uint64_t>(count) *
                                                                        bytes_of(weight->type)));
  }
  DBSA_RETURN_IF_ERROR(
      check(cudaMemcpyAsync(as_given.data(), source, given_bytes, cudaMemcpyHostToDevice, stream_),
            "copying a weight to the GPU"));
  if (weight->type == given) {
    weight->memory = std::move(as_given);
  } else {
    DBSA_RETURN_IF_ERROR(
        check(convert(stream_, as_given.data(), given, count, weight->memory.data(), weight->type),
              "converting a weight"));
  }
  DBSA_RETURN_IF_ERROR(sync());  // the caller's memory may be gone then
  if (few_rows_linear_ && use == DBSA_WEIGHT_LINEAR && Blas::takes(weight->rows, weight->width) &&
      encode_weight(weight->memory.data(), weight->rows, weight->width, &weight->map)) {
    DBSA_ASSIGN_OR_RETURN(weight->has_map, few_rows_agree(*weight));
  }
  return weight.release();
}

// Whether products of few rows with weights of this shape have the very bits of the library's,
// whose kernels are not ours to know: tried once, with each kernel that it takes for up to 8,192
// rows.
Result<bool> CudaBackend::few_rows_agree(const dbsa_weight& weight) {
  const int64_t n = weight.rows, k = weight.width;
  const auto known = few_rows_agree_.find({n, k});
  if (known != few_rows_agree_.end()) return known->second;
  constexpr int64_t kRows = 16, kMostRows = 8192;
  std::vector<uint16_t> x(static_cast<size_t>(kRows * k));
  std::minstd_rand random(1);
  // Of either sign and of magnitudes 1 to 2.
  for (uint16_t& number : x) number = static_cast<uint16_t>(0x3f80 | (random() >> 8 & 0x807f));
  DeviceMemory of_x, out;
  DBSA_RETURN_IF_ERROR(of_x.reserve(pool_, x.size() * 2));
  DBSA_RETURN_IF_ERROR(out.reserve(pool_, static_cast<uint64_t>(kRows * n) * sizeof(float)));
  DBSA_RETURN_IF_ERROR(staging_.upload(stream_, x.data(), x.size() * 2, of_x.data()));
  std::vector<float> few(static_cast<size_t>(kRows * n)), many(few.size());
  const auto read = [&](std::vector<float>& to) {
    return transfers_.download(stream_, out.data(), to.size() * sizeof(float), to.data());
  };
  const FewRowsProduct product = {&weight.map, nullptr, nullptr, out.as<float>(), n};
  DBSA_RETURN_IF_ERROR(
      check(few_rows_linear(stream_, of_x.data(), kRows, k, &product, 1), "a product"));
  DBSA_RETURN_IF_ERROR(read(few));
  bool agree = true;
  for (int64_t rows = kMostFewRows + 1; agree && rows <= kMostRows; rows *= 2) {
    DBSA_RETURN_IF_ERROR(blas_->multiply(stream_, of_x.data(), weight.memory.data(), nullptr, kRows,
                                         n, k, out.as<float>(), rows));
    DBSA_RETURN_IF_ERROR(read(many));
    agree = std::memcmp(few.data(), many.data(), few.size() * sizeof(float)) == 0;
  }
  few_rows_agree_[{n, k}] = agree;
  return agree;
}

void CudaBackend::weight_destroy(dbsa_weight* weight) { delete weight; }

// x as the products take it: itself, or rounded. Layers that read the same one after another round
// it once.
Result<const void*> CudaBackend::rounded(const dbsa_buffer& x, int64_t rows) {
  if (!bf16_compute_) return static_cast<const void*>(x.row(0));
  const int64_t count = rows * x.width;
  if (x.content != 0 && x.content == rounded_content_ && rows == rounded_rows_)
    return static_cast<const void*>(rounded_.data());
  DBSA_ASSIGN_OR_RETURN(void* const to, reserve_rounded(rows, x.width));
  DBSA_RETURN_IF_ERROR(check(convert(stream_, x.row(0), Number::kF32, count, to, Number::kBf16),
                             "rounding activations"));
  keep_rounded(x, rows);
  return static_cast<const void*>(to);
}

Result<void*> CudaBackend::reserve_rounded(int64_t rows, int64_t width) {
  rounded_content_ = 0;
  DBSA_RETURN_IF_ERROR(rounded_.reserve(pool_, static_cast<uint64_t>(rows * width) * 2));
  return static_cast<void*>(rounded_.data());
}

void CudaBackend::keep_rounded(const dbsa_buffer& of, int64_t rows) {
  rounded_content_ = of.content;
  rounded_rows_ = rows;
}

// x: [rows, weight.width] of the weight's type.
Status CudaBackend::multiply(const void* x, const dbsa_weight& weight, const dbsa_weight* bias,
                             const float* residual, int64_t rows, float* out) {
  const int64_t n = weight.rows, k = weight.width;
  const float* bias_values = values_of(bias);
  if (weight.type != Number::kBf16 || !Blas::takes(n, k))
    return check(cuda::multiply(stream_, x, weight.memory.data(), weight.type, bias_values,
                                residual, rows, n, k, out),
                 "a product");
  if (weight.of_few_rows(rows)) {
    const FewRowsProduct product = {&weight.map, bias_values, residual, out, n};
    return check(few_rows_linear(stream_, x, rows, k, &product, 1), "a product");
  }
  DBSA_RETURN_IF_ERROR(
      blas_->multiply(stream_, x, weight.memory.data(), residual, rows, n, k, out));
  if (bias == nullptr) return {};
  return check(add_bias(stream_, bias_values, rows, n, out), "adding a bias");
}

// ---- ops ------------------------------------------------------------------------------------

Status CudaBackend::embedding(const int32_t* ids, int64_t rows, const dbsa_weight* table,
                              dbsa_buffer* out) {
  DBSA_RETURN_IF_ERROR(check_embedding(ids, rows, table, out));
  if (rows == 0) return {};
  change(out);
  const uint64_t bytes = static_cast<uint64_t>(rows) * sizeof(int32_t);
  DBSA_RETURN_IF_ERROR(indices_.reserve(pool_, bytes));
  DBSA_RETURN_IF_ERROR(staging_.upload(stream_, ids, bytes, indices_.data()));
  return check(look_up(stream_, table->memory.data(), table->type, indices_.as<int32_t>(), rows,
                       table->width, out->row(0)),
               "embedding");
}

Status CudaBackend::gather_rows(const dbsa_buffer* x, const int64_t* indices, int64_t count,
                                dbsa_buffer* out) {
  DBSA_RETURN_IF_ERROR(check_gather_rows(x, indices, count, out));
  if (count == 0) return {};
  change(out);
  const uint64_t bytes = static_cast<uint64_t>(count) * sizeof(int64_t);
  DBSA_RETURN_IF_ERROR(indices_.reserve(pool_, bytes));
  DBSA_RETURN_IF_ERROR(staging_.upload(stream_, indices, bytes, indices_.data()));
  return check(gather(stream_, x->row(0), indices_.as<int64_t>(), count, x->width, out->row(0)),
               "gather_rows");
}

Status CudaBackend::linear(const dbsa_buffer* x, int64_t rows, const dbsa_linear_layer* layers,
                           int64_t count) {
  DBSA_RETURN_IF_ERROR(check_linear(x, rows, layers, count));
  if (rows == 0) return {};
  DBSA_ASSIGN_OR_RETURN(const void* from, rounded(*x, rows));
  std::vector<FewRowsProduct> together;
  for (const dbsa_linear_layer& l : std::span(layers, static_cast<size_t>(count))) {
    change(l.out);
    const float* residual = l.residual == nullptr ? nullptr : l.residual->row(0);
    if (!l.weight->of_few_rows(rows)) {
      DBSA_RETURN_IF_ERROR(multiply(from, *l.weight, l.bias, residual, rows, l.out->row(0)));
      continue;
    }
    together.push_back(
        {&l.weight->map, values_of(l.bias), residual, l.out->row(0), l.weight->rows});
  }
  for (size_t first = 0; first < together.size(); first += kMostProducts) {
    const size_t most = std::min(together.size() - first, size_t{kMostProducts});
    DBSA_RETURN_IF_ERROR(check(few_rows_linear(stream_, from, rows, x->width,
                                               together.data() + first, static_cast<int>(most)),
                               "products"));
  }
  return {};
}

Status CudaBackend::gated_mlp(const dbsa_buffer* x, int64_t rows,
                              const dbsa_gated_mlp_weights& weights, const dbsa_buffer* residual,
                              dbsa_buffer* out) {
  DBSA_RETURN_IF_ERROR(check_gated_mlp(x, rows, weights, residual, out));
  if (weights.activation != DBSA_ACTIVATION_SILU)
    return Error{ErrorCode::kUnsupported,
                 "gated_mlp: the cuda backend computes SILU only; use the cpu backend", ""};
  if (rows == 0) return {};
  DBSA_ASSIGN_OR_RETURN(const void* from, rounded(*x, rows));
  change(out);
  const int64_t inner = weights.gate->rows, width = weights.gate->width;
  const int64_t outer = weights.down->rows;
  const Number type = weights.down->type;
  const int64_t most = std::min(rows, kGatedMlpRows);
  const int64_t apart = (most * inner + 63) / 64 * 64;  // both aligned as the library expects
  DBSA_RETURN_IF_ERROR(hidden_.reserve(pool_, static_cast<uint64_t>(2 * apart) * sizeof(float)));
  DBSA_RETURN_IF_ERROR(inner_.reserve(pool_, static_cast<uint64_t>(most * inner) * bytes_of(type)));
  float* gate = hidden_.as<float>();
  float* up = gate + apart;
  for (int64_t first = 0; first < rows; first += most) {
    const int64_t count = std::min(most, rows - first);
    const char* part = static_cast<const char*>(from) +
                       static_cast<uint64_t>(first * width) * bytes_of(weights.gate->type);
    if (weights.gate->of_few_rows(count) && weights.up->of_few_rows(count)) {
      DBSA_RETURN_IF_ERROR(check(few_rows_swiglu(stream_, part, count, width, weights.gate->map,
                                                 values_of(weights.gate_bias), weights.up->map,
                                                 values_of(weights.up_bias), inner, inner_.data()),
                                 "gate and up"));
    } else {
      DBSA_RETURN_IF_ERROR(multiply(part, *weights.gate, weights.gate_bias, nullptr, count, gate));
      DBSA_RETURN_IF_ERROR(multiply(part, *weights.up, weights.up_bias, nullptr, count, up));
      DBSA_RETURN_IF_ERROR(
          check(silu_mul(stream_, gate, up, count * inner, inner_.data(), type), "silu"));
    }
    DBSA_RETURN_IF_ERROR(multiply(inner_.data(), *weights.down, weights.down_bias,
                                  residual == nullptr ? nullptr : residual->row(0) + first * outer,
                                  count, out->row(0) + first * outer));
  }
  return {};
}

Status CudaBackend::rms_norm(const dbsa_buffer* x, int64_t rows, const dbsa_weight* weight,
                             float epsilon, dbsa_buffer* out) {
  DBSA_RETURN_IF_ERROR(check_rms_norm(x, rows, weight, out));
  if (rows == 0) return {};
  change(out);
  void* as_bf16 = nullptr;
  if (bf16_compute_) {
    DBSA_ASSIGN_OR_RETURN(as_bf16, reserve_rounded(rows, x->width));
  }
  DBSA_RETURN_IF_ERROR(
      check(cuda::rms_norm(stream_, x->row(0), weight->values(), rows * (x->width / weight->width),
                           weight->width, epsilon, out->row(0), as_bf16),
            "rms_norm"));
  if (as_bf16 != nullptr) keep_rounded(*out, rows);
  return {};
}

Status CudaBackend::layer_norm(const dbsa_buffer* x, int64_t rows, const dbsa_weight* weight,
                               const dbsa_weight* bias, float epsilon, dbsa_buffer* out) {
  DBSA_RETURN_IF_ERROR(check_layer_norm(x, rows, weight, bias, out));
  if (rows == 0) return {};
  change(out);
  return check(cuda::layer_norm(stream_, x->row(0), weight->values(), bias->values(), rows,
                                x->width, epsilon, out->row(0)),
               "layer_norm");
}

Status CudaBackend::gelu(const dbsa_buffer* x, int64_t rows, dbsa_buffer* out) {
  DBSA_RETURN_IF_ERROR(check_gelu(x, rows, out));
  if (rows == 0) return {};
  change(out);
  return check(cuda::gelu(stream_, x->row(0), rows * x->width, out->row(0)), "gelu");
}

Status CudaBackend::add(const dbsa_buffer* x, int64_t rows, const dbsa_buffer* y, float factor,
                        dbsa_buffer* out) {
  DBSA_RETURN_IF_ERROR(check_add(x, rows, y, out));
  if (rows == 0) return {};
  change(out);
  return check(add_scaled(stream_, x->row(0), y->row(0), factor, rows * x->width, out->row(0)),
               "add");
}

Status CudaBackend::scale(const dbsa_buffer* x, int64_t rows, float factor, float soft_cap,
                          dbsa_buffer* out) {
  DBSA_RETURN_IF_ERROR(check_scale(x, rows, soft_cap, out));
  if (rows == 0) return {};
  change(out);
  return check(scale_values(stream_, x->row(0), factor, soft_cap, rows * x->width, out->row(0)),
               "scale");
}

Status CudaBackend::score_tokens(const dbsa_buffer* x, int64_t rows, const dbsa_weight* weight,
                                 float factor, float soft_cap, const int64_t* first,
                                 const int32_t* ids, double* values, int32_t* best,
                                 double* best_values) {
  DBSA_RETURN_IF_ERROR(
      check_score_tokens(x, rows, weight, soft_cap, first, ids, values, best, best_values));
  if (rows == 0) return {};
  const auto count = static_cast<size_t>(first[rows]), r = static_cast<size_t>(rows);
  const size_t first_bytes = (r + 1) * sizeof(int64_t), ids_bytes = count * sizeof(int32_t);
  DBSA_RETURN_IF_ERROR(indices_.reserve(pool_, first_bytes + ids_bytes));
  auto* device_first = indices_.as<int64_t>();
  auto* device_ids = reinterpret_cast<int32_t*>(device_first + rows + 1);
  DBSA_RETURN_IF_ERROR(staging_.upload(stream_, first, first_bytes, device_first));
  DBSA_RETURN_IF_ERROR(staging_.upload(stream_, ids, ids_bytes, device_ids));
  // [count] values, [rows] values of the best, [rows] the best.
  const size_t doubles = (count + r) * sizeof(double), bytes = doubles + r * sizeof(int32_t);
  DBSA_RETURN_IF_ERROR(scores_.reserve(pool_, bytes));
  auto* device_best = reinterpret_cast<int32_t*>(scores_.data() + doubles);
  const int64_t vocabulary = weight->rows;
  const int64_t most = std::min(rows, std::max<int64_t>(1, kLogits / vocabulary));
  DBSA_RETURN_IF_ERROR(
      logits_.reserve(pool_, static_cast<uint64_t>(most * vocabulary) * sizeof(float)));
  auto* logits = logits_.as<float>();
  DBSA_ASSIGN_OR_RETURN(const void* const from, rounded(*x, rows));
  for (int64_t row = 0; row < rows; row += most) {
    const int64_t some = std::min(most, rows - row);
    const char* part = static_cast<const char*>(from) +
                       static_cast<uint64_t>(row * x->width) * bytes_of(weight->type);
    DBSA_RETURN_IF_ERROR(multiply(part, *weight, nullptr, nullptr, some, logits));
    if (factor != 1 || soft_cap != 0)
      DBSA_RETURN_IF_ERROR(
          check(scale_values(stream_, logits, factor, soft_cap, some * vocabulary, logits),
                "score_tokens"));
    DBSA_RETURN_IF_ERROR(check(
        log_softmax(stream_, logits, some, vocabulary, device_first + row, device_ids,
                    scores_.as<double>(), device_best + row, scores_.as<double>() + count + row),
        "score_tokens"));
  }
  std::vector<std::byte> host(bytes);
  DBSA_RETURN_IF_ERROR(transfers_.download(stream_, scores_.data(), bytes, host.data()));
  if (count > 0) std::memcpy(values, host.data(), count * sizeof(double));
  std::memcpy(best_values, host.data() + count * sizeof(double), r * sizeof(double));
  std::memcpy(best, host.data() + doubles, r * sizeof(int32_t));
  return {};
}

// ---- keys, values, blocks -------------------------------------------------------------------

std::unique_ptr<dbsa_kv> CudaBackend::make_kv(int64_t tokens) const {
  auto kv = std::make_unique<dbsa_kv>();
  kv->tokens = tokens;
  kv->padded_tokens = padded(tokens);
  kv->plane_bytes = 2 * kv_width() * kv->padded_tokens * kv_bytes();
  return kv;
}

Result<dbsa_kv*> CudaBackend::kv_create(int64_t tokens) {
  DBSA_RETURN_IF_ERROR(check_configured());
  DBSA_RETURN_IF_ERROR(check_tokens("kv_create", tokens));
  std::unique_ptr<dbsa_kv> kv = make_kv(tokens);
  kv->live = true;
  const uint64_t bytes = static_cast<uint64_t>(kv->plane_bytes) * static_cast<uint64_t>(layers_);
  DBSA_ASSIGN_OR_RETURN(kv->memory, DeviceMemory::make(pool_, bytes));
  return kv.release();
}

void CudaBackend::kv_destroy(dbsa_kv* kv) { delete kv; }

Status CudaBackend::kv_append(const dbsa_buffer* k, const dbsa_buffer* v, int64_t first_row,
                              int64_t rows, int32_t layer, int64_t first_token, dbsa_kv* kv) {
  DBSA_RETURN_IF_ERROR(check_configured());
  DBSA_RETURN_IF_ERROR(
      check_kv_append(k, v, kv_width(), first_row, rows, layer, layers_, first_token, kv));
  if (rows == 0) return {};
  return check(
      write_kv(stream_, {k->row(first_row), v->row(first_row), rows, first_token,
                         attention_shape_.kv_heads, attention_shape_.head_dim, kv->padded_tokens,
                         device_inv_freq_.as<float>(), kv->plane(layer), kv_type()}),
      "kv_append");
}

Result<dbsa_kv_format> CudaBackend::block_format(int64_t tokens) const {
  DBSA_RETURN_IF_ERROR(check_configured());
  DBSA_RETURN_IF_ERROR(check_tokens("block_format", tokens));
  dbsa_kv_format format = {};
  format.struct_size = sizeof format;
  format.layout = kLayout;
  format.dtype = attention_shape_.kv_f32 ? DBSA_KV_DTYPE_F32 : DBSA_KV_DTYPE_BF16;
  format.panel = kChunk;
  format.layers = static_cast<uint32_t>(layers_);
  format.kv_heads = static_cast<uint32_t>(attention_shape_.kv_heads);
  format.head_dim = static_cast<uint32_t>(attention_shape_.head_dim);
  format.tokens = static_cast<uint64_t>(tokens);
  format.plane_bytes = static_cast<uint64_t>(2 * kv_width() * padded(tokens) * kv_bytes());
  return format;
}

Status CudaBackend::check_format(const dbsa_kv_format& format) const {
  DBSA_RETURN_IF_ERROR(check_configured());
  DBSA_RETURN_IF_ERROR(check_format_tokens(format));
  DBSA_ASSIGN_OR_RETURN(const dbsa_kv_format own,
                        block_format(static_cast<int64_t>(format.tokens)));
  return backend_checks::check_format(own, format);
}

Result<dbsa_kv*> CudaBackend::block_import(const dbsa_kv_format& format,
                                           const void* const* planes) {
  DBSA_RETURN_IF_ERROR(check_format(format));
  DBSA_RETURN_IF_ERROR(check_planes(planes, layers_));
  std::unique_ptr<dbsa_kv> kv = make_kv(static_cast<int64_t>(format.tokens));
  kv->imported = std::make_shared<ImportedBlock>(
      pool_, std::vector<const void*>(planes, planes + layers_), kv->plane_bytes);
  return kv.release();
}

// The host runs ahead of the device, so planes are on their way while the layers before are
// computed.
Status CudaBackend::send(const dbsa_plan& plan, int32_t layer) {
  const Result<bool> any =
      plan.imported.send(layer, [&](const void* from, uint64_t bytes, void* to) {
        return transfers_.upload(from, bytes, to);
      });
  // What is on its way comes first even if not all is.
  Status ordered;
  if (!any.ok() || *any) ordered = transfers_.finish_before(stream_);
  return any.ok() ? ordered : Status(any.error());
}

Status CudaBackend::block_export(const dbsa_kv* kv, const dbsa_kv_format& format, int32_t layer,
                                 void* plane) {
  DBSA_RETURN_IF_ERROR(check_format(format));
  DBSA_RETURN_IF_ERROR(check_block_export(kv, format, layer, layers_, plane));
  const auto tokens = static_cast<size_t>(format.tokens);
  const auto row = static_cast<size_t>(attention_shape_.head_dim * kv_bytes());
  const size_t heads = size_t{2} * static_cast<size_t>(attention_shape_.kv_heads);
  const size_t pitch = static_cast<size_t>(padded(static_cast<int64_t>(tokens))) * row;
  const size_t source_pitch = static_cast<size_t>(kv->padded_tokens) * row;
  if (!kv->live) {
    for (size_t h = 0; h < heads; ++h)
      std::memcpy(static_cast<char*>(plane) + h * pitch,
                  static_cast<const char*>(kv->imported->host_plane(layer)) + h * source_pitch,
                  tokens * row);
  } else if (pitch == source_pitch) {
    DBSA_RETURN_IF_ERROR(transfers_.download(stream_, kv->plane(layer), heads * pitch, plane));
  } else {
    DBSA_RETURN_IF_ERROR(
        check(cudaMemcpy2DAsync(plane, pitch, kv->plane(layer), source_pitch, tokens * row, heads,
                                cudaMemcpyDeviceToHost, stream_),
              "copying a block from the GPU"));
    DBSA_RETURN_IF_ERROR(sync());
  }
  for (size_t h = 0; h < heads; ++h)
    std::memset(static_cast<char*>(plane) + h * pitch + tokens * row, 0, pitch - tokens * row);
  return {};
}

Status CudaBackend::block_to_token_major(const dbsa_kv_format& format, const void* plane,
                                         float* destination) const {
  DBSA_RETURN_IF_ERROR(check_format(format));
  if (plane == nullptr) return invalid("block_to_token_major: plane is null");
  if (destination == nullptr) return invalid("block_to_token_major: destination is null");
  const auto tokens = static_cast<int64_t>(format.tokens);
  const int64_t head_dim = attention_shape_.head_dim, numbers = tokens * head_dim;
  const int64_t stride = padded(tokens) * head_dim;
  for (int64_t h = 0; h < 2 * int64_t{attention_shape_.kv_heads}; ++h) {
    for (int64_t i = 0; i < numbers; ++i) {
      destination[h * numbers + i] =
          attention_shape_.kv_f32
              ? static_cast<const float*>(plane)[h * stride + i]
              : bf16_to_f32(static_cast<const uint16_t*>(plane)[h * stride + i]);
    }
  }
  return {};
}

// ---- attention ------------------------------------------------------------------------------

Result<dbsa_plan*> CudaBackend::plan_prepare(const dbsa_plan_description& description) {
  DBSA_RETURN_IF_ERROR(check_configured());
  DBSA_RETURN_IF_ERROR(check_plan_type(description.type, 1));
  DBSA_RETURN_IF_ERROR(check_plan(description, kv_tokens));
  auto plan = std::make_unique<dbsa_plan>();
  plan->rows = description.rows;
  std::set<const dbsa_kv*> seen;
  for (int64_t i = 0; i < description.segment_count; ++i) {
    const dbsa_kv* kv = description.segments[i].kv;
    if (!kv->live && seen.insert(kv).second) plan->imported.add(kv->imported);
  }
  DBSA_RETURN_IF_ERROR(plan->imported.reserve());
  // What the stream still does with memory that a block was given now comes before its planes.
  if (!plan->imported.empty()) DBSA_RETURN_IF_ERROR(transfers_.begin_after(stream_));
  DBSA_ASSIGN_OR_RETURN(
      plan->plan,
      Plan::make(description, {attention_shape_.query_heads, attention_shape_.kv_heads,
                               attention_shape_.head_dim, kv_bytes(), inv_freq_, side_by_side_,
                               kv_place, layers_, map_encoder(kernel_)}));
  DBSA_ASSIGN_OR_RETURN(plan->memory, DeviceMemory::make(pool_, plan->plan->device_bytes()));
  const std::vector<std::byte>& tables = plan->plan->tables();
  DBSA_RETURN_IF_ERROR(staging_.upload(stream_, tables.data(), tables.size(), plan->memory.data()));
  plan->placed = plan->plan->place(plan->memory.data());
  DBSA_RETURN_IF_ERROR(partial_.reserve(pool_, plan->plan->scratch_bytes()));
  DBSA_RETURN_IF_ERROR(
      check(prepare_attention(stream_, attention_shape_, plan->placed), "plan_prepare"));
  return plan.release();
}

void CudaBackend::plan_destroy(dbsa_plan* plan) { delete plan; }

Status CudaBackend::attention(const dbsa_plan* plan, int32_t layer, const dbsa_buffer* q,
                              dbsa_buffer* out) {
  DBSA_RETURN_IF_ERROR(check_configured());
  if (plan == nullptr) return invalid("attention: plan is null");
  DBSA_RETURN_IF_ERROR(check_attention(plan->rows, 0, layer,
                                       std::vector<int32_t>(static_cast<size_t>(layers_)), q,
                                       query_width(), out));
  DBSA_RETURN_IF_ERROR(send(*plan, layer));
  DBSA_RETURN_IF_ERROR(partial_.reserve(pool_, plan->plan->scratch_bytes()));
  change(out);
  void* as_bf16 = nullptr;
  if (bf16_compute_ && plan->placed.slot_count > 0) {
    DBSA_ASSIGN_OR_RETURN(as_bf16, reserve_rounded(plan->rows, out->width));
  }
  DBSA_RETURN_IF_ERROR(
      check(cuda::attention(stream_, kernel_, attention_shape_, plan->placed, layer, q->row(0),
                            out->row(0), partial_.data(), as_bf16),
            "attention"));
  if (as_bf16 != nullptr) keep_rounded(*out, plan->rows);
  return {};
}

}  // namespace dbsa::cuda

DBSA_PLUGIN(dbsa::cuda::CudaBackend);
