// The encoder's forward pass against the oracle: random weights, shapes, types and names.
#include "tests/reference/oracle_bert.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstdio>
#include <cstring>
#include <random>

#include "model/sentence/bert.h"
#include "tests/model/model_files.h"
#include "tests/reference/fixtures.h"
#include "tests/sentence/sentence_harness.h"

namespace dbsa::test {
namespace {

constexpr int64_t kVocabulary = 31, kPositions = 70;

struct Case {
  const char* dtype;
  const char* prefix;
  int64_t hidden, wide, layers, heads;
};

// A random number that the type holds, and its bytes. Halves lie in +-[0.25, 0.5).
double draw(const std::string& dtype, std::mt19937_64& random, std::string& bytes) {
  const auto put = [&](const auto& bits) {
    bytes.append(reinterpret_cast<const char*>(&bits), sizeof bits);
  };
  if (dtype == "F16") {
    const auto fraction = static_cast<uint16_t>(random() & 0x3FF);
    const bool negative = (random() & 1) != 0;
    put(static_cast<uint16_t>((negative ? 0x8000 : 0) | 0x3400 | fraction));
    return (negative ? -0.25 : 0.25) * (1 + fraction / 1024.0);
  }
  float value = std::normal_distribution<float>(0.0f, 0.3f)(random);
  if (dtype == "BF16") {
    value = reference::round_to_bf16(value);
    put(static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16));
  } else {
    put(value);
  }
  return static_cast<double>(value);
}

// A checkpoint in `folder`, and the oracle with the same weights.
reference::OracleBert make_model(const Case& c, std::mt19937_64& random,
                                 const std::string& folder) {
  reference::OracleBert out;
  out.hidden = c.hidden;
  out.wide = c.wide;
  out.layers = c.layers;
  out.heads = c.heads;
  out.epsilon = 1e-12;
  std::vector<TestTensor> tensors;
  const auto add = [&](const std::string& name, std::vector<int64_t> shape) {
    TestTensor tensor{c.prefix + name, c.dtype, std::move(shape), ""};
    int64_t values = 1;
    for (const int64_t size : tensor.shape) values *= size;
    for (int64_t i = 0; i < values; ++i)
      out.weights[name].push_back(draw(c.dtype, random, tensor.bytes));
    tensors.push_back(std::move(tensor));
  };
  const auto linear = [&](const std::string& name, int64_t rows, int64_t width) {
    add(name + ".weight", {rows, width});
    add(name + ".bias", {rows});
  };
  const auto norm = [&](const std::string& name) {
    add(name + ".weight", {c.hidden});
    add(name + ".bias", {c.hidden});
  };
  add("embeddings.word_embeddings.weight", {kVocabulary, c.hidden});
  add("embeddings.position_embeddings.weight", {kPositions, c.hidden});
  add("embeddings.token_type_embeddings.weight", {2, c.hidden});
  norm("embeddings.LayerNorm");
  for (int64_t i = 0; i < c.layers; ++i) {
    const std::string layer = "encoder.layer." + std::to_string(i) + ".";
    for (const char* name : {"query", "key", "value"})
      linear(layer + "attention.self." + name, c.hidden, c.hidden);
    linear(layer + "attention.output.dense", c.hidden, c.hidden);
    norm(layer + "attention.output.LayerNorm");
    linear(layer + "intermediate.dense", c.wide, c.hidden);
    linear(layer + "output.dense", c.hidden, c.wide);
    norm(layer + "output.LayerNorm");
  }
  linear("pooler.dense", c.hidden, c.hidden);  // not used
  if (*c.prefix != '\0') tensors.push_back({"cls.predictions.bias", "F32", {1}, "abcd"});
  write_file(folder + "/model.safetensors", safetensors_bytes(tensors));
  return out;
}

TEST(Bert, EqualsTheOracle) {
  const Case cases[] = {{"F32", "", 32, 64, 2, 4},
                        {"F32", "bert.", 60, 50, 3, 3},
                        {"BF16", "", 16, 128, 1, 1},
                        {"F16", "bert.", 48, 96, 2, 12}};
  uint64_t seed = 400;
  for (const Case& c : cases) {
    std::mt19937_64 random(++seed);
    TemporaryFolder folder;
    const reference::OracleBert oracle = make_model(c, random, folder.path());
    const auto checkpoint = Checkpoint::open(folder.path());
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
    std::vector<std::vector<int32_t>> texts;
    reference::Matrix expected;
    for (const int length : {1, 2, 70, 17}) {
      std::vector<int32_t>& ids = texts.emplace_back();
      for (int i = 0; i < length; ++i) ids.push_back(static_cast<int32_t>(random() % kVocabulary));
      const reference::Matrix rows = oracle.forward(ids);
      expected.insert(expected.end(), rows.begin(), rows.end());
    }
    for (const std::string& path : code_paths()) {
      const auto services = make_services(2);
      auto backend = open_backend(*services, path);
      ASSERT_TRUE(backend.ok()) << backend.error().message;
      const BertConfig config = {c.hidden,    c.wide,     c.layers, c.heads,
                                 kVocabulary, kPositions, 2,        1e-12};
      const auto model = Bert::load(*checkpoint, config, *backend);
      ASSERT_TRUE(model.ok()) << model.error().message;
      const auto rows = (*model)->forward(texts);
      ASSERT_TRUE(rows.ok()) << rows.error().message;
      const double worst =
          reference::worst_row_error(reference::to_double(*rows), expected, c.hidden);
      // Sums of up to 128 float32 products a step, some ten steps a layer, magnified by the norms.
      EXPECT_LE(worst, 1e-5) << path << ", " << c.dtype << ", seed " << seed;
      std::printf("%s, %s: worst row error %.2e\n", path.c_str(), c.dtype, worst);
    }
  }
}

}  // namespace
}  // namespace dbsa::test
