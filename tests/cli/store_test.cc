// store list, verify, export, compact and gc.
#include <gmock/gmock.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>

#include "tests/cli/cli_fixture.h"

namespace dbsa {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class StoreCommandTest : public CliTest {
 protected:
  void SetUp() override {
    pipeline_ = make_pipeline();
    ASSERT_EQ(cli({"encode", pipeline_, "--quiet"}).exit_code, 0);
  }
  json list() const {
    const ProcessResult result = cli({"store", "list", path("store"), "--json"});
    EXPECT_EQ(result.exit_code, 0) << result.error;
    return json::parse(result.out);
  }
  std::set<std::string> keys() const {
    std::set<std::string> all;
    const json listed = list();
    for (const json& block : listed.at("blocks")) all.insert(block.at("key").get<std::string>());
    return all;
  }
  // Another pool in the same store; its blocks lose their root.
  void add_unrooted_blocks() const {
    const std::set<std::string> pools = pool_files();
    ASSERT_EQ(
        cli({"encode", pipeline_, "--quiet", "--set", "block_grouper.block_size=6"}).exit_code, 0);
    for (const std::string& file : pool_files())
      if (!pools.contains(file)) std::filesystem::remove(file);
  }
  std::set<std::string> pool_files() const {
    std::set<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(path("store/pools")))
      files.insert(entry.path().string());
    return files;
  }
  std::string first_pack() const {
    std::set<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(path("store/packs")))
      if (entry.path().extension() == ".h5") files.insert(entry.path().string());
    return *files.begin();
  }
  std::string pipeline_;
};

TEST_F(StoreCommandTest, ListsBlocksOfAFolderAndOfAPipeline) {
  const ProcessResult of_folder = cli({"store", "list", path("store")});
  EXPECT_EQ(of_folder.exit_code, 0) << of_folder.error;
  EXPECT_THAT(of_folder.out,
              testing::ContainsRegex("key +tokens +size +type +created +used +where\n"));
  EXPECT_THAT(of_folder.out, HasSubstr("\n6 blocks, "));
  EXPECT_THAT(of_folder.out, HasSubstr("; 6 used by a pool; "));
  const json of_pipeline = json::parse(cli({"store", "list", pipeline_, "--json"}).out);
  EXPECT_EQ(of_pipeline.at("blocks"), list().at("blocks"));
  EXPECT_EQ(of_pipeline.at("path"), path("store"));
  const json& block = of_pipeline.at("blocks")[0];
  EXPECT_EQ(block.at("layers"), 2);
  EXPECT_EQ(block.at("dtype"), "f32");
  EXPECT_EQ(block.at("used"), true);
}

TEST_F(StoreCommandTest, ListsPackedWeights) {
  std::filesystem::remove_all(path("cache/dbsa-pipe/weights"));
  json weights = list().at("packed_weights");
  EXPECT_EQ(weights, json({{"files", 0}, {"bytes", 0}}));
  EXPECT_THAT(cli({"store", "list", path("store")}).out, testing::Not(HasSubstr("packed weights")));
  const std::string name = "0123456789abcdef0123456789abcdef.safetensors";
  workspace_.write("cache/dbsa-pipe/weights/" + name, std::string(3 << 20, 'w'));
  workspace_.write("cache/dbsa-pipe/weights/other.safetensors", "no weights");
  weights = list().at("packed_weights");
  EXPECT_EQ(weights, json({{"files", 1}, {"bytes", 3 << 20}}));
  EXPECT_THAT(cli({"store", "list", path("store")}).out,
              HasSubstr("\n1 file of packed weights, 3.0 MiB, in " +
                        path("cache/dbsa-pipe/weights") + "; "));
}

TEST_F(StoreCommandTest, WhatIsNoStoreIsNamed) {
  ProcessResult result = cli({"store", "list", path("model")});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_EQ(result.error, "error: " + path("model") +
                              ": not a KV store: it has neither blocks nor pools; expected the "
                              "folder of a KV store (kv_store.path) or a pipeline file\n");
  result = cli({"store", "gc", path("absent")});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_EQ(result.error, "error: " + path("absent") +
                              ": no such file or folder; expected the folder of a KV store "
                              "(kv_store.path) or a pipeline file\n");
  EXPECT_FALSE(std::filesystem::exists(path("absent")));
  edit_pipeline("path = \"store\"", "plugin = \"memory\"");
  result = cli({"store", "list", pipeline_});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.error, "error: " + pipeline_ +
                              ":18:1: kv_store.plugin: this store is not kept between runs, so "
                              "there is nothing to work on\n");
}

