#include "model/checkpoint/checkpoint.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <utility>

#include "tests/model/model_files.h"
#include "tests/reference/fixtures.h"

namespace dbsa {
namespace {

using test::safetensors_bytes;
using test::TemporaryFolder;
using test::TestTensor;
using test::write_file;

const std::string kIndex = "model.safetensors.index.json";

TestTensor f32(const std::string& name, std::vector<int64_t> shape) {
  int64_t n = 4;
  for (int64_t d : shape) n *= d;
  return {name, "F32", std::move(shape), std::string(static_cast<size_t>(n), '\1')};
}

Checkpoint opened(const std::string& folder) {
  auto result = Checkpoint::open(folder);
  if (!result.ok()) throw std::runtime_error(result.error().message);
  return std::move(*result);
}

std::string open_message(const std::string& folder) {
  auto result = Checkpoint::open(folder);
  if (result.ok()) return "";
  EXPECT_EQ(result.error().code, ErrorCode::kEnvironment);
  return result.error().message;
}

class CheckpointFixtures : public testing::TestWithParam<std::string> {};

TEST_P(CheckpointFixtures, HoldExactlyTheExpectedTensors) {
  const auto fixture = reference::load_fixture(DBSA_SOURCE_DIR, GetParam());
  ASSERT_TRUE(fixture.ok()) << fixture.error().message;
  const auto config = load_model_config(fixture->folder);
  ASSERT_TRUE(config.ok()) << config.error().message;
  const Checkpoint checkpoint = opened(fixture->folder);
  const Status status = checkpoint.check(*config);
  EXPECT_TRUE(status.ok()) << status.error().message;
  EXPECT_EQ(checkpoint.files().size(), GetParam() == "llama3" ? 2u : 1u);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, CheckpointFixtures,
                         testing::ValuesIn(reference::fixture_names()),
                         [](const auto& param_info) { return param_info.param; });

TEST(Checkpoint, NamesWrongShapesTypesAndMissingTensors) {
  TemporaryFolder folder;
  const std::string path = folder.file("model.safetensors");
  write_file(path, safetensors_bytes({f32("a", {2, 3}), {"q", "I8", {4}, "0123"}}));
  const Checkpoint checkpoint = opened(folder.path());
  const std::vector<int64_t> right = {2, 3}, wrong = {3, 2}, four = {4};
  EXPECT_TRUE(checkpoint.tensor("a", right).ok());
  EXPECT_TRUE(checkpoint.contains("a"));
  EXPECT_FALSE(checkpoint.contains("b"));
  const auto shape = checkpoint.tensor("a", wrong);
  EXPECT_EQ(shape.error().code, ErrorCode::kConfig);
  EXPECT_EQ(shape.error().message,
            path +
                ": tensor 'a': expected shape [3, 2], found [2, 3]; config.json and the weights "
                "do not fit together");
  EXPECT_EQ(checkpoint.tensor("q", four).error().message,
            path +
                ": tensor 'q': expected F32, F16 or BF16, found I8; convert the checkpoint to "
                "one of these types (quantised checkpoints are not read)");
  EXPECT_EQ(checkpoint.tensor("b", four).error().message,
            folder.path() +
                ": tensor 'b' is missing; the checkpoint is incomplete or does not fit "
                "config.json");
}

TEST(Checkpoint, NamesEveryTensorThatDoesNotFit) {
  TemporaryFolder folder;
  const std::string path = folder.file("model.safetensors");
  ModelConfig config;
  config.hidden_size = 4;
  config.intermediate_size = 6;
  config.layers = 1;
  config.heads = 2;
  config.kv_heads = 1;
  config.head_dim = 2;
  config.vocab_size = 5;
  config.tie_word_embeddings = true;
  std::vector<TestTensor> tensors;
  for (const TensorSpec& spec : expected_tensors(config))
    tensors.push_back(f32(spec.name, spec.shape));
  const auto check = [&](std::vector<TestTensor> list) -> std::string {
    write_file(path, safetensors_bytes(list));
    const Status status = opened(folder.path()).check(config);
    return status.ok() ? "" : status.error().message;
  };
  EXPECT_EQ(check(tensors), "");

  auto changed = tensors;
  changed.push_back(f32("model.layers.0.self_attn.rotary_emb.inv_freq", {1}));
  changed.push_back(f32("lm_head.weight", {5, 4}));  // equal to the embeddings
  EXPECT_EQ(check(changed), "");

  changed.back().bytes[3] = '\2';
  changed.push_back(f32("model.layers.0.self_attn.q_norm.weight", {2}));
  changed.erase(changed.begin() + 1);
  EXPECT_EQ(check(changed),
            folder.path() +
                ": tensor 'model.layers.0.input_layernorm.weight' is missing; the checkpoint is "
                "incomplete or does not fit config.json\n" +
                path +
                ": tensor 'lm_head.weight' differs from the embeddings although "
                "tie_word_embeddings is true in config.json; correct the one that is wrong\n" +
                path +
                ": tensor 'model.layers.0.self_attn.q_norm.weight' is not part of a model of this "
                "config.json; the model is of a kind that is not supported or the two do not fit "
                "together");
}

// A checkpoint of three layers for a configuration of twelve, and other shapes.
TEST(Checkpoint, FaultsOfOneKindAreOneLine) {
  TemporaryFolder folder;
  const std::string path = folder.file("model.safetensors");
  ModelConfig config;
  config.hidden_size = 4;
  config.intermediate_size = 6;
  config.layers = 12;
  config.heads = 2;
  config.kv_heads = 1;
  config.head_dim = 2;
  config.vocab_size = 5;
  std::vector<TestTensor> tensors;
  for (TensorSpec spec : expected_tensors(config)) {
    if (spec.name == "lm_head.weight") continue;
    if (spec.name.ends_with("up_proj.weight")) spec.shape[0] = 7;
    const bool left_out = spec.name.find("layers.3.") != spec.name.npos ||
                          spec.name.find("layers.4.") != spec.name.npos ||
                          spec.name == "model.layers.6.mlp.down_proj.weight";
    if (!left_out) tensors.push_back(f32(spec.name, spec.shape));
  }
  for (const char* layer : {"12", "13"})
    for (const char* name : {"a", "b"})
      tensors.push_back(f32("model.layers." + std::string(layer) + "." + name, {1}));
  write_file(path, safetensors_bytes(tensors));
  const Status status = opened(folder.path()).check(config);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(
      status.error().message,
      path +
          ": tensor 'model.layers.*.mlp.up_proj.weight': expected shape [6, 4], found [7, 4]; "
          "config.json and the weights do not fit together (layers 0-2, 5-11)\n" +
          folder.path() +
          ": 20 tensors (layers 3-4: input_layernorm.weight, mlp.gate_proj.weight, "
          "mlp.up_proj.weight, post_attention_layernorm.weight and 4 more; layers 3-4, 6: "
          "mlp.down_proj.weight; lm_head.weight) are missing; the checkpoint is incomplete or does "
          "not fit config.json\n" +
          path +
          ": 4 tensors (layers 12-13: a, b) are not part of a model of this config.json; the model "
          "is of a kind that is not supported or the two do not fit together");
}

// Written without padding, as the format allows: every tensor begins at an odd byte.
TEST(Checkpoint, TensorsNeedNotBeAligned) {
  TemporaryFolder folder;
  std::string header = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                       R"("b":{"dtype":"BF16","shape":[1],"data_offsets":[8,10]}})";
  if (header.size() % 2 == 0) header += ' ';
  std::string data(10, '\0');
  const float values[] = {1.5f, -2.0f};
  std::memcpy(data.data(), values, sizeof values);
  write_file(folder.file("model.safetensors"), safetensors_bytes(header, data));
  const Checkpoint checkpoint = opened(folder.path());
  const auto view = checkpoint.tensor("a", std::vector<int64_t>{2});
  ASSERT_TRUE(view.ok()) << view.error().message;
  ASSERT_NE(reinterpret_cast<uintptr_t>(view->data) % 4, 0u);
  const auto tensor = checkpoint.read("a", std::vector<int64_t>{2}, TensorDtype::kF32);
  ASSERT_TRUE(tensor.ok()) << tensor.error().message;
  const auto* elements = reinterpret_cast<const float*>(tensor->view.data);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(elements) % 4, 0u);
  checkpoint.release_pages("a");
  EXPECT_EQ(elements[0], 1.5f);
  EXPECT_EQ(elements[1], -2.0f);
  EXPECT_TRUE(checkpoint.tensor("b", std::vector<int64_t>{1}).ok());
}

TEST(Checkpoint, RefusesFoldersWithoutWeights) {
  TemporaryFolder folder;
  EXPECT_EQ(open_message(folder.path()),
            folder.path() +
                ": expected model.safetensors or model.safetensors.index.json, found "
                "neither; point to a Hugging Face model folder with safetensors "
                "weights");
  std::filesystem::create_symlink("nowhere", folder.file("model.safetensors"));
  EXPECT_EQ(open_message(folder.path()),
            folder.file("model.safetensors") +
                ": cannot be opened: No such file or directory; expected a whole Hugging Face "
                "model folder");
}

class ShardedCheckpoint : public testing::Test {
 protected:
  void SetUp() override {
    write_file(folder.file("1.safetensors"), safetensors_bytes({f32("a", {1})}));
    write_file(folder.file("2.safetensors"), safetensors_bytes({f32("b", {2})}));
  }
  std::string open_with(const std::string& weight_map) {
    write_file(index, "{\"metadata\":{},\"weight_map\":" + weight_map + "}");
    return open_message(folder.path());
  }
  TemporaryFolder folder;
  const std::string index = folder.file(kIndex);
};

TEST_F(ShardedCheckpoint, IsOneCheckpoint) {
  EXPECT_EQ(open_with(R"({"a":"1.safetensors","b":"2.safetensors"})"), "");
  const Checkpoint checkpoint = opened(folder.path());
  EXPECT_TRUE(checkpoint.tensor("a", std::vector<int64_t>{1}).ok());
  EXPECT_TRUE(checkpoint.tensor("b", std::vector<int64_t>{2}).ok());
}

// The index decides; where it does not, the shard that holds the tensor.
TEST_F(ShardedCheckpoint, TensorsThatTheIndexPlacesElsewhere) {
  const auto first_byte = [&](const std::string& name) {
    const Checkpoint checkpoint = opened(folder.path());
    return static_cast<int>(*checkpoint.tensor(name, std::vector<int64_t>{1})->data);
  };
  EXPECT_EQ(open_with(R"({"a":"2.safetensors","b":"2.safetensors","x":"1.safetensors"})"),
            index +
                ": tensor 'x' is not in '1.safetensors'; fetch the index and the shards of one "
                "version");
  write_file(folder.file("2.safetensors"),
             safetensors_bytes({f32("b", {2}), {"a", "F32", {1}, std::string("\7\0\0\0", 4)}}));
  EXPECT_EQ(open_with(R"({"a":"1.safetensors","b":"2.safetensors"})"), "");
  EXPECT_EQ(first_byte("a"), 1);
  EXPECT_EQ(open_with(R"({"a":"2.safetensors","b":"2.safetensors"})"), "") << "1 is not named";
  EXPECT_EQ(first_byte("a"), 7);
  write_file(folder.file("1.safetensors"), safetensors_bytes({f32("c", {1})}));
  EXPECT_EQ(open_with(R"({"a":"1.safetensors","b":"2.safetensors"})"), "");
  EXPECT_EQ(first_byte("a"), 7);
  EXPECT_EQ(first_byte("c"), 1) << "which the index does not list";
  const std::string one = folder.file("1.safetensors"), two = folder.file("2.safetensors");
  write_file(one, safetensors_bytes({f32("a", {1})}));
  EXPECT_EQ(open_with(R"({"b":"2.safetensors","z":"1.safetensors"})"),
            index + ": tensor 'a' differs in '" + one + "' and '" + two +
                "' and is listed for neither; fetch the index and the shards of one version");
}

TEST_F(ShardedCheckpoint, NamesAllThatIsMissing) {
  const std::string versions = "; fetch the index and the shards of one version";
  EXPECT_EQ(open_with(R"({"a":"1.safetensors","b":"3.safetensors"})"),
            index + ": names the file '3.safetensors', which is not there; fetch it");
  EXPECT_EQ(open_with(R"({"a":"1.safetensors","b":"3.safetensors","c":"4.safetensors"})"),
            index +
                ": names 2 of its 3 files that are not there: '3.safetensors', "
                "'4.safetensors'; fetch them");
  EXPECT_EQ(open_with(R"({"a":"1.safetensors","b":"2.safetensors","c":"2.safetensors"})"),
            index + ": tensor 'c' is not in '2.safetensors'" + versions);
  EXPECT_EQ(open_with(R"({"a":"1.safetensors","c":"1.safetensors","d":"1.safetensors",
                          "e":"1.safetensors","f":"1.safetensors"})"),
            index + ": 4 tensors are in none of its files: 'c', 'd', 'e' and 1 more" + versions);
}

