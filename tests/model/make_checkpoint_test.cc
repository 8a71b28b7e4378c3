// The tool that writes random checkpoints: the engine reads what it writes.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>

#include "config/file_calls.h"
#include "model/checkpoint/checkpoint.h"
#include "tests/model/model_files.h"
#include "tests/reference/oracle.h"
#include "tools/make_checkpoint/byte_tokenizer.h"
#include "tools/make_checkpoint/checkpoint_writer.h"
#include "tools/make_checkpoint/random_weights.h"

namespace dbsa::tools {
namespace {

namespace fs = std::filesystem;
using test::read_file;
using test::TemporaryFolder;

CheckpointPlan tiny(bool bf16 = true) {
  CheckpointPlan plan;
  plan.config = *preset_config("tiny");
  plan.bf16 = bf16;
  plan.seed = 5;
  return plan;
}

TEST(MakeCheckpoint, WritesAFolderTheEngineReads) {
  for (bool bf16 : {true, false}) {
    TemporaryFolder folder;
    const std::string out = folder.file("model");
    const auto size = write_checkpoint(out, tiny(bf16));
    ASSERT_TRUE(size.ok()) << size.error().message;
    const auto config = load_model_config(out);
    ASSERT_TRUE(config.ok()) << config.error().message;
    const auto checkpoint = Checkpoint::open(out);
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
    EXPECT_TRUE(checkpoint->check(*config).ok());
    EXPECT_EQ(fs::file_size(out + "/model.safetensors"), size->bytes);
    // Nothing but the folder is left.
    EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 1);

    auto oracle = reference::OracleModel::load(out);
    ASSERT_TRUE(oracle.ok()) << oracle.error().message;
    const auto logits = oracle->logits({1, 2, 3}, {0, 1, 2}, reference::causal_mask(3));
    double square = 0;
    for (double x : logits) square += x * x;
    const double deviation = std::sqrt(square / static_cast<double>(logits.size()));
    EXPECT_GT(deviation, 0.5);
    EXPECT_LT(deviation, 2.0);
  }
}

TEST(MakeCheckpoint, WritesExpertsUnderTheirFamilysNames) {
  for (const char* family : {"mixtral", "qwen3_moe"}) {
    TemporaryFolder folder;
    const std::string out = folder.file("model");
    CheckpointPlan plan = tiny();
    plan.config["model_type"] = family;
    plan.config["num_experts"] = 4;
    plan.config["num_experts_per_tok"] = 2;
    const auto size = write_checkpoint(out, plan);
    ASSERT_TRUE(size.ok()) << size.error().message;
    const auto config = load_model_config(out);
    const auto checkpoint = Checkpoint::open(out);
    ASSERT_TRUE(config.ok() && checkpoint.ok());
    EXPECT_TRUE(checkpoint->check(*config).ok());
    EXPECT_EQ(size->parameters, parameter_count(*config));
    const std::string last = std::string(family) == "mixtral" ? "block_sparse_moe.experts.3.w2"
                                                              : "mlp.experts.3.down_proj";
    EXPECT_TRUE(checkpoint->contains("model.layers.1." + last + ".weight")) << family;
  }
}

// A tensor that the family's router does not have is no part of the model.
TEST(MakeCheckpoint, ABiasOfTheRouterIsRefused) {
  TemporaryFolder folder;
  const std::string out = folder.file("model");
  CheckpointPlan plan = tiny(false);
  plan.config["model_type"] = "qwen3_moe";
  plan.config["num_experts"] = 4;
  plan.config["num_experts_per_tok"] = 2;
  ASSERT_TRUE(write_checkpoint(out, plan).ok());
  std::string file = read_file(out + "/model.safetensors");
  // Of equal length: the final norm's name becomes that of a bias.
  const std::string norm = "\"model.norm.weight\"";
  const size_t at = file.find(norm);
  ASSERT_NE(at, std::string::npos);
  uint64_t length = 0;
  std::memcpy(&length, file.data(), 8);
  std::string header = file.substr(8, length);
  header.replace(header.find(norm), norm.size(),
                 "\"model.layers.0.mlp.gate.e_score_correction_bias\"");
  test::write_file(out + "/model.safetensors",
                   test::safetensors_bytes(header, file.substr(8 + length)));
  const auto checkpoint = Checkpoint::open(out);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  const Status status = checkpoint->check(*load_model_config(out));
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find(
                "tensor 'model.layers.0.mlp.gate.e_score_correction_bias' is not part of a model"),
            std::string::npos)
      << status.error().message;
}