TEST_F(StoreCommandTest, AStoreOfPoolsWithoutBlocks) {
  const std::string store = path("votes");
  const auto run = [&](const std::string& decoding) {
    return cli({"run", pipeline_, "--quiet", "--set", "decoding.method=" + decoding, "--set",
                "kv_store.path=" + store})
        .exit_code;
  };
  ASSERT_EQ(run("vote"), 0);
  EXPECT_FALSE(std::filesystem::exists(store + "/packs"));
  EXPECT_EQ(cli({"store", "verify", store}).out, "ok  0 blocks and 1 pool read, no faults\n");
  for (const char* command : {"list", "gc", "compact"})
    EXPECT_EQ(cli({"store", command, store}).exit_code, 0) << command;

  // Once its blocks are stored, a vote does not make them needless.
  ASSERT_EQ(run("trie"), 0);
  ASSERT_EQ(run("vote"), 0);
  EXPECT_EQ(cli({"store", "verify", store}).out, "ok  6 blocks and 1 pool read, no faults\n");
  std::filesystem::remove_all(store + "/packs");
  EXPECT_EQ(cli({"store", "verify", store}).exit_code, 5);
  std::filesystem::remove_all(store + "/pools");
  EXPECT_EQ(cli({"store", "verify", store}).exit_code, 4);
}

TEST_F(StoreCommandTest, VerifyFindsNothingInASoundStore) {
  const ProcessResult result = cli({"store", "verify", path("store")});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.out, "ok  6 blocks and 1 pool read, no faults\n");
}

TEST_F(StoreCommandTest, VerifyNamesADamagedBlockAndExitsWith5) {
  const std::string pack = first_pack();
  const auto size = std::filesystem::file_size(pack);
  {
    // A byte in the middle of a pack lies in a plane: planes are nearly all of it.
    std::filesystem::permissions(pack, std::filesystem::perms::owner_write,
                                 std::filesystem::perm_options::add);
    std::fstream file(pack, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(size / 2));
    const char byte = static_cast<char>(file.get() ^ 1);
    file.seekp(static_cast<std::streamoff>(size / 2));
    file.put(byte);
  }
  const ProcessResult result = cli({"store", "verify", path("store")});
  EXPECT_EQ(result.exit_code, 5);
  EXPECT_THAT(result.out, HasSubstr(std::filesystem::path(pack).filename().string()));
  EXPECT_THAT(result.out, HasSubstr("1 fault; damaged blocks are computed again when they are next "
                                    "used\n"));
  const ProcessResult as_json = cli({"store", "verify", path("store"), "--json"});
  EXPECT_EQ(as_json.exit_code, 5);
  const json report = json::parse(as_json.out);
  EXPECT_EQ(report.at("ok"), false);
  EXPECT_EQ(report.at("faults").size(), 1u);
  EXPECT_TRUE(keys().contains(report.at("faults")[0].at("key")));
}

TEST_F(StoreCommandTest, VerifyReadsPoolManifests) {
  std::filesystem::resize_file(*pool_files().begin(), 30);
  const ProcessResult result = cli({"store", "verify", path("store")});
  EXPECT_EQ(result.exit_code, 5);
  EXPECT_THAT(result.out, HasSubstr(*pool_files().begin() + ": "));
}

TEST_F(StoreCommandTest, VerifySaysWhatAPoolLacks) {
  std::filesystem::remove(first_pack());
  const ProcessResult result = cli({"store", "verify", path("store")});
  EXPECT_EQ(result.exit_code, 5);
  EXPECT_THAT(result.out,
              HasSubstr(*pool_files().begin() + ": the store lacks 6 of its 6 blocks, such as "));
  EXPECT_THAT(result.out, HasSubstr("; `dbsa-pipe encode` computes them\n"));
  ASSERT_EQ(cli({"encode", pipeline_, "--quiet"}).exit_code, 0);
  EXPECT_EQ(cli({"store", "verify", path("store")}).exit_code, 0);
}

