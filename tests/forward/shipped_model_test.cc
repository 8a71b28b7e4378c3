// The model we ship, pipelines/quickstart/model, against transformers: configuration, token ids and
// logits. The fixture is made by tools/reference/make_shipped_reference.py, which describes it.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "model/checkpoint/safetensors.h"
#include "model/tokenizer/tokenizer.h"
#include "tests/forward/forward_harness.h"
#include "tests/support/sanitized.h"

namespace dbsa {
namespace {

using reference::to_double;
using reference::worst_row_error;

const std::string kModel = std::string(DBSA_SOURCE_DIR) + "/pipelines/quickstart/model";
const std::string kFixture = std::string(DBSA_SOURCE_DIR) + "/tests/reference/fixtures/shipped";
const char* const kRegenerate =
    "; after a change of the model regenerate with: "
    "python3 tools/reference/make_shipped_reference.py";

// Of a row of logits, ||ours - transformers'||2 / ||transformers'||2, transformers' in float32. In
// bfloat16 this model's sharp attention loses more than most models' does: there we need not be
// closer to it than transformers' own bfloat16 is.
constexpr double kF32Bound = 1e-4;
constexpr double kBf16Bound = 2e-2;

std::string read_bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// As zlib's crc32, in hex.
std::string crc32(const std::string& bytes) {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    table[i] = i;
    for (int bit = 0; bit < 8; ++bit)
      table[i] = (table[i] >> 1) ^ ((table[i] & 1) != 0 ? 0xEDB88320u : 0u);
  }
  uint32_t crc = 0xFFFFFFFFu;
  for (const char c : bytes) crc = (crc >> 8) ^ table[(crc ^ static_cast<unsigned char>(c)) & 0xFF];
  char hex[9];
  std::snprintf(hex, sizeof hex, "%08x", crc ^ 0xFFFFFFFFu);
  return hex;
}

// Every stride-th element.
std::vector<double> every(std::span<const double> values, size_t stride) {
  std::vector<double> out;
  for (size_t i = 0; i < values.size(); i += stride) out.push_back(values[i]);
  return out;
}

struct Prompt {
  std::string name, text;
  std::vector<int32_t> ids;
  std::vector<int64_t> rows;             // ascending, the last row among them
  std::vector<double> last;              // [vocabulary]
  std::vector<double> some;              // [rows, vocabulary / stride]
  double bf16_last = 0, bf16_worst = 0;  // transformers' own
};

class ShippedModel : public ::testing::Test {
 protected:
  void SetUp() override {
    fixture = nlohmann::json::parse(read_bytes(kFixture + "/reference.json"));
    for (const auto& [file, expected] : fixture.at("crc32").items())
      ASSERT_EQ(crc32(read_bytes(kModel + "/" + file)), expected.get<std::string>())
          << kModel << "/" << file << " is not the file that " << kFixture << " was made with"
          << kRegenerate;
    for (const auto& item : fixture.at("prompts")) read_prompt(item);
    ASSERT_FALSE(prompts.empty());
  }

  std::vector<double> tensor(const std::string& name) {
    auto file = SafetensorsFile::open(kFixture + "/expected.safetensors");
    if (!file.ok()) throw std::runtime_error(file.error().message);
    auto view = file->tensor(name);
    if (!view.ok()) throw std::runtime_error(view.error().message);
    std::vector<float> values(view->bytes / sizeof(float));
    std::memcpy(values.data(), view->data, view->bytes);
    return to_double(values);
  }

  void read_prompt(const nlohmann::json& item) {
    Prompt prompt;
    prompt.name = item.at("name");
    prompt.text = item.at("text");
    prompt.ids = item.at("ids").get<std::vector<int32_t>>();
    prompt.rows = item.at("rows").get<std::vector<int64_t>>();
    prompt.bf16_last = item.at("bf16_error_last");
    prompt.bf16_worst = item.at("bf16_error_worst");
    prompt.last = tensor("last." + prompt.name);
    prompt.some = tensor("some." + prompt.name);
    prompts.push_back(std::move(prompt));
  }

  struct Errors {
    double last = 0;   // of the row that answers, all columns
    double worst = 0;  // of the rows kept, every stride-th column
  };

  Errors errors_of(const Prompt& prompt, const std::vector<double>& logits) {
    const size_t stride = fixture.at("stride");
    const size_t vocabulary = prompt.last.size();
    EXPECT_EQ(logits.size(), prompt.rows.size() * vocabulary);
    EXPECT_EQ(vocabulary % stride, 0u);  // so that columns and elements fall together
    const std::span<const double> last = std::span(logits).last(vocabulary);
    return {worst_row_error(last, prompt.last, static_cast<int64_t>(vocabulary)),
            worst_row_error(every(logits, stride), prompt.some,
                            static_cast<int64_t>(vocabulary / stride))};
  }

