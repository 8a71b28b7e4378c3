// What the tests of attention backends share: a small host, the plugin through its C ABI, and
// handles that free themselves.
#pragma once

#include <dbsa/attention_backend.h>
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/backend/shapes.h"

namespace dbsa::test {

// parallel_for on a given number of threads, ranges dealt out in an order that varies.
class TestHost {
 public:
  explicit TestHost(int threads) : threads_(threads) {
    host_.struct_size = sizeof host_;
    host_.context = this;
    host_.log = [](void*, int32_t, const char*) {};
    host_.parallel_for = [](void* context, int64_t count, int64_t grain,
                            void (*body)(void*, int64_t, int64_t), void* argument) {
      static_cast<TestHost*>(context)->parallel_for(count, grain, body, argument);
    };
    host_.thread_count = [](void* context) { return static_cast<TestHost*>(context)->threads_; };
    host_.scratch = [](void*, int32_t slot, uint64_t bytes) { return scratch(slot, bytes); };
    host_.cancelled = [](void*) { return 0; };
  }
  const dbsa_host* get() const { return &host_; }

 private:
  void parallel_for(int64_t count, int64_t grain, void (*body)(void*, int64_t, int64_t),
                    void* argument) const {
    std::atomic<int64_t> next{0};
    const auto work = [&] {
      for (;;) {
        const int64_t begin = next.fetch_add(grain);
        if (begin >= count) return;
        body(argument, begin, std::min(count, begin + grain));
      }
    };
    std::vector<std::thread> others;
    for (int i = 1; i < threads_; ++i) others.emplace_back(work);
    work();
    for (std::thread& other : others) other.join();
  }

  static void* scratch(int32_t slot, uint64_t bytes) {
    thread_local std::unique_ptr<void, decltype(&std::free)> slots[8] = {
        {nullptr, std::free}, {nullptr, std::free}, {nullptr, std::free}, {nullptr, std::free},
        {nullptr, std::free}, {nullptr, std::free}, {nullptr, std::free}, {nullptr, std::free}};
    // A fresh block of exactly that size each time: overruns and stale reads show up.
    const uint64_t rounded = (bytes + 63) / 64 * 64;
    slots[slot].reset(std::aligned_alloc(64, rounded == 0 ? 64 : rounded));
    std::memset(slots[slot].get(), 0xff, bytes);
    return slots[slot].get();
  }

  int threads_;
  dbsa_host host_ = {};
};

// The backend under test, a name as in `attention_backend.plugin`.
#ifndef DBSA_TESTED_BACKEND
#define DBSA_TESTED_BACKEND "cpu"
#endif
inline const std::string kBackend = DBSA_TESTED_BACKEND;
inline bool on_cpu() { return kBackend == "cpu"; }

// The configuration of a code path (see code_paths); a configuration is one itself.
inline std::string config_of(const std::string& path) {
  if (path.starts_with('{')) return path;
  return on_cpu() ? "{\"instructions\":\"" + path + "\"}" : "{\"memory_gib\":0.0}";
}
// One that every machine has on which this backend runs.
inline std::string any_path() { return on_cpu() ? "portable" : kBackend; }

// DBSA_PLUGIN_PATH says where the plugin lies if it is not where it was built.
inline const dbsa_plugin_table* backend_table() {
  static const dbsa_plugin_table* const table = [] {
    const char* const moved = std::getenv("DBSA_PLUGIN_PATH");
    const std::string path = std::string(moved != nullptr ? moved : DBSA_PLUGIN_DIR) +
                             "/dbsa_attention_backend_" + kBackend + ".so";
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) ADD_FAILURE() << dlerror();
    const void* symbol = library == nullptr ? nullptr : dlsym(library, DBSA_PLUGIN_SYMBOL);
    return static_cast<const dbsa_plugin_table*>(symbol);
  }();
  return table;
}

