// Each op of the attention backend by itself, at the sizes of one model.
#include <gflags/gflags.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "bench/support/bench.h"
#include "bench/support/ceilings.h"
#include "bench/support/planes.h"
#include "bench/support/plugins.h"
#include "model/checkpoint/checkpoint.h"
#include "model/decoder/decoder.h"
#include "model/decoder/weight_loader.h"
#include "model/open_model.h"
#include "pipeline/pipeline.h"
#include "tests/reference/oracle.h"

DEFINE_string(dtype, "auto", "as model.dtype of a pipeline file: auto, f32, bf16");
DEFINE_string(kv_dtype, "auto", "as model.kv_dtype of a pipeline file: auto, f32, bf16, int8");
DEFINE_string(
    model, "",
    "a Hugging Face folder or a GGUF file; dbsa-make-checkpoint makes a folder with random "
    "weights");
DEFINE_string(
    kinds, "",
    "of linear, gated_mlp, score_tokens, attention and rows those wanted, with commas; all");
DEFINE_int64(rows, 512, "rows of the ops that are neither linear layers nor attention");
DEFINE_int64(cached_tokens, 4096, "tokens of the blocks that a query sees");
DEFINE_int64(block_tokens, 512, "tokens of one of these blocks");

namespace dbsa::bench {
namespace {

using reference::Matrix;

class Ops {
 public:
  explicit Ops(Report& report)
      : report_(report),
        source_(must(open_model(FLAGS_model))),
        config_(must(source_->config())),
        weights_(must(source_->weights())),
        plugins_(report.threads()),
        backend_(plugins_.backend()) {
    precision_ =
        choose_precision({.path = "", .dtype = FLAGS_dtype, .kv_dtype = FLAGS_kv_dtype}, *weights_);
    if (precision_.quantised) {
      decoded_ = TensorDtype::kBF16;
      kept_ = backend_.block_types();
    }
    must(configure_backend(config_, precision_, backend_));
    bf16_ = precision_.compute == DBSA_COMPUTE_BF16;
    report.note("backend", backend_.describe());
    report.note("model", FLAGS_model);
    std::printf("%s\n", backend_.describe().c_str());
    ceilings_ = backend_ceilings(backend_.describe(), bf16_, report.threads());
  }

  void run() {
    const int64_t q = config_.heads * config_.head_dim, kv = config_.kv_heads * config_.head_dim;
    if (wanted("linear")) {
      linear("self_attn.q_proj", q, config_.hidden_size);
      linear("self_attn.k_proj", kv, config_.hidden_size);
      linear("mlp.gate_proj", config_.intermediate_size, config_.hidden_size);
      linear("mlp.down_proj", config_.hidden_size, config_.intermediate_size);
    }
    if (wanted("gated_mlp")) gated_mlp();
    if (wanted("score_tokens")) score_tokens();
    if (wanted("attention")) attention();
    if (wanted("rows")) rows();
  }

 private:
  static bool wanted(const std::string& kind) {
    return FLAGS_kinds.empty() ||
           ("," + FLAGS_kinds + ",").find("," + kind + ",") != std::string::npos;
  }

  WeightLoader loader() { return {*weights_, backend_, "", nullptr, decoded_, kept_}; }

  // Ops only enqueue.
  Timing timed(const std::function<void()>& body) {
    return measure(body, [this] { must(backend_.sync()); });
  }

  Matrix random_matrix(int64_t rows, int64_t width) {
    std::normal_distribution<float> normal;
    Matrix values(static_cast<size_t>(rows * width));
    for (double& value : values) value = static_cast<double>(normal(random_));
    return values;
  }
  host::Buffer buffer(int64_t rows, int64_t width) {
    return must(backend_.buffer_create(rows, width));
  }
  host::Buffer buffer(const Matrix& values, int64_t rows) {
    const auto width = static_cast<int64_t>(values.size()) / rows;
    host::Buffer made = buffer(rows, width);
    const std::vector<float> narrow(values.begin(), values.end());
    must(backend_.upload(narrow, 0, rows, made));
    return made;
  }
  std::vector<float> row(const host::Buffer& from, int64_t index) {
    std::vector<float> values(static_cast<size_t>(from.width()));
    must(backend_.download(from, index, 1, values));
    return values;
  }
  static void compare(const std::string& what, const std::vector<float>& got,
                      const Matrix& expected, double most) {
    const double relative = relative_error(got, expected);
    if (!(relative <= most))
      give_up(what + " differs from double precision by " + std::to_string(relative));
  }