  void compare(const Precision& precision, const char* what, double bound) {
    for (const std::string& path : ForwardHarness::code_paths()) {
      ForwardHarness harness(kModel, {.precision = precision, .instructions = path});
      for (const Prompt& prompt : prompts) {
        if (kSanitized && prompt.ids.size() > 100 && path != ForwardHarness::code_paths().back())
          continue;  // the longer one on one code path
        const Errors errors =
            errors_of(prompt, to_double(harness.prefill(prompt.ids, prompt.rows)));
        std::cout << what << " " << path << ", " << prompt.name << ", " << prompt.ids.size()
                  << " tokens: last row " << errors.last << ", worst of " << prompt.rows.size()
                  << " rows " << errors.worst << " (transformers' own bfloat16: last row "
                  << prompt.bf16_last << ", worst of all rows " << prompt.bf16_worst << ")\n";
        const bool rounded = precision.compute == DBSA_COMPUTE_BF16;
        EXPECT_LE(errors.last, rounded ? std::max(bound, prompt.bf16_last) : bound)
            << what << " " << path << ", " << prompt.name << ", last row";
        EXPECT_LE(errors.worst, rounded ? std::max(bound, prompt.bf16_worst) : bound)
            << what << " " << path << ", " << prompt.name << ", worst of the rows kept";
      }
    }
  }

  nlohmann::json fixture;
  std::vector<Prompt> prompts;
};

TEST_F(ShippedModel, ConfigurationIsReadAsTransformersReadsIt) {
  const auto config = load_model_config(kModel);
  ASSERT_TRUE(config.ok()) << config.error().message;
  const nlohmann::json& expected = fixture.at("config");
  EXPECT_EQ(config->vocab_size, expected.at("vocab_size"));
  EXPECT_EQ(config->hidden_size, expected.at("hidden_size"));
  EXPECT_EQ(config->intermediate_size, expected.at("intermediate_size"));
  EXPECT_EQ(config->layers, expected.at("num_hidden_layers"));
  EXPECT_EQ(config->heads, expected.at("num_attention_heads"));
  EXPECT_EQ(config->kv_heads, expected.at("num_key_value_heads"));
  EXPECT_EQ(config->head_dim, expected.at("head_dim"));
  EXPECT_EQ(config->rms_norm_eps, expected.at("rms_norm_eps"));
  EXPECT_EQ(config->max_positions, expected.at("max_position_embeddings"));
  EXPECT_EQ(config->tie_word_embeddings, expected.at("tie_word_embeddings"));
  EXPECT_EQ(config->bos_token_id.value_or(-1), expected.at("bos_token_id"));
  EXPECT_EQ(config->eos_token_ids, std::vector<int64_t>{expected.at("eos_token_id")});
  const std::vector<float> mine = rope_inverse_frequencies(config->rope);
  const std::vector<double> theirs = tensor("inv_freq");
  ASSERT_EQ(mine.size(), theirs.size());
  // Each rounds some four results to float32, and the exponent, which counts ln(theta) times.
  const double tolerance = (4 + std::log(config->rope.theta)) * 0x1p-24;
  for (size_t i = 0; i < mine.size(); ++i)
    EXPECT_NEAR(static_cast<double>(mine[i]) / theirs[i], 1.0, tolerance) << i;
}

TEST_F(ShippedModel, TokenIdsEqualTransformers) {
  const auto tokenizer = Tokenizer::load(kModel);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  EXPECT_EQ((*tokenizer)->vocab_size(), fixture.at("config").at("vocab_size"));
  for (const Prompt& prompt : prompts) {
    const auto ids = (*tokenizer)->encode(prompt.text);
    ASSERT_TRUE(ids.ok()) << ids.error().message;
    EXPECT_EQ(*ids, prompt.ids) << prompt.name;
    EXPECT_EQ((*tokenizer)->decode(prompt.ids), prompt.text) << prompt.name;
  }
}

TEST_F(ShippedModel, Float32LogitsEqualTransformers) { compare(kF32, "f32", kF32Bound); }

TEST_F(ShippedModel, Bfloat16LogitsAreCloseToTransformersFloat32) {
  compare(kBf16, "bf16", kBf16Bound);
}

TEST(ShippedModelFixture, ChecksumIsZlibs) { EXPECT_EQ(crc32("123456789"), "cbf43926"); }

}  // namespace
}  // namespace dbsa
