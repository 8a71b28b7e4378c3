// Keys of GGUF files as a configuration, tensors as weights, and what is wrong with them by name.
#include "model/gguf/gguf_config.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <iostream>
#include <limits>

#include "model/config/model_spec.h"
#include "model/gguf/gguf_tokenizer.h"
#include "tests/gguf/gguf_model_test.h"

namespace dbsa::gguf {
namespace {

using test::GgufPlan;
using test::raw;

TEST_F(GgufModelTest, ConfigurationIsTheKeys) {
  const ModelConfig c = config(small_model());
  EXPECT_EQ(c.family, ModelFamily::kLlama);
  EXPECT_EQ(c.model_type, "llama");
  EXPECT_EQ(c.hidden_size, 64);
  EXPECT_EQ(c.intermediate_size, 32);
  EXPECT_EQ(c.layers, 2);
  EXPECT_EQ(c.heads, 4);
  EXPECT_EQ(c.kv_heads, 2);
  EXPECT_EQ(c.head_dim, 16);
  EXPECT_EQ(c.vocab_size, 10);
  EXPECT_EQ(static_cast<float>(c.rms_norm_eps), 1e-5f);
  EXPECT_EQ(c.rope.theta, 5000);
  EXPECT_EQ(c.rope.head_dim, 16);
  EXPECT_EQ(c.max_positions, 100);
  EXPECT_EQ(c.bos_token_id, 1);
  EXPECT_EQ(c.eos_token_ids, (std::vector<int64_t>{2}));
  EXPECT_FALSE(c.sliding_window);
  EXPECT_FALSE(c.tie_word_embeddings);
  EXPECT_FALSE(c.qkv_bias || c.output_bias || c.mlp_bias);
}

TEST_F(GgufModelTest, DefaultsOfAbsentKeys) {
  GgufPlan plan = small_model();
  for (const char* key :
       {"llama.attention.key_length", "llama.attention.value_length", "llama.rope.dimension_count",
        "llama.rope.freq_base", "llama.vocab_size", "llama.attention.head_count_kv"})
    plan.remove(key);
  std::erase_if(plan.tensors, [](const auto& tensor) { return tensor.name == "output.weight"; });
  plan.u32("tokenizer.ggml.eot_token_id", 7).u32("tokenizer.ggml.eom_token_id", 4'000'000'000);
  const ModelConfig c = config(plan);
  EXPECT_EQ(c.head_dim, 16);
  EXPECT_EQ(c.kv_heads, 4);
  EXPECT_EQ(c.rope.theta, 10000);
  EXPECT_EQ(c.vocab_size, 10);
  EXPECT_TRUE(c.tie_word_embeddings);
  EXPECT_EQ(c.eos_token_ids, (std::vector<int64_t>{2, 7}));
}

TEST_F(GgufModelTest, RopeScaling) {
  GgufPlan plan = small_model();
  plan.text("llama.rope.scaling.type", "linear").f32("llama.rope.scaling.factor", 4);
  ModelConfig c = config(plan);
  EXPECT_EQ(c.rope.kind, RopeKind::kLinear);
  EXPECT_EQ(c.rope.factor, 4);
  EXPECT_EQ(c.max_positions, 400);
  plan = small_model();
  std::vector<float> divisors = {1, 2, 3, 4, 5, 6, 7, 8};
  plan.tensor("rope_freqs.weight", {8}, 0, raw(divisors));
  c = config(plan);
  EXPECT_EQ(c.rope.divisors, divisors);
  RopeParameters plain = c.rope;
  plain.divisors.clear();
  const auto divided = rope_inverse_frequencies(c.rope), whole = rope_inverse_frequencies(plain);
  for (size_t i = 0; i < whole.size(); ++i) EXPECT_EQ(divided[i], whole[i] / divisors[i]);
  EXPECT_NE(rope_identity(c.rope), rope_identity(plain));
}

// What llama.cpp takes where a converter wrote no key.
TEST_F(GgufModelTest, Gemma3WithoutItsKeys) {
  GgufPlan plan = small_model(ModelFamily::kGemma3);
  plan.key("gemma3.block_count").value = raw<uint32_t>(7);
  ModelConfig c = config(plan);
  EXPECT_FALSE(c.sliding_window || c.window_rope);
  plan.u32("gemma3.attention.sliding_window", 40);
  c = config(plan);
  EXPECT_EQ(c.model_type, "gemma3_text");
  EXPECT_EQ(c.sliding_window, 40);
  EXPECT_EQ(c.window_layers, (std::vector<bool>{true, true, true, true, true, false, true}));
  EXPECT_EQ(c.window_rope->theta, 10000);
  EXPECT_EQ(c.window_rope->head_dim, 16);
  EXPECT_EQ(c.rope.theta, 5000);
  EXPECT_EQ(c.embedding_multiplier, 8);
  EXPECT_FALSE(c.norm_plus_one);
  EXPECT_FALSE(c.attention_scale);
  EXPECT_EQ(c.attention_soft_cap, 0);
  EXPECT_EQ(c.logit_soft_cap, 0);
}

TEST_F(GgufModelTest, Gemma3WithAllKeys) {
  GgufPlan plan = small_model(ModelFamily::kGemma3);
  plan.u32("gemma3.attention.sliding_window", 40)
      .f32("gemma3.rope.freq_base_swa", 7000)
      .f32("gemma3.final_logit_softcapping", 25)
      .text("gemma3.rope.scaling.type", "linear")
      .f32("gemma3.rope.scaling.factor", 8)
      .add("gemma3.attention.sliding_window_pattern", 9,
           raw<uint32_t>(7) + raw<uint64_t>(2) + std::string("\0\1", 2));
  ModelConfig c = config(plan);
  EXPECT_EQ(c.window_layers, (std::vector<bool>{false, true}));
  EXPECT_EQ(c.window_rope->theta, 7000);
  EXPECT_EQ(c.window_rope->kind, RopeKind::kDefault) << "local layers are not scaled";
  EXPECT_EQ(c.rope.factor, 8);
  EXPECT_EQ(c.max_positions, 100) << "the context counts the scaling";
  EXPECT_EQ(c.logit_soft_cap, 25);
  plan.remove("gemma3.attention.sliding_window_pattern");
  plan.u32("gemma3.attention.sliding_window_pattern", 1);
  c = config(plan);
  EXPECT_FALSE(c.sliding_window || c.window_rope) << "every layer is global";
}

TEST_F(GgufModelTest, Gemma2WithoutItsKeys) {
  GgufPlan plan = small_model(ModelFamily::kGemma2);
  plan.key("gemma2.context_length").value = raw<uint32_t>(8192);
  ModelConfig c = config(plan);
  EXPECT_EQ(c.attention_soft_cap, 20);
  EXPECT_EQ(c.logit_soft_cap, 30);
  EXPECT_EQ(c.sliding_window, 4096);
  EXPECT_EQ(c.window_layers, (std::vector<bool>{true, false}));
  EXPECT_FALSE(c.window_rope);
  EXPECT_EQ(c.rope.theta, 10000);
  plan.remove("gemma2.attn_logit_softcapping");
  plan.f32("gemma2.final_logit_softcapping", 21);
  c = config(plan);
  EXPECT_EQ(c.attention_soft_cap, 50);
  EXPECT_EQ(c.logit_soft_cap, 21);
}

// Their scale is no power of the head's width, and no key says it.
TEST_F(GgufModelTest, TheLargestGemmasHaveTheirScale) {
  for (const auto& [family, layers] :
       {std::pair{ModelFamily::kGemma2, 46u}, {ModelFamily::kGemma3, 62u}}) {
    const std::string a = test::gguf_architecture(family);
    GgufPlan plan = small_model(family);
    plan.key(a + ".attention.head_count").value = raw<uint32_t>(2);
    plan.u32(a + ".attention.key_length", 16).u32(a + ".attention.value_length", 16);
    EXPECT_EQ(config(plan).attention_scale, std::nullopt);
    plan.key(a + ".block_count").value = raw<uint32_t>(layers);
    EXPECT_EQ(config(plan).attention_scale, 1 / std::sqrt(32.0)) << a;
  }
}

TEST_F(GgufModelTest, LongRopeIsChosenByTheContext) {
  GgufPlan plan = small_model(ModelFamily::kPhi3);
  plan.key("phi3.attention.sliding_window").value = raw<uint32_t>(60);
  ModelConfig c = config(plan);
  EXPECT_EQ(c.rope.kind, RopeKind::kLongRope);
  EXPECT_EQ(c.rope.divisors, (std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(c.rope.rotation_factor, 1.25);
  EXPECT_EQ(c.sliding_window, 60);
  EXPECT_TRUE(c.window_layers.empty());
  limit_positions(c, 50);
  EXPECT_EQ(c.rope.divisors, c.rope.short_factors);
  EXPECT_TRUE(check(plan).ok()) << check(plan).error().message;
  // Without the tensors the other two keys say nothing.
  std::erase_if(plan.tensors, [](const auto& t) { return t.name.starts_with("rope_factors"); });
  plan.remove("phi3.rope.scaling.attn_factor");
  plan.key("phi3.attention.sliding_window").value = raw<uint32_t>(0);
  plan.u32("phi3.rope.dimension_count", 12);
  c = config(plan);
  EXPECT_EQ(c.rope.kind, RopeKind::kDefault);
  EXPECT_EQ(c.rope.head_dim, 12);
  EXPECT_EQ(c.head_dim, 16);
  EXPECT_FALSE(c.sliding_window);
}

// The first conversions of Phi-3-mini-4k and Phi-3-medium-4k do not say their window.
TEST_F(GgufModelTest, AWindowOfPhi3ThatIsNotSaidIsKnownByTheShape) {
  GgufPlan plan = small_model(ModelFamily::kPhi3);
  std::erase_if(plan.tensors, [](const auto& t) { return t.name.starts_with("rope_factors"); });
  plan.remove("phi3.rope.scaling.attn_factor");
  plan.remove("phi3.attention.sliding_window");
  const auto window = [&](uint32_t layers, uint32_t positions) {
    plan.key("phi3.block_count").value = raw<uint32_t>(layers);
    plan.key("phi3.context_length").value = raw<uint32_t>(positions);
    return config(plan).sliding_window;
  };
  EXPECT_EQ(window(32, 4096), 2047);
  EXPECT_EQ(window(40, 4096), 2047);
  EXPECT_EQ(window(2, 4096), std::nullopt);
  EXPECT_EQ(window(32, 131072), std::nullopt);
  EXPECT_EQ(window(40, 16384), std::nullopt) << "Phi-4";
  plan.u32("phi3.attention.sliding_window", 0);
  EXPECT_EQ(window(32, 4096), std::nullopt) << "the file says that there is none";
}

TEST_F(GgufModelTest, SmolLm3HasLayersWithoutRope) {
  GgufPlan plan = small_model(ModelFamily::kSmolLm3);
  plan.key("smollm3.block_count").value = raw<uint32_t>(5);
  EXPECT_EQ(config(plan).unrotated_layers, (std::vector<bool>{false, false, false, true, false}));
}

TEST_F(GgufModelTest, GraniteHasItsScales) {
  GgufPlan plan = small_model(ModelFamily::kGranite);
  plan.key("granite.attention.scale").value = raw(0.25f);
  plan.key("granite.logit_scale").value = raw(8.0f);
  plan.remove("granite.embedding_scale");
  plan.key("granite.residual_scale").value = raw(0.5f);
  plan.boolean("granite.rope.scaling.finetuned", true);
  const ModelConfig c = config(plan);
  EXPECT_EQ(c.attention_scale, 0.25);
  EXPECT_EQ(c.logits_scaling, 8);
  EXPECT_EQ(c.embedding_multiplier, 1);
  EXPECT_EQ(c.residual_multiplier, 0.5);
}

TEST_F(GgufModelTest, FaultsOfFamilies) {
  using enum ModelFamily;
  expect_part(kOlmo2,
              ": expected none, found 40: this is OLMo 3, which is not computed; use OLMo 2",
              [](auto& p) { p.u32("olmo2.attention.sliding_window", 40); });
  expect_part(kGranite,
              ": expected true, found false: layers without RoPE are not computed for this "
              "architecture; use a Granite 3 model",
              [](auto& p) { p.boolean("granite.rope.scaling.finetuned", false); });
  expect_part(kGranite, "key 'granite.attention.scale': is missing, expected a number above 0",
              [](auto& p) { p.remove("granite.attention.scale"); });
  expect_part(kGranite, "key 'granite.logit_scale': is missing, expected a number above 0",
              [](auto& p) { p.remove("granite.logit_scale"); });
  expect_part(kGemma3,
              ": expected true or false for each of 2 layers, found 1; fetch the file again",
              [](auto& p) {
                p.add("gemma3.attention.sliding_window_pattern", 9,
                      raw<uint32_t>(7) + raw<uint64_t>(1) + std::string(1, '\0'));
              });
  expect_part(kGemma3, ": expected an array of bool, found an array of i32; fetch the file again",
              [](auto& p) {
                p.ints("gemma3.attention.sliding_window_pattern", {1, 0});
              });
  expect_part(kGemma3, ": expected an integer from 1 to 2147483648, found 0; fetch the file again",
              [](auto& p) { p.u32("gemma3.attention.sliding_window_pattern", 0); });
  expect_part(
      kGemma3,
      "unsupported key with value 50.000000; the engine does not know whether it changes the "
      "result: use a supported model",
      [](auto& p) { p.f32("gemma3.attn_logit_softcapping", 50); });
  for (const ModelFamily family : {kQwen3, kSmolLm3, kGranite})
    expect_part(family, "unsupported key with value 40; ", [&](auto& p) {
      p.u32(test::gguf_architecture(family) + ".attention.sliding_window", 40);
    });
  expect_part(kPhi3,
              "tensor 'rope_factors_short.weight': is missing, expected F32 [8]; fetch the file",
              [](auto& p) {
                std::erase_if(p.tensors,
                              [](const auto& t) { return t.name == "rope_factors_short.weight"; });
              });
  expect_part(kPhi3, "key 'phi3.rope.scaling.attn_factor': is missing, expected a number above 0",
              [](auto& p) { p.remove("phi3.rope.scaling.attn_factor"); });
  expect_part(kPhi3,
              "key 'phi3.rope.scaling.original_context_length': is missing, expected an integer",
              [](auto& p) { p.remove("phi3.rope.scaling.original_context_length"); });
  expect_part(kPhi3,
              ": expected none, linear, yarn or longrope, found 'su'; use a model with one of ",
              [](auto& p) {
                p.text("phi3.rope.scaling.type", "su");
                p.remove("phi3.rope.scaling.attn_factor");
              });
  expect_part(kQwen3,
              ": expected none, linear or yarn, found 'longrope'; use a model with one of these",
              [](auto& p) { p.text("qwen3.rope.scaling.type", "longrope"); });
}

TEST_F(GgufModelTest, PartsOfHeadsAreRotatedInPhi3Only) {
  GgufPlan plan = small_model(ModelFamily::kPhi3);
  plan.u32("phi3.rope.dimension_count", 18);
  EXPECT_NE(
      (*open(plan))
          ->config()
          .error()
          .message.find(
              "expected an even number up to the head's 16 dimensions, found 18; fetch the file "
              "again"),
      std::string::npos);
  plan = small_model(ModelFamily::kQwen3);
  plan.u32("qwen3.rope.dimension_count", 8);
  EXPECT_NE(
      (*open(plan))
          ->config()
          .error()
          .message.find("expected rotation of whole heads, 16, found 8; use a model that has them"),
      std::string::npos);
}

constexpr ModelFamily kEveryFamily[] = {
    ModelFamily::kLlama,   ModelFamily::kQwen2,   ModelFamily::kQwen3,   ModelFamily::kGemma3,
    ModelFamily::kGemma2,  ModelFamily::kPhi3,    ModelFamily::kSmolLm3, ModelFamily::kOlmo2,
    ModelFamily::kGranite, ModelFamily::kMixtral, ModelFamily::kQwen3Moe};

// Each key with numbers that no converter writes, and with values of other types: refused with a
// message, or a model that can be described and checked. For most families only the keys that Llama
// lacks.
TEST_F(GgufModelTest, AnyValueOfAKeyIsRefusedOrRead) {
  const std::pair<uint32_t, std::string> values[] = {
      {4, raw<uint32_t>(0)},
      {4, raw<uint32_t>(3)},
      {4, raw<uint32_t>(UINT32_MAX)},
      {5, raw<int32_t>(-1)},
      {6, raw(0.0f)},
      {6, raw(1e-30f)},
      {6, raw(3e38f)},
      {6, raw(std::numeric_limits<float>::quiet_NaN())},
      {8, test::gguf_string("linear")},
      {9, raw<uint32_t>(7) + raw<uint64_t>(0)},
      {9, raw<uint32_t>(7) + raw<uint64_t>(2) + std::string(2, '\1')}};
  const GgufPlan llama = small_model();
  int refused = 0, read = 0;
  for (const ModelFamily family : kEveryFamily) {
    GgufPlan sound = small_model(family);
    if (family == ModelFamily::kGemma3)
      sound.u32("gemma3.attention.sliding_window", 40)
          .u32("gemma3.attention.sliding_window_pattern", 2)
          .f32("gemma3.rope.freq_base_swa", 7000);
    EXPECT_TRUE(check(sound).ok()) << check(sound).error().message;
    const std::string prefix = test::gguf_architecture(family) + ".";
    const bool all = family == ModelFamily::kLlama || family == ModelFamily::kGemma3 ||
                     family == ModelFamily::kPhi3;
    for (const test::GgufKey& key : sound.keys) {
      const bool shared =
          !key.name.starts_with(prefix) || llama.has("llama." + key.name.substr(prefix.size()));
      for (const auto& [type, value] : values) {
        if (shared && !all) break;
        GgufPlan plan = sound;
        plan.key(key.name) = {key.name, type, value};
        const auto source = open(plan);
        const auto config = source.ok() ? (*source)->config() : Result<ModelConfig>(source.error());
        if (!config.ok()) {
          EXPECT_TRUE(config.error().message.starts_with(path_ + ": ")) << config.error().message;
          ++refused;
          continue;
        }
        const ModelSpec spec = make_model_spec(*config);
        for (const AttentionType& attention : spec.attention_types)
          EXPECT_EQ(pair_frequencies(spec, attention).size(),
                    static_cast<size_t>(config->head_dim / 2));
        (void)(*(*source)->weights())->check(*config);
        ++read;
      }
    }
  }
  std::cout << refused << " refused, " << read << " read\n";
  EXPECT_GT(refused, 100);
  EXPECT_GT(read, 50);
}

TEST_F(GgufModelTest, ArchitecturesThatAreNotComputedAreNamed) {
  expect_fault(
      [](auto& p) { p.key("general.architecture").value = test::gguf_string("gpt-oss"); },
      "key 'general.architecture', byte 56: expected one of llama, qwen2, qwen3, gemma3, "
      "gemma2, phi3, smollm3, olmo2, granite, qwen3moe, found 'gpt-oss'; the engine does not "
      "compute this architecture: use a model of one of these");
  expect_fault([](auto& p) { p.remove("general.architecture"); },
               "key 'general.architecture': is missing, expected a text; fetch the file again");
}

TEST_F(GgufModelTest, FaultsOfKeys) {
  // The first key is the architecture, whose value begins at byte 56 and takes 13 bytes; then come
  // block_count (value at 98), and context_length (value at 134).
  expect_fault(
      [](auto& p) {
        p.key("llama.block_count") = {"llama.block_count", 8, test::gguf_string("2")};
      },
      "key 'llama.block_count', byte 98: expected an integer from 1 to 65536, found '2'; "
      "fetch the file again");
  expect_fault([](auto& p) { p.key("llama.block_count").value = raw<uint32_t>(0); },
               "key 'llama.block_count', byte 98: expected an integer from 1 to 65536, found 0; "
               "fetch the file again");
  expect_fault([](auto& p) { p.remove("llama.context_length"); },
               "key 'llama.context_length': is missing, expected an integer from 1 to 2147483648; "
               "fetch the file again");
  GgufPlan plan = small_model();
  plan.key("llama.attention.head_count_kv").value = raw<uint32_t>(3);
  plan.key("llama.rope.dimension_count").value = raw<uint32_t>(8);
  plan.key("llama.vocab_size").value = raw<uint32_t>(11);
  plan.u32("llama.expert_count", 8).u32("llama.expert_used_count", 9);
  plan.f32("llama.attention.unheard_of", 1);
  plan.text("llama.rope.scaling.type", "longrope");
  const auto source = open(plan);
  ASSERT_TRUE(source.ok());
  const std::string message = (*source)->config().error().message;
  for (const char* part :
       {"head_count_kv', byte", "expected a divisor of the 4 heads, found 3\n",
        "expected rotation of whole heads, 16, found 8; use a model that has them\n",
        "expected the 10 rows of token_embd.weight, found 11; fetch the file again\n",
        "expected none, linear or yarn, found 'longrope'; use a model with one of these\n",
        "expert_used_count', byte", "expected an integer from 1 to 8, found 9; fetch the file",
        "unsupported key with value 1.000000; the engine does not know whether it changes the "
        "result: use a supported model"})
    EXPECT_NE(message.find(part), std::string::npos) << part << "\n" << message;
}

TEST_F(GgufModelTest, TensorsThatDoNotFit) {
  EXPECT_TRUE(check(small_model()).ok());
  GgufPlan plan = small_model();
  std::erase_if(plan.tensors, [](const auto& t) { return t.name.ends_with("ffn_up.weight"); });
  EXPECT_EQ(check(plan).error().message,
            path_ +
                ": 2 tensors (layers 0-1: ffn_up.weight) are missing; the file is incomplete "
                "or does not fit its keys");
  plan = small_model();
  plan.tensor("blk.0.attn_q_norm.weight", {16}, 0, std::string(64, '\0'));
  EXPECT_EQ(check(plan).error().message,
            path_ +
                ": tensor 'blk.0.attn_q_norm.weight' is not part of a model of architecture "
                "llama with these keys; the model is of a kind that is not supported");
  plan = small_model();
  for (auto& tensor : plan.tensors)
    if (tensor.name.ends_with("attn_k.weight")) {
      tensor.dimensions = {64, 16};
      tensor.data.resize(4096);
    }
  EXPECT_EQ(check(plan).error().message,
            path_ +
                ": tensor 'blk.*.attn_k.weight': expected shape [32, 64], found [16, 64]; the "
                "keys and the tensors do not fit together (layers 0-1)");
}

TEST_F(GgufModelTest, VectorsAreNotQuantised) {
  GgufPlan plan = small_model();
  for (auto& tensor : plan.tensors)
    if (tensor.name == "output_norm.weight") {
      tensor.type = 8;
      tensor.data.assign(2 * 34, '\0');
    }
  EXPECT_EQ(check(plan).error().message,
            path_ +
                ": tensor 'output_norm.weight': expected F32, F16 or BF16 for a vector, found "
                "Q8_0; fetch another conversion of the model");
  const auto weights = (*open(plan))->weights();
  const std::vector<int64_t> shape = {64};
  EXPECT_FALSE((*weights)->read("model.norm.weight", shape, TensorDtype::kF32).ok());
}

TEST_F(GgufModelTest, BlocksWithoutNumbers) {
  GgufPlan plan = small_model();
  for (auto& tensor : plan.tensors)
    if (tensor.name == "blk.1.attn_q.weight") {
      tensor.type = 8;
      tensor.data.assign(64 * 2 * 34, '\0');
      tensor.data[5 * 68 + 1] = 0x7e;  // row 5's first scale
    }
  const auto source = open(plan);
  const auto weights = (*source)->weights();
  const std::vector<int64_t> shape = {64, 64};
  const auto data =
      (*weights)->read("model.layers.1.self_attn.q_proj.weight", shape, TensorDtype::kBF16);
  ASSERT_FALSE(data.ok());
  EXPECT_EQ(data.error().message,
            path_ +
                ": tensor 'blk.1.attn_q.weight': row 5: expected numbers, found a scale or an "
                "element that is none; fetch the file again");
}

TEST_F(GgufModelTest, TheFilesTokenizer) {
  GgufPlan plan = small_model();
  const std::string missing = (*open(plan))->tokenizer().error().message;
  EXPECT_EQ(missing, path_ +
                         ": key 'tokenizer.ggml.model': is missing, expected a text; fetch the "
                         "file again");
  plan.text("tokenizer.ggml.model", "llama")
      .texts("tokenizer.ggml.tokens", {"<unk>", "<s>", "</s>", "a", "b", "ab", "\u2581"})
      .floats("tokenizer.ggml.scores", {0, 0, 0, -1, -1, -2, -3})
      .ints("tokenizer.ggml.token_type", {2, 3, 3, 1, 1, 1, 1})
      .boolean("tokenizer.ggml.add_space_prefix", false);
  const auto tokenizer = (*open(plan))->tokenizer();
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  EXPECT_EQ(*(*tokenizer)->encode("ab a</s>"), (std::vector<int32_t>{5, 6, 3, 2}));
  EXPECT_EQ((*tokenizer)->eos_id(), 2);
  EXPECT_EQ((*tokenizer)->adds_bos(), true);
  plan.key("tokenizer.ggml.scores") = {"tokenizer.ggml.scores", 4, raw<uint32_t>(1)};
  EXPECT_NE((*open(plan))->tokenizer().error().message.find("key 'tokenizer.ggml.scores', byte "),
            std::string::npos);
}

// It counts before the vocabulary.
TEST_F(GgufModelTest, ATokenizerJsonInTheFile) {
  GgufPlan plan = small_model();
  plan.texts("tokenizer.ggml.tokens", {"x", "y", "</s>"}).text("tokenizer.ggml.pre", "default");
  plan.text("tokenizer.ggml.model", "gpt2");
  plan.text(
      "tokenizer.huggingface.json",
      R"({"version":"1.0","model":{"type":"BPE","vocab":{"a":0,"b":1,"</s>":2},"merges":[]}})");
  const auto tokenizer = (*open(plan))->tokenizer();
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  EXPECT_EQ(*(*tokenizer)->encode("ba"), (std::vector<int32_t>{1, 0}));
  EXPECT_EQ((*tokenizer)->eos_id(), 2);
  plan.key("tokenizer.huggingface.json").value = test::gguf_string("{");
  const std::string message = (*open(plan))->tokenizer().error().message;
  EXPECT_TRUE(message.starts_with(path_ + ": key 'tokenizer.huggingface.json': byte ")) << message;
}

}  // namespace
}  // namespace dbsa::gguf
