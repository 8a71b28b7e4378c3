// host::AttentionBackend: a backend plugin as the framework uses it. The functions are those of
// dbsa/attention_backend.h; objects are owned by handles, and shapes are checked before each call.
//
// Handles must be destroyed before the backend (declare it first). An op's buffers must differ
// unless said.
#pragma once

#include <dbsa/attention_backend.h>
#include <dbsa/quantised_weights.h>

#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "host/instance.h"

namespace dbsa::host {

// As pipeline files and records call a DBSA_KV_DTYPE_*: "f32", "bf16", "int8"; its number where it
// is none of these.
std::string kv_dtype_name(uint32_t dtype);
// Bytes of an element, scales aside; 0 for a number that is none of these.
int64_t kv_dtype_bytes(uint32_t dtype);

// Owns an object of a backend. Empty when default-made.
template <typename Object>
class BackendHandle {
 public:
  using Destroy = void (*)(void* instance, Object* object);

  BackendHandle() = default;
  // name: of the function that destroys, for messages.
  BackendHandle(Object* object, const Instance* instance, Destroy destroy, const char* name)
      : object_(object), instance_(instance), destroy_(destroy), name_(name) {}
  BackendHandle(BackendHandle&& other) noexcept
      : object_(std::exchange(other.object_, nullptr)),
        instance_(other.instance_),
        destroy_(other.destroy_),
        name_(other.name_) {}
  BackendHandle& operator=(BackendHandle&& other) noexcept {
    std::swap(object_, other.object_);
    std::swap(instance_, other.instance_);
    std::swap(destroy_, other.destroy_);
    std::swap(name_, other.name_);
    return *this;
  }
  ~BackendHandle() {
    if (object_ == nullptr) return;
    const PluginCallScope scope(instance_->plugin(), name_);
    destroy_(instance_->get(), object_);
  }

  Object* get() const { return object_; }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  Object* object_ = nullptr;
  const Instance* instance_ = nullptr;
  Destroy destroy_ = nullptr;
  const char* name_ = nullptr;
};

// float32 [rows, width] on the device.
class Buffer : public BackendHandle<dbsa_buffer> {
 public:
  Buffer() = default;
  Buffer(BackendHandle handle, int64_t rows, int64_t width)
      : BackendHandle(std::move(handle)), rows_(rows), width_(width) {}
  int64_t rows() const { return rows_; }
  int64_t width() const { return width_; }

 private:
  int64_t rows_ = 0;
  int64_t width_ = 0;
};

// A packed weight. Its shape is [out, in], [vocabulary, width] or [1, width].
class Weight : public BackendHandle<dbsa_weight> {
 public:
  Weight() = default;
  Weight(BackendHandle handle, int64_t rows, int64_t width)
      : BackendHandle(std::move(handle)), rows_(rows), width_(width) {}
  int64_t rows() const { return rows_; }
  int64_t width() const { return width_; }

 private:
  int64_t rows_ = 0;
  int64_t width_ = 0;
};

// out = x weight^T (+ bias) (+ residual). An empty bias and a null residual are left out; residual
// may be &out, but nothing that another layer of the same x writes.
struct LinearLayer {
  const Weight& weight;
  const Weight& bias;
  const Buffer* residual;
  Buffer& out;
};

// Of a gated layer: gate and up [m, k], down [n, m]. Empty biases are left out.
struct GatedMlpWeights {
  Weight gate, gate_bias, up, up_bias, down, down_bias;
  uint32_t activation = DBSA_ACTIVATION_SILU;
};

// Of a layer of experts, see dbsa/attention_backend.h: the router [experts, k].
struct ExpertWeights {
  Weight router;
  std::vector<GatedMlpWeights> experts;
  int64_t used = 0;  // of each row
  bool normalised = false;
};

// What is asked of the logits after a row: natural logarithms of the softmax over the vocabulary.
struct TokenScores {
  std::vector<double> values;  // at the tokens that were asked for
  int32_t best = 0;            // the likeliest token, the least of equals
  double best_value = 0;
  bool operator==(const TokenScores&) const = default;
};

// KV of `tokens` tokens in all layers, live or imported.
class Kv : public BackendHandle<dbsa_kv> {
 public:
  Kv() = default;
  Kv(BackendHandle handle, int64_t tokens) : BackendHandle(std::move(handle)), tokens_(tokens) {}
  int64_t tokens() const { return tokens_; }

 private:
  int64_t tokens_ = 0;
};

// A prepared attention plan over `rows` query rows.
class Plan : public BackendHandle<dbsa_plan> {
 public:
  Plan() = default;
  Plan(BackendHandle handle, int64_t rows) : BackendHandle(std::move(handle)), rows_(rows) {}
  int64_t rows() const { return rows_; }

 private:
  int64_t rows_ = 0;
};

class AttentionBackend {
 public:
  // kPlugin also where an extension of the plugin is not what its header says.
  static Result<AttentionBackend> create(const LoadedPlugin& plugin, HostServices& services,
                                         const nlohmann::json& config);

  const std::string& plugin_id() const { return instance_->plugin().id; }

  // Once, before anything else. [setup]
  Status configure(const dbsa_attention_shape& shape);
  std::string describe() const;
  // Whether a function has a feature, see dbsa/attention_backend.h.
  bool supports(const char* function, uint32_t dtype, const char* feature) const;
  // The arithmetic that was chosen on this machine, after configure; "" where there is only one.
  std::string code_path() const;