TEST(MakeCheckpoint, RemovesWhatKilledRunsLeftAndNothingElse) {
  TemporaryFolder folder;
  const std::string out = folder.file("model");
  for (const char* name :
       {"model.tmp-1", "model.tmp-2", "model.tmp-3.old", "model.tmp-x", "other.tmp-1"}) {
    fs::create_directory(folder.file(name));
    std::ofstream(folder.file(name) + "/model.safetensors") << "part of it";
  }
  const Descriptor living(::open(folder.file("model.tmp-2").c_str(), O_RDONLY | O_DIRECTORY));
  ASSERT_EQ(lock_file(living.get(), LOCK_EX), 0);
  const auto names = [&] {
    std::set<std::string> found;
    for (const auto& entry : fs::directory_iterator(folder.path()))
      found.insert(entry.path().filename().string());
    return found;
  };
  ASSERT_TRUE(write_checkpoint(out, tiny()).ok());
  // Without a checkpoint in its place, the one that was to be replaced was all there is.
  EXPECT_EQ(names(), (std::set<std::string>{"model", "model.tmp-2", "model.tmp-3.old",
                                            "model.tmp-x", "other.tmp-1"}));
  CheckpointPlan again = tiny();
  again.overwrite = true;
  ASSERT_TRUE(write_checkpoint(out, again).ok());
  EXPECT_EQ(names(), (std::set<std::string>{"model", "model.tmp-2", "model.tmp-x", "other.tmp-1"}));
}

TEST(MakeCheckpoint, SeedDecidesTheWeights) {
  TemporaryFolder folder;
  CheckpointPlan plan = tiny();
  const auto weights = [&](const std::string& name) {
    EXPECT_TRUE(write_checkpoint(folder.file(name), plan).ok());
    return read_file(folder.file(name) + "/model.safetensors");
  };
  const std::string first = weights("a");
  EXPECT_EQ(weights("b"), first);
  plan.seed = 6;
  EXPECT_NE(weights("c"), first);
}

TEST(MakeCheckpoint, WeightsHaveTheirDeviation) {
  std::vector<float> values(1 << 16);
  RandomStream stream(1, "w");
  const std::vector<int64_t> shape = {256, 256};
  draw_weights("w", shape, stream, values);
  double sum = 0, square = 0;
  for (float v : values) sum += v, square += double{v} * v;
  const double n = static_cast<double>(values.size());
  // Standard errors: 1/sqrt(n) of the mean, about 1/sqrt(2n) of the deviation; five of each.
  EXPECT_NEAR(sum / n * 16, 0, 5 / std::sqrt(n));
  EXPECT_NEAR(std::sqrt(square / n) * 16, 1, 5 / std::sqrt(2 * n));
}

TEST(MakeCheckpoint, DoesNotOverwriteUnasked) {
  TemporaryFolder folder;
  const std::string out = folder.file("model");
  ASSERT_TRUE(write_checkpoint(out, tiny()).ok());
  const auto again = write_checkpoint(out, tiny());
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code, ErrorCode::kEnvironment);
  EXPECT_EQ(again.error().message,
            out + ": exists already; give another folder, or --overwrite to replace it");

  CheckpointPlan plan = tiny(false);
  plan.overwrite = true;
  EXPECT_TRUE(write_checkpoint(out, plan).ok());
  EXPECT_EQ(load_model_config(out)->torch_dtype, "float32");

  test::write_file(out + "/notes.txt", "mine");
  EXPECT_EQ(write_checkpoint(out, plan).error().message,
            out +
                ": holds 'notes.txt', which this tool does not write; it is not overwritten: "
                "give another folder");
  EXPECT_EQ(read_file(out + "/notes.txt"), "mine");
}

TEST(MakeCheckpoint, RefusesWhatTheEngineWouldRefuse) {
  TemporaryFolder folder;
  CheckpointPlan plan = tiny();
  plan.config["vocab_size"] = 257;
  plan.config["eos_token_id"] = 0;
  EXPECT_EQ(write_checkpoint(folder.file("m"), plan).error().message,
            "config.json: /vocab_size: expected at least 258 (the bytes, begin and end), found "
            "257");
  plan.config["hidden_act"] = "gelu";
  EXPECT_EQ(write_checkpoint(folder.file("m"), plan).error().message,
            "config.json: /hidden_act: expected \"silu\", found \"gelu\"; only SiLU models are "
            "supported");
  EXPECT_FALSE(fs::exists(folder.file("m")));
  EXPECT_EQ(preset_config("9b").error().message,
            "--preset: expected tiny, 110m, 1b or 8b, found \"9b\"");
  for (const char* name : {"tiny", "110m", "1b", "8b"}) {
    EXPECT_TRUE(parse_model_config("c", preset_config(name)->dump()).ok()) << name;
  }
}

TEST(MakeCheckpoint, TokenizerNamesEveryByteOnce) {
  const auto json = nlohmann::json::parse(byte_tokenizer_json());
  std::vector<int> seen(256, 0);
  for (const auto& [text, id] : json["model"]["vocab"].items()) ++seen.at(id.get<size_t>());
  EXPECT_EQ(seen, std::vector<int>(256, 1));
  EXPECT_EQ(json["model"]["vocab"]["A"], 65);
  EXPECT_EQ(json["model"]["vocab"]["\u0120"], 32);  // the space
}

}  // namespace
}  // namespace dbsa::tools
