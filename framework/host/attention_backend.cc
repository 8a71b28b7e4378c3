#include "host/attention_backend.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace dbsa::host {
namespace {

// Ranges over `total` items that do not overflow.
bool in_range(int64_t first, int64_t count, int64_t total) {
  return first >= 0 && count >= 0 && first <= total && count <= total - first;
}

// A gated layer from rows `in` wide to rows `out` wide.
bool is_gated_layer(const GatedMlpWeights& weights, int64_t in, int64_t out) {
  const auto& [gate, gate_bias, up, up_bias, down, down_bias, activation] = weights;
  return gate && up && down && gate.rows() == up.rows() && gate.width() == in && up.width() == in &&
         down.width() == gate.rows() && down.rows() == out &&
         (!gate_bias || gate_bias.width() == gate.rows()) &&
         (!up_bias || up_bias.width() == up.rows()) &&
         (!down_bias || down_bias.width() == down.rows());
}

// out[rows] is made of x[rows] and perhaps residual[rows].
bool takes_rows(const Buffer& x, int64_t rows, const Buffer* residual, const Buffer& out) {
  return rows <= x.rows() && rows <= out.rows() && &x != &out &&
         (residual == nullptr || (residual->width() == out.width() && rows <= residual->rows()));
}

dbsa_gated_mlp_weights abi_weights(const GatedMlpWeights& weights) {
  const auto& [gate, gate_bias, up, up_bias, down, down_bias, activation] = weights;
  return {sizeof(dbsa_gated_mlp_weights),
          activation,
          gate.get(),
          gate_bias.get(),
          up.get(),
          up_bias.get(),
          down.get(),
          down_bias.get()};
}

}  // namespace

std::string kv_dtype_name(uint32_t dtype) {
  switch (dtype) {
    case DBSA_KV_DTYPE_F32:
      return "f32";
    case DBSA_KV_DTYPE_BF16:
      return "bf16";
    case DBSA_KV_DTYPE_I8:
      return "int8";
    default:
      return std::to_string(dtype);
  }
}

int64_t kv_dtype_bytes(uint32_t dtype) {
  switch (dtype) {
    case DBSA_KV_DTYPE_F32:
      return 4;
    case DBSA_KV_DTYPE_BF16:
      return 2;
    case DBSA_KV_DTYPE_I8:
      return 1;
    default:
      return 0;
  }
}

AttentionBackend::AttentionBackend(Instance instance)
    : instance_(std::make_unique<Instance>(std::move(instance))),
      vtable_(&instance_->vtable<dbsa_attention_backend_vtable>()) {}

Result<AttentionBackend> AttentionBackend::create(const LoadedPlugin& plugin,
                                                  HostServices& services,
                                                  const nlohmann::json& config) {
  DBSA_ASSIGN_OR_RETURN(Instance instance,
                        Instance::create(plugin, services, config, DBSA_KIND_ATTENTION_BACKEND));
  AttentionBackend backend(std::move(instance));
  DBSA_RETURN_IF_ERROR(backend.find_extensions());
  return backend;
}

Status AttentionBackend::find_extensions() {
  constexpr const char* kId = DBSA_EXTENSION_QUANTISED_WEIGHTS;
  const void* found = find_extension(instance_->plugin(), kId);
  if (found == nullptr) return {};
  const auto* given = static_cast<const dbsa_quantised_weights*>(found);
  const auto broken = [&](const std::string& what) {
    return instance_->broken("extension", "returned for " + std::string(kId) + " " + what);
  };
  if (given->struct_size < DBSA_QUANTISED_WEIGHTS_LEAST)
    return broken("a struct_size of " + std::to_string(given->struct_size) +
                  ", expected at least " + std::to_string(DBSA_QUANTISED_WEIGHTS_LEAST));
  const dbsa_quantised_weights weights = sdk::read_struct(given);
  if (weights.types == nullptr || weights.type_count < 1 || weights.type_count > 64)
    return broken(std::to_string(weights.type_count) + " types" +
                  (weights.types == nullptr ? " at null" : ", expected 1 to 64"));
  if (weights.weight_create == nullptr) return broken("a weight_create that is null");
  quantised_ = weights;
  return {};
}

