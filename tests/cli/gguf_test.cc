// The program on a model in a GGUF file.
#include <gmock/gmock.h>

#include <filesystem>

#include "tests/cli/cli_fixture.h"
#include "tests/support/gguf_model.h"

namespace dbsa {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class GgufRunTest : public CliTest {
 protected:
  // The pipeline's model as a file.
  test::GgufPlan plan(test::GgufElements elements) const {
    const std::string folder = path("model");
    test::GgufPlan plan =
        test::gguf_model(*load_model_config(folder), *Checkpoint::open(folder), elements).plan;
    plan.text("tokenizer.huggingface.json", workspace_.read("model/tokenizer.json"));
    return plan;
  }
  std::vector<json> answers(const Words& more, const std::string& output) {
    Words words = {"run", path("pipeline.toml"), "--quiet", "--set",
                   "output.directory=" + path(output)};
    words.insert(words.end(), more.begin(), more.end());
    const ProcessResult result = cli(words);
    EXPECT_EQ(result.exit_code, 0) << result.error;
    std::vector<json> answers;
    for (const auto& entry : std::filesystem::directory_iterator(path(output))) {
      const json record =
          json::parse(workspace_.read(output + "/" + entry.path().filename().string()));
      for (const json& query : record.at("queries"))
        answers.push_back({query.at("label"), query.at("log_probability")});
    }
    return answers;
  }
};

TEST_F(GgufRunTest, AnswersAsTheFolderDoes) {
  make_pipeline();
  workspace_.write("m.gguf", plan(test::GgufElements::kF32).bytes());
  const auto expected = answers({}, "folder");
  EXPECT_EQ(expected.size(), 5u);
  EXPECT_EQ(answers({"--set", "model.path=" + path("m.gguf")}, "file"), expected);
}

// Layers with windows and without, a scaled embedding and norms with the 1 in the file.
TEST_F(GgufRunTest, AGemmaAnswersAsItsFolderDoes) {
  make_pipeline();
  const json config = {{"model_type", "gemma3_text"},
                       {"hidden_size", 96},
                       {"intermediate_size", 160},
                       {"num_hidden_layers", 7},
                       {"num_attention_heads", 4},
                       {"num_key_value_heads", 1},
                       {"head_dim", 16},
                       {"vocab_size", 320},
                       {"sliding_window", 40},
                       {"query_pre_attn_scalar", 16},
                       {"bos_token_id", 1},
                       {"eos_token_id", 2},
                       {"max_position_embeddings", 4096}};
  const ProcessResult made = run_process(
      {DBSA_BINARY_DIR "/bin/dbsa-make-checkpoint", "--out=" + path("model"), "--dtype=f32",
       "--seed=4", "--overwrite", "--config=" + workspace_.write("gemma.json", config.dump())});
  ASSERT_EQ(made.exit_code, 0) << made.error;
  workspace_.write("f32.gguf", plan(test::GgufElements::kF32).bytes());
  workspace_.write("q8.gguf", plan(test::GgufElements::kQ8).bytes());
  const auto expected = answers({}, "folder");
  EXPECT_EQ(expected.size(), 5u);
  EXPECT_EQ(answers({"--set", "model.path=" + path("f32.gguf")}, "f32"), expected);
  EXPECT_EQ(answers({"--set", "model.path=" + path("q8.gguf")}, "q8").size(), 5u);
}

// They share no blocks and no packed weights with the folder's, or with each other.
TEST_F(GgufRunTest, EachTypeHasItsOwnBlocks) {
  make_pipeline();
  workspace_.write("f32.gguf", plan(test::GgufElements::kF32).bytes());
  workspace_.write("q8.gguf", plan(test::GgufElements::kQ8).bytes());
  for (const char* model : {"model", "f32.gguf", "q8.gguf"}) {
    const std::string set = std::string("model.path=") + path(model);
    const ProcessResult first = cli({"encode", path("pipeline.toml"), "--set", set});
    EXPECT_THAT(first.error, HasSubstr("encoded    6 blocks")) << model;
    const ProcessResult again = cli({"encode", path("pipeline.toml"), "--set", set});
    EXPECT_THAT(again.error, HasSubstr("encoded    0 blocks, 6 found in the store")) << model;
  }
}

// Arithmetics share no blocks and no packed weights; records and explain say which it is.
TEST_F(GgufRunTest, KeepsBlocksQuantisedUnlessToldOtherwise) {
  make_pipeline();
  workspace_.write("q8.gguf", plan(test::GgufElements::kQ8).bytes());
  const std::string model = "model.path=" + path("q8.gguf");
  std::vector<uint64_t> bytes;  // of weights
  size_t files = 0;
  for (const char* dtype : {"auto", "bf16", "f32"}) {
    const std::string compute = std::string(dtype) == "auto" ? "quantised" : dtype;
    const Words set = {"--set", model, "--set", std::string("model.dtype=") + dtype};
    Words words = {"explain", path("pipeline.toml"), "--json"};
    words.insert(words.end(), set.begin(), set.end());
    const ProcessResult explained = cli(words);
    ASSERT_EQ(explained.exit_code, 0) << explained.error;
    const json said = json::parse(explained.out).at("model");
    EXPECT_EQ(said.at("compute"), compute);
    bytes.push_back(said.at("weight_bytes"));
    words = {"encode", path("pipeline.toml")};
    words.insert(words.end(), set.begin(), set.end());
    EXPECT_THAT(cli(words).error, HasSubstr("encoded    6 blocks")) << dtype;
    EXPECT_THAT(cli(words).error, HasSubstr("encoded    0 blocks, 6 found in the store")) << dtype;
    size_t packed = 0;
    for (const auto& entry : std::filesystem::directory_iterator(path("cache/dbsa-pipe/weights")))
      packed += entry.path().extension() == ".safetensors" ? 1 : 0;
    EXPECT_EQ(packed, ++files) << dtype;
    answers(set, std::string("runs-") + dtype);
    for (const auto& entry :
         std::filesystem::directory_iterator(path(std::string("runs-") + dtype)))
      EXPECT_EQ(json::parse(workspace_.read("runs-" + std::string(dtype) + "/" +
                                            entry.path().filename().string()))
                    .at("model")
                    .at("compute"),
                compute);
  }
  EXPECT_LT(bytes[0], bytes[1]);
  EXPECT_LT(bytes[1], bytes[2]);
}

TEST_F(GgufRunTest, FaultsHaveTheirPlace) {
  make_pipeline();
  test::GgufPlan other = plan(test::GgufElements::kF32);
  other.key("general.architecture").value = test::gguf_string("mamba");
  workspace_.write("other.gguf", other.bytes());
  workspace_.write("cut.gguf", plan(test::GgufElements::kF32).bytes().substr(0, 100));
  const auto refusal = [&](const std::string& name) {
    const ProcessResult result =
        cli({"validate", path("pipeline.toml"), "--set", "model.path=" + path(name)});
    EXPECT_NE(result.exit_code, 0);
    return result.error;
  };
  EXPECT_THAT(refusal("other.gguf"),
              HasSubstr(path("other.gguf") +
                        ": key 'general.architecture', byte 56: expected one of llama, qwen2, "
                        "qwen3, gemma3, gemma2, phi3, smollm3, olmo2, granite, qwen3moe, found "
                        "'mamba'; the engine does not compute this architecture"));
  EXPECT_THAT(refusal("cut.gguf"),
              HasSubstr(path("cut.gguf") + ": key 'llama.block_count', byte "));
}

}  // namespace
}  // namespace dbsa
