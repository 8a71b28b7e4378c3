// Model folders: weights, configuration and tokenizer.
#include <sys/stat.h>

#include <cstring>
#include <filesystem>

#include "tests/bad_input/bad_input.h"

namespace dbsa {
namespace {

using nlohmann::json;
using BadModel = BadInput;

constexpr const char* kFetchAgain =
    "; the file is damaged or not a safetensors file: fetch it again\n";
const std::string kWeights = "exit 4\nerror: $W/model/model.safetensors: ";

TEST_F(BadModel, TruncatedInTheHeader) {
  edit_weights([](std::string& bytes) { bytes.resize(100); });
  expect_refusal(kWeights +
                 "the header's length at byte 0 is 2104, but the file has only 92 bytes after it" +
                 kFetchAgain);
}

TEST_F(BadModel, TruncatedByOneByte) {
  edit_weights([](std::string& bytes) { bytes.pop_back(); });
  expect_refusal(kWeights + "its header describes 453952 bytes, the file has 453951" + kFetchAgain);
}

TEST_F(BadModel, ABitOfTheHeaderFlipped) {
  edit_weights([](std::string& bytes) { bytes[20] = static_cast<char>(bytes[20] ^ 4); });
  expect_refusal(kWeights + "tensor '__metadata[_': unknown field 'format'" + kFetchAgain);
}

TEST_F(BadModel, AHeaderLengthPastTheFile) {
  edit_weights([](std::string& bytes) {
    const uint64_t length = 10'000'000;
    std::memcpy(bytes.data(), &length, sizeof length);
  });
  expect_refusal(kWeights +
                 "the header's length at byte 0 is 10000000, but the file has only 453944 bytes "
                 "after it" +
                 kFetchAgain);
}

TEST_F(BadModel, AHeaderLengthPastEveryFile) {
  edit_weights([](std::string& bytes) { bytes[7] = '\x7f'; });
  expect_refusal(kWeights +
                 "the header's length at byte 0 is 9151314442816849976, expected at most "
                 "100000000" +
                 kFetchAgain);
}

TEST_F(BadModel, AWrongType) {
  edit_header([](json& header) { header["model.norm.weight"]["dtype"] = "I32"; });
  expect_refusal(
      "exit 2\n"
      "error: $W/model/model.safetensors: tensor 'model.norm.weight': expected F32, F16 or BF16, "
      "found I32; convert the checkpoint to one of these types (quantised checkpoints are not "
      "read)\n");
}

TEST_F(BadModel, AWrongShape) {
  edit_header([](json& header) { header["model.embed_tokens.weight"]["shape"] = {64, 320}; });
  expect_refusal(
      "exit 2\nerror: $W/model/model.safetensors: tensor 'model.embed_tokens.weight': expected "
      "shape [320, 64], found [64, 320]; config.json and the weights do not fit together\n");
}

TEST_F(BadModel, ATensorThatIsMissing) {
  edit_header([](json& header) {
    header["model.extra.weight"] = header["model.norm.weight"];
    header.erase("model.norm.weight");
  });
  expect_refusal(
      "exit 2\n"
      "error: $W/model: tensor 'model.norm.weight' is missing; the checkpoint is incomplete or "
      "does not fit config.json\n"
      "error: $W/model/model.safetensors: tensor 'model.extra.weight' is not part of a model of "
      "this config.json; the model is of a kind that is not supported or the two do not fit "
      "together\n");
}

// An id beyond the model's vocabulary is refused where a text holds it, and only there.
TEST_F(BadModel, ATokenizerWithMoreIdsThanTheModel) {
  json tokenizer = json::parse(workspace_.read("model/tokenizer.json"));
  json extra = tokenizer["added_tokens"].back();
  extra["id"] = 400;
  extra["content"] = "<|extra|>";
  extra["special"] = false;
  tokenizer["added_tokens"].push_back(extra);
  workspace_.write("model/tokenizer.json", tokenizer.dump());
  EXPECT_EQ(cli({"validate", path("pipeline.toml")}).exit_code, 0);
  json row = json::parse(
      workspace_.read("pool.jsonl").substr(0, workspace_.read("pool.jsonl").find('\n')));
  row["text"] = "some <|extra|> text";
  workspace_.write("pool.jsonl", workspace_.read("pool.jsonl") + row.dump() + "\n");
  const std::string said = say("validate");
  EXPECT_TRUE(said.starts_with("exit 2\nerror: $W/pool.jsonl:")) << said;
  EXPECT_NE(
      said.find(": $W/model/tokenizer.json: the text holds the token \"<|extra|>\" with id 400, "
                "and the model has embeddings for ids below 320 (vocab_size of config.json); "
                "remove it from the text, or use the tokenizer that was published with the "
                "model\n"),
      said.npos)
      << said;
}

TEST_F(BadModel, AFileThatIsAPipe) {
  for (const char* name : {"config.json", "tokenizer.json"}) {
    const std::string file = path(std::string("model/") + name), kept = path("kept");
    std::filesystem::rename(file, kept);
    ASSERT_EQ(::mkfifo(file.c_str(), 0600), 0);
    expect_refusal(std::string("exit 4\nerror: $W/model/") + name +
                   ": expected a regular file, found a named pipe; name a regular file\n");
    std::filesystem::rename(kept, file);
  }
  std::filesystem::remove(path("model/model.safetensors"));
  ASSERT_EQ(::mkfifo(path("model/model.safetensors").c_str(), 0600), 0);
  expect_refusal("exit 4\nerror: $W/model/model.safetensors: expected a regular file\n");
}

// A kilobyte of steps that would make terabytes of a text.
TEST_F(BadModel, ATokenizerWhoseStepsMultiplyTheText) {
  json tokenizer = json::parse(workspace_.read("model/tokenizer.json"));
  json steps = json::array();
  for (int i = 0; i < 10; ++i)
    steps.push_back({{"type", "Replace"},
                     {"pattern", {{"String", "a"}}},
                     {"content", "aaaaaaaaaaaaaaaaaaaaaaaa"}});
  tokenizer["normalizer"] = {{"type", "Sequence"}, {"normalizers", steps}};
  workspace_.write("model/tokenizer.json", tokenizer.dump());
  const std::string said = say("validate");
  EXPECT_TRUE(said.starts_with("exit 2\nerror: ")) << said;
  EXPECT_NE(said.find("$W/model/tokenizer.json: normalizer.normalizers["), said.npos) << said;
}

TEST_F(BadModel, GitLfsPointers) {
  const std::string pointer =
      "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 453952\n";
  const std::string fault =
      ": is a Git LFS pointer, which stands for a file of 453952 bytes that was not fetched; run "
      "`git lfs pull` in its folder, or fetch the file itself\n";
  for (const char* name :
       {"model/model.safetensors", "model/tokenizer.json", "model/config.json"}) {
    const std::string kept = workspace_.read(name);
    workspace_.write(name, pointer);
    expect_refusal(std::string("exit 4\nerror: $W/") + name + fault);
    workspace_.write(name, kept);
  }
  workspace_.write("pool.jsonl", pointer);
  expect_refusal("exit 4\nerror: $W/pool.jsonl" + fault);
}

TEST_F(BadModel, ALoraAdapter) {
  std::filesystem::rename(path("model/model.safetensors"), path("model/adapter_model.safetensors"));
  workspace_.write("model/adapter_config.json", "{}");
  expect_refusal(
      "exit 4\n"
      "error: $W/model: is a LoRA adapter, not a whole model; merge it into its base model: "
      "`AutoPeftModelForCausalLM.from_pretrained(FOLDER).merge_and_unload().save_pretrained(OUT)` "
      "of peft (AutoPeftModelForFeatureExtraction for a sentence encoder), with the tokenizer "
      "beside it, and name OUT\n");
}

TEST_F(BadModel, WithoutWeights) {
  std::filesystem::remove(path("model/model.safetensors"));
  expect_refusal(
      "exit 4\nerror: $W/model: expected model.safetensors or model.safetensors.index.json, found "
      "neither; point to a Hugging Face model folder with safetensors weights\n");
}

TEST_F(BadModel, WithoutAConfiguration) {
  std::filesystem::remove(path("model/config.json"));
  expect_refusal(
      "exit 4\n"
      "error: $W/model/config.json: cannot be opened: No such file or directory; expected a whole "
      "Hugging Face model folder\n");
}

TEST_F(BadModel, WithoutATokenizer) {
  std::filesystem::remove(path("model/tokenizer.json"));
  expect_refusal(
      "exit 4\n"
      "error: $W/model: no tokenizer found; expected tokenizer.json, tokenizer.model or "
      "vocab.txt in this folder\n");
}

TEST_F(BadModel, ATruncatedTokenizer) {
  workspace_.write("model/tokenizer.json", workspace_.read("model/tokenizer.json").substr(0, 1000));
  expect_refusal(
      "exit 4\n"
      "error: $W/model/tokenizer.json: byte 1001: not valid JSON: syntax error while parsing "
      "object key - invalid string: missing closing quote; last read: '\"9'; expected string "
      "literal. Expected a complete tokenizer.json; copy or download it again\n");
}

TEST_F(BadModel, AKeyThatWouldChangeTheResult) {
  edit_config([](json& config) {
    config["rope_scaling"] = {{"type", "dynamic"}, {"factor", 2.0}};
  });
  expect_refusal(
      "exit 2\n"
      "error: $W/model/config.json: /rope_scaling/type: expected default, linear, llama3 or yarn, "
      "found \"dynamic\"; its frequencies depend on the length of the text, so stored KV blocks "
      "could not be reused: use a model with one of the other kinds\n");
}

TEST_F(BadModel, WeightsThatAreNoNumbers) {
  edit_weights([](std::string& bytes) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    for (size_t at = bytes.size() - 256; at < bytes.size(); at += sizeof nan)
      std::memcpy(bytes.data() + at, &nan, sizeof nan);
  });
  EXPECT_EQ(
      say("run"),
      "exit 5\n"
      "error: query of line 1: decoding: expected a finite logit for token 97, found nan; "
      "check the model's weights, or compute in f32; the model is $W/model, its blocks are in "
      "$W/store, its packed weights in $W/cache/dbsa-pipe/weights\n");
}

}  // namespace
}  // namespace dbsa
