// Small models as GGUF files for tests, to be changed before they are opened.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>

#include "model/open_model.h"
#include "tests/support/gguf_model.h"
#include "tests/support/workspace.h"

namespace dbsa::gguf {

// A model of 2 layers whose weights are all 0; expert_width: of the experts of Qwen3-MoE.
inline test::GgufPlan small_model(ModelFamily family = ModelFamily::kLlama,
                                  int64_t expert_width = 16) {
  ModelConfig config;
  config.family = family;
  config.qkv_bias = family == ModelFamily::kQwen2;
  config.hidden_size = 64;
  config.intermediate_size = 32;
  config.layers = 2;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 16;
  config.vocab_size = 10;
  config.rms_norm_eps = 1e-5;
  config.max_position_embeddings = 100;
  config.rope.theta = 5000;
  config.rope.head_dim = 16;
  config.bos_token_id = 1;
  config.eos_token_ids = {2};
  config.attention_soft_cap = 20;
  if (family == ModelFamily::kMixtral)
    config.experts = {4, 2, config.intermediate_size, true};
  else if (family == ModelFamily::kQwen3Moe)
    config.experts = {4, 2, expert_width, true};
  if (family == ModelFamily::kPhi3) {
    config.rope.kind = RopeKind::kLongRope;
    config.rope.original_max_position_embeddings = 50;
    config.rope.long_factors = {1, 2, 3, 4, 5, 6, 7, 8};
    config.rope.short_factors = {1, 1, 1, 1, 1, 1, 1, 2};
    config.rope.rotation_factor = 1.25;
  }
  test::GgufPlan plan = test::gguf_keys(config);
  for (const TensorSpec& spec : expected_tensors(config)) {
    uint64_t elements = 1;
    for (const int64_t extent : spec.shape) elements *= static_cast<uint64_t>(extent);
    test::add_tensor(plan, test::gguf_name(spec.name, family),
                     {spec.shape.rbegin(), spec.shape.rend()}, 0, std::string(4 * elements, '\0'));
  }
  return plan;
}

class GgufModelTest : public testing::Test {
 protected:
  GgufModelTest() : path_(workspace_.path("m.gguf")) {}
  Result<std::unique_ptr<ModelSource>> open(const test::GgufPlan& plan) {
    return open_model(workspace_.write("m.gguf", plan.bytes()));
  }
  ModelConfig config(const test::GgufPlan& plan) {
    const auto source = open(plan);
    EXPECT_TRUE(source.ok()) << source.error().message;
    const auto config = (*source)->config();
    EXPECT_TRUE(config.ok()) << config.error().message;
    return *config;
  }
  // With the place of the key for "@": "key 'name', byte N".
  void expect_fault(const std::function<void(test::GgufPlan&)>& change, const std::string& expected,
                    ModelFamily family = ModelFamily::kLlama) {
    test::GgufPlan plan = small_model(family);
    change(plan);
    const auto source = open(plan);
    const auto read = source.ok() ? (*source)->config() : Result<ModelConfig>(source.error());
    std::string message = read.ok() ? "" : read.error().message;
    EXPECT_TRUE(message.starts_with(path_ + ": ")) << message;
    EXPECT_EQ(message.substr(std::min(path_.size() + 2, message.size())), expected);
  }
  // One fault, with this text in it.
  void expect_part(ModelFamily family, const std::string& expected,
                   const std::function<void(test::GgufPlan&)>& change) {
    test::GgufPlan plan = small_model(family);
    change(plan);
    const auto source = open(plan);
    ASSERT_TRUE(source.ok()) << source.error().message;
    const auto read = (*source)->config();
    const std::string found = read.ok() ? "" : read.error().message;
    EXPECT_NE(found.find(expected), std::string::npos) << expected << "\n" << found;
    EXPECT_EQ(found.find('\n'), std::string::npos) << found;
  }
  Status check(const test::GgufPlan& plan) {
    const auto source = open(plan);
    return (*(*source)->weights())->check(*(*source)->config());
  }
  Workspace workspace_;
  std::string path_;
};

}  // namespace dbsa::gguf