// Bytes aligned as a plane must be.
struct Plane {
  explicit Plane(uint64_t bytes) : memory(bytes + 64, 0xaa), size(bytes) {}
  char* data() {
    const auto address = reinterpret_cast<uintptr_t>(memory.data());
    return reinterpret_cast<char*>((address + 63) / 64 * 64);
  }
  std::string bytes() { return {data(), size}; }

  std::vector<unsigned char> memory;
  uint64_t size;
};

// An instance, configured. Calls that fail where a test does not expect it throw.
class Backend {
 public:
  using Vtable = dbsa_attention_backend_vtable;
  template <typename T>
  using Handle = std::shared_ptr<T>;

  Backend(const std::string& instructions, int threads, const Shape& shape)
      : host_(threads), instructions_(instructions), shape_(shape) {
    const std::string config = config_of(instructions);
    check(backend_table()->create(host_.get(), config.c_str(), &instance_, error()));
    dbsa_attention_shape s = {};
    std::vector<Shape> all = {shape};
    all.insert(all.end(), shape.other_types.begin(), shape.other_types.end());
    std::vector<std::vector<float>> inv_freq;
    std::vector<dbsa_attention_type> types;
    for (const Shape& type : all) inv_freq.push_back(type.inv_freq());
    for (size_t i = 0; i < all.size(); ++i)
      types.push_back({sizeof(dbsa_attention_type), all[i].scale, all[i].soft_cap, 0,
                       inv_freq[i].data(), all[i].factor.empty() ? nullptr : all[i].factor.data(),
                       all[i].sink.empty() ? nullptr : all[i].sink.data()});
    std::vector<int32_t> layer_types;
    for (int32_t layer = 0; layer < shape.layers; ++layer)
      layer_types.push_back(layer % static_cast<int32_t>(all.size()));
    s.struct_size = sizeof s;
    s.layers = shape.layers;
    s.query_heads = shape.query_heads;
    s.kv_heads = shape.kv_heads;
    s.head_dim = shape.head_dim;
    s.compute = shape.compute;
    s.kv_dtype = shape.kv_dtype;
    s.type_count = static_cast<int32_t>(types.size());
    s.types = types.data();
    s.layer_types = all.size() == 1 ? nullptr : layer_types.data();
    check(table().configure(instance_, &s, error()));
  }
  ~Backend() {
    if (instance_ != nullptr) backend_table()->destroy(instance_);
  }
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;

  const Vtable& table() const { return *static_cast<const Vtable*>(backend_table()->vtable); }
  void* instance() const { return instance_; }
  const Shape& shape() const { return shape_; }
  const std::string& instructions() const { return instructions_; }
  dbsa_error* error() { return &error_; }
  void check(int32_t code) const {
    if (code != DBSA_OK) throw std::runtime_error(error_.message);
  }
  // The message of a call that must fail with `code`.
  std::string failure(int32_t got, int32_t code = DBSA_ERROR_INVALID_ARGUMENT) const {
    EXPECT_EQ(got, code);
    return got == DBSA_OK ? "" : error_.message;
  }

  // One linear layer.
  int32_t linear(const dbsa_buffer* x, int64_t rows, const dbsa_weight* weight,
                 const dbsa_weight* bias, const dbsa_buffer* residual, dbsa_buffer* out) {
    const dbsa_linear_layer layer = {sizeof layer, 0, weight, bias, residual, out};
    return table().linear(instance_, x, rows, &layer, 1, error());
  }
  Handle<dbsa_buffer> buffer(int64_t rows, int64_t width) {
    dbsa_buffer* made = nullptr;
    check(table().buffer_create(instance_, rows, width, &made, error()));
    return {made, [this](dbsa_buffer* b) { table().buffer_destroy(instance_, b); }};
  }
  Handle<dbsa_buffer> buffer(const Rows& values, int64_t width) {
    const int64_t rows = static_cast<int64_t>(values.size()) / width;
    auto made = buffer(rows, width);
    check(table().upload(instance_, values.data(), 0, rows, made.get(), error()));
    return made;
  }
  Rows read(const Handle<dbsa_buffer>& buffer, int64_t rows, int64_t width) {
    Rows values(static_cast<size_t>(rows * width));
    check(table().download(instance_, buffer.get(), 0, rows, values.data(), error()));
    return values;
  }
  Handle<dbsa_weight> weight(int32_t use, const dbsa_tensor& tensor) {
    dbsa_weight* made = nullptr;
    check(table().weight_create(instance_, use, &tensor, &made, error()));
    return {made, [this](dbsa_weight* w) { table().weight_destroy(instance_, w); }};
  }
  Handle<dbsa_weight> weight(int32_t use, const Rows& values, std::vector<int64_t> shape);