std::span<const uint32_t> AttentionBackend::block_types() const {
  if (!quantised_) return {};
  return {quantised_->types, quantised_->type_count};
}

Result<Weight> AttentionBackend::weight_create(int32_t use, uint32_t type, int64_t rows,
                                               int64_t width,
                                               std::span<const unsigned char> blocks) {
  const auto types = block_types();
  DBSA_RETURN_IF_ERROR(check(std::find(types.begin(), types.end(), type) != types.end(),
                             "weight_create", "a type of blocks that it does not take"));
  dbsa_weight* weight = nullptr;
  DBSA_RETURN_IF_ERROR(instance_->setup_call("weight_create", quantised_->weight_create, use, type,
                                             rows, width, static_cast<const void*>(blocks.data()),
                                             static_cast<uint64_t>(blocks.size()), &weight));
  if (weight == nullptr) return instance_->broken("weight_create", "returned no weight");
  return Weight({weight, instance_.get(), vtable_->weight_destroy, "weight_destroy"}, rows, width);
}

// The caller's mistake, found before the plugin sees it.
Status AttentionBackend::check(bool holds, const char* function, const char* what) const {
  if (holds) return {};
  return Error{ErrorCode::kInvalidArgument,
               std::string("attention backend ") + plugin_id() + ": " + function + ": " + what, ""};
}

Status AttentionBackend::configure(const dbsa_attention_shape& shape) {
  DBSA_RETURN_IF_ERROR(instance_->setup_call("configure", vtable_->configure, &shape));
  layers_ = shape.layers;
  query_width_ = int64_t{shape.query_heads} * shape.head_dim;
  kv_width_ = int64_t{shape.kv_heads} * shape.head_dim;
  return {};
}

std::string AttentionBackend::describe() const {
  const PluginCallScope scope(instance_->plugin(), "describe");
  const char* text = vtable_->describe(instance_->get());
  return text != nullptr ? text : "";
}

bool AttentionBackend::supports(const char* function, uint32_t dtype, const char* feature) const {
  if (vtable_->experts == nullptr && std::string_view(function) == "experts") return false;
  if (vtable_->supports == nullptr) return true;
  const PluginCallScope scope(instance_->plugin(), "supports");
  return vtable_->supports(instance_->get(), function, dtype, feature) != 0;
}

Result<Buffer> AttentionBackend::buffer_create(int64_t rows, int64_t width) {
  DBSA_RETURN_IF_ERROR(check(rows >= 1 && width >= 1, "buffer_create", "an empty buffer"));
  dbsa_buffer* buffer = nullptr;
  DBSA_RETURN_IF_ERROR(
      instance_->call("buffer_create", vtable_->buffer_create, rows, width, &buffer));
  if (buffer == nullptr) return instance_->broken("buffer_create", "returned no buffer");
  return Buffer({buffer, instance_.get(), vtable_->buffer_destroy, "buffer_destroy"}, rows, width);
}

Status AttentionBackend::upload(std::span<const float> source, int64_t first_row, int64_t rows,
                                Buffer& buffer) {
  DBSA_RETURN_IF_ERROR(
      check(in_range(first_row, rows, buffer.rows()), "upload", "rows out of range"));
  DBSA_RETURN_IF_ERROR(check(source.size() == static_cast<size_t>(rows * buffer.width()), "upload",
                             "the source has another size"));
  return instance_->call("upload", vtable_->upload, source.data(), first_row, rows, buffer.get());
}

Status AttentionBackend::download(const Buffer& buffer, int64_t first_row, int64_t rows,
                                  std::span<float> destination) {
  DBSA_RETURN_IF_ERROR(
      check(in_range(first_row, rows, buffer.rows()), "download", "rows out of range"));
  DBSA_RETURN_IF_ERROR(check(destination.size() == static_cast<size_t>(rows * buffer.width()),
                             "download", "the destination has another size"));
  return instance_->call("download", vtable_->download, buffer.get(), first_row, rows,
                         destination.data());
}

Status AttentionBackend::sync() { return instance_->call("sync", vtable_->sync); }

