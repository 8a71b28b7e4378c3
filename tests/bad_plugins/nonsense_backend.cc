#include <dbsa/quantised_weights.h>
#include <dbsa/sdk/attention_backend.h>

// What a host holds is an address only.
struct dbsa_buffer {};
struct dbsa_weight {};
struct dbsa_kv {};
struct dbsa_plan {};

namespace {

using dbsa::Result;
using dbsa::Status;

// What is wrong with the extension, where there is one.
#if defined(QUANTISED_SIZE)
#define QUANTISED 8, 1, kTypes, no_weight
#elif defined(QUANTISED_NO_TYPES)
#define QUANTISED sizeof(dbsa_quantised_weights), 0, kTypes, no_weight
#elif defined(QUANTISED_MANY_TYPES)
#define QUANTISED sizeof(dbsa_quantised_weights), 4000000000, kTypes, no_weight
#elif defined(QUANTISED_NULL_TYPES)
#define QUANTISED sizeof(dbsa_quantised_weights), 1, nullptr, no_weight
#elif defined(QUANTISED_NULL_CREATE)
#define QUANTISED sizeof(dbsa_quantised_weights), 1, kTypes, nullptr
#elif defined(QUANTISED_NO_WEIGHT)
#define QUANTISED sizeof(dbsa_quantised_weights), 1, kTypes, no_weight
#endif

#ifdef QUANTISED
[[maybe_unused]] constexpr uint32_t kTypes[] = {DBSA_BLOCKS_Q4_0};
[[maybe_unused]] int32_t no_weight(void*, int32_t, uint32_t, int64_t, int64_t, const void*,
                                   uint64_t, dbsa_weight**, dbsa_error*) {
  return DBSA_OK;
}
constexpr dbsa_quantised_weights kQuantised = {QUANTISED};
#endif

class NonsenseBackend : public dbsa::AttentionBackend {
 public:
  static constexpr uint32_t kRevision = 1;
  static Result<std::unique_ptr<NonsenseBackend>> create(dbsa::Host host,
                                                         const dbsa::Config& config) {
    return std::make_unique<NonsenseBackend>(host, *config.get<std::string>("fault"));
  }
#ifdef QUANTISED
  static const void* extension(std::string_view) { return &kQuantised; }
#endif
  NonsenseBackend(dbsa::Host host, std::string fault) : host_(host), fault_(std::move(fault)) {
    say("create");
  }
  ~NonsenseBackend() override { say("destroy"); }