  Handle<dbsa_kv> kv(int64_t tokens) {
    dbsa_kv* made = nullptr;
    check(table().kv_create(instance_, tokens, &made, error()));
    return {made, [this](dbsa_kv* k) { table().kv_destroy(instance_, k); }};
  }
  // Appends k and v, [*, kv_width], as tokens first_token.. of a layer.
  void append(const Rows& k, const Rows& v, int64_t first_token, const Handle<dbsa_kv>& kv,
              int32_t layer = 0) {
    const int64_t width = shape_.kv_width();
    const int64_t rows = static_cast<int64_t>(k.size()) / width;
    auto kb = buffer(k, width);
    auto vb = buffer(v, width);
    check(table().kv_append(instance_, kb.get(), vb.get(), 0, rows, layer, first_token, kv.get(),
                            error()));
  }
  Handle<dbsa_kv> filled_kv(const Rows& k, const Rows& v) {
    auto made = kv(static_cast<int64_t>(k.size()) / shape_.kv_width());
    append(k, v, 0, made);
    return made;
  }
  // What the backend keeps of a KV object: one layer as token-major float32, K rotated.
  PlainKv stored(const Handle<dbsa_kv>& kv, int64_t tokens, int32_t layer = 0);
  // One layer's plane of tokens 0..tokens-1.
  Plane export_plane(const Handle<dbsa_kv>& kv, int64_t tokens, int32_t layer = 0);
  Handle<dbsa_kv> import(int64_t tokens, const std::vector<const void*>& planes) {
    dbsa_kv_format format = block_format(tokens);
    dbsa_kv* made = nullptr;
    check(table().block_import(instance_, &format, planes.data(), &made, error()));
    return {made, [this](dbsa_kv* k) { table().kv_destroy(instance_, k); }};
  }
  // The block that live KV of one layer is stored as, imported.
  Handle<dbsa_kv> sealed(const Handle<dbsa_kv>& live, int64_t tokens) {
    auto plane = std::make_shared<Plane>(export_plane(live, tokens));
    auto made = import(tokens, {plane->data()});
    return {made.get(), [made, plane](dbsa_kv*) {}};
  }
  dbsa_kv_format block_format(int64_t tokens) {
    dbsa_kv_format format = {};
    format.struct_size = sizeof format;
    check(table().block_format(instance_, tokens, &format, error()));
    return format;
  }
  Handle<dbsa_plan> plan(const dbsa_plan_description& description) {
    dbsa_plan* made = nullptr;
    check(table().plan_prepare(instance_, &description, &made, error()));
    return {made, [this](dbsa_plan* p) { table().plan_destroy(instance_, p); }};
  }
  // Prepares and runs a plan over query rows [rows, query_width].
  Rows attend(const dbsa_plan_description& description, const Rows& q, int32_t layer = 0) {
    auto prepared = plan(description);
    auto in = buffer(q, shape_.query_width());
    auto out = buffer(description.rows, shape_.query_width());
    check(table().attention(instance_, prepared.get(), layer, in.get(), out.get(), error()));
    return read(out, description.rows, shape_.query_width());
  }

 private:
  TestHost host_;
  std::string instructions_;
  Shape shape_;
  void* instance_ = nullptr;
  dbsa_error error_ = {sizeof(dbsa_error), 0, {}, {}};
};