  double rounded(double value) const {
    return bf16_ ? reference::round_to_bf16(static_cast<float>(value)) : value;
  }

  // One linear layer of every layer of the model in turn, so that weights come from memory.
  void linear(const std::string& name, int64_t out, int64_t in) {
    std::vector<host::Weight> weights(static_cast<size_t>(config_.layers));
    const WeightLoader load = loader();
    for (size_t i = 0; i < weights.size(); ++i)
      must(load.linear(name_of(i, name), out, in, weights[i]));
    for (const int64_t rows : {1, 8, 32, 128, 512, 2048}) {
      const Matrix x = random_matrix(rows, in);
      // In turns: a backend may keep what it made of the activations it read last.
      const host::Buffer inputs[] = {buffer(x, rows), buffer(x, rows)};
      host::Buffer to = buffer(rows, out);
      must(backend_.linear(inputs[0], rows, {{weights[0], host::Weight(), nullptr, to}}));
      check_linear(name, x, in, to);
      size_t layer = 0, input = 0;
      const Timing timing = timed([&] {
        layer = (layer + 1) % weights.size();
        input = 1 - input;
        must(backend_.linear(inputs[input], rows, {{weights[layer], host::Weight(), nullptr, to}}));
      });
      const auto work = 2.0 * static_cast<double>(rows * out * in);
      add_work("linear " + name.substr(name.find('.') + 1) + ", " + std::to_string(rows) + " rows",
               work, bytes_of(name_of(0, name), out, in), timing);
      if (rows == 1) in_cache(name, inputs[0], out, in);
    }
  }

  // Of a weight as it is computed with.
  double bytes_of(const std::string& name, int64_t out, int64_t in) {
    const int64_t shape[] = {out, in};
    const TensorData data = must(weights_->read(name, shape, decoded_, kept_));
    if (data.view.dtype == TensorDtype::kBlocks) return static_cast<double>(data.view.bytes);
    return (bf16_ ? 2.0 : 4.0) * static_cast<double>(out * in);
  }

  // Blocks are decoded about as fast as memory delivers them: how fast where it is no matter, one
  // row by as many of the weight's rows as 256 KiB hold.
  void in_cache(const std::string& name, const host::Buffer& x, int64_t out, int64_t in) {
    const int64_t shape[] = {out, in};
    const TensorData data = must(weights_->read(name_of(0, name), shape, decoded_, kept_));
    if (data.view.dtype != TensorDtype::kBlocks) return;
    const auto row_bytes = static_cast<int64_t>(data.view.bytes) / out;
    const int64_t rows = std::min(out, std::max<int64_t>(64, (256 << 10) / row_bytes / 64 * 64));
    const host::Weight weight =
        must(backend_.weight_create(DBSA_WEIGHT_LINEAR, data.view.block_type, rows, in,
                                    {data.view.data, static_cast<size_t>(rows * row_bytes)}));
    host::Buffer to = buffer(1, rows);
    const Timing timing = timed([&] {
      must(backend_.linear(x, 1, {{weight, host::Weight(), nullptr, to}}));
    });
    report_.add({.name = "  its blocks from a cache",
                 .value = static_cast<double>(rows * row_bytes) / timing.median / 1e9,
                 .unit = "GB/s"});
  }

