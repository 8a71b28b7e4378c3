// The attention kernels against a double-precision oracle on random plans, and how fast they are.
#include "plugins/attention_backend/cuda/attention.h"
#include "plugins/attention_backend/cuda/plan.h"
#include "tests/backend/cuda/kernel_check.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

// KV as this program keeps it: one device allocation, and what it holds in float32.
struct dbsa_kv {
  int64_t tokens = 0;
  int64_t padded = 0;
  void* device = nullptr;
  std::vector<float> keys;  // of layer 1: [kv_heads][tokens][head_dim]
  std::vector<float> values;
};

namespace dbsa::cuda {
namespace {

constexpr int kLayers = 2;  // of correctness cases; layer 1 is attended to

struct Case {
  AttentionShape shape{};
  int64_t layers = kLayers;
  std::vector<float> inv_freq;
  std::vector<std::unique_ptr<dbsa_kv>> kvs;
  std::vector<std::unique_ptr<DeviceArray>> memory;
  std::vector<dbsa_segment> segments;
  std::vector<dbsa_row_range> ranges;
  std::vector<int32_t> positions;
  std::vector<float> q;

  int64_t kv_bytes() const { return shape.kv_f32 ? 4 : 2; }
  int64_t plane_bytes(int64_t padded) const {
    return 2 * shape.kv_heads * padded * shape.head_dim * kv_bytes();
  }
  int64_t width() const { return int64_t{shape.query_heads} * shape.head_dim; }
  int64_t rows() const { return static_cast<int64_t>(positions.size()); }