TEST_F(StoreCommandTest, VerifyReadsPackedWeights) {
  const std::string folder = path("cache/dbsa-pipe/weights");
  ASSERT_TRUE(std::filesystem::exists(folder)) << "this backend keeps none";
  const std::string file = std::filesystem::directory_iterator(folder)->path().string();
  const auto size = std::filesystem::file_size(file);
  {
    std::fstream weights(file, std::ios::in | std::ios::out | std::ios::binary);
    weights.seekg(static_cast<std::streamoff>(size - 1000));
    const char byte = static_cast<char>(weights.get() ^ 1);
    weights.seekp(static_cast<std::streamoff>(size - 1000));
    weights.put(byte);
  }
  const ProcessResult result = cli({"store", "verify", path("store")});
  EXPECT_EQ(result.exit_code, 5);
  EXPECT_THAT(result.out, HasSubstr(file + ": expected digest "));
  EXPECT_THAT(result.out, HasSubstr("; it is packed again when it is used\n"));
  const std::string renamed = folder + "/" + std::string(32, 'a') + ".safetensors";
  std::filesystem::rename(file, renamed);
  EXPECT_THAT(cli({"store", "verify", path("store")}).out,
              HasSubstr(renamed + ": expected the name "));
}

TEST_F(StoreCommandTest, ExportWritesNumPyArrays) {
  const json block = list().at("blocks")[0];
  const std::string key = block.at("key");
  const ProcessResult result =
      cli({"store", "export", path("store"), key.substr(0, 12), "--output", path("out")});
  ASSERT_EQ(result.exit_code, 0) << result.error;
  EXPECT_EQ(result.out, path("out/" + key + ".npy") + "\n");
  const std::string bytes = workspace_.read("out/" + key + ".npy");
  ASSERT_EQ(bytes.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
  const size_t header = 10 + static_cast<unsigned char>(bytes[8]) +
                        256 * static_cast<size_t>(static_cast<unsigned char>(bytes[9]));
  EXPECT_EQ(header % 64, 0u);
  const int64_t tokens = block.at("tokens");
  EXPECT_THAT(bytes.substr(10, header - 10),
              testing::StartsWith("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2, 2, " +
                                  std::to_string(tokens) + ", 16), }"));
  EXPECT_EQ(bytes[header - 1], '\n');
  EXPECT_EQ(bytes.size() - header, static_cast<size_t>(2 * 2 * 2 * tokens * 16 * 4));
  double sum = 0;
  for (size_t at = header; at < bytes.size(); at += 4) {
    float value = 0;
    std::memcpy(&value, bytes.data() + at, 4);
    ASSERT_TRUE(std::isfinite(value));
    sum += std::abs(value);
  }
  EXPECT_GT(sum, 0);
}

TEST_F(StoreCommandTest, ExportAllAndItsMistakes) {
  const ProcessResult all =
      cli({"store", "export", pipeline_, "--all", "--output", path("out"), "--json"});
  ASSERT_EQ(all.exit_code, 0) << all.error;
  EXPECT_EQ(json::parse(all.out).at("files").size(), 6u);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(path("out")),
                          std::filesystem::directory_iterator()),
            6);
  ProcessResult result = cli({"store", "export", path("store")});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.error, "error: dbsa-pipe store export: give either KEY, --block or --all\n");
  result = cli({"store", "export", path("store"), "xyz"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.error,
            "error: no block has a key that begins with \"xyz\"; `dbsa-pipe store list` shows "
            "them\n");
}

TEST_F(StoreCommandTest, GcDropsWhatNoPoolUsesAndKeepsTheRest) {
  const std::set<std::string> rooted = keys();
  add_unrooted_blocks();
  ASSERT_GT(keys().size(), rooted.size());
  const auto loose = static_cast<int64_t>(keys().size() - rooted.size());

  const json dry = json::parse(cli({"store", "gc", path("store"), "--dry-run", "--json"}).out);
  EXPECT_EQ(dry.at("blocks_dropped"), loose);
  EXPECT_EQ(keys().size(), rooted.size() + static_cast<size_t>(loose));

  const ProcessResult result = cli({"store", "gc", path("store")});
  EXPECT_EQ(result.exit_code, 0) << result.error;
  EXPECT_THAT(result.out, testing::StartsWith("dropped " + std::to_string(loose) + " block"));
  EXPECT_EQ(keys(), rooted);
  EXPECT_EQ(cli({"store", "verify", path("store")}).exit_code, 0);
  EXPECT_EQ(json::parse(cli({"encode", pipeline_, "--json"}).out).at("blocks_encoded"), 0);
}

