// A model as a GGUF file computes what the same model as a folder does, bit for bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <functional>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "model/checkpoint/checkpoint.h"
#include "tests/forward/forward_harness.h"
#include "tests/model/model_files.h"
#include "tests/support/gguf_model.h"
#include "tools/make_checkpoint/checkpoint_writer.h"

namespace dbsa {
namespace {

using nlohmann::json;
using test::GgufElements;
using test::GgufPlan;

// What is changed in a fixture's configuration, so that a file's keys can say it: absent keys mean
// what published models have. Widths are whole blocks of 32.
const std::map<std::string, json> kFileFamilies = {
    {"qwen3", {{"use_sliding_window", false}, {"head_dim", 32}}},
    {"gemma3",
     {{"num_hidden_layers", 7}, {"sliding_window_pattern", 6}, {"query_pre_attn_scalar", 16}}},
    {"gemma2", {{"query_pre_attn_scalar", 16}}},
    {"phi3", {{"sliding_window", 40}, {"partial_rotary_factor", 0.5}}},
    {"smollm3", {{"num_hidden_layers", 5}, {"no_rope_layers", nullptr}, {"layer_types", nullptr}}},
    {"olmo2", json::object()},
    {"granite", json::object()},
    {"mixtral", json::object()},
    {"qwen3_moe",
     {{"mlp_only_layers", json::array()},
      {"moe_intermediate_size", 64},
      {"norm_topk_prob", true},
      {"use_sliding_window", false},
      {"head_dim", 32}}},
};

// The fixture of this name, or for another family a model with random weights in `folder`.
std::string model_folder(const std::string& name, const std::string& folder) {
  const auto changes = kFileFamilies.find(name);
  if (changes == kFileFamilies.end()) return fixture_folder(name);
  tools::CheckpointPlan plan;
  plan.config = json::parse(test::read_file(fixture_folder(name) + "/config.json"));
  plan.config.merge_patch({{"hidden_size", 96}, {"intermediate_size", 160}, {"vocab_size", 320}});
  plan.config.merge_patch(changes->second);
  plan.bf16 = false;
  plan.seed = 20261129;
  const auto written = tools::write_checkpoint(folder, plan);
  EXPECT_TRUE(written.ok()) << written.error().message;
  return folder;
}

class GgufForward : public testing::TestWithParam<std::string> {
 protected:
  GgufForward()
      : fixture_(model_folder(GetParam(), folder_.file("fixture"))),
        config_(*load_model_config(fixture_)),
        checkpoint_(*Checkpoint::open(fixture_)) {}

  // Writes the model in both forms, with the same numbers. change: of the file.
  void write(GgufElements elements, const std::function<void(GgufPlan&)>& change = nullptr) {
    test::GgufModel model = test::gguf_model(config_, checkpoint_, elements);
    if (config_.rope.kind == RopeKind::kLlama3) {
      // What the converter makes of llama3 scaling.
      RopeParameters plain = config_.rope;
      plain.kind = RopeKind::kDefault;
      std::vector<float> divisors = rope_inverse_frequencies(plain);
      const std::vector<float> scaled = rope_inverse_frequencies(config_.rope);
      for (size_t i = 0; i < divisors.size(); ++i) divisors[i] /= scaled[i];
      model.plan.tensor("rope_freqs.weight", {divisors.size()}, 0, test::raw(divisors));
    }
    if (change) change(model.plan);
    test::write_file(folder_.file("model.gguf"), model.plan.bytes());
    std::vector<test::TestTensor> tensors;
    for (const auto& [spec, numbers] : model.tensors) {
      const bool half = elements == GgufElements::kF16 || elements == GgufElements::kBF16;
      std::string bytes;
      if (!half) bytes = test::raw(numbers);
      for (size_t i = 0; half && i < numbers.size(); ++i)
        bytes += test::raw(elements == GgufElements::kF16 ? test::cut_to_f16(numbers[i])
                                                          : test::cut_to_bf16(numbers[i]));
      tensors.push_back({spec.name,
                         !half                            ? "F32"
                         : elements == GgufElements::kF16 ? "F16"
                                                          : "BF16",
                         spec.shape, bytes});
    }
    test::write_file(folder_.file("model.safetensors"), test::safetensors_bytes(tensors));
    test::write_file(folder_.file("config.json"), test::read_file(fixture_ + "/config.json"));
  }