  void set_shape(int kv_heads, int group, int head_dim, bool kv_f32, bool bf16) {
    shape = {kv_heads * group, kv_heads, head_dim, 1.0f / std::sqrt(static_cast<float>(head_dim)),
             kv_f32,           bf16};
    for (int i = 0; i < head_dim / 2; ++i) {
      inv_freq.push_back(
          static_cast<float>(std::pow(500000.0, -2.0 * i / static_cast<double>(head_dim))));
    }
  }
  // Everything that is not a token of layer 1 is NaN.
  dbsa_kv* add_kv(std::mt19937_64& random, int64_t tokens) {
    auto kv = std::make_unique<dbsa_kv>();
    kv->tokens = tokens;
    kv->padded = (tokens + kChunk - 1) / kChunk * kChunk;
    std::normal_distribution<float> normal;
    const int64_t dim = shape.head_dim;
    const int64_t plane = plane_bytes(kv->padded);
    std::vector<unsigned char> host(static_cast<size_t>(kLayers * plane), 0xFF);
    for (int which = 0; which < 2; ++which) {
      std::vector<float>& kept = which == 0 ? kv->keys : kv->values;
      for (int64_t h = 0; h < shape.kv_heads; ++h) {
        for (int64_t i = 0; i < tokens * dim; ++i) {
          float x = normal(random);
          const int64_t at =
              plane + (which * shape.kv_heads + h) * kv->padded * dim * kv_bytes() + i * kv_bytes();
          if (shape.kv_f32) {
            std::memcpy(host.data() + at, &x, 4);
          } else {
            const uint16_t rounded = to_bf16(x);
            std::memcpy(host.data() + at, &rounded, 2);
            x = from_bf16(rounded);
          }
          kept.push_back(x);
        }
      }
    }
    memory.push_back(std::make_unique<DeviceArray>(host.size()));
    kv->device = memory.back()->data;
    require(cudaMemcpy(kv->device, host.data(), host.size(), cudaMemcpyHostToDevice), "copy");
    kvs.push_back(std::move(kv));
    return kvs.back().get();
  }
  void add_segment(const dbsa_kv* kv, int32_t kind, int64_t first, int64_t length, int64_t start,
                   int64_t window = 0) {
    segments.push_back({sizeof(dbsa_segment), kind, kv, first, length, start, window});
  }
  // Rows at positions first.. that see the segments added since the last range.
  void add_range(int64_t count, int64_t first_position) {
    const int64_t first =
        ranges.empty() ? 0 : ranges.back().first_segment + ranges.back().segment_count;
    ranges.push_back({sizeof(dbsa_row_range), rows(), count, first,
                      static_cast<int64_t>(segments.size()) - first});
    for (int64_t i = 0; i < count; ++i) {
      positions.push_back(static_cast<int32_t>(first_position + i));
    }
  }
  void draw_queries(std::mt19937_64& random) {
    std::normal_distribution<float> normal;
    q.resize(static_cast<size_t>(rows() * width()));
    for (float& x : q) x = normal(random);
  }
};

dbsa_plan_description describe(const Case& c) {
  dbsa_plan_description d = {};
  d.struct_size = sizeof d;
  d.rows = c.rows();
  d.positions = c.positions.data();
  d.range_count = static_cast<int64_t>(c.ranges.size());
  d.ranges = c.ranges.data();
  d.segment_count = static_cast<int64_t>(c.segments.size());
  d.segments = c.segments.data();
  return d;
}

std::unique_ptr<Plan> make_plan(const Case& c, int64_t side_by_side) {
  auto plan =
      Plan::make(describe(c), {c.shape.query_heads, c.shape.kv_heads, c.shape.head_dim,
                               c.kv_bytes(), c.inv_freq, side_by_side,
                               [](const dbsa_kv* kv) {
                                 return KvPlace{reinterpret_cast<uint64_t>(kv->device), kv->padded};
                               },
                               c.layers, map_encoder(choose_kernel(c.shape))});
  if (!plan.ok()) {
    std::printf("%s\n", plan.error().message.c_str());
    std::exit(2);
  }
  return std::move(plan).value();
}

struct Ready {  // a plan on the device
  std::unique_ptr<Plan> plan;
  DeviceArray tables;
  DeviceArray scratch;
  DevicePlan device;
  Ready(const Case& c, std::unique_ptr<Plan> made)
      : plan(std::move(made)), tables(plan->device_bytes()), scratch(plan->scratch_bytes()) {
    tables.poison();
    scratch.poison();
    require(cudaMemcpy(tables.data, plan->tables().data(), plan->tables().size(),
                       cudaMemcpyHostToDevice),
            "copy of the tables");
    device = plan->place(tables.data);
    require(prepare_attention(nullptr, c.shape, device), "prepare_attention");
  }
};

std::vector<float> run(const Case& c, AttentionKernel kernel, int64_t side_by_side) {
  Ready ready(c, make_plan(c, side_by_side));
  const uint64_t bytes = c.q.size() * sizeof(float);
  DeviceArray q(bytes), out(bytes);
  out.poison();
  require(cudaMemcpy(q.data, c.q.data(), bytes, cudaMemcpyHostToDevice), "copy of q");
  require(attention(nullptr, kernel, c.shape, ready.device, 1, static_cast<const float*>(q.data),
                    static_cast<float*>(out.data), ready.scratch.data, nullptr),
          "attention");
  std::vector<float> result(c.q.size());
  require(cudaMemcpy(result.data(), out.data, bytes, cudaMemcpyDeviceToHost), "attention ran");
  return result;
}

std::vector<double> oracle(const Case& c) {
  const int64_t dim = c.shape.head_dim, half = dim / 2;
  const int64_t group = c.shape.query_heads / c.shape.kv_heads;
  std::vector<double> out(c.q.size(), 0.0);
  for (const dbsa_row_range& range : c.ranges) {
    for (int64_t row = range.first_row; row < range.first_row + range.rows; ++row) {
      const int64_t position = c.positions[static_cast<size_t>(row)];
      for (int64_t head = 0; head < c.shape.query_heads; ++head) {
        const float* q = c.q.data() + (row * c.shape.query_heads + head) * dim;
        std::vector<double> scores;
        std::vector<const float*> values;
        for (int64_t s = 0; s < range.segment_count; ++s) {
          const dbsa_segment& segment = c.segments[static_cast<size_t>(range.first_segment + s)];
          const auto distance = static_cast<double>(position - segment.start + segment.first_token);
          std::vector<double> query(static_cast<size_t>(dim));
          for (int64_t i = 0; i < half; ++i) {
            const double angle = distance * static_cast<double>(c.inv_freq[static_cast<size_t>(i)]);
            const double a = q[i], b = q[i + half];
            query[static_cast<size_t>(i)] = a * std::cos(angle) - b * std::sin(angle);
            query[static_cast<size_t>(i + half)] = b * std::cos(angle) + a * std::sin(angle);
          }
          for (int64_t t = 0; t < segment.length; ++t) {
            const int64_t at = segment.start + t;
            if (segment.kind != DBSA_SEGMENT_FULL && at > position) continue;
            if (segment.kind == DBSA_SEGMENT_WINDOW && position - at >= segment.window) continue;
            const int64_t token =
                (head / group * segment.kv->tokens + segment.first_token + t) * dim;
            double score = 0;
            for (int64_t i = 0; i < dim; ++i) {
              score += query[static_cast<size_t>(i)] *
                       static_cast<double>(segment.kv->keys[static_cast<size_t>(token + i)]);
            }
            scores.push_back(score * static_cast<double>(c.shape.scale));
            values.push_back(segment.kv->values.data() + token);
          }
        }
        const double top = *std::max_element(scores.begin(), scores.end());
        double total = 0;
        double* sums = out.data() + (row * c.shape.query_heads + head) * dim;
        for (size_t t = 0; t < scores.size(); ++t) {
          const double weight = std::exp(scores[t] - top);
          total += weight;
          for (int64_t i = 0; i < dim; ++i) sums[i] += weight * static_cast<double>(values[t][i]);
        }
        for (int64_t i = 0; i < dim; ++i) sums[i] /= total;
      }
    }
  }
  return out;
}

// ||a - b||2 / ||b||2 of the worst row.
double worst_error(const std::vector<float>& a, const std::vector<double>& b, int64_t width) {
  double worst = 0;
  for (size_t at = 0; at < b.size(); at += static_cast<size_t>(width)) {
    double difference = 0, norm = 0;
    for (size_t i = at; i < at + static_cast<size_t>(width); ++i) {
      difference += (static_cast<double>(a[i]) - b[i]) * (static_cast<double>(a[i]) - b[i]);
      norm += b[i] * b[i];
    }
    const double error = std::sqrt(difference / norm);
    if (!(error <= worst)) worst = error;  // a NaN stays
  }
  return worst;
}

int64_t draw(std::mt19937_64& random, int64_t low, int64_t high) {
  return std::uniform_int_distribution<int64_t>(low, high)(random);
}

// One to three ranges over blocks, each at its own shift, cut ones among them, and an own block.
void add_random_plan(Case& c, std::mt19937_64& random, int64_t most_tokens, int64_t most_rows) {
  const int64_t ranges = draw(random, 1, 3);
  for (int64_t r = 0; r < ranges; ++r) {
    for (int64_t b = draw(random, 0, 4); b > 0; --b) {
      const int64_t tokens = draw(random, 1, most_tokens);
      const dbsa_kv* kv = c.add_kv(random, tokens);
      const int64_t start = draw(random, -5000, 5000);
      const int64_t cut = draw(random, 0, tokens);
      if (cut > 0) c.add_segment(kv, DBSA_SEGMENT_FULL, 0, cut, start);
      if (cut < tokens) {
        c.add_segment(kv, DBSA_SEGMENT_FULL, cut, tokens - cut,
                      draw(random, 0, 1) == 1 ? draw(random, -5000, 5000) : start + cut);
      }
    }
    const int64_t rows = draw(random, 1, most_rows);
    const int64_t start = draw(random, -5000, 5000);
    const bool window = draw(random, 0, 2) == 0;
    c.add_segment(c.add_kv(random, rows), window ? DBSA_SEGMENT_WINDOW : DBSA_SEGMENT_CAUSAL, 0,
                  rows, start, window ? draw(random, 1, rows + 8) : 0);
    c.add_range(rows, start);
  }
}

// Ranges that share blocks, as the runs of a label tree do; each row is a separate range.
void add_tree(Case& c, std::mt19937_64& random, int64_t rows) {
  std::vector<const dbsa_kv*> blocks;
  for (int b = 0; b < 3; ++b) blocks.push_back(c.add_kv(random, 500 + 300 * b));
  const dbsa_kv* own = c.add_kv(random, 40 + rows);
  for (int64_t r = 0; r < rows; ++r) {
    int64_t start = 0;
    for (const dbsa_kv* block : blocks) {
      c.add_segment(block, DBSA_SEGMENT_FULL, 0, block->tokens, start);
      start += block->tokens;
    }
    c.add_segment(own, DBSA_SEGMENT_FULL, 0, 40, start);
    c.add_segment(own, DBSA_SEGMENT_CAUSAL, 40 + r, 1, start + 40 + r % 3);
    c.add_range(1, start + 40 + r % 3);
  }
}

Case only_rows(const Case& c, size_t range, int64_t first, int64_t rows) {
  Case part;
  part.shape = c.shape;
  part.layers = c.layers;
  part.inv_freq = c.inv_freq;
  const dbsa_row_range& of = c.ranges[range];
  for (int64_t s = 0; s < of.segment_count; ++s) {
    part.segments.push_back(c.segments[static_cast<size_t>(of.first_segment + s)]);
  }
  part.add_range(rows, 0);
  const int64_t from = of.first_row + first;
  part.positions.assign(c.positions.begin() + from, c.positions.begin() + from + rows);
  part.q.assign(c.q.begin() + from * c.width(), c.q.begin() + (from + rows) * c.width());
  return part;
}

class AttentionChecker {
 public:
  void check(const std::string& name, Case& c, std::mt19937_64& random) {
    c.draw_queries(random);
    const std::vector<double> expected = oracle(c);
    std::vector<AttentionKernel> kernels = {AttentionKernel::kSimple};
    const AttentionKernel chosen = choose_kernel(c.shape);
    if (chosen != AttentionKernel::kSimple) kernels.push_back(AttentionKernel::kMma);
    if (chosen == AttentionKernel::kWgmma) kernels.push_back(chosen);
    for (const AttentionKernel kernel : kernels) {
      const std::vector<float> whole = run(c, kernel, 0);
      const std::vector<float> split = run(c, kernel, int64_t{1} << 40);
      const double error = worst_error(whole, expected, c.width());
      const double bound = kernel == AttentionKernel::kSimple ? 5e-6 : 1e-2;
      const bool same = std::memcmp(whole.data(), split.data(), whole.size() * 4) == 0;
      bool alone = true;
      for (size_t r = 0; r < c.ranges.size() && r < 4; ++r) {
        const dbsa_row_range& range = c.ranges[r];
        for (const int64_t rows : {int64_t{1}, int64_t{5}}) {
          if (rows > range.rows) continue;
          const int64_t first = draw(random, 0, range.rows - rows);
          const std::vector<float> some = run(only_rows(c, r, first, rows), kernel, 1 << 20);
          alone = alone &&
                  std::memcmp(some.data(), whole.data() + (range.first_row + first) * c.width(),
                              some.size() * 4) == 0;
        }
      }
      const bool good = error <= bound && same && alone;
      failed_ = failed_ || !good;
      std::printf("%-6s %-34s heads %2d/%d dim %3d rows %4lld: error %.2e%s%s%s\n", name_of(kernel),
                  name.c_str(), c.shape.query_heads, c.shape.kv_heads, c.shape.head_dim,
                  static_cast<long long>(c.rows()), error,
                  error <= bound ? "" : "  ABOVE ITS BOUND",
                  same ? "" : "  SPLIT DIFFERS FROM WHOLE", alone ? "" : "  ROWS ALONE DIFFER");
    }
  }
  bool failed() const { return failed_; }