  // Two matrices of inner by hidden and one of hidden by inner, of every layer in turn.
  void gated_mlp() {
    const int64_t hidden = config_.hidden_size, inner = config_.intermediate_size;
    std::vector<host::GatedMlpWeights> layers(static_cast<size_t>(config_.layers));
    const WeightLoader load = loader();
    for (size_t i = 0; i < layers.size(); ++i) {
      must(load.linear(name_of(i, "mlp.gate_proj"), inner, hidden, layers[i].gate));
      must(load.linear(name_of(i, "mlp.up_proj"), inner, hidden, layers[i].up));
      must(load.linear(name_of(i, "mlp.down_proj"), hidden, inner, layers[i].down));
    }
    for (const int64_t rows : {1, 32, 128, 512, 2048}) {
      const Matrix x = random_matrix(rows, hidden);
      // In turns: a backend may keep what it made of the activations it read last.
      const host::Buffer inputs[] = {buffer(x, rows), buffer(x, rows)};
      host::Buffer to = buffer(rows, hidden);
      must(backend_.gated_mlp(inputs[0], rows, layers[0], nullptr, to));
      check_gated_mlp(x, to);
      size_t layer = 0, input = 0;
      const Timing timing = timed([&] {
        layer = (layer + 1) % layers.size();
        input = 1 - input;
        must(backend_.gated_mlp(inputs[input], rows, layers[layer], nullptr, to));
      });
      const auto values = static_cast<double>(3 * hidden * inner);
      add_work("gated_mlp, " + std::to_string(rows) + " rows",
               2 * values * static_cast<double>(rows),
               2 * bytes_of(name_of(0, "mlp.gate_proj"), inner, hidden) +
                   bytes_of(name_of(0, "mlp.down_proj"), hidden, inner),
               timing);
    }
  }

  // The last row, against the first layer's weights.
  void check_gated_mlp(const Matrix& x, const host::Buffer& to) {
    const int64_t hidden = config_.hidden_size, inner = config_.intermediate_size;
    const Matrix last(x.end() - hidden, x.end());
    const Matrix gate = product(last, name_of(0, "mlp.gate_proj"), inner);
    Matrix between = product(last, name_of(0, "mlp.up_proj"), inner);
    for (size_t i = 0; i < between.size(); ++i) between[i] *= gate[i] / (1 + std::exp(-gate[i]));
    // A value in the middle of two bfloat16 may be rounded to the other one.
    compare("gated_mlp", row(to, to.rows() - 1),
            product(between, name_of(0, "mlp.down_proj"), hidden), bf16_ ? 4e-3 : 1e-4);
  }

  // The vocabulary's logits, and one token's score after each row.
  void score_tokens() {
    const std::string name = "model.embed_tokens.weight";
    const int64_t vocabulary = config_.vocab_size, hidden = config_.hidden_size;
    const WeightLoader load = loader();
    host::Weight head;
    must(load.linear(name, vocabulary, hidden, head));
    const int32_t token = 7;
    for (const int64_t rows : {1, 32, 512}) {
      const Matrix x = random_matrix(rows, hidden);
      const host::Buffer inputs[] = {buffer(x, rows), buffer(x, rows)};
      const std::vector<std::span<const int32_t>> asked(static_cast<size_t>(rows), {&token, 1});
      const auto scores = must(backend_.score_tokens(inputs[0], head, 1, 0, asked));
      check_score(product(Matrix(x.end() - hidden, x.end()), name, vocabulary), token,
                  scores.back().values.front());
      size_t input = 0;
      const Timing timing = timed([&] {
        input = 1 - input;
        must(backend_.score_tokens(inputs[input], head, 1, 0, asked));
      });
      add_work("score_tokens, " + std::to_string(rows) + " rows",
               2.0 * static_cast<double>(rows * vocabulary * hidden),
               bytes_of(name, vocabulary, hidden), timing);
    }
  }

  static void check_score(const Matrix& logits, int32_t token, double got) {
    double sum = 0;
    for (const double logit : logits) sum += std::exp(logit);
    compare("score_tokens", {static_cast<float>(got)},
            {logits[static_cast<size_t>(token)] - std::log(sum)}, 1e-4);
  }

