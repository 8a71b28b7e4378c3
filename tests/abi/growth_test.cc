// A host of a later minor version, in which every struct of the interface has one more field, with
// the plugins of this build, which know nothing of it. See CMakeLists.txt.
#include <dbsa/kv_store.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "config/schema_check.h"
#include "host/attention_backend.h"
#include "host/block_grouper.h"
#include "host/kv_store.h"
#include "host/make_plugin.h"
#include "host/mask_pattern.h"
#include "host/plugin_registry.h"
#include "host/resolve.h"
#include "host/retriever.h"

namespace dbsa::host {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;

static_assert(sizeof(dbsa_segment) == 56 && sizeof(dbsa_row_range) == 48 &&
                  sizeof(dbsa_linear_layer) == 48 && sizeof(dbsa_gated_mlp_weights) == 64 &&
                  sizeof(dbsa_attention_type) == 48 && sizeof(dbsa_kv_format) == 64 &&
                  sizeof(dbsa_visible) == 48 && sizeof(dbsa_host) == 96 &&
                  sizeof(dbsa_mask_pattern_vtable) == 32,
              "the structs of this host have not grown");

class Growth : public ::testing::Test {
 protected:
  Growth() : services_({.threads = 2}), registry_(discover()) {
    offer_plugins(services_, registry_);
  }
  static PluginRegistry discover() {
    const std::string folder = DBSA_PLUGIN_DIR;
    return PluginRegistry::discover({&folder, 1});
  }

  // Its table of a pipeline file: the defaults of its keys, except `own`.
  json table(uint32_t kind, const std::string& name, json own = json::object()) {
    apply_defaults(value(registry_.find(kind, name))->config_schema, own);
    return own;
  }
  json bm25() {
    json retriever = table(DBSA_KIND_RETRIEVER, "bm25");
    retriever["plugin"] = "bm25";
    return retriever;
  }

  // A plugin of ours.
  template <typename Wrapper>
  Wrapper make(uint32_t kind, const std::string& name, const json& own = json::object()) {
    const LoadedPlugin loaded = value(registry_.load(*value(registry_.find(kind, name))));
    EXPECT_EQ(loaded.table->struct_size, sizeof(dbsa_plugin_table));
    return value(Wrapper::create(loaded, services_, table(kind, name, own)));
  }

  template <typename T>
  static T value(Result<T> result) {
    if (!result.ok()) throw std::runtime_error(result.error().message);
    return std::move(result).value();
  }
  static void done(const Status& status) {
    if (!status.ok()) throw std::runtime_error(status.error().message);
  }