  std::vector<float> logits(const std::string& path, Precision precision,
                            const std::string& instructions = "auto") const {
    ForwardHarness harness(path, {.precision = precision, .instructions = instructions});
    std::vector<int32_t> ids;
    for (int32_t i = 0; i < 60; ++i) ids.push_back(5 + (i * 37) % 180);
    return harness.prefill(ids, all_rows(60));
  }
  void expect_equal(Precision precision) const {
    EXPECT_EQ(logits(folder_.file("model.gguf"), precision), logits(folder_.path(), precision));
  }

  test::TemporaryFolder folder_;
  std::string fixture_;
  ModelConfig config_;
  Checkpoint checkpoint_;
};

TEST_P(GgufForward, LogitsOfTheFolder) {
  if (config_.rope.kind == RopeKind::kLlama3) {
    // The quotient of the two frequencies is rounded.
    write(GgufElements::kF32);
    const auto got = reference::to_double(logits(folder_.file("model.gguf"), kF32));
    const auto expected = reference::to_double(logits(folder_.path(), kF32));
    const double error = reference::worst_row_error(got, expected, config_.vocab_size);
    std::cout << "error " << error << "\n";
    EXPECT_LE(error, reference::kFloat32Bound);
    return;
  }
  for (const GgufElements elements :
       {GgufElements::kF32, GgufElements::kF16, GgufElements::kBF16, GgufElements::kQ8}) {
    write(elements);
    expect_equal(kF32);
  }
}

// Quantised blocks are decoded to bfloat16 where that is computed with.
TEST_P(GgufForward, LogitsOfTheFolderInBfloat16) {
  if (config_.rope.kind == RopeKind::kLlama3) GTEST_SKIP() << "the frequencies differ in a bit";
  write(GgufElements::kBF16);
  expect_equal(kBf16);
}

// Blocks that stay as they are give what the same blocks give once they are decoded to bfloat16:
// the same bits where a code path sums both with its own kernels.
TEST_P(GgufForward, BlocksComputeAsTheDecodedNumbers) {
  write(GgufElements::kQ8);
  for (const std::string& path : ForwardHarness::code_paths()) {
    ForwardHarness kept(folder_.file("model.gguf"),
                        {.precision = kQuantised, .instructions = path});
    EXPECT_TRUE(kept.model().precision().quantised);
    const auto got = logits(folder_.file("model.gguf"), kQuantised, path);
    const auto expected = logits(folder_.file("model.gguf"), kBf16, path);
    if (kept.backend().code_path().find("oneDNN") == std::string::npos) {
      EXPECT_EQ(got, expected) << path;
      continue;
    }
    // Other roundings of sums go on through the layers, as those of bfloat16 do.
    const double error = reference::worst_row_error(
        reference::to_double(got), reference::to_double(expected), config_.vocab_size);
    std::cout << path << ": error " << error << "\n";
    EXPECT_LE(error, 2e-2);
  }
}

TEST_P(GgufForward, PackedBlocksAreMappedByTheNextStart) {
  write(GgufElements::kQ8);
  HarnessOptions options;
  options.precision = kQuantised;
  options.packed = folder_.file("weights");
  options.cache = folder_.file("cache");
  const auto prefill = [&] {
    ForwardHarness harness(folder_.file("model.gguf"), options);
    const std::vector<int32_t> ids = {5, 90, 17, 33, 8};
    return harness.prefill(ids, all_rows(5));
  };
  const auto files = [&] {
    std::map<std::string, std::filesystem::file_time_type> found;
    for (const auto& entry : std::filesystem::directory_iterator(options.packed))
      found[entry.path()] = entry.last_write_time();
    return found;
  };
  const std::vector<float> first = prefill();
  const auto kept = files();
  EXPECT_EQ(kept.size(), 1u);
  EXPECT_EQ(prefill(), first);
  EXPECT_EQ(files(), kept) << "were packed again";
  options.precision = kBf16;
  prefill();
  EXPECT_EQ(files().size(), 2u);
}

TEST_P(GgufForward, FingerprintIsOfTypesAndBytes) {
  std::vector<std::string> prints;
  for (const GgufElements elements : {GgufElements::kF32, GgufElements::kBF16, GgufElements::kQ8}) {
    write(elements);
    for (const std::string& path : {folder_.file("model.gguf"), folder_.path()}) {
      const auto source = open_model(path);
      ASSERT_TRUE(source.ok()) << source.error().message;
      const auto config = (*source)->config();
      ASSERT_TRUE(config.ok()) << config.error().message;
      const auto weights = (*source)->weights();
      ASSERT_TRUE(weights.ok());
      ASSERT_TRUE((*weights)->check(*config).ok()) << (*weights)->check(*config).error().message;
      prints.push_back(fingerprint_model(*config, **weights, {})->value.hex());
    }
  }
  std::sort(prints.begin(), prints.end());
  EXPECT_EQ(std::unique(prints.begin(), prints.end()), prints.end());
}

INSTANTIATE_TEST_SUITE_P(Models, GgufForward,
                         testing::Values("llama2", "llama3", "llama3_1", "smollm2", "mistral",
                                         "llama_linear", "qwen2", "qwen2_5", "qwen2_5_yarn",
                                         "qwen3", "gemma3", "gemma2", "phi3", "smollm3", "olmo2",
                                         "granite", "mixtral", "qwen3_moe"),
                         [](const auto& tested) { return tested.param; });

struct WrongKey {
  const char* model;
  const char* what;
  std::function<void(GgufPlan&)> change;
};

// The key with another number, or a new one.
std::function<void(GgufPlan&)> f32(const char* key, float value) {
  return [=](GgufPlan& plan) {
    plan.remove(key);
    plan.f32(key, value);
  };
}
std::function<void(GgufPlan&)> u32(const char* key, uint32_t value) {
  return [=](GgufPlan& plan) {
    plan.remove(key);
    plan.u32(key, value);
  };
}

test::GgufTensor& tensor(GgufPlan& plan, const std::string& name) {
  return *std::find_if(plan.tensors.begin(), plan.tensors.end(),
                       [&](const auto& one) { return one.name == name; });
}

// As if the converter had not added the 1.
void without_the_one(GgufPlan& plan) {
  for (test::GgufTensor& tensor : plan.tensors) {
    if (!tensor.name.ends_with("norm.weight")) continue;
    std::vector<float> numbers(tensor.data.size() / 4);
    std::memcpy(numbers.data(), tensor.data.data(), tensor.data.size());
    for (float& number : numbers) --number;
    tensor.data = test::raw(numbers);
  }
}

void with_every_layer_local(GgufPlan& plan) {
  plan.add("gemma3.attention.sliding_window_pattern", 9,
           test::raw<uint32_t>(7) + test::raw<uint64_t>(7) + std::string(7, '\1'));
}

void with_factors_swapped(GgufPlan& plan) {
  std::swap(tensor(plan, "rope_factors_long.weight").data,
            tensor(plan, "rope_factors_short.weight").data);
}

// The first two of a layer.
void with_experts_swapped(GgufPlan& plan) {
  test::GgufTensor& stack = tensor(plan, "blk.1.ffn_up_exps.weight");
  const auto bytes = static_cast<std::ptrdiff_t>(stack.data.size() / stack.dimensions.back());
  std::swap_ranges(stack.data.begin(), stack.data.begin() + bytes, stack.data.begin() + bytes);
}

const WrongKey kWrongKeys[] = {
    {"qwen3", "epsilon", f32("qwen3.attention.layer_norm_rms_epsilon", 1e-2f)},
    {"qwen3", "base", f32("qwen3.rope.freq_base", 1.2e6f)},
    {"gemma3", "window + 1", u32("gemma3.attention.sliding_window", 25)},
    {"gemma3", "window - 1", u32("gemma3.attention.sliding_window", 23)},
    {"gemma3", "no window", u32("gemma3.attention.sliding_window", 0)},
    {"gemma3", "period", u32("gemma3.attention.sliding_window_pattern", 5)},
    {"gemma3", "layers", with_every_layer_local},
    {"gemma3", "base", f32("gemma3.rope.freq_base", 1.2e6f)},
    {"gemma3", "local base", f32("gemma3.rope.freq_base_swa", 12000)},
    {"gemma3", "factor", f32("gemma3.rope.scaling.factor", 7)},
    {"gemma3", "cap", f32("gemma3.final_logit_softcapping", 4)},
    {"gemma3", "norm offset", without_the_one},
    {"gemma2", "window + 1", u32("gemma2.attention.sliding_window", 25)},
    {"gemma2", "window - 1", u32("gemma2.attention.sliding_window", 23)},
    {"gemma2", "period", u32("gemma2.attention.sliding_window_pattern", 3)},
    {"gemma2", "base", f32("gemma2.rope.freq_base", 12000)},
    {"gemma2", "cap", f32("gemma2.attn_logit_softcapping", 3.2f)},
    {"gemma2", "logit cap", f32("gemma2.final_logit_softcapping", 4.2f)},
    {"gemma2", "norm offset", without_the_one},
    {"phi3", "window + 1", u32("phi3.attention.sliding_window", 41)},
    {"phi3", "window - 1", u32("phi3.attention.sliding_window", 39)},
    {"phi3", "base", f32("phi3.rope.freq_base", 12000)},
    {"phi3", "factors", with_factors_swapped},
    {"phi3", "short factors", u32("phi3.rope.scaling.original_context_length", 512)},
    {"phi3", "rotation factor", f32("phi3.rope.scaling.attn_factor", 1.1f)},
    {"smollm3", "base", f32("smollm3.rope.freq_base", 6e6f)},
    {"olmo2", "epsilon", f32("olmo2.attention.layer_norm_rms_epsilon", 1e-2f)},
    {"olmo2", "base", f32("olmo2.rope.freq_base", 6e5f)},
    {"granite", "scale", f32("granite.attention.scale", 0.155f)},
    {"granite", "embedding scale", f32("granite.embedding_scale", 12.5f)},
    {"granite", "residual scale", f32("granite.residual_scale", 0.23f)},
    {"granite", "logit scale", f32("granite.logit_scale", 8.2f)},
    {"mixtral", "experts + 1", u32("llama.expert_used_count", 3)},
    {"mixtral", "experts - 1", u32("llama.expert_used_count", 1)},
    {"mixtral", "window", u32("llama.attention.sliding_window", 40)},
    {"mixtral", "order of experts", with_experts_swapped},
    {"qwen3_moe", "experts + 1", u32("qwen3moe.expert_used_count", 4)},
    {"qwen3_moe", "experts - 1", u32("qwen3moe.expert_used_count", 2)},
    {"qwen3_moe", "base", f32("qwen3moe.rope.freq_base", 1.2e6f)},
    {"qwen3_moe", "order of experts", with_experts_swapped},
};

class GgufWrongKeys : public GgufForward {};

TEST_P(GgufWrongKeys, AreNoticed) {
  write(GgufElements::kF32);
  const auto expected = reference::to_double(logits(folder_.path(), kF32));
  int tried = 0;
  for (const WrongKey& wrong : kWrongKeys) {
    if (wrong.model != GetParam()) continue;
    write(GgufElements::kF32, wrong.change);
    const auto got = reference::to_double(logits(folder_.file("model.gguf"), kF32));
    const double error = reference::worst_row_error(got, expected, config_.vocab_size);
    std::cout << GetParam() << ", wrong " << wrong.what << ": " << error << "\n";
    EXPECT_GT(error, reference::kFloat32Bound) << wrong.what;
    ++tried;
  }
  EXPECT_GT(tried, 0);
}

INSTANTIATE_TEST_SUITE_P(Models, GgufWrongKeys,
                         testing::Values("qwen3", "gemma3", "gemma2", "phi3", "smollm3", "olmo2",
                                         "granite", "mixtral", "qwen3_moe"),
                         [](const auto& tested) { return tested.param; });

}  // namespace
}  // namespace dbsa