TEST_F(StoreCommandTest, GcWithABoundKeepsWhatFits) {
  add_unrooted_blocks();
  const json before = list();
  const ProcessResult result =
      cli({"store", "gc", path("store"), "--json", "--max-bytes",
           std::to_string(before.at("stored_bytes").get<int64_t>() + (1 << 20))});
  EXPECT_EQ(result.exit_code, 0) << result.error;
  EXPECT_EQ(json::parse(result.out).at("blocks_dropped"), 0);
  const ProcessResult none = cli({"store", "gc", path("store"), "--max-bytes", "0"});
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_EQ(none.error, "error: --max-bytes: must be >= 1, got 0\n");
}

TEST_F(StoreCommandTest, GcStopsAtAPoolItCannotRead) {
  add_unrooted_blocks();
  const size_t before = keys().size();
  std::filesystem::resize_file(*pool_files().begin(), 30);
  const ProcessResult result = cli({"store", "gc", path("store")});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.error, HasSubstr(*pool_files().begin() +
                                      ": not a sound pool: it does not begin with DBSAKEYS"));
  EXPECT_EQ(keys().size(), before);
}

// Two hosts with different pools, whose packs are the same ones.
class SharedStoreTest : public StoreCommandTest {
 protected:
  void SetUp() override {
    StoreCommandTest::SetUp();
    std::filesystem::create_directory(path("other"));
    std::filesystem::create_directory_symlink(path("store/packs"), path("other/packs"));
    second_ = workspace_.write("second.toml", workspace_.read("pipeline.toml"));
    std::string text = workspace_.read("second.toml");
    text.replace(text.find("\"store\""), 7, "\"other\"");
    text.replace(text.find("block_size = 4"), 14, "block_size = 6");
    workspace_.write("second.toml", text);
    ASSERT_EQ(cli({"encode", second_, "--quiet"}).exit_code, 0);
  }
  std::string second_;
};

// They have one folder of pools, so that neither drops what the other needs.
TEST_F(SharedStoreTest, GcKeepsTheBlocksOfBoth) {
  const std::set<std::string> before = keys();
  EXPECT_EQ(pool_files().size(), 2u);
  EXPECT_FALSE(std::filesystem::exists(path("other/pools")));
  for (const std::string& store : {second_, pipeline_, path("store"), path("other")}) {
    const ProcessResult kept = cli({"store", "gc", store, "--json"});
    EXPECT_EQ(kept.exit_code, 0) << kept.error;
    EXPECT_EQ(json::parse(kept.out).at("blocks_dropped"), 0);
  }
  EXPECT_EQ(keys(), before);
  EXPECT_EQ(cli({"query", pipeline_, "card", "--quiet"}).error, "");
  EXPECT_EQ(cli({"query", second_, "card", "--quiet"}).error, "");
}

// HDF5 has closed files by a driver that it had freed: glibc fills what is freed with other bytes.
TEST_F(StoreCommandTest, WritingAPackUsesNoFreedMemory) {
  const ProcessOptions perturbed = {.environment = {{"MALLOC_PERTURB_", "165"}}};
  for (const Words& words :
       {Words{"encode", path("pipeline.toml")},
        Words{"encode", path("pipeline.toml"), "--set", "block_grouper.seed=7"},
        Words{"store", "compact", path("store")}}) {
    const ProcessResult result = cli(words, perturbed);
    EXPECT_EQ(result.exit_code, 0) << result.error;
  }
  EXPECT_EQ(cli({"store", "verify", path("store")}).exit_code, 0);
}

TEST_F(StoreCommandTest, CompactKeepsEveryBlock) {
  add_unrooted_blocks();
  const std::set<std::string> before = keys();
  const ProcessResult result = cli({"store", "compact", path("store")});
  EXPECT_EQ(result.exit_code, 0) << result.error;
  EXPECT_THAT(result.out, testing::StartsWith("freed "));
  EXPECT_EQ(keys(), before);
  EXPECT_EQ(cli({"store", "verify", path("store")}).exit_code, 0);
}

// From a query to the keys and values of its second block: one command to ask, one to write.
TEST_F(StoreCommandTest, ABlockOfAnAnswerIsExportedByItsKeyOrItsIndex) {
  const ProcessResult asked = cli({"query", pipeline_, "card lost", "--json"});
  ASSERT_EQ(asked.exit_code, 0) << asked.error;
  const json second = json::parse(asked.out).at("blocks").at(1);
  const std::string key = second.at("key");
  const ProcessResult by_key = cli({"store", "export", pipeline_, key, "--output", path("by_key")});
  ASSERT_EQ(by_key.exit_code, 0) << by_key.error;
  EXPECT_EQ(by_key.out, path("by_key/" + key + ".npy") + "\n");
  const std::string array = workspace_.read("by_key/" + key + ".npy");
  EXPECT_THAT(array, HasSubstr("'shape': (2, 2, 2, " +
                               std::to_string(second.at("tokens").get<int>()) + ", 16), }"));
  const ProcessResult by_index =
      cli({"store", "export", path("store"), "--block",
           std::to_string(second.at("block").get<int64_t>()), "--output", path("by_index")});
  ASSERT_EQ(by_index.exit_code, 0) << by_index.error;
  EXPECT_EQ(workspace_.read("by_index/" + key + ".npy"), array);
}