  // One row by a weight of the model.
  Matrix product(const Matrix& x, const std::string& name, int64_t out) {
    const auto in = static_cast<int64_t>(x.size());
    const int64_t shape[] = {out, in};
    const TensorData data = must(weights_->read(name, shape, TensorDtype::kF32));
    const TensorView& weight = data.view;
    Matrix result(static_cast<size_t>(out));
    for (int64_t o = 0; o < out; ++o)
      for (int64_t i = 0; i < in; ++i)
        result[static_cast<size_t>(o)] +=
            rounded(x[static_cast<size_t>(i)]) * rounded(element(weight, o * in + i));
    return result;
  }

  std::string name_of(size_t layer, const std::string& name) const {
    return "model.layers." + std::to_string(layer) + "." + name + ".weight";
  }

  // The last row, against the first layer's weight.
  void check_linear(const std::string& name, const Matrix& x, int64_t in, const host::Buffer& to) {
    const Matrix last(x.end() - in, x.end());
    compare(name, row(to, to.rows() - 1), product(last, name_of(0, name), to.width()), 1e-4);
  }

  static double element(const TensorView& tensor, int64_t index) {
    uint32_t bits = 0;
    if (tensor.dtype == TensorDtype::kBF16) {
      std::memcpy(reinterpret_cast<char*>(&bits) + 2, tensor.data + index * 2, 2);
    } else if (tensor.dtype == TensorDtype::kF32) {
      std::memcpy(&bits, tensor.data + index * 4, 4);
    } else {
      give_up("only float32 and bfloat16 checkpoints are timed");
    }
    float value = 0;
    std::memcpy(&value, &bits, 4);
    return static_cast<double>(value);
  }

  // Work that reads `bytes` at least, against the longer of what the two would take.
  void add_work(const std::string& name, double work, double bytes, const Timing& timing) {
    const bool reads = bytes / ceilings_.bandwidth > work / ceilings_.operations;
    report_.add({.name = name,
                 .value = (reads ? bytes : work) / timing.median / 1e9,
                 .unit = reads ? "GB/s" : "GFLOP/s",
                 .ceiling_name = reads ? ceilings_.bandwidth_name : ceilings_.operations_name,
                 .ceiling = (reads ? ceilings_.bandwidth : ceilings_.operations) / 1e9});
  }

  struct Tokens {
    Matrix k, v;
    host::Kv kv;
    BlockPlanes planes;
    host::Kv stored;  // reads the planes; where a block differs from what is computed
    const host::Kv& seen() const { return stored ? stored : kv; }
  };

  // The block as it would be read from a store.
  void seal(Tokens& tokens) {
    tokens.planes = export_block(backend_, tokens.kv);
    tokens.stored = import_block(backend_, tokens.planes);
  }

  // One layer's keys and values, the same in all layers.
  Tokens tokens(int64_t count) {
    const int64_t width = config_.kv_heads * config_.head_dim;
    Tokens made{random_matrix(count, width),
                random_matrix(count, width),
                must(backend_.kv_create(count)),
                {},
                {}};
    const host::Buffer k = buffer(made.k, count), v = buffer(made.v, count);
    for (int64_t layer = 0; layer < config_.layers; ++layer)
      must(backend_.kv_append(k, v, 0, count, static_cast<int32_t>(layer), 0, made.kv));
    return made;
  }

  void attention() {
    attend("a block on itself, " + std::to_string(FLAGS_block_tokens) + " tokens",
           FLAGS_block_tokens, 0);
    attend("a block on itself and three others", FLAGS_block_tokens, 3 * FLAGS_block_tokens);
    for (const int64_t rows : {1, 32, 128})
      attend(std::to_string(rows) + (rows == 1 ? " row on " : " rows on ") +
                 std::to_string(FLAGS_cached_tokens) + " cached tokens",
             rows, FLAGS_cached_tokens);
  }