Result<Weight> AttentionBackend::weight_create(int32_t use, const dbsa_tensor& tensor) {
  const bool vector = use == DBSA_WEIGHT_VECTOR;
  DBSA_RETURN_IF_ERROR(check(tensor.ndim == (vector ? 1 : 2) && tensor.shape != nullptr,
                             "weight_create", "a tensor of another rank"));
  dbsa_weight* weight = nullptr;
  DBSA_RETURN_IF_ERROR(
      instance_->setup_call("weight_create", vtable_->weight_create, use, &tensor, &weight));
  if (weight == nullptr) return instance_->broken("weight_create", "returned no weight");
  return Weight({weight, instance_.get(), vtable_->weight_destroy, "weight_destroy"},
                vector ? 1 : tensor.shape[0], tensor.shape[vector ? 0 : 1]);
}

std::string AttentionBackend::code_path() const {
  const PluginCallScope scope(instance_->plugin(), "code_path");
  const char* text = vtable_->code_path(instance_->get());
  return text != nullptr ? text : "";
}

std::string AttentionBackend::packing() const {
  const PluginCallScope scope(instance_->plugin(), "packing");
  const char* text = vtable_->packing(instance_->get());
  return text != nullptr ? text : "";
}

Result<std::span<const unsigned char>> AttentionBackend::weight_packed(const Weight& weight) const {
  const void* packed = nullptr;
  uint64_t bytes = 0;
  DBSA_RETURN_IF_ERROR(check(static_cast<bool>(weight), "weight_packed", "no weight"));
  DBSA_RETURN_IF_ERROR(
      instance_->call("weight_packed", vtable_->weight_packed, weight.get(), &packed, &bytes));
  if (packed == nullptr || bytes == 0 || bytes % 64 != 0)
    return instance_->broken("weight_packed", "returned no bytes, or not a multiple of 64");
  return std::span(static_cast<const unsigned char*>(packed), bytes);
}

Result<Weight> AttentionBackend::weight_adopt(int64_t out, int64_t in,
                                              std::span<const unsigned char> packed) {
  dbsa_weight* weight = nullptr;
  DBSA_RETURN_IF_ERROR(instance_->setup_call("weight_adopt", vtable_->weight_adopt, out, in,
                                             packed.data(), packed.size(), &weight));
  if (weight == nullptr) return instance_->broken("weight_adopt", "returned no weight");
  return Weight({weight, instance_.get(), vtable_->weight_destroy, "weight_destroy"}, out, in);
}

Status AttentionBackend::embedding(std::span<const int32_t> ids, const Weight& table, Buffer& out) {
  const auto rows = static_cast<int64_t>(ids.size());
  DBSA_RETURN_IF_ERROR(check(table && rows <= out.rows() && table.width() == out.width(),
                             "embedding", "shapes do not fit"));
  const bool known =
      std::all_of(ids.begin(), ids.end(), [&](int32_t id) { return id >= 0 && id < table.rows(); });
  DBSA_RETURN_IF_ERROR(check(known, "embedding", "a token id outside the vocabulary"));
  return instance_->call("embedding", vtable_->embedding, ids.data(), rows, table.get(), out.get());
}

Status AttentionBackend::linear(const Buffer& x, int64_t rows,
                                std::initializer_list<LinearLayer> layers) {
  std::vector<dbsa_linear_layer> all;
  for (const auto& [weight, bias, residual, out] : layers) {
    bool fits = weight && rows <= x.rows() && rows <= out.rows() && x.width() == weight.width() &&
                out.width() == weight.rows() && &x != &out;
    fits = fits && (!bias || bias.width() == out.width());
    fits = fits &&
           (residual == nullptr || (residual->width() == out.width() && rows <= residual->rows()));
    DBSA_RETURN_IF_ERROR(check(fits, "linear", "shapes do not fit"));
    all.push_back({sizeof(dbsa_linear_layer), 0, weight.get(), bias.get(),
                   residual != nullptr ? residual->get() : nullptr, out.get()});
  }
  return instance_->call("linear", vtable_->linear, x.get(), rows, all.data(),
                         static_cast<int64_t>(all.size()));
}

