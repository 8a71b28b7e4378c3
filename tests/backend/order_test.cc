// Ops follow one another without a wait: each has to see what those before it wrote, and none may
// write what one before it still reads. What a backend keeps of a buffer beside it, as rounded
// copies, has to be what it would make of the buffer.
#include "tests/backend/plan_case.h"

namespace dbsa::test {
namespace {

constexpr int64_t kRows = 24, kWidth = 256, kInner = 512;

// Two layers as a model has them. The first rows see several long blocks, which a backend may take
// side by side and merge; the last rows see a short one.
class Layers {
 public:
  explicit Layers(Backend& backend) : backend_(backend) {
    std::mt19937_64 random(51);
    const auto weight = [&](int64_t out, int64_t in) {
      return backend.weight(DBSA_WEIGHT_LINEAR, random_rows(random, out * in, 0.1f), {out, in});
    };
    norm_ = backend.weight(DBSA_WEIGHT_VECTOR, random_rows(random, kWidth), {kWidth});
    q_ = weight(kWidth, kWidth);
    k_ = weight(backend.shape().kv_width(), kWidth);
    v_ = weight(backend.shape().kv_width(), kWidth);
    o_ = weight(kWidth, kWidth);
    gate_ = weight(kInner, kWidth);
    up_ = weight(kInner, kWidth);
    down_ = weight(kWidth, kInner);
    x_ = random_rows(random, kRows * kWidth);

    plan_.shape = backend.shape();
    for (const int64_t tokens : {700, 600, 900, 30}) {
      const int64_t count = tokens * backend.shape().kv_width();
      const Rows k = random_rows(random, count), v = random_rows(random, count);
      kvs_.push_back(backend.kv(tokens));
      for (int32_t layer = 0; layer < backend.shape().layers; ++layer)
        backend.append(k, v, 0, kvs_.back(), layer);
    }
    kvs_.push_back(backend.kv(kRows));
    int64_t start = 0;
    for (const int kv : {0, 1, 2}) {
      plan_.add_segment(kv, DBSA_SEGMENT_FULL, 0, 600, start);
      start += 600;
    }
    plan_.add_segment(4, DBSA_SEGMENT_CAUSAL, 0, kRows / 2, start);
    plan_.add_range(kRows / 2, start);
    plan_.add_segment(3, DBSA_SEGMENT_FULL, 0, 30, 0);
    plan_.add_segment(4, DBSA_SEGMENT_CAUSAL, kRows / 2, kRows / 2, 30);
    plan_.add_range(kRows / 2, 30);
  }

  // Apart: after every op all that it may have written is read and rewritten.
  Rows run(bool apart) {
    const Backend::Vtable& t = backend_.table();
    void* const self = backend_.instance();
    dbsa_error* const error = backend_.error();
    const int64_t kv_width = backend_.shape().kv_width();
    const auto x = backend_.buffer(x_, kWidth);
    const auto normed = backend_.buffer(kRows, kWidth), q = backend_.buffer(kRows, kWidth);
    const auto k = backend_.buffer(kRows, kv_width), v = backend_.buffer(kRows, kv_width);
    const auto check = [&](int32_t code) {
      backend_.check(code);
      if (!apart) return;
      for (const auto& buffer : {x, normed, q}) {
        const Rows values = backend_.read(buffer, kRows, kWidth);
        backend_.check(t.upload(self, values.data(), 0, kRows, buffer.get(), error));
      }
      backend_.check(t.sync(self, error));
    };
    const auto plan = backend_.plan(plan_.describe(kvs_));
    dbsa_gated_mlp_weights inner = {};
    inner.struct_size = sizeof inner;
    inner.gate = gate_.get();
    inner.up = up_.get();
    inner.down = down_.get();
    const auto layer_of = [](const Backend::Handle<dbsa_weight>& w,
                             const Backend::Handle<dbsa_buffer>& out) {
      return dbsa_linear_layer{sizeof(dbsa_linear_layer), 0, w.get(), nullptr, nullptr, out.get()};
    };
    for (int32_t layer = 0; layer < backend_.shape().layers; ++layer) {
      check(t.rms_norm(self, x.get(), kRows, norm_.get(), 1e-5f, normed.get(), error));
      const dbsa_linear_layer qkv[] = {layer_of(q_, q), layer_of(k_, k), layer_of(v_, v)};
      check(t.linear(self, normed.get(), kRows, qkv, 3, error));
      check(t.kv_append(self, k.get(), v.get(), 0, kRows, layer, 0, kvs_.back().get(), error));
      check(t.attention(self, plan.get(), layer, q.get(), normed.get(), error));
      check(backend_.linear(normed.get(), kRows, o_.get(), nullptr, x.get(), x.get()));
      check(t.rms_norm(self, x.get(), kRows, norm_.get(), 1e-5f, normed.get(), error));
      check(t.gated_mlp(self, normed.get(), kRows, &inner, x.get(), x.get(), error));
    }
    return backend_.read(x, kRows, kWidth);
  }

 private:
  Backend& backend_;
  Backend::Handle<dbsa_weight> norm_, q_, k_, v_, o_, gate_, up_, down_;
  Rows x_;
  PlanCase plan_;
  PlanCase::Handles kvs_;
};

TEST(Order, OpsSeeWhatOpsBeforeThemWrote) {
  for (const Variant& variant : variants()) {
    Shape shape = variant.apply({});
    shape.layers = 2;
    Backend backend(variant.path, 2, shape);
    Layers layers(backend);
    const Rows expected = layers.run(/*apart=*/true);
    for (int i = 0; i < (on_cpu() ? 1 : 10); ++i)  // only devices run ops beside one another
      ASSERT_TRUE(same_bits(layers.run(/*apart=*/false), expected)) << variant.name();
  }
}

}  // namespace
}  // namespace dbsa::test
