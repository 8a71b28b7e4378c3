// Defaults and keys of families whose layers differ: absent is not null.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "model/config/model_config.h"
#include "model/config/model_spec.h"

namespace dbsa {
namespace {

using nlohmann::json;

json family(const char* type, const json& changes = json::object()) {
  json config = {{"model_type", type},      {"hidden_size", 64}, {"intermediate_size", 96},
                 {"num_hidden_layers", 6},  {"vocab_size", 100}, {"num_attention_heads", 4},
                 {"num_key_value_heads", 2}};
  config.update(changes);
  return config;
}

ModelConfig read(const json& config) {
  auto parsed = parse_model_config("c.json", config.dump());
  EXPECT_TRUE(parsed.ok()) << parsed.error().message;
  return parsed.ok() ? std::move(*parsed) : ModelConfig{};
}

std::string fault(const json& config) {
  const auto parsed = parse_model_config("c.json", config.dump());
  return parsed.ok() ? "" : parsed.error().message;
}

std::string layers_of(const std::vector<bool>& layers) {
  std::string text;
  for (const bool layer : layers) text += layer ? '1' : '0';
  return text;
}

TEST(FamilyConfig, HeadDimensionsOfTheClass) {
  EXPECT_EQ(read(family("qwen3")).head_dim, 128);
  EXPECT_EQ(read(family("qwen3", {{"head_dim", nullptr}})).head_dim, 16);
  EXPECT_EQ(read(family("gemma2")).head_dim, 256);
  EXPECT_EQ(read(family("gemma3_text")).head_dim, 256);
  EXPECT_EQ(read(family("smollm3")).head_dim, 16);
  EXPECT_EQ(fault(family("phi3", {{"head_dim", 32}})),
            "c.json: /head_dim: expected hidden_size / num_attention_heads, found 32");
}

TEST(FamilyConfig, Windows) {
  const ModelConfig gemma3 = read(family("gemma3_text"));
  EXPECT_EQ(gemma3.sliding_window, 4096);
  EXPECT_EQ(layers_of(gemma3.window_layers), "111110");
  EXPECT_EQ(layers_of(read(family("gemma3_text", {{"sliding_window_pattern", 3}})).window_layers),
            "110110");
  EXPECT_EQ(fault(family("gemma3_text", {{"sliding_window", nullptr}})),
            "c.json: /sliding_window: is missing, expected the width of the layers' windows");
  const ModelConfig global = read(family("gemma3_text", {{"sliding_window_pattern", 1}}));
  EXPECT_FALSE(global.sliding_window || global.window_rope) << "every layer is global";
  EXPECT_EQ(layers_of(read(family("gemma2")).window_layers), "101010");
  const json types = {"full_attention",    "sliding_attention", "full_attention",
                      "sliding_attention", "full_attention",    "full_attention"};
  EXPECT_EQ(layers_of(read(family("gemma2", {{"layer_types", types}})).window_layers), "010100");
  EXPECT_EQ(fault(family("gemma2", {{"layer_types", {"full_attention"}}})),
            "c.json: /layer_types: expected a list of 6 names, one a layer, found "
            "[\"full_attention\"]");

  EXPECT_EQ(read(family("qwen3")).sliding_window, std::nullopt);
  const ModelConfig qwen3 =
      read(family("qwen3", {{"use_sliding_window", true}, {"max_window_layers", 4}}));
  EXPECT_EQ(qwen3.sliding_window, 4096);
  EXPECT_EQ(layers_of(qwen3.window_layers), "000011");
  EXPECT_EQ(fault(family("qwen3", {{"layer_types", types}})),
            "c.json: /layer_types: expected full_attention, as use_sliding_window is false, found "
            "\"sliding_attention\"");

  EXPECT_EQ(read(family("mistral")).sliding_window, 4096);
  EXPECT_EQ(read(family("mistral", {{"sliding_window", nullptr}})).sliding_window, std::nullopt);
  EXPECT_EQ(read(family("phi3")).sliding_window, std::nullopt);
  EXPECT_EQ(read(family("phi3", {{"sliding_window", 2047}})).sliding_window, 2047);
  EXPECT_NE(fault(family("olmo2", {{"sliding_window", 100}})), "");

  // A window as wide as the model reaches is none.
  const ModelConfig wide =
      read(family("phi3", {{"sliding_window", 262144}, {"max_position_embeddings", 131072}}));
  EXPECT_EQ(make_model_spec(wide).attention_types[0].window, 0);
}

TEST(FamilyConfig, LayersWithoutRope) {
  EXPECT_EQ(layers_of(read(family("smollm3")).unrotated_layers), "000100");
  // 1 is a layer with RoPE.
  EXPECT_EQ(
      layers_of(read(family("smollm3", {{"no_rope_layers", {1, 0, 0, 1, 1, 1}}})).unrotated_layers),
      "011000");
  EXPECT_EQ(fault(family("smollm3", {{"no_rope_layers", {1, 2, 0, 1, 1, 1}}})),
            "c.json: /no_rope_layers: expected a 0 (without RoPE) or 1 for each of 6 layers, found "
            "[1,2,0,1,1,1]");
  EXPECT_EQ(read(family("smollm3")).rope.theta, 2e6);
}

TEST(FamilyConfig, GemmasRopesCapsAndScales) {
  const ModelConfig gemma3 = read(family("gemma3_text"));
  EXPECT_EQ(gemma3.rope.theta, 1e6);
  ASSERT_TRUE(gemma3.window_rope);
  EXPECT_EQ(gemma3.window_rope->theta, 1e4);
  EXPECT_EQ(gemma3.attention_scale, 1.0 / 16);
  EXPECT_EQ(gemma3.attention_soft_cap, 0);
  EXPECT_EQ(gemma3.embedding_multiplier, 8);
  EXPECT_TRUE(gemma3.norm_plus_one);
  EXPECT_TRUE(gemma3.tie_word_embeddings);
  // transformers 5 writes one object for each kind of layer.
  const json forms = {
      {"full_attention", {{"rope_type", "linear"}, {"factor", 8.0}, {"rope_theta", 5e5}}},
      {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", 2e4}}}};
  const ModelConfig newer = read(family("gemma3_text", {{"rope_parameters", forms}}));
  EXPECT_EQ(newer.rope.theta, 5e5);
  EXPECT_EQ(newer.rope.factor, 8);
  EXPECT_EQ(newer.window_rope->theta, 2e4);
  EXPECT_EQ(newer.window_rope->kind, RopeKind::kDefault);
  EXPECT_EQ(newer.max_positions, newer.max_position_embeddings);

  const ModelConfig gemma2 = read(family("gemma2", {{"query_pre_attn_scalar", 144}}));
  EXPECT_EQ(gemma2.attention_scale, 1.0 / 12);
  EXPECT_EQ(gemma2.attention_soft_cap, 50);
  EXPECT_EQ(gemma2.logit_soft_cap, 30);
  EXPECT_FALSE(gemma2.window_rope);
  EXPECT_EQ(read(family("gemma2", {{"final_logit_softcapping", nullptr}})).logit_soft_cap, 0);
  EXPECT_EQ(fault(family("gemma2", {{"hidden_activation", "gelu"}})),
            "c.json: /hidden_activation: expected \"gelu_pytorch_tanh\", found \"gelu\"; only GELU "
            "(tanh) models are supported");
}

TEST(FamilyConfig, GranitesMultipliers) {
  const ModelConfig plain = read(family("granite"));
  EXPECT_EQ(plain.attention_scale, 1);
  EXPECT_EQ(plain.logits_scaling, 1);
  const ModelConfig config = read(family("granite", {{"attention_multiplier", 0.015625},
                                                     {"embedding_multiplier", 12},
                                                     {"residual_multiplier", 0.22},
                                                     {"logits_scaling", 8}}));
  EXPECT_EQ(config.attention_scale, 0.015625);
  EXPECT_EQ(config.embedding_multiplier, 12);
  EXPECT_EQ(config.residual_multiplier, 0.22);
  EXPECT_EQ(make_model_spec(config).logit_multiplier, 0.125);
}

TEST(FamilyConfig, ExpertsAndTheirLayers) {
  const auto all = [](const ModelConfig& c) {
    return std::to_string(c.experts.count) + " " + std::to_string(c.experts.used) + " " +
           std::to_string(c.experts.intermediate_size) + (c.experts.normalised ? " sum 1" : "");
  };
  // Absent keys are the class's.
  EXPECT_EQ(all(read(family("mixtral"))), "8 2 96 sum 1");
  EXPECT_EQ(all(read(family("qwen3_moe"))), "128 8 768");
  EXPECT_EQ(read(family("mixtral")).head_dim, 16);
  EXPECT_EQ(read(family("qwen3_moe")).head_dim, 16);
  EXPECT_EQ(read(family("mixtral")).rope.theta, 1e6);
  EXPECT_EQ(read(family("qwen3_moe")).rope.theta, 1e4);
  EXPECT_EQ(read(family("mixtral")).rms_norm_eps, 1e-5);
  EXPECT_EQ(read(family("qwen3_moe")).rms_norm_eps, 1e-6);
  const json qwen = {
      {"num_experts", 16},      {"num_experts_per_tok", 4},      {"moe_intermediate_size", 24},
      {"norm_topk_prob", true}, {"router_aux_loss_coef", 0.001}, {"output_router_logits", false}};
  EXPECT_EQ(all(read(family("qwen3_moe", qwen))), "16 4 24 sum 1");
  EXPECT_EQ(all(read(family("mixtral", {{"num_local_experts", 4}, {"num_experts_per_tok", 1}}))),
            "4 1 96 sum 1");
  // The other class's name for their number.
  EXPECT_EQ(read(family("qwen3_moe", {{"num_local_experts", 16}})).experts.count, 16);
  EXPECT_EQ(read(family("mixtral", {{"num_experts", 16}})).experts.count, 16);
  EXPECT_NE(fault(family("mixtral", {{"num_experts", 16}, {"num_local_experts", 16}})), "");

  const auto layers = [&](const json& changes) {
    std::string text;
    for (const LayerSpec& layer : make_model_spec(read(family("qwen3_moe", changes))).layers)
      text += layer.experts ? '1' : '0';
    return text;
  };
  EXPECT_EQ(layers(json::object()), "111111");
  EXPECT_EQ(layers({{"mlp_only_layers", nullptr}}), "111111");
  EXPECT_EQ(layers({{"decoder_sparse_step", 2}}), "010101");
  EXPECT_EQ(layers({{"decoder_sparse_step", 2}, {"mlp_only_layers", {3, 0}}}), "010001");
  EXPECT_EQ(fault(family("qwen3_moe", {{"mlp_only_layers", {6}}})),
            "c.json: /mlp_only_layers: expected layers from 0 to 5, found 6");
  EXPECT_EQ(fault(family("qwen3_moe", {{"num_experts_per_tok", 200}})),
            "c.json: /num_experts_per_tok: expected an integer from 1 to 128, found 200");
  const json many = {{"num_experts", 65536}, {"num_hidden_layers", 65536}};
  EXPECT_EQ(fault(family("qwen3_moe", many)),
            "c.json: /num_experts: expected at most 262144 experts in all layers, found 65536 in "
            "each of 65536; use a smaller model");

  // Windows are of all layers.
  EXPECT_EQ(read(family("qwen3_moe")).sliding_window, std::nullopt);
  const ModelConfig window =
      read(family("qwen3_moe", {{"use_sliding_window", true}, {"max_window_layers", 4}}));
  EXPECT_EQ(window.sliding_window, 4096);
  EXPECT_TRUE(window.window_layers.empty());
  EXPECT_EQ(read(family("mixtral")).sliding_window, std::nullopt);
  EXPECT_EQ(read(family("mixtral", {{"sliding_window", 64}})).sliding_window, 64);
  for (const json& unknown : {json{{"shared_expert_intermediate_size", 96}},
                              json{{"layer_types", std::vector<std::string>(6, "full_attention")}},
                              json{{"n_shared_experts", 1}}, json{{"hidden_act", "gelu"}}})
    EXPECT_NE(fault(family("qwen3_moe", unknown)), "") << unknown;
  EXPECT_NE(fault(family("qwen3", {{"num_experts", 4}})), "");
}

// The long factors serve every prompt of a pool that may reach beyond the original context.
TEST(FamilyConfig, LongRopeIsChosenByHowFarPromptsReach) {
  const json scaling = {{"type", "longrope"},
                        {"short_factor", {1, 1, 1, 1, 1, 1}},
                        {"long_factor", {1, 2, 3, 4, 5, 6}}};
  const json changes = {{"partial_rotary_factor", 0.75},
                        {"max_position_embeddings", 131072},
                        {"original_max_position_embeddings", 4096},
                        {"rope_scaling", scaling}};
  ModelConfig config = read(family("phi3", changes));
  EXPECT_EQ(config.rope.head_dim, 12);
  EXPECT_NEAR(config.rope.rotation_factor, std::sqrt(1 + std::log(32.0) / std::log(4096.0)), 1e-12);
  EXPECT_EQ(config.rope.divisors, config.rope.long_factors);
  const std::string longer = rope_identity(config.rope);
  limit_positions(config, 4096);
  EXPECT_EQ(config.max_positions, 4096);
  EXPECT_EQ(config.rope.divisors, config.rope.short_factors);
  EXPECT_NE(rope_identity(config.rope), longer);
  limit_positions(config, 100000);  // never farther than before
  EXPECT_EQ(config.max_positions, 4096);

  json few = changes;
  few["rope_scaling"]["long_factor"] = {1, 2, 3};
  EXPECT_EQ(
      fault(family("phi3", few)),
      "c.json: /rope_scaling/long_factor: expected a list of 6 numbers above 0, one a rotated "
      "pair, found [1,2,3]");
  json odd = changes;
  odd["partial_rotary_factor"] = 0.2;
  EXPECT_EQ(fault(family("phi3", odd)).substr(0, 105),
            "c.json: /partial_rotary_factor: expected a share of the head's 16 dimensions that is "
            "even, found 3 dimens");
}

TEST(FamilyConfig, WhatIsNotComputedIsRefusedByName) {
  const auto refused = [](const char* type) { return fault(family(type)); };
  EXPECT_EQ(refused("gpt_oss"),
            "c.json: /model_type: \"gpt_oss\" is not computed: experts in MXFP4; use Qwen3 or "
            "Gemma 3");
  EXPECT_EQ(refused("qwen3_next"),
            "c.json: /model_type: \"qwen3_next\" has recurrent layers, whose state depends on all "
            "tokens before in their order, so stored blocks could not be put together exactly; use "
            "a model with attention in every layer, such as Qwen3");
  EXPECT_EQ(refused("qwen2_moe"),
            "c.json: /model_type: \"qwen2_moe\" is not computed: an expert that every token gets; "
            "use Qwen3-MoE or a dense Qwen");
  for (const char* type : {"ministral3", "llama4", "gemma4", "deepseek_v3", "granitemoehybrid",
                           "lfm2", "mamba2", "olmo3"})
    EXPECT_NE(refused(type).find(std::string("\"") + type + "\" "), std::string::npos) << type;
  EXPECT_EQ(refused("falcon"),
            "c.json: /model_type: expected llama, mistral, qwen2, qwen3, gemma2, gemma3_text, "
            "smollm3, olmo2, phi3, granite, mixtral or qwen3_moe, found \"falcon\"; use a model of "
            "one of these families");
}

}  // namespace
}  // namespace dbsa