TEST_F(StoreCommandTest, RecordsNameTheBlocksKeys) {
  ASSERT_EQ(cli({"run", pipeline_, "--quiet"}).exit_code, 0);
  const std::set<std::string> stored = keys();
  const std::string id = std::filesystem::path(*pool_files().begin()).stem();
  const json listed =
      json::parse(cli({"store", "list", path("store"), "--pool", id, "--json"}).out).at("blocks");
  const json record = only_record();
  for (const json& query : record.at("queries"))
    for (const json& block : query.at("blocks")) {
      EXPECT_TRUE(stored.contains(block.at("key")));
      EXPECT_EQ(listed.at(block.at("block").get<size_t>()).at("key"), block.at("key"));
    }
}

TEST_F(StoreCommandTest, ListsPoolsAndTheBlocksOfOne) {
  const json pools = json::parse(cli({"store", "pools", pipeline_, "--json"}).out).at("pools");
  ASSERT_EQ(pools.size(), 1u);
  const json& pool = pools[0];
  const std::string id = pool.at("id");
  EXPECT_EQ(pool.at("path"), path("store/pools/" + id + ".pool"));
  EXPECT_EQ(pool.at("demonstrations"), 24);
  EXPECT_EQ(pool.at("labels"), 4);
  EXPECT_EQ(pool.at("blocks"), 6);
  EXPECT_EQ(pool.at("blocks_stored"), 6);
  EXPECT_EQ(pool.at("identity").at("block_grouper").at("block_size"), 4);
  EXPECT_THAT(pool.at("written_at").get<std::string>(), testing::MatchesRegex("20..-.*T.*Z"));
  uint64_t bytes = 0;
  const json listed = list();
  for (const json& block : listed.at("blocks")) bytes += block.at("stored_bytes").get<uint64_t>();
  EXPECT_EQ(pool.at("stored_bytes"), bytes);
  const ProcessResult shown = cli({"store", "pools", path("store")});
  EXPECT_EQ(shown.exit_code, 0) << shown.error;
  EXPECT_THAT(shown.out,
              testing::ContainsRegex("\n" + id + " +6 +6 +[0-9.]+ KiB +[0-9,]+ +24 +4 "));
  EXPECT_THAT(shown.out, testing::EndsWith("\n1 pool\n"));

  // In the pool's order, which `query` counts blocks in.
  add_unrooted_blocks();
  const json blocks =
      json::parse(cli({"store", "list", path("store"), "--pool", id.substr(0, 6), "--json"}).out);
  EXPECT_EQ(blocks.at("pool"), id);
  ASSERT_EQ(blocks.at("blocks").size(), 6u);
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(blocks.at("blocks")[i].at("block"), i);
    EXPECT_EQ(blocks.at("blocks")[i].at("stored"), true);
    EXPECT_EQ(blocks.at("blocks")[i].at("demonstrations"), 4);
  }
  const json answer = json::parse(cli({"query", pipeline_, "card", "--json"}).out);
  for (const json& block : answer.at("blocks"))
    EXPECT_EQ(blocks.at("blocks")[block.at("block").get<size_t>()].at("key"), block.at("key"));
  const ProcessResult table = cli({"store", "list", pipeline_, "--pool", id});
  EXPECT_THAT(table.out,
              testing::ContainsRegex("block +key +tokens +size +type +created +where\n"));
  EXPECT_THAT(table.out, HasSubstr("\npool " + id + ": 6 of 6 blocks stored, "));

  std::filesystem::remove_all(path("store/packs"));
  std::filesystem::create_directory(path("store/packs"));
  const json gone =
      json::parse(cli({"store", "list", path("store"), "--pool", id, "--json"}).out).at("blocks");
  EXPECT_EQ(gone[0].at("stored"), false);
  EXPECT_EQ(gone[0].at("key"), blocks.at("blocks")[0].at("key"));
  const ProcessResult missing = cli({"store", "export", path("store"), "--block", "0"});
  EXPECT_EQ(missing.exit_code, 4);
  EXPECT_EQ(missing.error, "error: block 0 of pool " + id +
                               " is not in the store; `dbsa-pipe encode` computes it\n");
}