 private:
  bool failed_ = false;
};

}  // namespace

bool check_attention(uint64_t seed) {
  AttentionChecker checker;
  for (const int dim : {64, 128}) {
    for (const int group : {1, 3, 4, 8}) {
      for (const int64_t most : {97, 700}) {
        std::mt19937_64 random(++seed);
        Case c;
        c.set_shape(2, group, dim, false, true);
        add_random_plan(c, random, most, most / 3);
        checker.check("random plan, seed " + std::to_string(seed), c, random);
      }
    }
    std::mt19937_64 random(++seed);
    Case causal;
    causal.set_shape(1, 4, dim, false, true);
    causal.add_segment(causal.add_kv(random, 5000), DBSA_SEGMENT_FULL, 37, 4900, 0);
    causal.add_segment(causal.add_kv(random, 300), DBSA_SEGMENT_CAUSAL, 0, 300, 4900);
    causal.add_range(300, 4900);
    checker.check("long", causal, random);
    Case tree;
    tree.set_shape(2, 4, dim, false, true);
    add_tree(tree, random, 20);
    checker.check("tree", tree, random);
  }
  for (const int dim : {32, 80, 96, 256}) {
    std::mt19937_64 random(++seed);
    Case c;
    c.set_shape(2, 3, dim, false, true);
    add_random_plan(c, random, 300, 80);
    checker.check("random plan, seed " + std::to_string(seed), c, random);
  }
  for (const int dim : {2, 20, 80, 128, 256}) {
    for (const bool kv_f32 : {true, false}) {
      std::mt19937_64 random(++seed);
      Case c;
      c.set_shape(2, 3, dim, kv_f32, false);
      add_random_plan(c, random, 97, 60);
      checker.check(std::string("random plan, ") + (kv_f32 ? "f32" : "bf16") + ", seed " +
                        std::to_string(seed),
                    c, random);
    }
  }
  return !checker.failed();
}

namespace {

// ---- timings -----------------------------------------------------------------------------------

// KV of many layers: one layer of numbers, copied to the others.
dbsa_kv* add_layers(Case& c, int64_t tokens, int layers) {
  c.layers = layers;
  auto kv = std::make_unique<dbsa_kv>();
  kv->tokens = tokens;
  kv->padded = (tokens + kChunk - 1) / kChunk * kChunk;
  const int64_t plane = c.plane_bytes(kv->padded);
  std::vector<uint16_t> host(static_cast<size_t>(plane / 2));
  uint64_t state = static_cast<uint64_t>(tokens) + c.kvs.size();
  for (uint16_t& x : host) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    x = to_bf16(static_cast<float>(static_cast<int32_t>(state >> 32)) * 0x1p-31f * 1.7f);
  }
  c.memory.push_back(std::make_unique<DeviceArray>(static_cast<uint64_t>(plane * layers)));
  kv->device = c.memory.back()->data;
  auto* to = static_cast<char*>(kv->device);
  require(cudaMemcpy(to, host.data(), static_cast<size_t>(plane), cudaMemcpyHostToDevice), "copy");
  for (int layer = 1; layer < layers; ++layer) {
    require(
        cudaMemcpy(to + layer * plane, to, static_cast<size_t>(plane), cudaMemcpyDeviceToDevice),
        "copy");
  }
  c.kvs.push_back(std::move(kv));
  return c.kvs.back().get();
}

double visible_pairs(const Case& c) {
  double pairs = 0;
  for (const dbsa_row_range& range : c.ranges) {
    for (int64_t row = range.first_row; row < range.first_row + range.rows; ++row) {
      for (int64_t s = 0; s < range.segment_count; ++s) {
        const dbsa_segment& segment = c.segments[static_cast<size_t>(range.first_segment + s)];
        const int64_t sees =
            segment.kind == DBSA_SEGMENT_FULL
                ? segment.length
                : std::clamp<int64_t>(c.positions[static_cast<size_t>(row)] - segment.start + 1, 0,
                                      segment.length);
        pairs += static_cast<double>(sees);
      }
    }
  }
  return pairs;
}

void bench(const std::string& name, Case& c, int layers, double copy_bandwidth) {
  std::mt19937_64 random(1);
  c.draw_queries(random);
  int64_t fills = 0;
  require(side_by_side(&fills), "side_by_side");
  Ready ready(c, make_plan(c, fills));
  const uint64_t bytes = c.q.size() * sizeof(float);
  DeviceArray q(bytes), out(bytes);
  require(cudaMemcpy(q.data, c.q.data(), bytes, cudaMemcpyHostToDevice), "copy of q");
  double kv_bytes = 0;
  for (const auto& kv : c.kvs) kv_bytes += static_cast<double>(c.plane_bytes(kv->tokens));
  const double work = 4.0 * c.shape.head_dim * c.shape.query_heads * visible_pairs(c);
  for (const AttentionKernel kernel : {AttentionKernel::kMma, AttentionKernel::kWgmma}) {
    if (kernel == AttentionKernel::kWgmma && choose_kernel(c.shape) != kernel) continue;
    const double took = milliseconds(
        [&] {
          for (int layer = 0; layer < layers; ++layer) {
            require(attention(nullptr, kernel, c.shape, ready.device, layer,
                              static_cast<const float*>(q.data), static_cast<float*>(out.data),
                              ready.scratch.data, nullptr),
                    "attention");
          }
        },
        5);
    const double rate = layers * kv_bytes / took * 1e3;
    std::printf(
        "%-5s %-44s works %5d, slots %6lld: %8.3f ms for %d layers, %7.1f us each, KV %6.0f GB/s "
        "(%3.0f %% of copying), %6.1f TFLOP/s\n",
        name_of(kernel), name.c_str(), ready.device.work_count,
        static_cast<long long>(ready.device.slot_count), took, layers, took / layers * 1e3,
        rate * 1e-9, 100 * rate / copy_bandwidth, layers * work / took * 1e-9);
  }
}

}  // namespace