// Whoever fetches shards again does so once.
TEST_F(ShardedCheckpoint, NamesAllShardsThatAreMissingOrCut) {
  const std::string again = "; the file is damaged or not a safetensors file: fetch it again";
  std::string whole = safetensors_bytes({f32("c", {3})});
  write_file(folder.file("1.safetensors"), whole.substr(0, whole.size() - 5));
  write_file(folder.file("2.safetensors"), "");
  write_file(folder.file("3.safetensors"), whole);
  write_file(folder.file("4.safetensors"), whole.substr(0, 20));
  EXPECT_EQ(open_with(R"({"a":"1.safetensors","b":"2.safetensors","c":"3.safetensors",
                          "d":"4.safetensors","e":"5.safetensors"})"),
            index + ": names the file '5.safetensors', which is not there; fetch it\n" +
                folder.file("1.safetensors") + ": its header describes " +
                std::to_string(whole.size()) + " bytes, the file has " +
                std::to_string(whole.size() - 5) + again + "\n" + folder.file("2.safetensors") +
                ": expected at least 8 bytes, found 0" + again + "\n" +
                folder.file("4.safetensors") + ": the header's length at byte 0 is " +
                std::to_string(whole.size() - 8 - 12) +
                ", but the file has only 12 bytes after it" + again);
}

TEST_F(ShardedCheckpoint, RefusesPathsOutOfTheFolder) {
  for (const char* name : {"../1.safetensors", "/etc/passwd", "sub/1.safetensors", "..", ""}) {
    EXPECT_EQ(open_with("{\"a\":\"" + std::string(name) + "\"}"),
              index + ": /weight_map/a: expected the name of a file in the same folder, found \"" +
                  name + "\"");
  }
}

TEST_F(ShardedCheckpoint, RefusesAnIndexOfAnotherForm) {
  EXPECT_EQ(open_with("[]"), index + ": expected an object weight_map from tensor names to files");
  EXPECT_EQ(open_with(R"({"a":1})"), index + ": /weight_map/a: expected a file name, found 1");
  EXPECT_EQ(open_with("{}"), index + ": /weight_map: expected at least one tensor, found none");
  write_file(index, "{");
  EXPECT_EQ(open_message(folder.path()),
            index +
                ": byte 2: expected valid JSON; the file is damaged or cut short: fetch it "
                "again");
}

}  // namespace
}  // namespace dbsa
