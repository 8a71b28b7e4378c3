// Keys of GGUF files as a configuration, tensors as weights, and what is wrong with them by name.
#include "model/gguf/gguf_config.h"

#include <gtest/gtest.h>

#include <functional>

#include "model/gguf/gguf_tokenizer.h"
#include "model/model_source.h"
#include "tests/support/gguf_model.h"
#include "tests/support/workspace.h"

namespace dbsa::gguf {
namespace {

using test::GgufPlan;
using test::raw;

// A llama of 2 layers whose weights are all 0.
GgufPlan small_model() {
  ModelConfig config;
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
  config.bos_token_id = 1;
  config.eos_token_ids = {2};
  GgufPlan plan = test::gguf_keys(config);
  for (const TensorSpec& spec : expected_tensors(config)) {
    uint64_t elements = 1;
    for (const int64_t extent : spec.shape) elements *= static_cast<uint64_t>(extent);
    plan.tensor(test::gguf_name(spec.name), {spec.shape.rbegin(), spec.shape.rend()}, 0,
                std::string(4 * elements, '\0'));
  }
  return plan;
}

class GgufModelTest : public testing::Test {
 protected:
  GgufModelTest() : path_(workspace_.path("m.gguf")) {}
  Result<std::unique_ptr<ModelSource>> open(const GgufPlan& plan) {
    return ModelSource::open(workspace_.write("m.gguf", plan.bytes()));
  }
  ModelConfig config(const GgufPlan& plan) {
    const auto source = open(plan);
    EXPECT_TRUE(source.ok()) << source.error().message;
    const auto config = (*source)->config();
    EXPECT_TRUE(config.ok()) << config.error().message;
    return *config;
  }
  // With the place of the key for "@": "key 'name', byte N".
  void expect_fault(const std::function<void(GgufPlan&)>& change, const std::string& expected) {
    GgufPlan plan = small_model();
    change(plan);
    const auto source = open(plan);
    const auto read = source.ok() ? (*source)->config() : Result<ModelConfig>(source.error());
    std::string message = read.ok() ? "" : read.error().message;
    EXPECT_TRUE(message.starts_with(path_ + ": ")) << message;
    EXPECT_EQ(message.substr(std::min(path_.size() + 2, message.size())), expected);
  }
  Status check(const GgufPlan& plan) {
    const auto source = open(plan);
    return (*(*source)->weights())->check(*(*source)->config());
  }
  Workspace workspace_;
  std::string path_;
};

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

TEST_F(GgufModelTest, ArchitecturesThatAreNotComputedAreNamed) {
  expect_fault([](auto& p) { p.key("general.architecture").value = test::gguf_string("gemma3"); },
               "key 'general.architecture', byte 56: expected one of llama, qwen2, found "
               "'gemma3'; the engine does not compute this architecture: use a model of one of "
               "these");
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
  plan.u32("llama.expert_count", 8).f32("llama.attention.unheard_of", 1);
  plan.text("llama.rope.scaling.type", "longrope");
  const auto source = open(plan);
  ASSERT_TRUE(source.ok());
  const std::string message = (*source)->config().error().message;
  for (const char* part :
       {"head_count_kv', byte", "expected a divisor of the 4 heads, found 3\n",
        "expected rotation of whole heads, 16, found 8; use a model that has them\n",
        "expected the 10 rows of token_embd.weight, found 11; fetch the file again\n",
        "expected none, linear or yarn, found 'longrope'; use a model with one of these\n",
        "expected a model without experts, found one with them; use a dense model\n",
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