Status AttentionBackend::rms_norm(const Buffer& x, int64_t rows, const Weight& weight,
                                  float epsilon, Buffer& out) {
  DBSA_RETURN_IF_ERROR(check(weight && rows <= x.rows() && rows <= out.rows() &&
                                 x.width() % weight.width() == 0 && x.width() == out.width(),
                             "rms_norm", "shapes do not fit"));
  return instance_->call("rms_norm", vtable_->rms_norm, x.get(), rows, weight.get(), epsilon,
                         out.get());
}

Status AttentionBackend::gated_mlp(const Buffer& x, int64_t rows, const GatedMlpWeights& weights,
                                   const Buffer* residual, Buffer& out) {
  DBSA_RETURN_IF_ERROR(
      check(is_gated_layer(weights, x.width(), out.width()) && takes_rows(x, rows, residual, out),
            "gated_mlp", "shapes do not fit"));
  const dbsa_gated_mlp_weights all = abi_weights(weights);
  return instance_->call("gated_mlp", vtable_->gated_mlp, x.get(), rows, &all,
                         residual != nullptr ? residual->get() : nullptr, out.get());
}

Status AttentionBackend::experts(const Buffer& x, int64_t rows, const ExpertWeights& weights,
                                 const Buffer* residual, Buffer& out) {
  const auto& [router, experts, used, normalised] = weights;
  const auto count = static_cast<int64_t>(experts.size());
  bool all_fit = router && router.rows() == count && router.width() == x.width() && used >= 1 &&
                 used <= count && takes_rows(x, rows, residual, out);
  std::vector<dbsa_gated_mlp_weights> gated;
  gated.reserve(experts.size());
  for (const GatedMlpWeights& expert : experts) {
    all_fit = all_fit && is_gated_layer(expert, x.width(), out.width());
    gated.push_back(abi_weights(expert));
  }
  DBSA_RETURN_IF_ERROR(check(all_fit, "experts", "shapes do not fit"));
  if (vtable_->experts == nullptr)
    return Error{ErrorCode::kUnsupported,
                 "attention backend " + plugin_id() + ": experts: not computed", ""};
  const dbsa_expert_weights all = {sizeof all, normalised ? 1u : 0u, router.get(), count,
                                   used,       gated.data()};
  return instance_->call("experts", vtable_->experts, x.get(), rows, &all,
                         residual != nullptr ? residual->get() : nullptr, out.get());
}

Status AttentionBackend::layer_norm(const Buffer& x, int64_t rows, const Weight& weight,
                                    const Weight& bias, float epsilon, Buffer& out) {
  DBSA_RETURN_IF_ERROR(check(weight && bias && rows <= x.rows() && rows <= out.rows() &&
                                 x.width() == weight.width() && x.width() == bias.width() &&
                                 x.width() == out.width() && &x != &out,
                             "layer_norm", "shapes do not fit"));
  return instance_->call("layer_norm", vtable_->layer_norm, x.get(), rows, weight.get(), bias.get(),
                         epsilon, out.get());
}

Status AttentionBackend::gelu(const Buffer& x, int64_t rows, Buffer& out) {
  DBSA_RETURN_IF_ERROR(check(rows <= x.rows() && rows <= out.rows() && x.width() == out.width(),
                             "gelu", "shapes do not fit"));
  return instance_->call("gelu", vtable_->gelu, x.get(), rows, out.get());
}

Status AttentionBackend::add(const Buffer& x, int64_t rows, const Buffer& y, float factor,
                             Buffer& out) {
  const bool fits = rows <= x.rows() && rows <= y.rows() && rows <= out.rows() &&
                    x.width() == y.width() && x.width() == out.width();
  DBSA_RETURN_IF_ERROR(check(fits, "add", "shapes do not fit"));
  return instance_->call("add", vtable_->add, x.get(), rows, y.get(), factor, out.get());
}

Status AttentionBackend::scale(const Buffer& x, int64_t rows, float factor, float soft_cap,
                               Buffer& out) {
  DBSA_RETURN_IF_ERROR(check(rows <= x.rows() && rows <= out.rows() && x.width() == out.width(),
                             "scale", "shapes do not fit"));
  return instance_->call("scale", vtable_->scale, x.get(), rows, factor, soft_cap, out.get());
}

