// Families with their own kinds of layers against transformers with float64 RoPE angles
// (tools/reference/make_family_reference.py). Prompts are longer than the windows, and for LongRoPE
// than the original context.
#include <gtest/gtest.h>

#include <cstring>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>

#include "model/checkpoint/checkpoint.h"
#include "tests/forward/forward_harness.h"
#include "tests/model/model_files.h"

namespace dbsa {
namespace {

using reference::Fixture;
using reference::FixtureCase;
using reference::kBf16Factor;
using reference::kFloat32Bound;
using reference::to_double;
using reference::worst_row_error;

const std::vector<std::string> kFamilies = {"qwen3",   "gemma3",   "mistral_window", "smollm3",
                                            "olmo2",   "gemma2",   "phi3",           "granite",
                                            "mixtral", "qwen3_moe"};

Fixture load_new(const std::string& name) {
  auto fixture = reference::load_fixture(DBSA_SOURCE_DIR, name);
  if (!fixture.ok()) throw std::runtime_error(fixture.error().message);
  return std::move(fixture).value();
}

// As for a pool whose prompts are as long as the case: LongRoPE's factors follow that.
std::function<void(ModelConfig&)> for_case(const FixtureCase& c,
                                           std::function<void(ModelConfig&)> change = nullptr) {
  return [length = c.length, change](ModelConfig& config) {
    limit_positions(config, length);
    if (change) change(config);
  };
}

double error_with(const Fixture& fixture, const FixtureCase& c, const HarnessOptions& options,
                  const std::vector<float>& expected) {
  ForwardHarness harness(fixture.folder, options);
  return worst_row_error(to_double(harness.prefill(c.ids, c.rows)), to_double(expected),
                         fixture.vocabulary);
}

class NewFamilies : public ::testing::TestWithParam<std::string> {};

TEST_P(NewFamilies, Float32LogitsEqualTransformers) {
  const Fixture fixture = load_new(GetParam());
  for (const std::string& path : ForwardHarness::code_paths())
    for (const FixtureCase& c : fixture.cases) {
      const double error = error_with(
          fixture, c, {.precision = kF32, .instructions = path, .change = for_case(c)}, c.logits);
      std::cout << fixture.name << " f32 " << path << " length " << c.length << ": " << error
                << "\n";
      EXPECT_LE(error, kFloat32Bound) << path << ", length " << c.length;
    }
}

TEST_P(NewFamilies, Bfloat16ErrorIsNoWorseThanTransformersOwn) {
  const Fixture fixture = load_new(GetParam());
  for (const std::string& path : ForwardHarness::code_paths())
    for (const FixtureCase& c : fixture.cases) {
      const double error =
          error_with(fixture, c, {.precision = kBf16, .instructions = path, .change = for_case(c)},
                     c.logits_bf16_weights);
      std::cout << fixture.name << " bf16 " << path << " length " << c.length << ": " << error
                << ", transformers " << c.bf16_error << "\n";
      EXPECT_LE(error, kBf16Factor * c.bf16_error) << path << ", length " << c.length;
    }
}

// What makes a family must matter: each changed by little is noticed.
TEST_P(NewFamilies, AWrongConfigurationIsNoticed) {
  const Fixture fixture = load_new(GetParam());
  const auto config = load_model_config(fixture.folder);
  ASSERT_TRUE(config.ok()) << config.error().message;
  std::vector<std::pair<std::string, std::function<void(ModelConfig&)>>> wrong = {
      {"theta", [](ModelConfig& c) { c.rope.theta *= 1.05; }},
      {"scale", [](ModelConfig& c) {
         c.attention_scale =
             1.01 * c.attention_scale.value_or(1 / std::sqrt(static_cast<double>(c.head_dim)));
       }}};
  if (config->sliding_window) {
    wrong.push_back({"window + 1", [](ModelConfig& c) { ++*c.sliding_window; }});
    wrong.push_back({"window - 1", [](ModelConfig& c) { --*c.sliding_window; }});
  }
  if (!config->window_layers.empty())
    wrong.push_back({"layers with a window", [](ModelConfig& c) { c.window_layers.flip(); }});
  if (config->window_rope) {
    wrong.push_back({"local theta", [](ModelConfig& c) { c.window_rope->theta *= 1.05; }});
    wrong.push_back({"global factor", [](ModelConfig& c) { c.rope.factor *= 1.1; }});
  }
  if (!config->unrotated_layers.empty())
    wrong.push_back({"layers without RoPE", [](ModelConfig& c) { c.unrotated_layers.flip(); }});
  if (config->attention_soft_cap > 0)
    wrong.push_back({"cap", [](ModelConfig& c) { c.attention_soft_cap *= 1.02; }});
  if (config->logit_soft_cap > 0)
    wrong.push_back({"logit cap", [](ModelConfig& c) { c.logit_soft_cap *= 1.02; }});
  if (config->norm_plus_one)
    wrong.push_back({"norm offset", [](ModelConfig& c) { c.norm_plus_one = false; }});
  if (config->embedding_multiplier != 1)
    wrong.push_back({"embedding scale", [](ModelConfig& c) { c.embedding_multiplier *= 1.01; }});
  if (config->residual_multiplier != 1)
    wrong.push_back({"residual scale", [](ModelConfig& c) { c.residual_multiplier *= 1.01; }});
  if (config->logits_scaling != 1)
    wrong.push_back({"logit scale", [](ModelConfig& c) { c.logits_scaling *= 1.01; }});
  if (config->rope.kind == RopeKind::kLongRope) {
    wrong.push_back({"factors", [](ModelConfig& c) { c.rope.divisors = c.rope.short_factors; }});
    wrong.push_back({"rotation factor", [](ModelConfig& c) { c.rope.rotation_factor *= 1.02; }});
  }
  if (config->experts.count > 0) {
    wrong.push_back(
        {"normalisation", [](ModelConfig& c) { c.experts.normalised = !c.experts.normalised; }});
    wrong.push_back({"experts + 1", [](ModelConfig& c) { ++c.experts.used; }});
    wrong.push_back({"experts - 1", [](ModelConfig& c) { --c.experts.used; }});
  }
  const FixtureCase& longest = fixture.cases.back();
  for (const auto& [what, change] : wrong) {
    const double error = error_with(
        fixture, longest, {.precision = kF32, .change = for_case(longest, change)}, longest.logits);
    std::cout << fixture.name << " wrong " << what << ": " << error << "\n";
    EXPECT_GT(error, kFloat32Bound) << "a wrong " << what << " went unnoticed";
  }
}

// Blocks under `causal`, each in its own KV object, and a query behind them are one dense pass.
TEST_P(NewFamilies, BlocksAndAQueryEqualOneDensePass) {
  const Fixture fixture = load_new(GetParam());
  const FixtureCase& c = fixture.cases.back();
  constexpr uint32_t kSeed = 20261129;
  std::cout << "seed " << kSeed << "\n";
  std::mt19937 random(kSeed);
  for (const std::string& path : ForwardHarness::code_paths()) {
    ForwardHarness harness(fixture.folder,
                           {.precision = kF32, .instructions = path, .change = for_case(c)});
    const std::vector<float> whole = harness.prefill(c.ids, std::vector<int64_t>{c.length - 1});
    std::vector<host::Kv> kv;
    std::vector<dbsa_segment> earlier;
    std::vector<float> logits;
    for (int64_t first = 0; first < c.length;) {
      const int64_t end =
          std::min(c.length, first + std::uniform_int_distribution<int64_t>(1, 45)(random));
      kv.push_back(harness.make_kv(end - first));
      const auto own =
          std::span(c.ids).subspan(static_cast<size_t>(first), static_cast<size_t>(end - first));
      logits =
          harness.pass(own, kv.back(), 0, first, earlier, std::vector<int64_t>{end - first - 1});
      earlier.push_back(segment_of(kv.back(), DBSA_SEGMENT_FULL, end - first, first));
      first = end;
    }
    const double error = worst_row_error(to_double(logits), to_double(whole), fixture.vocabulary);
    std::cout << fixture.name << " " << path << " blocks: " << error << "\n";
    EXPECT_LE(error, kFloat32Bound) << path;
  }
}

TEST_P(NewFamilies, LogitsAreBitIdenticalWhateverTheThreadsAndChunks) {
  const Fixture fixture = load_new(GetParam());
  const FixtureCase& c = fixture.cases.back();
  for (const std::string& path : ForwardHarness::code_paths())
    for (const Precision precision : {kF32, kBf16}) {
      HarnessOptions options = {.precision = precision, .instructions = path, .threads = 1};
      ForwardHarness one(fixture.folder, options);
      options.threads = 2;
      ForwardHarness two(fixture.folder, options);
      const std::vector<float> expected = one.prefill(c.ids, c.rows);
      for (const int64_t chunk : {0, 1, 37}) {
        EXPECT_EQ(one.prefill(c.ids, c.rows, chunk), expected) << path << ", chunk " << chunk;
        EXPECT_EQ(two.prefill(c.ids, c.rows, chunk), expected) << path << ", 2 threads, " << chunk;
      }
    }
}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
}

// Gemma 3 from 4B up comes with a part that reads images: its text part gives the same logits,
// under either form of the names.
TEST(Gemma3, TheTextPartOfAModelWithImages) {
  const Fixture fixture = load_new("gemma3");
  const FixtureCase& c = fixture.cases.back();
  ForwardHarness alone(fixture.folder, {.precision = kF32});
  const std::vector<float> expected = alone.prefill(c.ids, c.rows);
  for (const char* part : {"language_model.model.", "model.language_model."}) {
    const test::TemporaryFolder folder;
    auto text = nlohmann::json::parse(test::read_file(fixture.folder + "/config.json"));
    const nlohmann::json whole = {
        {"model_type", "gemma3"}, {"architectures", {"Gemma3ForConditionalGeneration"}},
        {"eos_token_id", {2, 3}}, {"mm_tokens_per_image", 256},
        {"text_config", text},    {"vision_config", {{"model_type", "siglip_vision_model"}}}};
    test::write_file(folder.file("config.json"), whole.dump());
    const std::string file = test::read_file(fixture.folder + "/model.safetensors");
    uint64_t length = 0;
    std::memcpy(&length, file.data(), sizeof length);
    std::string header = file.substr(8, length), data = file.substr(8 + length);
    replace_all(header, "\"model.", std::string("\"") + part);
    const std::string image = part[0] == 'm' ? "model.vision_tower.x" : "vision_tower.x";
    const size_t end = data.size();
    header.erase(header.find_last_of('}'));
    header += ",\"" + image + R"(":{"dtype":"F32","shape":[1],"data_offsets":[)" +
              std::to_string(end) + "," + std::to_string(end + 4) + "]}}";
    test::write_file(folder.file("model.safetensors"),
                     test::safetensors_bytes(header, data + std::string(4, '\0')));
    ForwardHarness harness(folder.path(), {.precision = kF32});
    EXPECT_EQ(harness.config().eos_token_ids, (std::vector<int64_t>{2, 3}));
    EXPECT_EQ(harness.prefill(c.ids, c.rows), expected) << part;
    const auto checkpoint = Checkpoint::open(folder.path());
    ASSERT_TRUE(checkpoint.ok());
    EXPECT_TRUE(checkpoint->check(harness.config()).ok());
  }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, NewFamilies, ::testing::ValuesIn(kFamilies),
                         [](const auto& tested) { return tested.param; });

}  // namespace
}  // namespace dbsa
