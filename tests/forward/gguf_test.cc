// A model as a GGUF file computes what the same model as a folder does, bit for bit.
#include <gtest/gtest.h>

#include <filesystem>
#include <iostream>
#include <map>

#include "model/checkpoint.h"
#include "tests/forward/forward_harness.h"
#include "tests/model/model_files.h"
#include "tests/support/gguf_model.h"

namespace dbsa {
namespace {

using test::GgufElements;

class GgufForward : public testing::TestWithParam<std::string> {
 protected:
  GgufForward()
      : fixture_(fixture_folder(GetParam())),
        config_(*load_model_config(fixture_)),
        checkpoint_(*Checkpoint::open(fixture_)) {}

  // Writes the model in both forms, with the same numbers.
  void write(GgufElements elements) {
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

  std::string fixture_;
  ModelConfig config_;
  Checkpoint checkpoint_;
  test::TemporaryFolder folder_;
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
      const auto source = ModelSource::open(path);
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
                                         "llama_linear", "qwen2", "qwen2_5", "qwen2_5_yarn"),
                         [](const auto& tested) { return tested.param; });

}  // namespace
}  // namespace dbsa