Status AttentionBackend::gather_rows(const Buffer& x, std::span<const int64_t> indices,
                                     Buffer& out) {
  const auto count = static_cast<int64_t>(indices.size());
  DBSA_RETURN_IF_ERROR(check(count <= out.rows() && x.width() == out.width() && &x != &out,
                             "gather_rows", "shapes do not fit"));
  const bool inside = std::all_of(indices.begin(), indices.end(),
                                  [&](int64_t index) { return index >= 0 && index < x.rows(); });
  DBSA_RETURN_IF_ERROR(check(inside, "gather_rows", "an index out of range"));
  return instance_->call("gather_rows", vtable_->gather_rows, x.get(), indices.data(), count,
                         out.get());
}

Result<std::vector<TokenScores>> AttentionBackend::score_tokens(
    const Buffer& x, const Weight& weight, float factor, float soft_cap,
    std::span<const std::span<const int32_t>> tokens) {
  const auto rows = static_cast<int64_t>(tokens.size());
  DBSA_RETURN_IF_ERROR(check(weight && rows <= x.rows() && x.width() == weight.width(),
                             "score_tokens", "shapes do not fit"));
  std::vector<int64_t> first = {0};
  std::vector<int32_t> ids;
  for (const std::span<const int32_t> row : tokens) {
    ids.insert(ids.end(), row.begin(), row.end());
    first.push_back(static_cast<int64_t>(ids.size()));
  }
  const bool inside = std::all_of(ids.begin(), ids.end(),
                                  [&](int32_t id) { return id >= 0 && id < weight.rows(); });
  DBSA_RETURN_IF_ERROR(check(inside, "score_tokens", "a token outside the vocabulary"));
  std::vector<double> values(ids.size()), best_values(tokens.size());
  std::vector<int32_t> best(tokens.size());
  DBSA_RETURN_IF_ERROR(instance_->call("score_tokens", vtable_->score_tokens, x.get(), rows,
                                       weight.get(), factor, soft_cap, first.data(), ids.data(),
                                       values.data(), best.data(), best_values.data()));
  std::vector<TokenScores> scores;
  for (size_t r = 0; r < tokens.size(); ++r) {
    if (best[r] < 0 || best[r] >= weight.rows())
      return instance_->broken("score_tokens", "returned a token outside the vocabulary");
    scores.push_back(
        {{values.begin() + first[r], values.begin() + first[r + 1]}, best[r], best_values[r]});
  }
  return scores;
}

Result<Kv> AttentionBackend::kv_create(int64_t tokens) {
  DBSA_RETURN_IF_ERROR(check(tokens >= 1, "kv_create", "no tokens"));
  dbsa_kv* kv = nullptr;
  DBSA_RETURN_IF_ERROR(instance_->call("kv_create", vtable_->kv_create, tokens, &kv));
  if (kv == nullptr) return instance_->broken("kv_create", "returned no KV");
  return Kv({kv, instance_.get(), vtable_->kv_destroy, "kv_destroy"}, tokens);
}

Status AttentionBackend::kv_append(const Buffer& k, const Buffer& v, int64_t first_row,
                                   int64_t rows, int32_t layer, int64_t first_token, Kv& kv) {
  const bool fits = in_range(first_row, rows, k.rows()) && in_range(first_row, rows, v.rows()) &&
                    in_range(first_token, rows, kv.tokens()) && k.width() == kv_width_ &&
                    v.width() == kv_width_ && layer >= 0 && layer < layers_;
  DBSA_RETURN_IF_ERROR(check(fits, "kv_append", "shapes do not fit"));
  return instance_->call("kv_append", vtable_->kv_append, k.get(), v.get(), first_row, rows, layer,
                         first_token, kv.get());
}