  // `rows` tokens that see blocks of `cached` tokens in all, and themselves.
  void attend(const std::string& name, int64_t rows, int64_t cached) {
    std::vector<Tokens> all;
    std::vector<dbsa_segment> segments;
    int64_t start = 0;
    for (; start < cached; start += all.back().kv.tokens()) {
      all.push_back(tokens(std::min(FLAGS_block_tokens, cached - start)));
      if (precision_.kv_dtype == DBSA_KV_DTYPE_I8) seal(all.back());
      segments.push_back({sizeof(dbsa_segment), DBSA_SEGMENT_FULL, all.back().seen().get(), 0,
                          all.back().kv.tokens(), start, 0});
    }
    all.push_back(tokens(rows));
    segments.push_back(
        {sizeof(dbsa_segment), DBSA_SEGMENT_CAUSAL, all.back().kv.get(), 0, rows, start, 0});
    std::vector<int32_t> positions;
    for (int64_t i = 0; i < rows; ++i) positions.push_back(static_cast<int32_t>(start + i));
    const dbsa_row_range range = {sizeof(dbsa_row_range), 0, rows, 0,
                                  static_cast<int64_t>(segments.size())};
    dbsa_plan_description description = {};
    description.struct_size = sizeof description;
    description.rows = rows;
    description.positions = positions.data();
    description.range_count = 1;
    description.ranges = &range;
    description.segment_count = static_cast<int64_t>(segments.size());
    description.segments = segments.data();

    const Matrix q = random_matrix(rows, config_.heads * config_.head_dim);
    const host::Buffer from = buffer(q, rows);
    host::Buffer to = buffer(rows, from.width());
    const host::Plan plan = must(backend_.plan_prepare(description));
    must(backend_.attention(plan, 0, from, to));
    check_attention(name, q, all, row(to, rows - 1));
    int32_t layer = 0;
    const Timing timing = timed([&] {
      layer = (layer + 1) % static_cast<int32_t>(config_.layers);
      must(backend_.attention(plan, layer, from, to));
    });
    const double r = static_cast<double>(rows), c = static_cast<double>(cached);
    const double pairs = r * c + r * (r + 1) / 2;
    const double work = 4.0 * pairs * static_cast<double>(config_.heads * config_.head_dim);
    const auto bytes =
        static_cast<double>(must(backend_.block_format(static_cast<int64_t>(c + r))).plane_bytes);
    add_work("attention: " + name, work, bytes, timing);
    const Timing prepared = timed([&] { must(backend_.plan_prepare(description)); });
    report_.add({.name = "  its plan_prepare", .value = prepared.median * 1e6, .unit = "us"});
  }

  // The last row sees everything. Queries and softmax weights may be rounded to bfloat16, and keys
  // and values are.
  void check_attention(const std::string& name, const Matrix& q, const std::vector<Tokens>& all,
                       const std::vector<float>& got) {
    reference::OracleAttention shape;
    shape.heads = config_.heads;
    shape.kv_heads = config_.kv_heads;
    shape.head_dim = config_.head_dim;
    const double magnitude = rope_attention_factor(config_.rope);
    shape.scale = magnitude * magnitude / std::sqrt(static_cast<double>(config_.head_dim));
    for (const float frequency : rope_inverse_frequencies(config_.rope))
      shape.frequencies.push_back(static_cast<double>(frequency));
    Matrix k, v;
    for (const Tokens& part : all) {
      k.insert(k.end(), part.k.begin(), part.k.end());
      v.insert(v.end(), part.v.begin(), part.v.end());
    }
    std::vector<int64_t> positions;
    const auto total = static_cast<int64_t>(k.size()) / (config_.kv_heads * config_.head_dim);
    for (int64_t i = 0; i < total; ++i) positions.push_back(i);
    const Matrix last(q.end() - static_cast<int64_t>(got.size()), q.end());
    compare("attention: " + name, got,
            reference::oracle_attention(shape, last, {total - 1}, k, v, positions,
                                        reference::Mask(static_cast<size_t>(total), 1)),
            precision_.kv_dtype == DBSA_KV_DTYPE_F32 ? 1e-4 : 2e-2);
  }