TEST_F(StoreCommandTest, GivesUpAPool) {
  const std::string id =
      json::parse(cli({"store", "pools", pipeline_, "--json"}).out).at("pools")[0].at("id");
  // Another mask: only the anchor's block is the same.
  ASSERT_EQ(
      cli({"encode", pipeline_, "--quiet", "--set", "mask_pattern.previous_blocks=0"}).exit_code,
      0);
  ASSERT_EQ(pool_files().size(), 2u);
  const ProcessResult dry = cli({"store", "rm", path("store"), id, "--dry-run"});
  EXPECT_EQ(dry.exit_code, 0) << dry.error;
  EXPECT_THAT(dry.out, testing::StartsWith("would remove pool " + id + "\n"));
  EXPECT_EQ(pool_files().size(), 2u);
  const json removed = json::parse(cli({"store", "rm", pipeline_, id.substr(0, 8), "--json"}).out);
  EXPECT_EQ(removed.at("id"), id);
  EXPECT_EQ(removed.at("dry_run"), false);
  ASSERT_EQ(pool_files().size(), 1u);
  const size_t before = keys().size();
  const json would = json::parse(cli({"store", "gc", path("store"), "--dry-run", "--json"}).out);
  EXPECT_EQ(would.at("freed_bytes"), removed.at("bytes_without_a_pool"));
  const json collected = json::parse(cli({"store", "gc", path("store"), "--json"}).out);
  EXPECT_EQ(collected.at("blocks_dropped"), removed.at("blocks_without_a_pool"));
  EXPECT_GT(collected.at("blocks_dropped").get<int64_t>(), 0);
  EXPECT_LT(collected.at("blocks_dropped").get<size_t>(), before - 1) << "one is shared";
  EXPECT_EQ(cli({"query", pipeline_, "card"}).exit_code, 2);

  // A damaged manifest keeps blocks from being dropped until it is gone.
  const std::string file = *pool_files().begin();
  std::filesystem::resize_file(file, 30);
  const std::string rest = std::filesystem::path(file).stem();
  EXPECT_NE(cli({"store", "gc", path("store")}).exit_code, 0);
  const ProcessResult damaged = cli({"store", "rm", path("store"), rest});
  EXPECT_EQ(damaged.exit_code, 0) << damaged.error;
  EXPECT_THAT(damaged.out, HasSubstr("it was damaged, so which blocks it used is not known"));
  EXPECT_EQ(cli({"store", "gc", path("store")}).exit_code, 0);
}

TEST_F(StoreCommandTest, PoolsThatAreNotNamedRightly) {
  const auto failure = [&](const Words& words) {
    const ProcessResult result = cli(words);
    EXPECT_EQ(result.exit_code, 2);
    return result.error;
  };
  EXPECT_EQ(failure({"store", "rm", path("store"), "zz"}),
            "error: " + path("store") +
                ": there is no pool that begins with \"zz\"; `dbsa-pipe store pools` shows those "
                "there are\n");
  EXPECT_EQ(failure({"store", "rm", path("store"), ""}),
            "error: POOL is empty; give the id of a pool\n");
  const std::string id = std::filesystem::path(*pool_files().begin()).stem();
  EXPECT_EQ(failure({"store", "export", path("store"), "--block", "6"}),
            "error: --block: must be >= 0 and < 6, the blocks of pool " + id + ", got 6\n");
  EXPECT_EQ(failure({"store", "export", path("store"), "abc", "--pool", id}),
            "error: dbsa-pipe store export: a KEY needs no --pool; leave it out\n");
  ASSERT_EQ(cli({"encode", pipeline_, "--quiet", "--set", "block_grouper.block_size=6"}).exit_code,
            0);
  EXPECT_EQ(failure({"store", "export", path("store"), "--block", "0"}),
            "error: " + path("store") +
                ": there are 2 pools; say which one, `dbsa-pipe store pools` shows them\n");
  std::filesystem::copy_file(path("store/pools/" + id + ".pool"),
                             path("store/pools/" + id.substr(0, 15) + "x.pool"));
  EXPECT_THAT(failure({"store", "list", path("store"), "--pool", id.substr(0, 15)}),
              HasSubstr("2 pools have an id that begins with \"" + id.substr(0, 15) +
                        "\"; give more of it\n"));
}

}  // namespace
}  // namespace dbsa