// A contiguous tensor over memory that the caller keeps.
class Tensor {
 public:
  Tensor(const void* data, uint8_t code, uint8_t bits, std::vector<int64_t> shape)
      : shape_(std::move(shape)), strides_(shape_.size(), 1) {
    for (size_t i = shape_.size(); i > 1; --i) strides_[i - 2] = strides_[i - 1] * shape_[i - 1];
    tensor_.data = const_cast<void*>(data);
    tensor_.device = {DBSA_DEVICE_CPU, 0};
    tensor_.ndim = static_cast<int32_t>(shape_.size());
    tensor_.dtype = {code, bits, 1};
    tensor_.shape = shape_.data();
    tensor_.strides = strides_.data();
  }
  Tensor(const Tensor&) = delete;
  Tensor& operator=(const Tensor&) = delete;
  dbsa_tensor& get() { return tensor_; }

 private:
  std::vector<int64_t> shape_;
  std::vector<int64_t> strides_;
  dbsa_tensor tensor_ = {};
};

inline Backend::Handle<dbsa_weight> Backend::weight(int32_t use, const Rows& values,
                                                    std::vector<int64_t> shape) {
  Tensor tensor(values.data(), DBSA_DTYPE_FLOAT, 32, std::move(shape));
  return weight(use, tensor.get());
}

inline Plane Backend::export_plane(const Handle<dbsa_kv>& kv, int64_t tokens, int32_t layer) {
  const dbsa_kv_format format = block_format(tokens);
  Plane plane(format.plane_bytes);
  check(table().block_export(instance_, kv.get(), &format, layer, plane.data(), error()));
  return plane;
}

inline PlainKv Backend::stored(const Handle<dbsa_kv>& kv, int64_t tokens, int32_t layer) {
  Plane plane = export_plane(kv, tokens, layer);
  const dbsa_kv_format format = block_format(tokens);
  const int64_t d = shape_.head_dim;
  Rows both(static_cast<size_t>(2 * tokens * shape_.kv_width()));
  check(table().block_to_token_major(instance_, &format, plane.data(), both.data(), error()));
  PlainKv plain{Rows(both.size() / 2), Rows(both.size() / 2), tokens, true};
  for (int64_t h = 0; h < shape_.kv_heads; ++h) {
    for (int64_t t = 0; t < tokens; ++t) {
      const float* key = both.data() + (h * tokens + t) * d;
      const float* value = key + tokens * shape_.kv_width();
      std::copy_n(key, d, plain.k.begin() + t * shape_.kv_width() + h * d);
      std::copy_n(value, d, plain.v.begin() + t * shape_.kv_width() + h * d);
    }
  }
  return plain;
}

inline Rows random_rows(std::mt19937_64& random, int64_t count, float deviation = 1.0f) {
  std::normal_distribution<float> normal(0.0f, deviation);
  Rows values(static_cast<size_t>(count));
  for (float& value : values) value = normal(random);
  return values;
}

// Round to nearest even to bfloat16, kept as float32.
inline float round_bf16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  bits = (bits + 0x7fffu + ((bits >> 16) & 1u)) & 0xffff0000u;
  std::memcpy(&x, &bits, 4);
  return x;
}

// The code paths that this machine has; a test over all of them says which were left out.
inline std::vector<std::string> code_paths() {
  const std::vector<std::string> all = {"amx_bf16", "avx512_bf16", "avx2", "portable"};
  std::vector<std::string> present;
  for (const std::string& name : on_cpu() ? all : std::vector<std::string>{any_path()}) {
    TestHost host(1);
    dbsa_error error = {sizeof(dbsa_error), 0, {}, {}};
    void* instance = nullptr;
    if (backend_table()->create(host.get(), config_of(name).c_str(), &instance, &error) ==
        DBSA_OK) {
      backend_table()->destroy(instance);
      present.push_back(name);
    } else {
      std::printf("not on this machine: %s\n", error.message);
    }
  }
  return present;
}

}  // namespace dbsa::test