  HostServices services_;
  PluginRegistry registry_;
};

TEST_F(Growth, MaskPattern) {
  const auto mask = make<MaskPattern>(DBSA_KIND_MASK_PATTERN, "dbsa",
                                      {{"anchor_blocks", 1}, {"previous_blocks", 1}});
  EXPECT_EQ(value(mask.anchor_blocks()), 1);
  const std::vector<int64_t> lengths = {4, 5, 6, 7};
  EXPECT_THAT(
      value(mask.visible(lengths, 3)),
      ElementsAre(Visible{0, 0, 4, DBSA_SEGMENT_FULL, 0}, Visible{2, 0, 6, DBSA_SEGMENT_FULL, 0},
                  Visible{3, 0, 7, DBSA_SEGMENT_CAUSAL, 0}));
  // A function that a plugin does not have.
  const auto without = make<MaskPattern>(DBSA_KIND_MASK_PATTERN, "causal");
  EXPECT_EQ(value(without.anchor_blocks()), 0);
}

TEST_F(Growth, BlockGrouper) {
  auto grouper = make<BlockGrouper>(DBSA_KIND_BLOCK_GROUPER, "random");
  const std::vector<std::string> texts(7, "text"), labels(7, "label");
  const std::vector<int64_t> counts(7, 3);
  const auto blocks = value(grouper.group(texts, labels, counts, 3, 11));
  EXPECT_EQ(blocks.size(), 3u);
}

// It opens other plugins through the host.
TEST_F(Growth, Retriever) {
  const json both = {{"first", bm25()}, {"second", bm25()}};
  auto hybrid = make<Retriever>(DBSA_KIND_RETRIEVER, "hybrid", both);
  const std::vector<std::string> documents = {"red fish", "blue fish", "one tree", "two trees"};
  done(hybrid.index(documents));
  const auto hits = value(hybrid.query("blue fish", 2));
  ASSERT_EQ(hits.size(), 2u);
  EXPECT_EQ(hits[0].id, 1);
  EXPECT_EQ(hits[1].id, 0);
  const auto words = value(hybrid.shared_words("blue fish", 1));  // by an extension
  ASSERT_TRUE(words);
  EXPECT_THAT(*words, ElementsAre(::testing::Field(&SharedWord::word, "blue"),
                                  ::testing::Field(&SharedWord::word, "fish")));
  const std::string saved = value(hybrid.save());
  auto other = make<Retriever>(DBSA_KIND_RETRIEVER, "hybrid", both);
  done(other.load(saved, 4));
  EXPECT_EQ(value(other.query("tree", 1))[0].id, 2);
}

class Stores : public Growth, public ::testing::WithParamInterface<const char*> {};

TEST_P(Stores, KeepBlocks) {
  const auto folder = std::filesystem::temp_directory_path() /
                      ("dbsa_growth_" + std::to_string(::getpid()) + GetParam());
  const json own =
      std::string(GetParam()) == "hdf5" ? json{{"path", folder.string()}} : json::object();
  {
    auto store = make<KvStore>(DBSA_KIND_KV_STORE, GetParam(), own);
    alignas(64) char planes[2][128];
    for (int i = 0; i < 256; ++i) planes[i / 128][i % 128] = static_cast<char>(i * 7);
    dbsa_kv_format format = {};
    format.struct_size = sizeof format;
    format.layout = DBSA_KV_LAYOUT_TOKEN_MAJOR;
    format.dtype = DBSA_KV_DTYPE_F32;
    format.layers = 2;
    format.kv_heads = 1;
    format.head_dim = 4;
    format.tokens = 4;
    format.plane_bytes = 128;
    KvKey key;
    key.bytes[3] = 9;
    const void* const both[] = {planes[0], planes[1]};
    done(store.put(key, format, both));
    done(store.publish());
    EXPECT_TRUE(value(store.contains(key)));
    const auto lease = value(store.get(key));
    EXPECT_EQ(lease.format().struct_size, sizeof format);
    EXPECT_EQ(lease.format().tokens, 4u);
    EXPECT_EQ(lease.format().plane_bytes, 128u);
    for (uint32_t layer = 0; layer < 2; ++layer) {
      value(lease.verify(layer));
      EXPECT_EQ(std::memcmp(lease.plane(layer), planes[layer], 128), 0);
    }
    int entries = 0;
    done(store.list([&](const KvEntry& entry) {
      ++entries;
      EXPECT_EQ(entry.key, key);
      EXPECT_EQ(entry.format.layers, 2u);
      return true;
    }));
    EXPECT_EQ(entries, 1);
    EXPECT_EQ(value(store.stats()).blocks, 1u);
  }
  std::filesystem::remove_all(folder);
}

INSTANTIATE_TEST_SUITE_P(Built, Stores, ::testing::Values("hdf5", "memory"),
                         [](const auto& test) { return std::string(test.param); });

// Matrices of random numbers, and the arithmetic in double precision.
class Backend : public Growth {
 protected:
  static constexpr int kHeads = 2, kDim = 4, kLayers = 2;
  const float frequencies_[2][2] = {{0.7F, 0.1F}, {0.2F, 0.0F}};
  const float scales_[2] = {0.5F, 0.3F};

  Backend() : backend_(make<AttentionBackend>(DBSA_KIND_ATTENTION_BACKEND, "cpu")) {
    dbsa_attention_type types[2] = {};
    for (int i = 0; i < 2; ++i) {
      types[i].struct_size = sizeof types[i];
      types[i].scale = scales_[i];
      types[i].inv_freq = frequencies_[i];
    }
    const int32_t layer_types[kLayers] = {0, 1};
    dbsa_attention_shape shape = {};
    shape.struct_size = sizeof shape;
    shape.layers = kLayers;
    shape.query_heads = kHeads;
    shape.kv_heads = 1;
    shape.head_dim = kDim;
    shape.compute = DBSA_COMPUTE_F32;
    shape.kv_dtype = DBSA_KV_DTYPE_F32;
    shape.type_count = 2;
    shape.types = types;
    shape.layer_types = layer_types;
    done(backend_.configure(shape));
  }

