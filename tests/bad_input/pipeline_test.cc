// Pipeline files: keys, values, paths, and plugins that are not there. All faults of a file at once
// and single ones in depth are in tests/bad_pipelines.
#include <sys/stat.h>

#include <filesystem>

#include "tests/bad_input/bad_input.h"

namespace dbsa {
namespace {

using BadPipelineFile = BadInput;

TEST_F(BadPipelineFile, UnknownKey) {
  edit_pipeline("ratio = 0.5", "ratio = 0.5\nordre = \"index\"");
  expect_refusal(
      "exit 2\n"
      "error: $W/pipeline.toml:16:1: selection: unknown key \"ordre\"; did you mean \"order\"?\n");
}

TEST_F(BadPipelineFile, OneFieldForTextAndLabel) {
  expect_refusal(
      "exit 2\n"
      "error: --set data.label_field: must differ from data.text_field, got "
      "\"text\" for both; name the column of labels\n",
      set({"data.label_field=text"}));
}

TEST_F(BadPipelineFile, InUtf16) {
  std::string wide = "\xFF\xFE";
  for (const char c : workspace_.read("pipeline.toml")) wide += {c, '\0'};
  for (const size_t mark : {0, 2}) {
    workspace_.write("pipeline.toml", wide.substr(mark));
    expect_refusal(
        "exit 2\nerror: $W/pipeline.toml:1:1: expected UTF-8, found UTF-16; convert the file to "
        "UTF-8\n");
  }
}

TEST_F(BadPipelineFile, WrongType) {
  edit_pipeline("block_size = 4", "block_size = \"four\"");
  expect_refusal(
      "exit 2\n"
      "error: $W/pipeline.toml:9:1: block_grouper.block_size: must be an integer, got a string "
      "\"four\"\n");
}

TEST_F(BadPipelineFile, OutOfRange) {
  edit_pipeline("ratio = 0.5", "ratio = 1.5");
  expect_refusal("exit 2\nerror: $W/pipeline.toml:15:1: selection.ratio: must be <= 1, got 1.5\n");
}

TEST_F(BadPipelineFile, ANumberBeyondSixtyFourBits) {
  edit_pipeline("block_size = 4", "block_size = 99999999999999999999");
  EXPECT_EQ(say("validate"),
            "exit 2\n"
            "error: $W/pipeline.toml:9:34: Error while parsing decimal integer: "
            "'99999999999999999999' is not representable in 64 bits\n");
}

TEST_F(BadPipelineFile, NotANumber) {
  edit_pipeline("ratio = 0.5", "ratio = nan");
  expect_refusal(
      "exit 2\nerror: $W/pipeline.toml:15:1: selection.ratio: must be a finite number\n");
}

TEST_F(BadPipelineFile, AStoreWithoutAPath) {
  edit_pipeline("[kv_store]\npath = \"store\"\n", "");
  expect_refusal("exit 2\nerror: $W/pipeline.toml:1:1: kv_store.path: is required\n");
}

TEST_F(BadPipelineFile, MoreBlocksThanThereAre) {
  edit_pipeline("ratio = 0.5", "count = 7");
  expect_refusal(
      "exit 2\n"
      "error: $W/pipeline.toml:15:1: selection.count: expected at most 6, the blocks of the pool, "
      "found 7; lower it, or make block_grouper.block_size smaller\n");
}

TEST_F(BadPipelineFile, MoreDemonstrationsThanThereAre) {
  expect_refusal(
      "exit 2\n"
      "error: --set data.demonstration_count: expected at most 24, the number of demonstrations in "
      "the file, found 9223372036854775807; lower it, or write 0 for all\n",
      set({"data.demonstration_count=9223372036854775807"}));
}

TEST_F(BadPipelineFile, Empty) {
  workspace_.write("pipeline.toml", "");
  expect_refusal(
      "exit 2\n"
      "error: $W/pipeline.toml:1:1: model.path: is required\n"
      "error: $W/pipeline.toml:1:1: data.demonstrations: is required\n"
      "error: $W/pipeline.toml:1:1: kv_store.path: is required\n");
}

TEST_F(BadPipelineFile, AFolder) {
  std::filesystem::remove(path("pipeline.toml"));
  std::filesystem::create_directory(path("pipeline.toml"));
  expect_refusal(
      "exit 4\nerror: $W/pipeline.toml: expected a regular file, found a folder; name a regular "
      "file\n");
}

TEST_F(BadPipelineFile, NotThere) {
  std::filesystem::remove(path("pipeline.toml"));
  expect_refusal("exit 4\nerror: $W/pipeline.toml: cannot be opened: No such file or directory\n");
}

TEST_F(BadPipelineFile, Bytes) {
  std::filesystem::copy_file(path("model/model.safetensors"), path("pipeline.toml"),
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_EQ(
      say("validate"),
      "exit 2\n"
      "error: $W/pipeline.toml:1:2: Error while parsing key-value pair: expected '=', saw '\\b'\n");
}

TEST_F(BadPipelineFile, InAFolderWhoseNameIsNotUtf8) {
  const std::string folder = path("bad\xff");
  std::filesystem::create_directory(folder);
  std::filesystem::copy_file(path("pipeline.toml"), folder + "/pipeline.toml");
  const ProcessResult result = cli({"validate", folder + "/pipeline.toml"});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_EQ(
      shortened(result.error),
      "error: $W/bad\\xff/pipeline.toml: cannot be read: its path is not UTF-8 text; rename the "
      "file or the folder around it\n");
}

TEST_F(BadPipelineFile, MissingFiles) {
  std::filesystem::remove_all(path("model"));
  std::filesystem::remove(path("pool.jsonl"));
  expect_refusal(
      "exit 4\n"
      "error: $W/pipeline.toml:2:1: model.path: no such folder or file: $W/model\n"
      "error: $W/pipeline.toml:5:1: data.demonstrations: no such file: $W/pool.jsonl\n");
}

TEST_F(BadPipelineFile, AModelThatIsNoFolder) {
  edit_pipeline("path = \"model\"", "path = \"meta-llama/Llama-3.1-8B\"");
  expect_refusal(
      "exit 4\n"
      "error: $W/pipeline.toml:2:1: model.path: no such folder or file: "
      "$W/meta-llama/Llama-3.1-8B; "
      "nothing "
      "is fetched from the Hugging Face hub: for a model of that name there run `hf download "
      "meta-llama/Llama-3.1-8B --local-dir FOLDER` and name FOLDER\n");
  edit_pipeline("path = \"meta-llama/Llama-3.1-8B\"", "path = \"model.zip\"");
  workspace_.write("model.zip", "PK\3\4 rest");
  expect_refusal(
      "exit 4\n"
      "error: $W/pipeline.toml:2:1: model.path: must be a folder or a GGUF file: $W/model.zip; it "
      "is an archive: unpack it and name the folder that holds config.json\n");
}

// It is not waited for.
TEST_F(BadPipelineFile, AModelThatIsAPipe) {
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  edit_pipeline("path = \"model\"", "path = \"pipe\"");
  expect_refusal(
      "exit 4\n"
      "error: $W/pipeline.toml:2:1: model.path: must be a folder or a GGUF file: $W/pipe\n");
}

TEST_F(BadPipelineFile, UnknownPlugin) {
  edit_pipeline("plugin = \"dbsa\"", "plugin = \"casual\"");
  int manifests = 0;  // one more where there is nvcc
  for (const auto& entry : std::filesystem::directory_iterator(DBSA_PLUGIN_DIR))
    manifests += entry.path().extension() == ".toml" ? 1 : 0;
  EXPECT_EQ(say("validate"),
            "exit 3\n"
            "error: $W/pipeline.toml:12:1: mask_pattern.plugin: no mask_pattern plugin \"casual\"; "
            "did you mean \"causal\"? available: anchor_self, causal, dbsa, self, streaming; "
            "searched: $P (" +
                std::to_string(manifests) + " manifests)\n");
}

TEST_F(BadPipelineFile, APluginOfAnotherKind) {
  edit_pipeline("plugin = \"dbsa\"", "plugin = \"dbsa.retriever.bm25\"");
  expect_refusal(
      "exit 3\n"
      "error: $W/pipeline.toml:12:1: mask_pattern.plugin: dbsa.retriever.bm25 is a retriever "
      "plugin, not a mask_pattern\n");
}

}  // namespace
}  // namespace dbsa