  // Contents undefined. [any]
  Result<Buffer> buffer_create(int64_t rows, int64_t width);
  // source: [rows, width], written to rows first_row.. of the buffer.
  Status upload(std::span<const float> source, int64_t first_row, int64_t rows, Buffer& buffer);
  // destination: [rows, width]. Waits for all before it.
  Status download(const Buffer& buffer, int64_t first_row, int64_t rows,
                  std::span<float> destination);
  Status sync();

  // use: DBSA_WEIGHT_*. An EMBEDDING's memory must outlive the weight. [setup]
  Result<Weight> weight_create(int32_t use, const dbsa_tensor& tensor);
  // DBSA_BLOCKS_* that weights stay quantised in; empty for a backend that computes with none.
  std::span<const uint32_t> block_types() const;
  // A weight [rows, width] from blocks, see dbsa/quantised_weights.h. [setup]
  Result<Weight> weight_create(int32_t use, uint32_t type, int64_t rows, int64_t width,
                               std::span<const unsigned char> blocks);
  // What the packed bytes of linear weights depend on but the weights; "": they cannot be kept.
  std::string packing() const;
  // Valid as long as the weight.
  Result<std::span<const unsigned char>> weight_packed(const Weight& weight) const;
  // A linear weight [out, in] whose packed bytes are these, which must outlive it. kInvalidArgument
  // where their number does not fit. [setup]
  Result<Weight> weight_adopt(int64_t out, int64_t in, std::span<const unsigned char> packed);

  // out[r] = table[ids[r]]
  Status embedding(std::span<const int32_t> ids, const Weight& table, Buffer& out);
  // Linear layers of the first `rows` rows of x, each as it would be by itself.
  Status linear(const Buffer& x, int64_t rows, std::initializer_list<LinearLayer> layers);
  // Of a weight narrower than x: by groups of its width. out may be x.
  Status rms_norm(const Buffer& x, int64_t rows, const Weight& weight, float epsilon, Buffer& out);
  // out = (activation(x gate^T) * (x up^T)) down^T (+ residual), biases added where there are any.
  // A null residual is left out; it may be &out.
  Status gated_mlp(const Buffer& x, int64_t rows, const GatedMlpWeights& weights,
                   const Buffer* residual, Buffer& out);
  // out = the shares of each row's experts in what gated_mlp gives by their weights (+ residual),
  // which may be null or &out. kUnsupported where the plugin has no such function.
  Status experts(const Buffer& x, int64_t rows, const ExpertWeights& weights,
                 const Buffer* residual, Buffer& out);
  Status layer_norm(const Buffer& x, int64_t rows, const Weight& weight, const Weight& bias,
                    float epsilon, Buffer& out);
  // out = gelu(x), with erf; out may be x.
  Status gelu(const Buffer& x, int64_t rows, Buffer& out);
  // out = x + factor * y; out may be either.
  Status add(const Buffer& x, int64_t rows, const Buffer& y, float factor, Buffer& out);
  // out = factor * x, brought below soft_cap where that is not 0; out may be x.
  Status scale(const Buffer& x, int64_t rows, float factor, float soft_cap, Buffer& out);
  // out[i] = x[indices[i]]
  Status gather_rows(const Buffer& x, std::span<const int64_t> indices, Buffer& out);

  // The scores after the first tokens.size() rows of x, each at its tokens: of the logits x
  // weight^T as scale takes them. Not finite where these are not. Waits.
  Result<std::vector<TokenScores>> score_tokens(const Buffer& x, const Weight& weight, float factor,
                                                float soft_cap,
                                                std::span<const std::span<const int32_t>> tokens);

  Result<Kv> kv_create(int64_t tokens);
  // Rows first_row.. of k and v become tokens first_token.. of a layer, keys rotated.
  Status kv_append(const Buffer& k, const Buffer& v, int64_t first_row, int64_t rows, int32_t layer,
                   int64_t first_token, Kv& kv);

  Result<dbsa_kv_format> block_format(int64_t tokens) const;
  // Planes stay readable until the Kv is destroyed. kUnsupported for a format it does not read.
  Result<Kv> block_import(const dbsa_kv_format& format, const void* const* planes);
  // plane: [format.plane_bytes]
  Status block_export(const Kv& kv, const dbsa_kv_format& format, int32_t layer, void* plane);
  // destination: [2 (K, V), kv_heads, tokens, head_dim]
  Status block_to_token_major(const dbsa_kv_format& format, const void* plane,
                              std::span<float> destination) const;

  Result<Plan> plan_prepare(const dbsa_plan_description& description);
  // q, out: [plan.rows(), query_heads * head_dim]
  Status attention(const Plan& plan, int32_t layer, const Buffer& q, Buffer& out);

 private:
  explicit AttentionBackend(Instance instance);
  Status check(bool holds, const char* function, const char* what) const;
  Status check_format(const dbsa_kv_format& format, const char* function) const;
  Status find_extensions();

  std::unique_ptr<Instance> instance_;  // handles point to it
  const dbsa_attention_backend_vtable* vtable_;
  std::optional<dbsa_quantised_weights> quantised_;
  int32_t layers_ = 0;
  int64_t query_width_ = 0;  // query_heads * head_dim
  int64_t kv_width_ = 0;     // kv_heads * head_dim
};

}  // namespace dbsa::host
