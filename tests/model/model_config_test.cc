#include "model/config/model_config.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/model/model_files.h"

namespace dbsa {
namespace {

using nlohmann::json;

json llama() {
  return {{"model_type", "llama"},  {"hidden_size", 64},        {"intermediate_size", 128},
          {"num_hidden_layers", 2}, {"num_attention_heads", 4}, {"vocab_size", 100}};
}

json with(json base, const json& changes) {
  base.update(changes);
  return base;
}

Result<ModelConfig> parse(const json& config) {
  return parse_model_config("c.json", config.dump());
}

ModelConfig parsed(const json& config) {
  auto result = parse(config);
  EXPECT_TRUE(result.ok()) << result.error().message;
  return result.ok() ? *result : ModelConfig{};
}

// The message, or "" if the configuration is accepted.
std::string message_of(const json& config) {
  auto result = parse(config);
  if (result.ok()) return "";
  EXPECT_EQ(result.error().code, ErrorCode::kConfig);
  return result.error().message;
}

constexpr const char* kUnsupported =
    "; the engine does not know whether it changes the result: remove it if it does not, or use a "
    "supported model";

TEST(ModelConfig, AbsentKeysTakeTheDefaultsOfTransformers) {
  const ModelConfig config = parsed(llama());
  EXPECT_EQ(config.family, ModelFamily::kLlama);
  EXPECT_EQ(config.kv_heads, 4);
  EXPECT_EQ(config.head_dim, 16);
  EXPECT_EQ(config.rms_norm_eps, 1e-6);
  EXPECT_FALSE(config.tie_word_embeddings);
  EXPECT_FALSE(config.qkv_bias || config.output_bias || config.mlp_bias);
  EXPECT_EQ(config.max_position_embeddings, 2048);
  EXPECT_EQ(config.max_positions, 2048);
  EXPECT_EQ(config.rope.kind, RopeKind::kDefault);
  EXPECT_EQ(config.rope.theta, 10000);
  EXPECT_EQ(config.bos_token_id, 1);
  EXPECT_EQ(config.eos_token_ids, std::vector<int64_t>{2});
  EXPECT_FALSE(config.sliding_window);

  const json eight = with(llama(), {{"num_attention_heads", 8}});
  const ModelConfig mistral = parsed(with(eight, {{"model_type", "mistral"}}));
  EXPECT_EQ(mistral.kv_heads, 8);
  EXPECT_EQ(mistral.sliding_window, 4096);
  EXPECT_EQ(mistral.max_position_embeddings, 131072);
  EXPECT_EQ(
      parsed(with(llama(), {{"model_type", "mistral"}, {"num_key_value_heads", nullptr}})).kv_heads,
      4);

  const ModelConfig qwen =
      parsed(with(llama(), {{"model_type", "qwen2"}, {"num_key_value_heads", 2}}));
  EXPECT_TRUE(qwen.qkv_bias);
  EXPECT_FALSE(qwen.output_bias);
  EXPECT_EQ(qwen.max_position_embeddings, 32768);
  EXPECT_FALSE(qwen.sliding_window);
  EXPECT_FALSE(qwen.bos_token_id);
  EXPECT_TRUE(qwen.eos_token_ids.empty());
  // Qwen2's default of 32 key-value heads is taken as it is, and refused if it does not fit.
  EXPECT_EQ(message_of(with(llama(), {{"model_type", "qwen2"}})),
            "c.json: /num_key_value_heads: expected a divisor of num_attention_heads 4, found 32");
}

TEST(ModelConfig, ReadsTheFormsOfPublishedFiles) {
  const ModelConfig llama31 = parsed(with(llama(), {{"architectures", {"LlamaForCausalLM"}},
                                                    {"attention_bias", false},
                                                    {"attention_dropout", 0.0},
                                                    {"bos_token_id", 10},
                                                    {"eos_token_id", {11, 12}},
                                                    {"hidden_act", "silu"},
                                                    {"initializer_range", 0.02},
                                                    {"max_position_embeddings", 131072},
                                                    {"mlp_bias", false},
                                                    {"num_key_value_heads", 1},
                                                    {"pretraining_tp", 1},
                                                    {"rms_norm_eps", 1e-05},
                                                    {"rope_scaling",
                                                     {{"factor", 8.0},
                                                      {"low_freq_factor", 1.0},
                                                      {"high_freq_factor", 4.0},
                                                      {"original_max_position_embeddings", 8192},
                                                      {"rope_type", "llama3"}}},
                                                    {"rope_theta", 500000.0},
                                                    {"tie_word_embeddings", false},
                                                    {"torch_dtype", "bfloat16"},
                                                    {"transformers_version", "4.43.0"},
                                                    {"use_cache", true}}));
  EXPECT_EQ(llama31.rope.kind, RopeKind::kLlama3);
  EXPECT_EQ(llama31.rope.theta, 500000);
  EXPECT_EQ(llama31.rope.factor, 8);
  EXPECT_EQ(llama31.rope.original_max_position_embeddings, 8192);
  EXPECT_EQ(llama31.max_positions, 131072);
  EXPECT_EQ(llama31.eos_token_ids, (std::vector<int64_t>{11, 12}));
  EXPECT_EQ(llama31.torch_dtype, "bfloat16");

  const ModelConfig biased = parsed(with(llama(), {{"attention_bias", true}, {"mlp_bias", true}}));
  EXPECT_TRUE(biased.qkv_bias && biased.output_bias && biased.mlp_bias);
  EXPECT_EQ(parsed(with(llama(), {{"head_dim", 24}})).head_dim, 24);
}

TEST(ModelConfig, ReadsEverySpellingOfRope) {
  const json yarn = {{"factor", 4.0}, {"original_max_position_embeddings", 512}};
  const auto identity = [&](const json& changes) {
    const ModelConfig config = parsed(with(llama(), changes));
    EXPECT_EQ(config.max_positions, 2048) << changes;
    return rope_identity(config.rope);
  };
  // transformers 4.46: the configured maximum is the original length.
  const std::string plain = identity(
      {{"max_position_embeddings", 512}, {"rope_scaling", {{"type", "yarn"}, {"factor", 4.0}}}});
  EXPECT_EQ(plain, identity({{"max_position_embeddings", 512},
                             {"rope_scaling", with(yarn, {{"rope_type", "yarn"}})}}));
  // Newer: the configured maximum is the extended one.
  EXPECT_EQ(plain, identity({{"rope_scaling", with(yarn, {{"rope_type", "yarn"}})}}));
  EXPECT_EQ(plain, identity({{"rope_parameters", with(yarn, {{"rope_type", "yarn"},
                                                             {"rope_theta", 10000.0},
                                                             {"truncate", true}})}}));
  EXPECT_EQ(plain,
            identity({{"rope_scaling", with(yarn, {{"type", "yarn"}, {"rope_type", "yarn"}})}}));
  EXPECT_EQ(
      rope_identity(parsed(llama()).rope),
      rope_identity(parsed(with(llama(), {{"rope_parameters",
                                           {{"rope_type", "default"}, {"rope_theta", 10000}}}}))
                        .rope));
  const ModelConfig linear =
      parsed(with(llama(), {{"rope_scaling", {{"type", "linear"}, {"factor", 8}}}}));
  EXPECT_EQ(linear.rope.factor, 8);
  EXPECT_EQ(linear.max_positions, 8 * 2048);
}

TEST(ModelConfig, SlidingWindows) {
  const auto window = [](const char* type, const json& changes) {
    return parsed(with(with(llama(), {{"model_type", type}, {"num_key_value_heads", 2}}), changes))
        .sliding_window;
  };
  EXPECT_EQ(window("mistral", {{"sliding_window", nullptr}}), std::nullopt);
  EXPECT_EQ(window("mistral", {{"sliding_window", 512}}), 512);
  EXPECT_EQ(window("qwen2", {{"sliding_window", 512}}), std::nullopt);
  EXPECT_EQ(window("qwen2", {{"sliding_window", 512}, {"use_sliding_window", false}}),
            std::nullopt);
  EXPECT_EQ(window("qwen2", {{"sliding_window", 512}, {"use_sliding_window", true}}),
            std::nullopt);  // max_window_layers is 28
  const json all = {{"use_sliding_window", true}, {"max_window_layers", 0}};
  EXPECT_EQ(window("qwen2", with(all, {{"sliding_window", 512}})), 512);
  EXPECT_EQ(window("qwen2", all), 4096);
  EXPECT_EQ(window("qwen2", with(all, {{"sliding_window", nullptr}})), std::nullopt);
  EXPECT_EQ(window("qwen2", {{"layer_types", {"full_attention", "full_attention"}}}), std::nullopt);
  EXPECT_EQ(message_of(with(llama(), {{"layer_types", {"full_attention", "chunked_attention"}}})),
            "c.json: /layer_types: expected full_attention or sliding_attention, found "
            "\"chunked_attention\"; layers of another kind are not computed");
  EXPECT_EQ(message_of(with(llama(), {{"sliding_window", 512}})),
            "c.json: /sliding_window: unsupported key with value 512; models of type llama have no "
            "window: remove it");
  const ModelConfig mixed = parsed(
      with(with(llama(), {{"model_type", "qwen2"}, {"num_key_value_heads", 2}}),
           {{"use_sliding_window", true}, {"sliding_window", 512}, {"max_window_layers", 1}}));
  EXPECT_EQ(mixed.window_layers, (std::vector<bool>{false, true}));
}

struct BadConfig {
  const char* name;
  json changes;
  std::string message;  // without the file
  friend void PrintTo(const BadConfig& bad, std::ostream* out) { *out << bad.changes; }
};

class ModelConfigRefuses : public testing::TestWithParam<BadConfig> {};

TEST_P(ModelConfigRefuses, WithItsMessage) {
  EXPECT_EQ(message_of(with(llama(), GetParam().changes)), "c.json: " + GetParam().message);
}

json scaling(json fields) { return {{"rope_scaling", std::move(fields)}}; }

const std::string kLength =
    "; its frequencies depend on the length of the text, so stored KV "
    "blocks could not be reused: use a model with one of the other kinds";

INSTANTIATE_TEST_SUITE_P(
    Each, ModelConfigRefuses,
    testing::Values(
        BadConfig{"UnknownKey",
                  {{"logit_scale", 0.5}},
                  std::string("/logit_scale: unsupported key with value 0.5") + kUnsupported},
        BadConfig{"UnknownFamily",
                  {{"model_type", "falcon"}},
                  "/model_type: expected llama, mistral, qwen2, qwen3, gemma2, gemma3_text, "
                  "smollm3, olmo2, phi3, granite, mixtral or qwen3_moe, found \"falcon\"; use a "
                  "model of one of these families"},
        BadConfig{
            "NoFamily", {{"model_type", nullptr}}, "/model_type: is missing, expected a string"},
        BadConfig{"MissingSize",
                  {{"vocab_size", nullptr}},
                  "/vocab_size: is missing, expected an integer from 1 to 2147483648"},
        BadConfig{"WrongType",
                  {{"hidden_size", "64"}},
                  "/hidden_size: expected an integer from 1 to 2147483648, found \"64\""},
        BadConfig{"OutOfRange",
                  {{"num_hidden_layers", 0}},
                  "/num_hidden_layers: expected an integer from 1 to 65536, found 0"},
        BadConfig{"HugeNumber",
                  {{"intermediate_size", 18446744073709551615u}},
                  "/intermediate_size: expected an integer from 1 to 2147483648, found "
                  "18446744073709551615"},
        BadConfig{"Epsilon",
                  {{"rms_norm_eps", 0}},
                  "/rms_norm_eps: expected a number greater than 0, found 0"},
        BadConfig{"Activation",
                  {{"hidden_act", "gelu"}},
                  "/hidden_act: expected \"silu\", found \"gelu\"; only SiLU models are supported"},
        BadConfig{"NotBoolean",
                  {{"tie_word_embeddings", 1}},
                  "/tie_word_embeddings: expected true or false, found 1"},
        BadConfig{"HeadsDoNotDivide",
                  {{"num_key_value_heads", 3}},
                  "/num_key_value_heads: expected a divisor of num_attention_heads 4, found 3"},
        BadConfig{"HiddenNotMultiple",
                  {{"hidden_size", 66}},
                  "/hidden_size: expected a multiple of num_attention_heads 4, found 66; or give "
                  "head_dim"},
        BadConfig{"OddHead",
                  {{"head_dim", 15}},
                  "/head_dim: expected an even number for rotary embedding, found 15"},
        BadConfig{"Quantised",
                  {{"quantization_config", {{"bits", 4}}}},
                  "/quantization_config: expected null, found {\"bits\":4}; quantised checkpoints "
                  "are not supported: use the F32, F16 or BF16 one"},
        BadConfig{"TensorParallel",
                  {{"pretraining_tp", 2}},
                  "/pretraining_tp: expected 1, found 2; set it to 1: the sums are the same"},
        BadConfig{"EosOutOfRange",
                  {{"eos_token_id", {1, 100}}},
                  "/eos_token_id: expected token ids from 0 to 99, found 100"},
        BadConfig{"BosOutOfRange",
                  {{"bos_token_id", 100}},
                  "/bos_token_id: expected an integer from 0 to 99, found 100"},
        BadConfig{"Interleaved",
                  {{"rope_interleaved", true}},
                  "/rope_interleaved: expected false, found true; interleaved rotary pairs are not "
                  "supported"},
        BadConfig{"PartialRotary",
                  {{"partial_rotary_factor", 0.5}},
                  "/partial_rotary_factor: expected 1.0, found 0.5; rotating part of a head is not "
                  "supported"},
        BadConfig{"Theta",
                  {{"rope_theta", 0.5}},
                  "/rope_theta: expected a number greater than 1, found 0.5"},
        BadConfig{"Dynamic", scaling({{"type", "dynamic"}, {"factor", 2.0}}),
                  "/rope_scaling/type: expected default, linear, llama3 or yarn, found "
                  "\"dynamic\"" +
                      kLength},
        BadConfig{"LongRope", scaling({{"rope_type", "longrope"}}),
                  "/rope_scaling/rope_type: expected default, linear, llama3 or yarn, found "
                  "\"longrope\"" +
                      kLength},
        BadConfig{
            "Su", scaling({{"type", "su"}}),
            "/rope_scaling/type: expected default, linear, llama3 or yarn, found \"su\"" + kLength},
        BadConfig{"UnknownRope", scaling({{"rope_type", "mrope"}}),
                  "/rope_scaling/rope_type: expected default, linear, llama3 or yarn, found "
                  "\"mrope\""},
        BadConfig{"NoRopeType", scaling({{"factor", 2.0}}),
                  "/rope_scaling/rope_type: is missing, expected default, linear, llama3 or yarn"},
        BadConfig{"TwoRopeTypes", scaling({{"type", "linear"}, {"rope_type", "yarn"}}),
                  "/rope_scaling/rope_type: \"yarn\" contradicts type \"linear\"; keep the one the "
                  "model was trained with"},
        BadConfig{"RopeNotObject", scaling("linear"),
                  "/rope_scaling: expected an object or null, found \"linear\""},
        BadConfig{"NoFactor", scaling({{"type", "linear"}}),
                  "/rope_scaling/factor: is missing, expected a number greater than 0"},
        BadConfig{"UnknownRopeKey",
                  scaling({{"type", "linear"}, {"factor", 2.0}, {"beta_fast", 1.0}}),
                  "/rope_scaling/beta_fast: unsupported key with value 1.0; remove it if it does "
                  "not belong to this kind of RoPE"},
        BadConfig{"YarnLengths",
                  scaling({{"type", "yarn"},
                           {"factor", 4.0},
                           {"original_max_position_embeddings", 1000}}),
                  "/rope_scaling/original_max_position_embeddings: 1000 fits neither "
                  "max_position_embeddings 2048 nor that divided by factor; correct the one that "
                  "is wrong"},
        BadConfig{"YarnMscale", scaling({{"type", "yarn"}, {"factor", 4.0}, {"mscale", 0.7}}),
                  "/rope_scaling/mscale: unsupported key with value 0.7; give the magnitude as "
                  "attention_factor"},
        BadConfig{"TwoThetas",
                  {{"rope_theta", 5e5},
                   {"rope_parameters", {{"rope_type", "default"}, {"rope_theta", 1e4}}}},
                  "/rope_parameters/rope_theta: contradicts /rope_theta; keep the right one"},
        BadConfig{"TwoForms",
                  {{"rope_scaling", {{"type", "linear"}, {"factor", 2.0}}},
                   {"rope_parameters", {{"rope_type", "default"}}}},
                  "/rope_scaling: contradicts rope_parameters; keep one of them"}),
    [](const auto& param_info) { return param_info.param.name; });

TEST(ModelConfig, BiasesOfOtherFamiliesAreRefused) {
  EXPECT_EQ(message_of(with(
                llama(),
                {{"model_type", "mistral"}, {"num_key_value_heads", 4}, {"attention_bias", true}})),
            "c.json: /attention_bias: expected false, found true; models of type mistral do not "
            "have this bias");
  EXPECT_EQ(message_of(with(
                llama(), {{"model_type", "qwen2"}, {"num_key_value_heads", 4}, {"head_dim", 8}})),
            "c.json: /head_dim: expected hidden_size / num_attention_heads, found 8");
}

TEST(ModelConfig, ReportsAllFaultsAtOnce) {
  EXPECT_EQ(message_of(with(llama(), {{"hidden_act", "relu"},
                                      {"num_hidden_layers", -1},
                                      {"clip_qkv", 8},
                                      {"rope_scaling", {{"type", "dynamic"}}}})),
            "c.json: /num_hidden_layers: expected an integer from 1 to 65536, found -1\n"
            "c.json: /rope_scaling/type: expected default, linear, llama3 or yarn, found "
            "\"dynamic\"" +
                kLength +
                "\n"
                "c.json: /hidden_act: expected \"silu\", found \"relu\"; only SiLU models are "
                "supported\n"
                "c.json: /clip_qkv: unsupported key with value 8" +
                kUnsupported);
}

TEST(ModelConfig, RefusesUnreadableFiles) {
  test::TemporaryFolder folder;
  const std::string path = folder.file("config.json");
  auto missing = load_model_config(folder.path());
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, ErrorCode::kEnvironment);
  EXPECT_EQ(missing.error().message,
            path +
                ": cannot be opened: No such file or directory; expected a whole Hugging Face "
                "model folder");
  test::write_file(path, "{\"model_type\": ");
  EXPECT_EQ(load_model_config(folder.path()).error().message,
            path +
                ": byte 16: expected valid JSON; the file is damaged or cut short: fetch it "
                "again");
  test::write_file(path, "[]");
  EXPECT_EQ(load_model_config(folder.path()).error().message,
            path + ": expected a JSON object, found []");
  test::write_file(path, std::string(100000, '['));
  EXPECT_EQ(load_model_config(folder.path()).error().message,
            path + ": nested deeper than 64 levels; the file is damaged: fetch it again");
  test::write_file(path, "{\"hidden_size\": 1e999}");
  EXPECT_EQ(load_model_config(folder.path()).error().message,
            path +
                ": expected valid JSON, found a number that is out of range; the file is damaged: "
                "fetch it again");
  test::write_file(path, "");
  EXPECT_EQ(load_model_config(folder.path()).error().message,
            path +
                ": byte 1: expected valid JSON; the file is damaged or cut short: fetch it "
                "again");
  std::filesystem::remove(path);
  std::filesystem::create_directory(path);
  EXPECT_EQ(load_model_config(folder.path()).error().message,
            path + ": expected a regular file, found a folder; name a regular file");
}

}  // namespace
}  // namespace dbsa