// A format that a backend made must describe the planes this host will allocate and store.
Status AttentionBackend::check_format(const dbsa_kv_format& format, const char* function) const {
  const int64_t element = kv_dtype_bytes(format.dtype);
  if (element == 0)
    return instance_->broken(function,
                             "returned the unknown dtype " + std::to_string(format.dtype));
  if (static_cast<int64_t>(format.layers) != layers_)
    return instance_->broken(function, "returned a format of " + std::to_string(format.layers) +
                                           " layers, the model has " + std::to_string(layers_));
  const uint64_t least =
      2 * static_cast<uint64_t>(kv_width_) * format.tokens * static_cast<uint64_t>(element);
  constexpr uint64_t kMost = uint64_t{1} << 40;
  if (format.plane_bytes < least || format.plane_bytes > kMost)
    return instance_->broken(function, "returned planes of " + std::to_string(format.plane_bytes) +
                                           " bytes, expected at least " + std::to_string(least));
  return {};
}

Result<dbsa_kv_format> AttentionBackend::block_format(int64_t tokens) const {
  DBSA_RETURN_IF_ERROR(check(tokens >= 1, "block_format", "no tokens"));
  dbsa_kv_format format = {};
  format.struct_size = sizeof format;
  DBSA_RETURN_IF_ERROR(instance_->call("block_format", vtable_->block_format, tokens, &format));
  if (format.struct_size < DBSA_KV_FORMAT_LEAST || format.struct_size > sizeof format)
    return instance_->broken("block_format",
                             "returned a struct_size of " + std::to_string(format.struct_size));
  format.struct_size = sizeof format;
  if (format.tokens != static_cast<uint64_t>(tokens))
    return instance_->broken("block_format", "returned a format of " +
                                                 std::to_string(format.tokens) + " tokens for " +
                                                 std::to_string(tokens));
  DBSA_RETURN_IF_ERROR(check_format(format, "block_format"));
  return format;
}

Result<Kv> AttentionBackend::block_import(const dbsa_kv_format& format, const void* const* planes) {
  DBSA_RETURN_IF_ERROR(
      check(planes != nullptr && format.tokens >= 1, "block_import", "an empty block"));
  dbsa_kv* kv = nullptr;
  DBSA_RETURN_IF_ERROR(
      instance_->call("block_import", vtable_->block_import, &format, planes, &kv));
  if (kv == nullptr) return instance_->broken("block_import", "returned no KV");
  return Kv({kv, instance_.get(), vtable_->kv_destroy, "kv_destroy"},
            static_cast<int64_t>(format.tokens));
}

Status AttentionBackend::block_export(const Kv& kv, const dbsa_kv_format& format, int32_t layer,
                                      void* plane) {
  DBSA_RETURN_IF_ERROR(check(kv && static_cast<int64_t>(format.tokens) <= kv.tokens() &&
                                 layer >= 0 && layer < layers_ && plane != nullptr,
                             "block_export", "the format does not fit the KV"));
  return instance_->call("block_export", vtable_->block_export, kv.get(), &format, layer, plane);
}

Status AttentionBackend::block_to_token_major(const dbsa_kv_format& format, const void* plane,
                                              std::span<float> destination) const {
  const uint64_t values = 2 * uint64_t{format.kv_heads} * format.head_dim * format.tokens;
  DBSA_RETURN_IF_ERROR(check(plane != nullptr && destination.size() == values,
                             "block_to_token_major", "the destination has another size"));
  return instance_->call("block_to_token_major", vtable_->block_to_token_major, &format, plane,
                         destination.data());
}

Result<Plan> AttentionBackend::plan_prepare(const dbsa_plan_description& description) {
  dbsa_plan* plan = nullptr;
  DBSA_RETURN_IF_ERROR(instance_->call("plan_prepare", vtable_->plan_prepare, &description, &plan));
  if (plan == nullptr) return instance_->broken("plan_prepare", "returned no plan");
  return Plan({plan, instance_.get(), vtable_->plan_destroy, "plan_destroy"}, description.rows);
}

Status AttentionBackend::attention(const Plan& plan, int32_t layer, const Buffer& q, Buffer& out) {
  DBSA_RETURN_IF_ERROR(check(plan && layer >= 0 && layer < layers_ && plan.rows() <= q.rows() &&
                                 plan.rows() <= out.rows() && q.width() == query_width_ &&
                                 out.width() == query_width_ && &q != &out,
                             "attention", "shapes do not fit"));
  return instance_->call("attention", vtable_->attention, plan.get(), layer, q.get(), out.get());
}

}  // namespace dbsa::host