  // What only passes over memory, against a copy of as many bytes.
  void rows() {
    const int64_t n = FLAGS_rows, hidden = config_.hidden_size, inner = config_.intermediate_size;
    const Matrix x = random_matrix(n, hidden), gate = random_matrix(n, inner);
    const host::Buffer narrow = buffer(x, n), left = buffer(gate, n);
    host::Buffer narrow_out = buffer(n, hidden), wide_out = buffer(n, inner);
    const host::Weight scale = vector(hidden), shift = vector(hidden);
    add_pass("rms_norm", 2 * n * hidden,
             [&] { must(backend_.rms_norm(narrow, n, scale, 1e-5f, narrow_out)); });
    add_pass("layer_norm", 2 * n * hidden,
             [&] { must(backend_.layer_norm(narrow, n, scale, shift, 1e-5f, narrow_out)); });
    add_pass("gelu", 2 * n * inner, [&] { must(backend_.gelu(left, n, wide_out)); });

    const int64_t kv_width = config_.kv_heads * config_.head_dim;
    const host::Buffer k = buffer(random_matrix(n, kv_width), n);
    const host::Buffer v = buffer(random_matrix(n, kv_width), n);
    host::Kv kv = must(backend_.kv_create(n));
    add_pass("kv_append", 3 * n * kv_width,
             [&] { must(backend_.kv_append(k, v, 0, n, 0, 0, kv)); });
    const dbsa_kv_format format = must(backend_.block_format(n));
    std::vector<char> plane(format.plane_bytes);
    add_pass("block_export", 2 * static_cast<int64_t>(format.plane_bytes) / 4,
             [&] { must(backend_.block_export(kv, format, 0, plane.data())); });
  }

  host::Weight vector(int64_t width) {
    std::vector<float> values;
    for (const double value : random_matrix(1, width)) values.push_back(static_cast<float>(value));
    int64_t stride = 1;
    dbsa_tensor tensor = {};
    tensor.data = values.data();
    tensor.device = {DBSA_DEVICE_CPU, 0};
    tensor.ndim = 1;
    tensor.dtype = {DBSA_DTYPE_FLOAT, 32, 1};
    tensor.shape = &width;
    tensor.strides = &stride;
    return must(backend_.weight_create(DBSA_WEIGHT_VECTOR, tensor));
  }

  // floats: read and written.
  void add_pass(const std::string& name, int64_t floats, const std::function<void()>& body) {
    const Timing timing = timed(body);
    const double bytes = 4.0 * static_cast<double>(floats);
    // A copy reads and writes what it is said to copy.
    const double ceiling = on_gpu()
                               ? ceilings_.bandwidth
                               : 2 * copy_rate(floats * 2 / report_.threads(), report_.threads());
    report_.add({.name = name + ", " + std::to_string(FLAGS_rows) + " rows",
                 .value = bytes / timing.median / 1e9,
                 .unit = "GB/s",
                 .ceiling_name = on_gpu() ? ceilings_.bandwidth_name : "memcpy of as many bytes",
                 .ceiling = ceiling / 1e9});
  }

  Report& report_;
  std::mt19937 random_{20250304};
  std::unique_ptr<ModelSource> source_;
  ModelConfig config_;
  std::unique_ptr<Weights> weights_;
  Plugins plugins_;
  host::AttentionBackend backend_;
  Precision precision_;
  bool bf16_ = false;
  TensorDtype decoded_ = TensorDtype::kF32;
  std::span<const uint32_t> kept_;  // blocks that stay as they are
  Ceilings ceilings_;
};

int run(int argc, char** argv) {
  Report report("bench_ops", "Ops of the attention backend", &argc, &argv);
  if (FLAGS_model.empty()) give_up("--model is required; see --help");
  Ops(report).run();
  return report.finish();
}

}  // namespace
}  // namespace dbsa::bench

int main(int argc, char** argv) { return dbsa::bench::run(argc, argv); }