  std::vector<float> numbers(int64_t count) {
    std::normal_distribution<float> normal;
    std::vector<float> values(static_cast<size_t>(count));
    for (float& value : values) value = normal(random_);
    return values;
  }
  Buffer buffer(const std::vector<float>& values, int64_t rows) {
    Buffer made = value(backend_.buffer_create(rows, static_cast<int64_t>(values.size()) / rows));
    done(backend_.upload(values, 0, rows, made));
    return made;
  }
  std::vector<float> read(const Buffer& from) {
    std::vector<float> values(static_cast<size_t>(from.rows() * from.width()));
    done(backend_.download(from, 0, from.rows(), values));
    return values;
  }
  Weight weight(std::vector<float>& values, int64_t rows) {
    int64_t shape[] = {rows, static_cast<int64_t>(values.size()) / rows};
    int64_t strides[] = {shape[1], 1};
    const dbsa_tensor tensor = {
        values.data(), {DBSA_DEVICE_CPU, 0}, 2, {DBSA_DTYPE_FLOAT, 32, 1}, shape, strides, 0};
    return value(backend_.weight_create(DBSA_WEIGHT_LINEAR, tensor));
  }
  // x[rows, k] w[n, k]^T
  static std::vector<double> product(const std::vector<double>& x, const std::vector<float>& w,
                                     size_t k) {
    const size_t rows = x.size() / k, n = w.size() / k;
    std::vector<double> out(rows * n);
    for (size_t r = 0; r < rows; ++r)
      for (size_t o = 0; o < n; ++o)
        for (size_t i = 0; i < k; ++i)
          out[r * n + o] += x[r * k + i] * static_cast<double>(w[o * k + i]);
    return out;
  }
  static std::vector<double> wide(const std::vector<float>& values) {
    return {values.begin(), values.end()};
  }
  static void expect_near(const std::vector<float>& got, const std::vector<double>& wanted) {
    ASSERT_EQ(got.size(), wanted.size());
    for (size_t i = 0; i < got.size(); ++i)
      EXPECT_NEAR(static_cast<double>(got[i]), wanted[i], 1e-5 * (1 + std::abs(wanted[i]))) << i;
  }

