#include <dbsa/sdk/attention_backend.h>

// What a host holds is an address only.
struct dbsa_buffer {};
struct dbsa_weight {};
struct dbsa_kv {};
struct dbsa_plan {};

namespace {

using dbsa::Result;
using dbsa::Status;

class NonsenseBackend : public dbsa::AttentionBackend {
 public:
  static constexpr uint32_t kRevision = 1;
  static Result<std::unique_ptr<NonsenseBackend>> create(dbsa::Host, const dbsa::Config& config) {
    return std::make_unique<NonsenseBackend>(*config.get<std::string>("fault"));
  }
  explicit NonsenseBackend(std::string fault) : fault_(std::move(fault)) {}

  Status configure(const dbsa_attention_shape& shape) override {
    shape_ = shape;
    return {};
  }
  const char* describe() const override { return fault_ == "describe" ? nullptr : "nonsense"; }
  Result<dbsa_buffer*> buffer_create(int64_t, int64_t) override {
    return make<dbsa_buffer>("buffer");
  }
  void buffer_destroy(dbsa_buffer* buffer) override { delete buffer; }
  Status upload(const float*, int64_t, int64_t, dbsa_buffer*) override { return {}; }
  Status download(const dbsa_buffer*, int64_t, int64_t, float*) override { return {}; }
  Status sync() override { return {}; }
  Result<dbsa_weight*> weight_create(int32_t, const dbsa_tensor&) override {
    return make<dbsa_weight>("weight");
  }
  void weight_destroy(dbsa_weight* weight) override { delete weight; }
  Status embedding(const int32_t*, int64_t, const dbsa_weight*, dbsa_buffer*) override {
    return {};
  }
  Status linear(const dbsa_buffer*, int64_t, const dbsa_linear_layer*, int64_t) override {
    return {};
  }
  Status rms_norm(const dbsa_buffer*, int64_t, const dbsa_weight*, float, dbsa_buffer*) override {
    return {};
  }
  Status swiglu(const dbsa_buffer*, int64_t, const dbsa_swiglu_weights&, const dbsa_buffer*,
                dbsa_buffer*) override {
    return {};
  }
  Status gather_rows(const dbsa_buffer*, const int64_t*, int64_t, dbsa_buffer*) override {
    return {};
  }
  Result<dbsa_kv*> kv_create(int64_t) override { return make<dbsa_kv>("kv"); }
  void kv_destroy(dbsa_kv* kv) override { delete kv; }
  Status kv_append(const dbsa_buffer*, const dbsa_buffer*, int64_t, int64_t, int32_t, int64_t,
                   dbsa_kv*) override {
    return {};
  }
  Result<dbsa_kv_format> block_format(int64_t tokens) const override {
    dbsa_kv_format format = {};
    format.struct_size = sizeof format;
    format.layout = DBSA_KV_LAYOUT_TOKEN_MAJOR;
    format.dtype = DBSA_KV_DTYPE_F32;
    format.layers = static_cast<uint32_t>(shape_.layers);
    format.kv_heads = static_cast<uint32_t>(shape_.kv_heads);
    format.head_dim = static_cast<uint32_t>(shape_.head_dim);
    format.tokens = static_cast<uint64_t>(tokens);
    format.plane_bytes = 8 * format.kv_heads * format.head_dim * format.tokens;
    if (fault_ == "format_size") format.struct_size = 0;
    if (fault_ == "dtype") format.dtype = 9;
    if (fault_ == "layers") ++format.layers;
    if (fault_ == "tokens") ++format.tokens;
    if (fault_ == "small_plane") --format.plane_bytes;
    if (fault_ == "huge_plane") format.plane_bytes = UINT64_MAX;
    return format;
  }
  Result<dbsa_kv*> block_import(const dbsa_kv_format&, const void* const*) override {
    return make<dbsa_kv>("import");
  }
  Status block_export(const dbsa_kv*, const dbsa_kv_format&, int32_t, void*) override { return {}; }
  Status block_to_token_major(const dbsa_kv_format&, const void*, float*) const override {
    return {};
  }
  Result<dbsa_plan*> plan_prepare(const dbsa_plan_description&) override {
    return make<dbsa_plan>("plan");
  }
  void plan_destroy(dbsa_plan* plan) override { delete plan; }
  Status attention(const dbsa_plan*, int32_t, const dbsa_buffer*, dbsa_buffer*) override {
    return {};
  }
  Status layer_norm(const dbsa_buffer*, int64_t, const dbsa_weight*, const dbsa_weight*, float,
                    dbsa_buffer*) override {
    return {};
  }
  Status gelu(const dbsa_buffer*, int64_t, dbsa_buffer*) override { return {}; }
  Status log_softmax(const dbsa_buffer*, int64_t, const int64_t*, const int32_t*, double*,
                     int32_t* best, double*) override {
    *best = fault_ == "best" ? 4 : 3;
    return {};
  }

 private:
  template <typename T>
  Result<T*> make(const char* name) const {
    return fault_ == name ? nullptr : new T();
  }

  std::string fault_;
  dbsa_attention_shape shape_{};
};

}  // namespace

DBSA_PLUGIN(NonsenseBackend);