void bench_attention(double copy_bandwidth) {
  // Llama-3.1-8B: 21 blocks of 1,536 tokens, 32,256 in all, each at its own place.
  constexpr int kLayersOfModel = 32;
  for (const int64_t rows : {1, 8, 50, 200}) {
    Case c;
    c.set_shape(8, 4, 128, false, true);
    int64_t start = 0;
    for (int b = 0; b < 21; ++b, start += 1536) {
      c.add_segment(add_layers(c, 1536, kLayersOfModel), DBSA_SEGMENT_FULL, 0, 1536, start);
    }
    c.add_segment(add_layers(c, rows, kLayersOfModel), DBSA_SEGMENT_CAUSAL, 0, rows, start);
    c.add_range(rows, start);
    bench("32K tokens in 21 blocks, " + std::to_string(rows) + " rows", c, kLayersOfModel,
          copy_bandwidth);
  }
  {
    Case c;  // 60 labels of 2 tokens after the same 27K tokens
    c.set_shape(8, 4, 128, false, true);
    std::vector<const dbsa_kv*> blocks;
    for (int b = 0; b < 18; ++b) blocks.push_back(add_layers(c, 1500, 4));
    const dbsa_kv* own = add_layers(c, 170, 4);
    for (int64_t label = 0; label < 60; ++label) {
      int64_t start = 0;
      for (const dbsa_kv* block : blocks) {
        c.add_segment(block, DBSA_SEGMENT_FULL, 0, 1500, start);
        start += 1500;
      }
      c.add_segment(own, DBSA_SEGMENT_FULL, 0, 50, start);
      c.add_segment(own, DBSA_SEGMENT_CAUSAL, 50 + 2 * label, 2, start + 50);
      c.add_range(2, start + 50);
    }
    bench("tree of 60 labels of 2 tokens, 27K tokens", c, 4, copy_bandwidth);
  }
  for (const int64_t blocks : {6, 1}) {
    Case c;  // blocks of 1,500 tokens that see an anchor and the two blocks before
    c.set_shape(8, 4, 128, false, true);
    std::vector<const dbsa_kv*> all;
    for (int64_t b = 0; b < blocks + 3; ++b) all.push_back(add_layers(c, 1500, 2));
    for (int64_t b = 0; b < blocks; ++b) {
      const auto at = static_cast<size_t>(b);
      c.add_segment(all[0], DBSA_SEGMENT_FULL, 0, 1500, 0);
      c.add_segment(all[at + 1], DBSA_SEGMENT_FULL, 0, 1500, 1500);
      c.add_segment(all[at + 2], DBSA_SEGMENT_FULL, 0, 1500, 3000);
      c.add_segment(all[at + 3], DBSA_SEGMENT_CAUSAL, 0, 1500, 4500);
      c.add_range(1500, 4500);
    }
    bench("encode, anchor 1 + previous 2, " + std::to_string(blocks) + " blocks of 1,500", c, 2,
          copy_bandwidth);
  }
  for (const int64_t tokens : {2048, 16384}) {
    Case c;
    c.set_shape(8, 4, 128, false, true);
    c.add_segment(add_layers(c, tokens, 2), DBSA_SEGMENT_CAUSAL, 0, tokens, 0);
    c.add_range(tokens, 0);
    bench("causal prefill of " + std::to_string(tokens), c, 2, copy_bandwidth);
  }
}

}  // namespace dbsa::cuda