  Status configure(const dbsa_attention_shape& shape) override {
    say("configure");
    shape_ = shape;
    return {};
  }
  const char* describe() const override {
    say("describe");
    return fault_ == "describe" ? nullptr : "nonsense";
  }
  Result<dbsa_buffer*> buffer_create(int64_t, int64_t) override {
    say("buffer_create");
    return make<dbsa_buffer>("buffer");
  }
  void buffer_destroy(dbsa_buffer* buffer) override {
    say("buffer_destroy");
    delete buffer;
  }
  Status upload(const float*, int64_t, int64_t, dbsa_buffer*) override {
    say("upload");
    return {};
  }
  Status download(const dbsa_buffer*, int64_t, int64_t, float*) override {
    say("download");
    return {};
  }
  Status sync() override {
    say("sync");
    return {};
  }
  Result<dbsa_weight*> weight_create(int32_t, const dbsa_tensor&) override {
    say("weight_create");
    return make<dbsa_weight>("weight");
  }
  void weight_destroy(dbsa_weight* weight) override {
    say("weight_destroy");
    delete weight;
  }
  Status embedding(const int32_t*, int64_t, const dbsa_weight*, dbsa_buffer*) override {
    say("embedding");
    return {};
  }
  Status linear(const dbsa_buffer*, int64_t, const dbsa_linear_layer*, int64_t) override {
    say("linear");
    return {};
  }
  Status rms_norm(const dbsa_buffer*, int64_t, const dbsa_weight*, float, dbsa_buffer*) override {
    say("rms_norm");
    return {};
  }
  Status gated_mlp(const dbsa_buffer*, int64_t, const dbsa_gated_mlp_weights&, const dbsa_buffer*,
                   dbsa_buffer*) override {
    say("gated_mlp");
    return {};
  }
  Status gather_rows(const dbsa_buffer*, const int64_t*, int64_t, dbsa_buffer*) override {
    say("gather_rows");
    return {};
  }
  Result<dbsa_kv*> kv_create(int64_t) override {
    say("kv_create");
    return make<dbsa_kv>("kv");
  }
  void kv_destroy(dbsa_kv* kv) override {
    say("kv_destroy");
    delete kv;
  }
  Status kv_append(const dbsa_buffer*, const dbsa_buffer*, int64_t, int64_t, int32_t, int64_t,
                   dbsa_kv*) override {
    say("kv_append");
    return {};
  }
  Result<dbsa_kv_format> block_format(int64_t tokens) const override {
    say("block_format");
    dbsa_kv_format format = {};
    format.struct_size = sizeof format;
    format.layout = DBSA_KV_LAYOUT_TOKEN_MAJOR;
    format.dtype = DBSA_KV_DTYPE_F32;
    format.layers = static_cast<uint32_t>(shape_.layers);
    format.kv_heads = static_cast<uint32_t>(shape_.kv_heads);
    format.head_dim = static_cast<uint32_t>(shape_.head_dim);
    format.tokens = static_cast<uint64_t>(tokens);
    format.plane_bytes = 8 * format.kv_heads * format.head_dim * format.tokens;
    if (fault_ == "dtype") format.dtype = 9;
    if (fault_ == "layers") ++format.layers;
    if (fault_ == "tokens") ++format.tokens;
    if (fault_ == "small_plane") --format.plane_bytes;
    if (fault_ == "huge_plane") format.plane_bytes = UINT64_MAX;
    return format;
  }
  Result<dbsa_kv*> block_import(const dbsa_kv_format&, const void* const*) override {
    say("block_import");
    return make<dbsa_kv>("import");
  }
  Status block_export(const dbsa_kv*, const dbsa_kv_format&, int32_t, void*) override {
    say("block_export");
    return {};
  }
  Status block_to_token_major(const dbsa_kv_format&, const void*, float*) const override {
    say("block_to_token_major");
    return {};
  }
  Result<dbsa_plan*> plan_prepare(const dbsa_plan_description&) override {
    say("plan_prepare");
    return make<dbsa_plan>("plan");
  }
  void plan_destroy(dbsa_plan* plan) override {
    say("plan_destroy");
    delete plan;
  }
  Status attention(const dbsa_plan*, int32_t, const dbsa_buffer*, dbsa_buffer*) override {
    say("attention");
    return {};
  }
  Status layer_norm(const dbsa_buffer*, int64_t, const dbsa_weight*, const dbsa_weight*, float,
                    dbsa_buffer*) override {
    say("layer_norm");
    return {};
  }
  Status gelu(const dbsa_buffer*, int64_t, dbsa_buffer*) override {
    say("gelu");
    return {};
  }
  Status add(const dbsa_buffer*, int64_t, const dbsa_buffer*, float, dbsa_buffer*) override {
    say("add");
    return {};
  }
  Status scale(const dbsa_buffer*, int64_t, float, float, dbsa_buffer*) override {
    say("scale");
    return {};
  }
  Status experts(const dbsa_buffer*, int64_t, const dbsa_expert_weights&, const dbsa_buffer*,
                 dbsa_buffer*) override {
    say("experts");
    return {};
  }
  bool supports(const char*, uint32_t, const char*) const override {
    say("supports");
    return fault_ != "supports";
  }
  Status score_tokens(const dbsa_buffer*, int64_t, const dbsa_weight*, float, float, const int64_t*,
                      const int32_t*, double*, int32_t* best, double*) override {
    say("score_tokens");
    *best = fault_ == "best" ? 4 : 3;
    return {};
  }

 private:
  // With fault = "say" logs the name of the function that was called.
  void say(const char* function) const {
    if (fault_ == "say") host_.log_info(function);
  }

  template <typename T>
  Result<T*> make(const char* name) const {
    return fault_ == name ? nullptr : new T();
  }

  dbsa::Host host_;
  std::string fault_;
  dbsa_attention_shape shape_{};
};

}  // namespace

DBSA_PLUGIN(NonsenseBackend);