  AttentionBackend backend_;
  std::mt19937 random_{7};
};

TEST_F(Backend, LinearLayersOfOneX) {
  const auto x = numbers(3 * 8);
  auto first = numbers(5 * 8), second = numbers(6 * 8);
  const Buffer in = buffer(x, 3);
  Buffer out = value(backend_.buffer_create(3, 5)), more = value(backend_.buffer_create(3, 6));
  const Weight none, a = weight(first, 5), b = weight(second, 6);
  done(backend_.linear(in, 3, {{a, none, nullptr, out}, {b, none, nullptr, more}}));
  expect_near(read(out), product(wide(x), first, 8));
  expect_near(read(more), product(wide(x), second, 8));
}

// Each row gets its best expert of three.
TEST_F(Backend, Experts) {
  const auto x = numbers(4 * 8);
  auto router = numbers(3 * 8);
  std::vector<std::vector<float>> gates, ups, downs;
  ExpertWeights weights;
  weights.router = weight(router, 3);
  weights.used = 1;
  weights.normalised = true;  // so that the share is 1
  for (int i = 0; i < 3; ++i) {
    gates.push_back(numbers(6 * 8));
    ups.push_back(numbers(6 * 8));
    downs.push_back(numbers(8 * 6));
    GatedMlpWeights& expert = weights.experts.emplace_back();
    expert.gate = weight(gates.back(), 6);
    expert.up = weight(ups.back(), 6);
    expert.down = weight(downs.back(), 8);
  }
  Buffer out = value(backend_.buffer_create(4, 8));
  done(backend_.experts(buffer(x, 4), 4, weights, nullptr, out));
  const std::vector<double> scores = product(wide(x), router, 8);
  std::vector<double> wanted;
  for (size_t row = 0; row < 4; ++row) {
    const auto best = static_cast<size_t>(
        std::max_element(scores.begin() + row * 3, scores.begin() + row * 3 + 3) -
        (scores.begin() + row * 3));
    const std::vector<double> own(x.begin() + row * 8, x.begin() + row * 8 + 8);
    const std::vector<double> gate = product(own, gates[best], 8);
    std::vector<double> between = product(own, ups[best], 8);
    for (size_t i = 0; i < 6; ++i) between[i] *= gate[i] / (1 + std::exp(-gate[i]));
    for (const double value : product(between, downs[best], 6)) wanted.push_back(value);
  }
  expect_near(read(out), wanted);
}

// Two ranges of rows, each with two segments, over an exported and imported block and live tokens.
TEST_F(Backend, Attention) {
  const int64_t tokens = 5, rows = 3;
  const auto k = numbers(tokens * kDim), v = numbers(tokens * kDim);
  const auto own_k = numbers(rows * kDim), own_v = numbers(rows * kDim);
  const auto q = numbers(rows * kHeads * kDim);
  Kv live = value(backend_.kv_create(tokens)), own = value(backend_.kv_create(rows));
  for (int32_t layer = 0; layer < kLayers; ++layer) {
    done(backend_.kv_append(buffer(k, tokens), buffer(v, tokens), 0, tokens, layer, 0, live));
    done(backend_.kv_append(buffer(own_k, rows), buffer(own_v, rows), 0, rows, layer, 0, own));
  }
  const dbsa_kv_format format = value(backend_.block_format(tokens));
  EXPECT_EQ(format.struct_size, sizeof format);
  const uint64_t stride = (format.plane_bytes + 63) / 64 * 64;
  const std::unique_ptr<char, decltype(&std::free)> memory(
      static_cast<char*>(std::aligned_alloc(64, stride * kLayers)), &std::free);
  std::vector<const void*> planes;
  for (int32_t layer = 0; layer < kLayers; ++layer) {
    char* plane = memory.get() + stride * static_cast<uint64_t>(layer);
    done(backend_.block_export(live, format, layer, plane));
    planes.push_back(plane);
  }
  const Kv block = value(backend_.block_import(format, planes.data()));

  const std::vector<int32_t> positions = {9, 10, 11};
  std::vector<dbsa_segment> segments(4);
  std::vector<dbsa_row_range> ranges(2);
  const auto segment = [&](size_t i, const Kv& kv, int32_t kind, int64_t first, int64_t length,
                           int64_t start) {
    segments[i].struct_size = sizeof(dbsa_segment);
    segments[i].kind = kind;
    segments[i].kv = kv.get();
    segments[i].first_token = first;
    segments[i].length = length;
    segments[i].start = start;
  };
  segment(0, block, DBSA_SEGMENT_FULL, 0, 5, 4);
  segment(1, own, DBSA_SEGMENT_CAUSAL, 0, 2, 9);
  segment(2, block, DBSA_SEGMENT_FULL, 1, 3, 2);
  segment(3, own, DBSA_SEGMENT_CAUSAL, 0, 3, 9);
  for (size_t i = 0; i < 2; ++i) {
    ranges[i].struct_size = sizeof(dbsa_row_range);
    ranges[i].first_row = i == 0 ? 0 : 2;
    ranges[i].rows = i == 0 ? 2 : 1;
    ranges[i].first_segment = static_cast<int64_t>(2 * i);
    ranges[i].segment_count = 2;
  }
  for (int32_t layer = 0; layer < kLayers; ++layer) {
    dbsa_plan_description description = {};
    description.struct_size = sizeof description;
    description.type = layer;
    description.rows = rows;
    description.positions = positions.data();
    description.range_count = 2;
    description.ranges = ranges.data();
    description.segment_count = 4;
    description.segments = segments.data();
    const Plan plan = value(backend_.plan_prepare(description));
    Buffer out = value(backend_.buffer_create(rows, kHeads * kDim));
    done(backend_.attention(plan, layer, buffer(q, rows), out));

    const auto rotated = [&](const float* x, int64_t position, size_t i) {
      const size_t pair = i % 2;
      const double angle =
          static_cast<double>(position) * static_cast<double>(frequencies_[layer][pair]);
      const double a = static_cast<double>(x[pair]), b = static_cast<double>(x[pair + 2]);
      return i < 2 ? a * std::cos(angle) - b * std::sin(angle)
                   : b * std::cos(angle) + a * std::sin(angle);
    };
    std::vector<double> wanted;
    for (size_t row = 0; row < rows; ++row) {
      for (size_t head = 0; head < kHeads; ++head) {
        const float* query = q.data() + (row * kHeads + head) * kDim;
        double sum = 0, mixed[kDim] = {};
        const size_t range = row < 2 ? 0 : 1;
        for (size_t s = 2 * range; s < 2 * range + 2; ++s) {
          const bool is_own = segments[s].kv == own.get();
          for (int64_t t = 0; t < segments[s].length; ++t) {
            const int64_t place = segments[s].start + t;
            if (is_own && place > positions[row]) continue;
            const auto at = static_cast<size_t>((segments[s].first_token + t) * kDim);
            double score = 0;
            for (size_t i = 0; i < kDim; ++i)
              score += rotated(query, positions[row], i) *
                       rotated((is_own ? own_k : k).data() + at, place, i);
            const double share = std::exp(static_cast<double>(scales_[layer]) * score);
            sum += share;
            for (size_t i = 0; i < kDim; ++i)
              mixed[i] += share * static_cast<double>((is_own ? own_v : v)[at + i]);
          }
        }
        for (const double value : mixed) wanted.push_back(value / sum);
      }
    }
    expect_near(read(out), wanted);
  }
}

TEST_F(Backend, Extension) { EXPECT_FALSE(backend_.block_types().empty()); }

}  // namespace
}  // namespace dbsa::host
