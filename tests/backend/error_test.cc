// What a backend refuses, message by message.
#include <gmock/gmock.h>

#include "tests/backend/plan_case.h"

namespace dbsa::test {
namespace {

// A small instance and one of each object.
class Refuses : public testing::Test {
 protected:
  static Shape small() {
    Shape shape = head_shape(4, 2, 1);
    shape.layers = 2;
    return shape;
  }

  const Backend::Vtable& t() const { return backend_.table(); }
  void* self() const { return backend_.instance(); }
  dbsa_error* error() { return backend_.error(); }
  std::string failure(int32_t got, int32_t code = DBSA_ERROR_INVALID_ARGUMENT) {
    return backend_.failure(got, code);
  }
  std::string configure_failure(const dbsa_attention_shape& shape);
  std::string weight_failure(int32_t use, Tensor& tensor) {
    dbsa_weight* weight = nullptr;
    return failure(t().weight_create(self(), use, &tensor.get(), &weight, error()));
  }
  std::string plan_failure(const PlanCase& c);
  PlanCase plan_case();

  Backend backend_{any_path(), 1, small()};
  Backend::Handle<dbsa_kv> kv_ = backend_.kv(20);
};

// ---- create and configure -------------------------------------------------------------------

std::string create_failure(const std::string& config, int32_t code, std::string* pointer) {
  TestHost host(1);
  dbsa_error error = {sizeof(dbsa_error), 0, {}, {}};
  void* instance = nullptr;
  EXPECT_EQ(backend_table()->create(host.get(), config.c_str(), &instance, &error), code);
  EXPECT_EQ(instance, nullptr);
  *pointer = error.config_pointer;
  return error.message;
}

TEST(Create, RefusesAnUnknownPath) {
  if (!on_cpu()) GTEST_SKIP() << "of the cpu backend";
  std::string pointer;
  EXPECT_EQ(create_failure(R"({"instructions":"sse9"})", DBSA_ERROR_CONFIG, &pointer),
            "instructions must be auto, amx_bf16, avx512_bf16, avx2 or portable, got \"sse9\"");
  EXPECT_EQ(pointer, "/instructions");
  EXPECT_EQ(create_failure("{}", DBSA_ERROR_CONFIG, &pointer), "instructions is missing");
  EXPECT_EQ(create_failure(R"({"instructions":3})", DBSA_ERROR_CONFIG, &pointer),
            "instructions has the wrong type, got 3");
}

TEST(Create, DescribesItself) {
  if (!on_cpu()) GTEST_SKIP() << "of the cpu backend";
  for (const std::string& path : code_paths()) {
    Backend backend(path, 2, {});
    const std::string line = backend.table().describe(backend.instance());
    EXPECT_NE(line.find(", " + path), std::string::npos) << line;
    EXPECT_NE(line.find(", 2 threads"), std::string::npos) << line;
    EXPECT_EQ(line.find("oneDNN") != std::string::npos, path.ends_with("_bf16")) << line;
  }
  // The best of those present.
  Backend backend("auto", 1, {});
  const std::string line = backend.table().describe(backend.instance());
  EXPECT_NE(line.find(", " + code_paths().front()), std::string::npos) << line;
  EXPECT_NE(line.find(", 1 thread"), std::string::npos) << line;
}

std::string Refuses::configure_failure(const dbsa_attention_shape& shape) {
  TestHost host(1);
  void* instance = nullptr;
  backend_.check(
      backend_table()->create(host.get(), config_of(any_path()).c_str(), &instance, error()));
  const std::string message = failure(t().configure(instance, &shape, error()));
  backend_table()->destroy(instance);
  return message;
}

TEST_F(Refuses, WrongShapes) {
  const std::vector<float> inv_freq(128, 0.5f);
  dbsa_attention_shape good = {};
  good.struct_size = sizeof good;
  good.layers = 1;
  good.query_heads = 4;
  good.kv_heads = 2;
  good.head_dim = 64;
  good.compute = DBSA_COMPUTE_F32;
  good.kv_dtype = DBSA_KV_DTYPE_F32;
  dbsa_attention_type type = {sizeof type, 1.0f, 0.0f, 0, inv_freq.data(), nullptr, nullptr};
  good.type_count = 1;
  good.types = &type;
  const auto with = [&](auto&& change) {
    dbsa_attention_shape shape = good;
    change(shape);
    return configure_failure(shape);
  };
  EXPECT_EQ(with([](auto& s) { s.layers = 0; }), "configure: layers must be >= 1, got 0");
  EXPECT_EQ(with([](auto& s) { s.kv_heads = 0; }), "configure: kv_heads must be >= 1, got 0");
  EXPECT_EQ(with([](auto& s) { s.query_heads = 5; }),
            "configure: query_heads must be a multiple of kv_heads, got 5");
  EXPECT_EQ(with([](auto& s) { s.head_dim = 258; }),
            "configure: head_dim must be even and 2..256, got 258");
  EXPECT_EQ(with([](auto& s) { s.head_dim = 63; }),
            "configure: head_dim must be even and 2..256, got 63");
  EXPECT_EQ(with([](auto& s) { s.compute = 7; }),
            "configure: compute must be F32 (1) or BF16 (2), got 7");
  EXPECT_EQ(with([](auto& s) { s.kv_dtype = 0; }),
            "configure: kv_dtype must be F32 (1), BF16 (2) or I8 (3), got 0");
  EXPECT_EQ(with([](auto& s) { s.type_count = 0; }), "configure: type_count must be >= 1, got 0");
  EXPECT_EQ(with([](auto& s) { s.types = nullptr; }), "configure: types is null");
  const int32_t beyond[] = {1};
  EXPECT_EQ(with([&](auto& s) { s.layer_types = beyond; }),
            "configure: layer_types must be 0..0, got 1 for layer 0");
  const std::vector<float> infinite(32, std::numeric_limits<float>::infinity());
  const auto with_type = [&](auto&& change) {
    dbsa_attention_type changed = type;
    change(changed);
    return with([&](auto& s) { s.types = &changed; });
  };
  EXPECT_EQ(with_type([](auto& t) { t.scale = std::nanf(""); }),
            "configure: type 0: scale must be finite");
  EXPECT_EQ(with_type([](auto& t) { t.soft_cap = -1; }),
            "configure: type 0: soft_cap must be finite and >= 0");
  EXPECT_EQ(with_type([](auto& t) { t.inv_freq = nullptr; }),
            "configure: type 0: inv_freq is null");
  EXPECT_EQ(with_type([&](auto& t) { t.inv_freq = infinite.data(); }),
            "configure: type 0: inv_freq must be finite");
  EXPECT_EQ(with_type([&](auto& t) { t.factor = infinite.data(); }),
            "configure: type 0: factor must be finite");
  EXPECT_EQ(with_type([&](auto& t) { t.sink = infinite.data(); }),
            "configure: type 0: sink must be finite");
  EXPECT_EQ(failure(t().configure(self(), &good, error())), "configure: called twice");
}

TEST_F(Refuses, WorkBeforeConfigure) {
  TestHost host(1);
  void* raw = nullptr;
  backend_.check(backend_table()->create(host.get(), config_of(any_path()).c_str(), &raw, error()));
  dbsa_kv* kv = nullptr;
  EXPECT_EQ(failure(t().kv_create(raw, 3, &kv, error())), "configure must be called first");
  dbsa_kv_format format = {};
  format.struct_size = sizeof format;
  EXPECT_EQ(failure(t().block_format(raw, 3, &format, error())), "configure must be called first");
  dbsa_plan* plan = nullptr;
  const dbsa_plan_description description = {};
  EXPECT_EQ(failure(t().plan_prepare(raw, &description, &plan, error())),
            "configure must be called first");
  backend_table()->destroy(raw);
}

// ---- buffers and weights --------------------------------------------------------------------

TEST_F(Refuses, WrongBuffers) {
  dbsa_buffer* made = nullptr;
  EXPECT_EQ(failure(t().buffer_create(self(), -1, 4, &made, error())),
            "buffer_create: rows must be >= 0 and width >= 1, got -1 x 4");
  EXPECT_EQ(failure(t().buffer_create(self(), 4, 0, &made, error())),
            "buffer_create: rows must be >= 0 and width >= 1, got 4 x 0");
  EXPECT_EQ(failure(t().buffer_create(self(), INT64_MAX, INT64_MAX, &made, error())),
            "buffer_create: rows must be >= 0 and width >= 1, got 9223372036854775807 x "
            "9223372036854775807");
  EXPECT_THAT(failure(t().buffer_create(self(), int64_t{1} << 44, 2, &made, error()),
                      DBSA_ERROR_ENVIRONMENT),
              testing::AnyOf(testing::StrEq("out of memory"), testing::HasSubstr("no room")));
  auto buffer = backend_.buffer(3, 4);
  float value[16] = {};
  EXPECT_EQ(failure(t().upload(self(), value, 2, 2, buffer.get(), error())),
            "upload: buffer has 3 rows, asked for 2 from row 2");
  EXPECT_EQ(failure(t().upload(self(), value, -1, 1, buffer.get(), error())),
            "upload: buffer has 3 rows, asked for 1 from row -1");
  EXPECT_EQ(failure(t().upload(self(), value, 0, 1, nullptr, error())), "upload: buffer is null");
  EXPECT_EQ(failure(t().upload(self(), nullptr, 0, 1, buffer.get(), error())),
            "upload: source is null");
  EXPECT_EQ(failure(t().download(self(), buffer.get(), 0, 4, value, error())),
            "download: buffer has 3 rows, asked for 4 from row 0");
  EXPECT_EQ(failure(t().download(self(), buffer.get(), 0, 1, nullptr, error())),
            "download: destination is null");
}

TEST_F(Refuses, WrongWeights) {
  const float data[12] = {};
  Tensor good(data, DBSA_DTYPE_FLOAT, 32, {3, 4});
  EXPECT_EQ(weight_failure(9, good),
            "weight_create: use must be LINEAR (1), EMBEDDING (2) or VECTOR (3), got 9");
  EXPECT_EQ(weight_failure(DBSA_WEIGHT_VECTOR, good),
            "weight_create: a VECTOR weight has 1 dimensions, got 2");
  Tensor flat(data, DBSA_DTYPE_FLOAT, 32, {12});
  EXPECT_EQ(weight_failure(DBSA_WEIGHT_LINEAR, flat),
            "weight_create: a LINEAR weight has 2 dimensions, got 1");
  Tensor integers(data, DBSA_DTYPE_INT, 32, {3, 4});
  EXPECT_EQ(weight_failure(DBSA_WEIGHT_LINEAR, integers),
            "weight_create: the tensor must be float32, float16 or bfloat16");
  Tensor none(nullptr, DBSA_DTYPE_FLOAT, 32, {3, 4});
  EXPECT_EQ(weight_failure(DBSA_WEIGHT_LINEAR, none),
            "weight_create: the tensor's data, shape or strides are null");
  Tensor empty(data, DBSA_DTYPE_FLOAT, 32, {0, 4});
  EXPECT_EQ(weight_failure(DBSA_WEIGHT_LINEAR, empty),
            "weight_create: dimension 0 must be >= 1 and fit in memory, got 0");
  Tensor turned(data, DBSA_DTYPE_FLOAT, 32, {3, 4});
  turned.get().strides[0] = 1;
  turned.get().strides[1] = 3;
  EXPECT_EQ(weight_failure(DBSA_WEIGHT_LINEAR, turned),
            "weight_create: the tensor must be contiguous");
  Tensor device(data, DBSA_DTYPE_FLOAT, 32, {3, 4});
  device.get().device.type = DBSA_DEVICE_CUDA;
  EXPECT_EQ(weight_failure(DBSA_WEIGHT_LINEAR, device),
            "weight_create: the tensor is not in the CPU's memory");
}

TEST_F(Refuses, WrongPackedWeights) {
  if (t().packing(self()) == nullptr) GTEST_SKIP() << "keeps no packed weights";
  const auto vector = backend_.weight(DBSA_WEIGHT_VECTOR, Rows(4, 1.0f), {4});
  const void* packed = nullptr;
  uint64_t bytes = 0;
  EXPECT_EQ(failure(t().weight_packed(self(), nullptr, &packed, &bytes, error())),
            "weight_packed: weight is null");
  EXPECT_EQ(failure(t().weight_packed(self(), vector.get(), &packed, &bytes, error())),
            "weight_packed: weight must be a LINEAR weight, got VECTOR");

  alignas(64) static const float values[80] = {};
  const auto adopt = [&](int64_t out, int64_t in, const void* data, uint64_t size) {
    dbsa_weight* weight = nullptr;
    return failure(t().weight_adopt(self(), out, in, data, size, &weight, error()));
  };
  EXPECT_EQ(adopt(0, 4, values, 256),
            "weight_adopt: out and in must be >= 1 and fit in memory, got 0 x 4");
  EXPECT_EQ(adopt(16, 4, nullptr, 256),
            "weight_adopt: the packed bytes are null or not 64-byte aligned");
  EXPECT_EQ(adopt(16, 4, values + 1, 128),
            "weight_adopt: the packed bytes are null or not 64-byte aligned");
  EXPECT_EQ(adopt(16, 4, values, 192),
            "weight_adopt: a weight of 16 x 4 packs to 320 bytes, got 192");
  EXPECT_EQ(
      adopt(16, 4, values, 320),
      "weight_adopt: a weight of 16 x 4 was packed in another layout than it is computed with "
      "here");
}

// ---- ops ------------------------------------------------------------------------------------

TEST_F(Refuses, WrongOps) {
  auto x = backend_.buffer(3, 4);
  auto y = backend_.buffer(3, 2);
  auto z = backend_.buffer(2, 2);
  auto w = backend_.weight(DBSA_WEIGHT_LINEAR, Rows(8, 1.0f), {2, 4});
  auto v4 = backend_.weight(DBSA_WEIGHT_VECTOR, Rows(4, 1.0f), {4});
  auto table = backend_.weight(DBSA_WEIGHT_EMBEDDING, Rows(8, 1.0f), {2, 4});
  const auto linear = [&](const dbsa_buffer* in, int64_t rows, const dbsa_weight* weight,
                          const dbsa_weight* bias, const dbsa_buffer* residual, dbsa_buffer* out) {
    return failure(backend_.linear(in, rows, weight, bias, residual, out));
  };
  EXPECT_EQ(linear(x.get(), 3, nullptr, nullptr, nullptr, y.get()), "linear: weight is null");
  EXPECT_EQ(linear(x.get(), 3, v4.get(), nullptr, nullptr, y.get()),
            "linear: weight must be a LINEAR weight, got VECTOR");
  EXPECT_EQ(linear(y.get(), 3, w.get(), nullptr, nullptr, y.get()),
            "linear: x must be 4 wide, got 2");
  EXPECT_EQ(linear(x.get(), 4, w.get(), nullptr, nullptr, y.get()),
            "linear: x has 3 rows, asked for 4 from row 0");
  EXPECT_EQ(linear(x.get(), 3, w.get(), nullptr, nullptr, z.get()),
            "linear: out has 2 rows, asked for 3 from row 0");
  EXPECT_EQ(linear(x.get(), 3, w.get(), nullptr, nullptr, x.get()),
            "linear: out must be 2 wide, got 4");
  EXPECT_EQ(linear(x.get(), 3, w.get(), v4.get(), nullptr, y.get()),
            "linear: bias must have 2 values, got 4");
  EXPECT_EQ(linear(x.get(), 3, w.get(), nullptr, x.get(), y.get()),
            "linear: residual must be 2 wide, got 4");
  EXPECT_EQ(linear(x.get(), -1, w.get(), nullptr, nullptr, y.get()),
            "linear: x has 3 rows, asked for -1 from row 0");
  auto square = backend_.weight(DBSA_WEIGHT_LINEAR, Rows(16, 1.0f), {4, 4});
  EXPECT_EQ(linear(x.get(), 3, square.get(), nullptr, nullptr, x.get()),
            "linear: out must not be x");
  const auto layers = [&](std::vector<dbsa_linear_layer> all, int64_t count) {
    return failure(t().linear(self(), x.get(), 3, all.data(), count, error()));
  };
  auto other = backend_.buffer(3, 2);
  const dbsa_linear_layer good = {sizeof good, 0, w.get(), nullptr, nullptr, y.get()};
  dbsa_linear_layer bad = good;
  EXPECT_EQ(layers({good}, 0), "linear: count must be >= 1, got 0");
  EXPECT_EQ(layers({}, 1), "linear: layers is null");
  EXPECT_EQ(layers({good, bad}, 2), "linear: layer 0: out must not be the out of layer 1");
  bad.out = other.get();
  bad.residual = y.get();
  EXPECT_EQ(layers({good, bad}, 2), "linear: layer 1: residual must not be the out of layer 0");
  bad.weight = nullptr;
  EXPECT_EQ(layers({good, bad}, 2), "linear: layer 1: weight is null");

  const int32_t ids[] = {0, 2, -1};
  const auto embed = [&](const int32_t* of, int64_t rows, const dbsa_weight* in) {
    return failure(t().embedding(self(), of, rows, in, x.get(), error()));
  };
  EXPECT_EQ(embed(ids, 2, table.get()), "embedding: id 2 of row 1 is not in 0..1");
  EXPECT_EQ(embed(ids + 2, 1, table.get()), "embedding: id -1 of row 0 is not in 0..1");
  EXPECT_EQ(embed(nullptr, 1, table.get()), "embedding: ids is null");
  EXPECT_EQ(embed(ids, 2, w.get()), "embedding: table must be a EMBEDDING weight, got LINEAR");

  EXPECT_EQ(failure(t().rms_norm(self(), y.get(), 3, v4.get(), 1e-5f, y.get(), error())),
            "rms_norm: weight must have a divisor of 2 values, got 4");
  EXPECT_EQ(failure(t().add(self(), x.get(), 3, y.get(), 1.0f, x.get(), error())),
            "add: y must be 4 wide, got 2");
  EXPECT_EQ(failure(t().add(self(), x.get(), 3, x.get(), 1.0f, y.get(), error())),
            "add: out must be 4 wide, got 2");
  EXPECT_EQ(failure(t().scale(self(), x.get(), 3, 1.0f, 0.0f, y.get(), error())),
            "scale: out must be 4 wide, got 2");
  EXPECT_EQ(failure(t().scale(self(), x.get(), 3, 1.0f, -1.0f, x.get(), error())),
            "scale: soft_cap must be finite and >= 0");
  EXPECT_EQ(
      failure(t().layer_norm(self(), nullptr, 3, v4.get(), v4.get(), 1e-5f, y.get(), error())),
      "layer_norm: x is null");
  EXPECT_EQ(
      failure(t().layer_norm(self(), y.get(), 2, v4.get(), v4.get(), 1e-5f, z.get(), error())),
      "layer_norm: weight must have 2 values, got 4");
  EXPECT_EQ(failure(t().layer_norm(self(), x.get(), 3, v4.get(), nullptr, 1e-5f, x.get(), error())),
            "layer_norm: bias is null");
  EXPECT_EQ(
      failure(t().layer_norm(self(), x.get(), 3, v4.get(), v4.get(), 1e-5f, x.get(), error())),
      "layer_norm: out must not be x");
  EXPECT_EQ(failure(t().gelu(self(), nullptr, 3, x.get(), error())), "gelu: x is null");
  EXPECT_EQ(failure(t().gelu(self(), x.get(), 3, y.get(), error())),
            "gelu: out must be 4 wide, got 2");
  const int64_t indices[] = {3};
  EXPECT_EQ(failure(t().gather_rows(self(), y.get(), indices, 1, z.get(), error())),
            "gather_rows: index 3 is not in 0..2");
  EXPECT_EQ(failure(t().gather_rows(self(), y.get(), nullptr, 1, z.get(), error())),
            "gather_rows: indices is null");
}

TEST_F(Refuses, WrongScoreTokens) {
  auto x = backend_.buffer(2, 3);
  const auto weight = backend_.weight(DBSA_WEIGHT_LINEAR, Rows(12, 1.0f), {4, 3});
  const auto vector = backend_.weight(DBSA_WEIGHT_VECTOR, Rows(3, 1.0f), {3});
  const auto wide = backend_.weight(DBSA_WEIGHT_LINEAR, Rows(16, 1.0f), {4, 4});
  double values[2], best_values[2];
  int32_t best[2];
  const int64_t first[] = {0, 1, 2}, falling[] = {0, 2, 1}, late[] = {1, 1, 2};
  const int32_t ids[] = {3, 0}, above[] = {3, 4}, below[] = {-1, 0};
  const auto score = [&](int64_t rows, const int64_t* from, const int32_t* tokens,
                         double* to = nullptr) {
    return failure(t().score_tokens(self(), x.get(), rows, weight.get(), 1.0f, 0.0f, from, tokens,
                                    to, best, best_values, error()));
  };
  EXPECT_EQ(score(3, first, ids, values), "score_tokens: x has 2 rows, asked for 3 from row 0");
  EXPECT_EQ(score(2, nullptr, ids, values), "score_tokens: first is null");
  EXPECT_EQ(score(2, late, ids, values), "score_tokens: first must begin with 0");
  EXPECT_EQ(score(2, falling, ids, values), "score_tokens: first must ascend");
  EXPECT_EQ(score(2, first, nullptr, values), "score_tokens: ids or values is null");
  EXPECT_EQ(score(2, first, ids), "score_tokens: ids or values is null");
  EXPECT_EQ(score(2, first, above, values), "score_tokens: id 4 is not in 0..3");
  EXPECT_EQ(score(2, first, below, values), "score_tokens: id -1 is not in 0..3");
  EXPECT_EQ(failure(t().score_tokens(self(), x.get(), 2, weight.get(), 1.0f, 0.0f, first, ids,
                                     values, nullptr, best_values, error())),
            "score_tokens: best or best_values is null");
  const auto with = [&](const dbsa_weight* by, float soft_cap) {
    return failure(t().score_tokens(self(), x.get(), 2, by, 1.0f, soft_cap, first, ids, values,
                                    best, best_values, error()));
  };
  EXPECT_EQ(with(weight.get(), -1.0f), "score_tokens: soft_cap must be finite and >= 0");
  EXPECT_EQ(with(nullptr, 0.0f), "score_tokens: weight is null");
  EXPECT_EQ(with(vector.get(), 0.0f), "score_tokens: weight must be a LINEAR weight, got VECTOR");
  EXPECT_EQ(with(wide.get(), 0.0f), "score_tokens: x must be 4 wide, got 3");
}

TEST_F(Refuses, WrongGatedMlp) {
  const Rows ones(12, 1.0f);
  auto wide = backend_.weight(DBSA_WEIGHT_LINEAR, ones, {3, 4});  // gate, up: 4 to 3
  auto back = backend_.weight(DBSA_WEIGHT_LINEAR, ones, {4, 3});
  auto v3 = backend_.weight(DBSA_WEIGHT_VECTOR, Rows(3, 1.0f), {3});
  auto v4 = backend_.weight(DBSA_WEIGHT_VECTOR, Rows(4, 1.0f), {4});
  auto x = backend_.buffer(2, 4);
  auto out = backend_.buffer(2, 4);
  auto narrow = backend_.buffer(2, 3);
  const auto gated_mlp = [&](dbsa_gated_mlp_weights weights, const dbsa_buffer* in,
                             const dbsa_buffer* residual, dbsa_buffer* to) {
    weights.struct_size = sizeof weights;
    return failure(t().gated_mlp(self(), in, 2, &weights, residual, to, error()));
  };
  dbsa_gated_mlp_weights good = {};
  good.gate = good.up = wide.get();
  good.down = back.get();
  dbsa_gated_mlp_weights bad = good;
  bad.gate = nullptr;
  EXPECT_EQ(gated_mlp(bad, x.get(), nullptr, out.get()), "gated_mlp: gate is null");
  bad = good;
  bad.down = v3.get();
  EXPECT_EQ(gated_mlp(bad, x.get(), nullptr, out.get()),
            "gated_mlp: down must be a LINEAR weight, got VECTOR");
  bad = good;
  bad.up = back.get();
  EXPECT_EQ(
      gated_mlp(bad, x.get(), nullptr, out.get()),
      "gated_mlp: gate, up and down must be [m, k], [m, k] and [n, m], got [3, 4], [4, 3] and "
      "[4, 3]");
  bad = good;
  bad.up_bias = v4.get();
  EXPECT_EQ(gated_mlp(bad, x.get(), nullptr, out.get()),
            "gated_mlp: up_bias must have 3 values, got 4");
  bad = good;
  bad.down_bias = v3.get();
  EXPECT_EQ(gated_mlp(bad, x.get(), nullptr, out.get()),
            "gated_mlp: down_bias must have 4 values, got 3");
  bad = good;
  bad.activation = 2;
  EXPECT_EQ(gated_mlp(bad, x.get(), nullptr, out.get()),
            "gated_mlp: activation must be SILU (0) or GELU_TANH (1), got 2");
  EXPECT_EQ(gated_mlp(good, narrow.get(), nullptr, out.get()),
            "gated_mlp: x must be 4 wide, got 3");
  EXPECT_EQ(gated_mlp(good, x.get(), nullptr, narrow.get()),
            "gated_mlp: out must be 4 wide, got 3");
  EXPECT_EQ(gated_mlp(good, x.get(), narrow.get(), out.get()),
            "gated_mlp: residual must be 4 wide, got 3");
  EXPECT_EQ(gated_mlp(good, x.get(), nullptr, x.get()), "gated_mlp: out must not be x");
}

TEST_F(Refuses, WrongExperts) {
  if (!on_cpu()) GTEST_SKIP() << "declined by name";
  auto wide = backend_.weight(DBSA_WEIGHT_LINEAR, Rows(12, 1.0f), {3, 4});  // gate, up: 4 to 3
  auto back = backend_.weight(DBSA_WEIGHT_LINEAR, Rows(12, 1.0f), {4, 3});
  auto short_back = backend_.weight(DBSA_WEIGHT_LINEAR, Rows(6, 1.0f), {2, 3});
  auto router = backend_.weight(DBSA_WEIGHT_LINEAR, Rows(8, 1.0f), {2, 4});
  auto v4 = backend_.weight(DBSA_WEIGHT_VECTOR, Rows(4, 1.0f), {4});
  auto x = backend_.buffer(2, 4);
  auto out = backend_.buffer(2, 4);
  auto narrow = backend_.buffer(2, 3);
  dbsa_gated_mlp_weights gated = {};
  gated.struct_size = sizeof gated;
  gated.gate = gated.up = wide.get();
  gated.down = back.get();
  dbsa_gated_mlp_weights both[] = {gated, gated};
  dbsa_expert_weights good = {sizeof good, 1, router.get(), 2, 1, both};
  const auto experts = [&](const auto& change, const dbsa_buffer* in = nullptr,
                           const dbsa_buffer* residual = nullptr, dbsa_buffer* to = nullptr) {
    dbsa_expert_weights weights = good;
    change(weights);
    return failure(t().experts(self(), in == nullptr ? x.get() : in, 2, &weights, residual,
                               to == nullptr ? out.get() : to, error()));
  };
  const auto unchanged = [](auto&) {};
  EXPECT_EQ(experts([](auto& w) { w.router = nullptr; }), "experts: router is null");
  EXPECT_EQ(experts([&](auto& w) { w.router = v4.get(); }),
            "experts: router must be a LINEAR weight, got VECTOR");
  EXPECT_EQ(experts([](auto& w) { w.count = 3; }),
            "experts: count must be the router's 2 rows, got 3");
  EXPECT_EQ(experts([](auto& w) { w.used = 0; }), "experts: used must be 1..2, got 0");
  EXPECT_EQ(experts([](auto& w) { w.used = 3; }), "experts: used must be 1..2, got 3");
  EXPECT_EQ(experts([](auto& w) { w.normalised = 2; }),
            "experts: normalised must be 0 or 1, got 2");
  EXPECT_EQ(experts([](auto& w) { w.experts = nullptr; }), "experts: experts is null");
  EXPECT_EQ(experts(unchanged, narrow.get()), "experts: x must be 4 wide, got 3");
  EXPECT_EQ(experts(unchanged, nullptr, narrow.get()), "experts: residual must be 4 wide, got 3");
  EXPECT_EQ(experts(unchanged, nullptr, nullptr, x.get()), "experts: out must not be x");
  both[1].up = nullptr;
  EXPECT_EQ(experts(unchanged), "experts: expert 1: up is null");
  both[1].up = back.get();
  EXPECT_EQ(experts(unchanged),
            "experts: expert 1: gate, up and down must be [m, k], [m, k] and [n, m], got [3, 4], "
            "[4, 3] and [4, 3]");
  both[1] = gated;
  both[1].down = short_back.get();
  EXPECT_EQ(experts(unchanged),
            "experts: expert 1: gate must be 4 wide and down have 4 rows, got [3, 4] and [2, 3]");
}

// ---- KV and blocks --------------------------------------------------------------------------

TEST_F(Refuses, WrongKv) {
  dbsa_kv* made = nullptr;
  EXPECT_EQ(failure(t().kv_create(self(), 0, &made, error())),
            "kv_create: tokens must be 1..4294967296, got 0");
  auto k = backend_.buffer(8, 4);
  auto wide = backend_.buffer(8, 8);
  const auto append = [&](const dbsa_buffer* keys, const dbsa_buffer* values, int64_t first_row,
                          int64_t rows, int32_t layer, int64_t first_token, dbsa_kv* kv) {
    return failure(
        t().kv_append(self(), keys, values, first_row, rows, layer, first_token, kv, error()));
  };
  EXPECT_EQ(append(k.get(), k.get(), 0, 8, 0, 0, nullptr), "kv_append: kv is null");
  EXPECT_EQ(append(nullptr, k.get(), 0, 8, 0, 0, kv_.get()), "kv_append: k is null");
  EXPECT_EQ(append(k.get(), wide.get(), 0, 8, 0, 0, kv_.get()),
            "kv_append: v must be 4 wide, got 8");
  EXPECT_EQ(append(k.get(), k.get(), 1, 8, 0, 0, kv_.get()),
            "kv_append: k has 8 rows, asked for 8 from row 1");
  EXPECT_EQ(append(k.get(), k.get(), 0, 8, 2, 0, kv_.get()), "kv_append: layer 2 is not in 0..1");
  EXPECT_EQ(append(k.get(), k.get(), 0, 8, 0, 13, kv_.get()),
            "kv_append: 8 tokens from token 13 lie outside the KV of 20 tokens");
  EXPECT_EQ(append(k.get(), k.get(), 0, 8, 0, -1, kv_.get()),
            "kv_append: 8 tokens from token -1 lie outside the KV of 20 tokens");

  Plane plane(backend_.block_format(20).plane_bytes);
  auto imported = backend_.import(20, {plane.data(), plane.data()});
  EXPECT_EQ(append(k.get(), k.get(), 0, 8, 0, 0, imported.get()),
            "kv_append: imported KV cannot be written");
}

TEST_F(Refuses, WrongBlocks) {
  dbsa_kv_format format = backend_.block_format(20);
  Plane plane(format.plane_bytes + 64);
  const auto import = [&](const dbsa_kv_format& of, std::vector<const void*> planes, int32_t code) {
    dbsa_kv* made = nullptr;
    return failure(t().block_import(self(), &of, planes.data(), &made, error()), code);
  };
  const auto with = [&](auto&& change) {
    dbsa_kv_format changed = format;
    change(changed);
    return import(changed, {plane.data(), plane.data()}, DBSA_ERROR_UNSUPPORTED);
  };
  EXPECT_EQ(with([](auto& f) { f.layout = DBSA_KV_LAYOUT_TOKEN_MAJOR; }),
            "KV format: this backend reads layout " + std::to_string(format.layout) + ", got 1");
  EXPECT_EQ(with([](auto& f) { f.dtype = DBSA_KV_DTYPE_BF16; }),
            "KV format: this backend reads dtype 1, got 2");
  EXPECT_EQ(with([](auto& f) { f.panel = 8; }),
            "KV format: this backend reads panel " + std::to_string(format.panel) + ", got 8");
  EXPECT_EQ(with([](auto& f) { f.layers = 1; }), "KV format: this backend reads layers 2, got 1");
  EXPECT_EQ(with([](auto& f) { f.kv_heads = 2; }),
            "KV format: this backend reads kv_heads 1, got 2");
  EXPECT_EQ(with([](auto& f) { f.head_dim = 8; }),
            "KV format: this backend reads head_dim 4, got 8");
  EXPECT_EQ(with([](auto& f) { f.plane_bytes += 1; }),
            "KV format: this backend reads plane_bytes " + std::to_string(format.plane_bytes) +
                ", got " + std::to_string(format.plane_bytes + 1));
  EXPECT_EQ(with([](auto& f) { f.scale_offset = 64; }),
            "KV format: this backend reads scale_offset 0, got 64");
  EXPECT_EQ(with([](auto& f) { f.tokens = 0; }), "KV format: tokens must be 1..4294967296, got 0");
  EXPECT_EQ(with([](auto& f) { f.tokens = UINT64_MAX; }),
            "KV format: tokens must be 1..4294967296, got 18446744073709551615");
  EXPECT_EQ(import(format, {plane.data(), nullptr}, DBSA_ERROR_INVALID_ARGUMENT),
            "block_import: plane 1 is null");
  EXPECT_EQ(import(format, {plane.data() + 4, plane.data()}, DBSA_ERROR_INVALID_ARGUMENT),
            "block_import: plane 0 is not aligned to 64 bytes");
  dbsa_kv* made = nullptr;
  EXPECT_EQ(failure(t().block_import(self(), &format, nullptr, &made, error())),
            "block_import: planes is null");

  const auto export_to = [&](const dbsa_kv* kv, const dbsa_kv_format& of, int32_t layer, void* to) {
    return failure(t().block_export(self(), kv, &of, layer, to, error()));
  };
  EXPECT_EQ(export_to(nullptr, format, 0, plane.data()), "block_export: kv is null");
  EXPECT_EQ(export_to(kv_.get(), format, 0, nullptr), "block_export: plane is null");
  EXPECT_EQ(export_to(kv_.get(), format, -1, plane.data()),
            "block_export: layer -1 is not in 0..1");
  EXPECT_EQ(export_to(kv_.get(), backend_.block_format(21), 0, plane.data()),
            "block_export: the format has 21 tokens, the KV only 20");
  float out[1];
  EXPECT_EQ(failure(t().block_to_token_major(self(), &format, nullptr, out, error())),
            "block_to_token_major: plane is null");
  EXPECT_EQ(failure(t().block_to_token_major(self(), &format, plane.data(), nullptr, error())),
            "block_to_token_major: destination is null");
}

// ---- plans ----------------------------------------------------------------------------------

// Two ranges of two rows: the first sees tokens 0..9 in full, the second 0..9 and itself.
PlanCase Refuses::plan_case() {
  PlanCase c;
  c.shape = backend_.shape();
  c.kvs.push_back({{}, {}, 20});
  c.add_segment(0, DBSA_SEGMENT_FULL, 0, 10, 0);
  c.add_range(2, 10);
  c.add_segment(0, DBSA_SEGMENT_FULL, 0, 10, 0);
  c.add_segment(0, DBSA_SEGMENT_CAUSAL, 10, 2, 10);
  c.add_range(2, 10);
  c.q.resize(static_cast<size_t>(4 * c.shape.query_width()));
  return c;
}

std::string Refuses::plan_failure(const PlanCase& c) {
  PlanCase copy = c;
  const dbsa_plan_description description = copy.describe({kv_});
  dbsa_plan* plan = nullptr;
  return failure(t().plan_prepare(self(), &description, &plan, error()));
}

TEST_F(Refuses, WrongSegments) {
  const auto with = [&](size_t segment, auto&& change) {
    PlanCase c = plan_case();
    change(c.segments[segment]);
    return plan_failure(c);
  };
  EXPECT_EQ(with(1, [](auto& s) { s.kind = 3; }),
            "plan: segment 1: kind must be FULL (0), CAUSAL (1) or WINDOW (2), got 3");
  EXPECT_EQ(with(1, [](auto& s) { s.length = 0; }), "plan: segment 1: length must be >= 1, got 0");
  EXPECT_EQ(with(0, [](auto& s) { s.length = 21; }),
            "plan: segment 0: first_token 0 with length 21 lies outside its KV of 20 tokens");
  EXPECT_EQ(with(0, [](auto& s) { s.first_token = INT64_MAX; }),
            "plan: segment 0: first_token 9223372036854775807 with length 10 lies outside its KV "
            "of 20 tokens");
  EXPECT_EQ(with(0, [](auto& s) { s.first_token = -1; }),
            "plan: segment 0: first_token -1 with length 10 lies outside its KV of 20 tokens");
  EXPECT_EQ(with(0, [](auto& s) { s.start = INT64_MIN; }),
            "plan: segment 0: start -9223372036854775808 is out of range");
  EXPECT_EQ(with(2, [](auto& s) { s.kind = DBSA_SEGMENT_WINDOW; }),
            "plan: segment 2: window must be >= 1, got 0");
  EXPECT_EQ(with(2, [](auto& s) { s.window = 4; }),
            "plan: segment 2: window of a CAUSAL segment must be 0, got 4");
  const auto begin_at = [](int64_t token) {
    return [token](auto& s) {
      s.start += token - s.first_token;  // every token stays in its place
      s.first_token = token;
    };
  };
  EXPECT_EQ(with(2, begin_at(9)), "plan: range 1: segments 1 and 2 overlap");
  EXPECT_EQ(with(1, begin_at(10)), "plan: range 1: segments 1 and 2 overlap");
  PlanCase c = plan_case();
  dbsa_plan_description description = c.describe({Backend::Handle<dbsa_kv>()});
  dbsa_plan* plan = nullptr;
  EXPECT_EQ(failure(t().plan_prepare(self(), &description, &plan, error())),
            "plan: segment 0: kv is null");
}

TEST_F(Refuses, WrongRanges) {
  const auto with = [&](size_t range, auto&& change) {
    PlanCase c = plan_case();
    change(c.ranges[range]);
    return plan_failure(c);
  };
  EXPECT_EQ(with(1, [](auto& r) { r.first_row = 3; }), "plan: range 1: first_row must be 2, got 3");
  EXPECT_EQ(with(1, [](auto& r) { r.first_row = 1; }), "plan: range 1: first_row must be 2, got 1");
  EXPECT_EQ(with(1, [](auto& r) { r.rows = 3; }), "plan: range 1: rows must be 1..2, got 3");
  EXPECT_EQ(with(0, [](auto& r) { r.rows = 0; }), "plan: range 0: rows must be 1..4, got 0");
  EXPECT_EQ(with(1, [](auto& r) { r.rows = 1; }), "plan: the ranges cover rows 0..2 of 4");
  EXPECT_EQ(with(1, [](auto& r) { r.segment_count = 0; }),
            "plan: range 1: segment_count must be >= 1, got 0");
  EXPECT_EQ(with(1, [](auto& r) { r.segment_count = 3; }),
            "plan: range 1: segments 1 and the 2 after it are not among the plan's 3");
  EXPECT_EQ(with(0, [](auto& r) { r.first_segment = -1; }),
            "plan: range 0: segments -1 and the 0 after it are not among the plan's 3");
  PlanCase blind = plan_case();
  blind.ranges[1].first_segment = 2;
  blind.ranges[1].segment_count = 1;
  blind.positions[3] = 9;
  EXPECT_EQ(plan_failure(blind), "plan: range 1: row 3 at position 9 sees no token");
}

TEST_F(Refuses, WrongDescriptions) {
  const auto with = [&](auto&& change) {
    PlanCase c = plan_case();
    dbsa_plan_description description = c.describe({kv_});
    change(description);
    dbsa_plan* plan = nullptr;
    return failure(t().plan_prepare(self(), &description, &plan, error()));
  };
  EXPECT_EQ(with([](auto& d) { d.rows = 0; }), "plan: rows must be >= 1, got 0");
  EXPECT_EQ(with([](auto& d) { d.positions = nullptr; }), "plan: positions is null");
  EXPECT_EQ(with([](auto& d) { d.range_count = 0; }), "plan: range_count must be >= 1, got 0");
  EXPECT_EQ(with([](auto& d) { d.ranges = nullptr; }), "plan: ranges is null");
  EXPECT_EQ(with([](auto& d) { d.segment_count = 0; }), "plan: segment_count must be >= 1, got 0");
  EXPECT_EQ(with([](auto& d) { d.segments = nullptr; }), "plan: segments is null");
}

TEST_F(Refuses, WrongAttention) {
  PlanCase c = plan_case();
  auto plan = backend_.plan(c.describe({kv_}));
  auto q = backend_.buffer(4, 8);
  auto out = backend_.buffer(4, 8);
  auto few = backend_.buffer(3, 8);
  auto narrow = backend_.buffer(4, 4);
  const auto attend = [&](const dbsa_plan* p, int32_t layer, const dbsa_buffer* in,
                          dbsa_buffer* to) {
    return failure(t().attention(self(), p, layer, in, to, error()));
  };
  EXPECT_EQ(attend(nullptr, 0, q.get(), out.get()), "attention: plan is null");
  EXPECT_EQ(attend(plan.get(), 2, q.get(), out.get()), "attention: layer 2 is not in 0..1");
  EXPECT_EQ(attend(plan.get(), 0, few.get(), out.get()),
            "attention: q has 3 rows, asked for 4 from row 0");
  EXPECT_EQ(attend(plan.get(), 0, q.get(), narrow.get()), "attention: out must be 8 wide, got 4");
  EXPECT_EQ(attend(plan.get(), 0, q.get(), q.get()), "attention: out must not be q");
}

// Destroying nothing is allowed, as with free.
TEST_F(Refuses, NothingToDestroy) {
  t().buffer_destroy(self(), nullptr);
  t().weight_destroy(self(), nullptr);
  t().kv_destroy(self(), nullptr);
  t().plan_destroy(self(), nullptr);
}

}  // namespace
}  // namespace dbsa::test
