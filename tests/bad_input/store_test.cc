// Stores that cannot be written.
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tests/bad_input/bad_input.h"
#include "tests/store/child_process.h"
#include "tests/support/sanitized.h"

namespace dbsa {
namespace {

class BadStore : public BadInput {};

TEST_F(BadStore, ReadOnly) {
  ASSERT_EQ(cli({"encode", path("pipeline.toml"), "--quiet", "--set", "data.demonstration_count=8"})
                .exit_code,
            0);
  DBSA_EXPECT_CHILD([&]() -> std::string {
    if (const std::string skip = store_test::private_mounts(); !skip.empty()) return skip;
    if (const std::string skip = store_test::make_read_only(path("store")); !skip.empty())
      return skip;
    // What is there answers; more cannot be added.
    const ProcessResult answered = cli(
        {"query", path("pipeline.toml"), "card", "--quiet", "--set", "data.demonstration_count=8"});
    if (answered.exit_code != 0) return "query: " + answered.error;
    const ProcessResult run =
        cli({"run", path("pipeline.toml"), "--quiet", "--set", "data.demonstration_count=8"});
    if (run.exit_code != 0) return "run: " + run.error;
    const std::string said = say("encode");
    const std::string expected =
        "exit 4\nerror: $W/pipeline.toml:18:1: kv_store.path: $W/store cannot be written to: "
        "Read-only file system; make it writable or name another folder (6 blocks of this pool are "
        "not in the store)\n";
    return said == expected ? "" : said;
  });
}

TEST_F(BadStore, WithoutAddressSpaceForAPack) {
  if (kSanitized) GTEST_SKIP() << "sanitizers need address space themselves";
  Words words = {"/bin/sh", "-c", "ulimit -v 16000000; exec \"$@\"", "sh"};
  const Words encode = command({"encode", path("pipeline.toml"), "--quiet", "--threads", "2",
                                "--set", "kv_store.pack_bytes=1000000000000"});
  words.insert(words.end(), encode.begin(), encode.end());
  const ProcessResult result = run_process(
      words, {.environment = {{"DBSA_PLUGIN_PATH", ""}, {"XDG_CACHE_HOME", path("cache")}}});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_NE(result.error.find(
                ": cannot map 1000000000000 bytes: Cannot allocate memory; allow more address "
                "space (ulimit -v), or make new packs smaller with kv_store.pack_bytes\n"),
            std::string::npos)
      << result.error;
}

// What cannot be mended in the store is computed for this process only.
TEST_F(BadStore, DamagedAndReadOnly) {
  const std::vector<std::string> query = {"query", path("pipeline.toml"), "card", "--set",
                                          "selection.ratio=1.0"};
  ASSERT_EQ(cli({"encode", path("pipeline.toml"), "--quiet"}).exit_code, 0);
  const ProcessResult right = cli(query);
  ASSERT_EQ(right.exit_code, 0) << right.error;
  const std::filesystem::path pack =
      std::filesystem::directory_iterator(path("store/packs"))->path();
  {
    std::fstream file(pack, std::ios::in | std::ios::out | std::ios::binary);
    const auto middle = static_cast<std::streamoff>(std::filesystem::file_size(pack) / 2);
    file.seekg(middle);
    const char byte = static_cast<char>(file.get() ^ 1);
    file.seekp(middle);
    file.put(byte);
  }
  DBSA_EXPECT_CHILD([&]() -> std::string {
    if (const std::string skip = store_test::private_mounts(); !skip.empty()) return skip;
    if (const std::string skip = store_test::make_read_only(path("store")); !skip.empty())
      return skip;
    const ProcessResult answered = cli(query);
    if (answered.exit_code != 0) return "query: " + answered.error;
    if (answered.out != right.out) return "another answer: " + answered.out;
    for (const char* part : {"; it is encoded again and the query repeated",
                             " cannot be stored and is kept in memory: ", "Read-only file system"})
      if (answered.error.find(part) == std::string::npos) return "not said: " + answered.error;
    return "";
  });
}

TEST_F(BadStore, ABoundThatIsTooLow) {
  const std::string said = say("encode", set({"kv_store.max_bytes=500000"}));
  EXPECT_EQ(said,
            "exit 4\n"
            "error: the store holds 0 bytes and needs 638976 more; kv_store.max_bytes is 500000; "
            "raise it, or free blocks no pool uses with `dbsa-pipe store gc`\n");
  EXPECT_FALSE(std::filesystem::exists(path("store/packs")));
}

TEST_F(BadStore, APoolsManifestIsAFolder) {
  ASSERT_EQ(cli({"encode", path("pipeline.toml"), "--quiet"}).exit_code, 0);
  const std::filesystem::path manifest =
      std::filesystem::directory_iterator(path("store/pools"))->path();
  std::filesystem::remove(manifest);
  std::filesystem::create_directory(manifest);
  const std::string name = "$W/store/pools/" + manifest.filename().string();
  EXPECT_EQ(say("query", {"card"}),
            "exit 4\nerror: dbsa.kv_store.hdf5: " + name +
                ": expected a regular file, found a folder; remove it and run `dbsa-pipe encode` "
                "again (stored blocks are reused)\n");
}

// ---- pipes, devices and folders instead of files ----------------------------------------------

class OddStore : public BadInput {
 protected:
  void SetUp() override {
    BadInput::SetUp();
    ASSERT_EQ(cli({"encode", path("pipeline.toml"), "--quiet"}).exit_code, 0);
  }

  // Puts something else in the place of a file or folder of the store.
  void replace(const std::string& name, const std::string& kind) const {
    const std::string place = path("store/" + name);
    std::filesystem::remove_all(place);
    if (kind == "pipe") {
      ASSERT_EQ(::mkfifo(place.c_str(), 0600), 0);
    }
    if (kind == "device") std::filesystem::create_symlink("/dev/zero", place);
    if (kind == "folder") std::filesystem::create_directory(place);
    if (kind == "file") workspace_.write("store/" + name, "x");
  }

  // The first file in a folder of the store: "packs/pack-00000001.h5".
  std::string first(const std::string& folder) const {
    std::string name;
    for (const auto& entry : std::filesystem::directory_iterator(path("store/" + folder)))
      if (name.empty() || entry.path().filename() < name) name = entry.path().filename();
    return folder + "/" + name;
  }

  // "exit 5", and what is said on both streams. A hang ends the test by its time limit.
  std::string say_store(const std::string& command) const {
    const ProcessResult result = cli({"store", command, path("store")});
    return "exit " + std::to_string(result.exit_code) + "\n" + shortened(result.out + result.error);
  }
};

TEST_F(OddStore, APack) {
  const std::string pack = first("packs");
  for (const char* kind : {"pipe", "device", "folder"}) {
    replace(pack, kind);
    const std::string said = say_store("verify");
    EXPECT_TRUE(said.starts_with("exit 5\n")) << kind << said;
    EXPECT_NE(said.find(pack.substr(6) + ": is not a file"), said.npos) << kind << said;
    for (const char* command : {"list", "compact", "gc"})
      EXPECT_NE(say_store(command).find(": is not a file"), said.npos) << kind << " " << command;
    // Its blocks count as missing, and are encoded again.
    EXPECT_EQ(cli({"encode", path("pipeline.toml"), "--quiet"}).exit_code, 0) << kind;
  }
}

TEST_F(OddStore, TheFolderOfPacks) {
  for (const char* kind : {"pipe", "device", "file"}) {
    replace("packs", kind);
    for (const char* command : {"list", "verify", "compact", "gc"}) {
      EXPECT_EQ(say_store(command),
                "exit 4\nerror: dbsa.kv_store.hdf5: $W/store/packs: cannot be read: Not a "
                "directory\n")
          << kind << " " << command;
      const ProcessResult result = cli({"store", command, path("pipeline.toml")});
      EXPECT_EQ(result.exit_code, 4) << kind << " " << command;
      EXPECT_EQ(shortened(result.error),
                "error: dbsa.kv_store.hdf5: $W/store/packs: cannot be read: Not a directory\n")
          << kind << " " << command;
    }
    EXPECT_EQ(cli({"run", path("pipeline.toml"), "--quiet"}).exit_code, 4) << kind;
  }
}

TEST_F(OddStore, APool) {
  const std::string pool = first("pools");
  const std::vector<std::pair<const char*, const char*>> kinds = {
      {"pipe", "a named pipe"}, {"device", "a device"}, {"folder", "a folder"}};
  for (const auto& [kind, found] : kinds) {
    replace(pool, kind);
    const std::string fault =
        "dbsa.kv_store.hdf5: $W/store/" + pool + ": expected a regular file, found " + found +
        "; remove it and run `dbsa-pipe encode` again (stored blocks are reused)\n";
    EXPECT_EQ(say("query", {"card"}), "exit 4\nerror: " + fault);
    EXPECT_EQ(say_store("gc"), "exit 4\nerror: " + fault);
    const std::string said = say_store("verify");
    EXPECT_TRUE(said.starts_with("exit 5\n$W/store/" + pool + ": " + fault)) << said;
    EXPECT_NE(say_store("list").find("warning: " + fault), said.npos);
  }
}

TEST_F(OddStore, TheFolderOfPools) {
  for (const char* kind : {"pipe", "device", "file"}) {
    replace("pools", kind);
    const std::string fault =
        "dbsa.kv_store.hdf5: $W/store/pools: cannot be read: Not a directory\n";
    EXPECT_EQ(say_store("gc"), "exit 4\nerror: " + fault) << kind;
    const std::string said = say_store("verify");
    EXPECT_TRUE(said.starts_with("exit 5\n$W/store: " + fault)) << said;
  }
}

TEST_F(OddStore, TheLock) {
  for (const char* kind : {"pipe", "device"}) {
    replace("lock", kind);
    const std::string expected =
        "exit 4\nerror: dbsa.kv_store.hdf5: $W/store/lock: expected a regular file; remove it, and "
        "it is made again\n";
    EXPECT_EQ(say_store("gc"), expected) << kind;
    EXPECT_EQ(say("encode", set({"block_grouper.block_size=3"})), expected) << kind;
  }
}

TEST_F(OddStore, PackedWeights) {
  // As if they were part of the store.
  const std::string folder = "../cache/dbsa-pipe/weights";
  const std::string weights = first(folder);
  for (const char* kind : {"pipe", "device", "folder"}) {
    replace(weights, kind);
    const ProcessResult result = cli({"query", path("pipeline.toml"), "card"});
    EXPECT_EQ(result.exit_code, 0) << kind;
    EXPECT_TRUE(shortened(result.error)
                    .starts_with("warning: $W/" + weights.substr(3) +
                                 ": expected a regular file; the weights are packed again\n"))
        << kind << result.error;
  }
  for (const char* kind : {"pipe", "device", "file"}) {
    replace(folder, kind);
    EXPECT_EQ(cli({"query", path("pipeline.toml"), "card"}).exit_code, 0) << kind;
    EXPECT_EQ(cli({"store", "verify", path("store")}).exit_code, 0) << kind;
  }
}

TEST_F(BadStore, ItsPathIsAFile) {
  EXPECT_EQ(say("encode", set({"kv_store.path=" + path("pool.jsonl")})),
            "exit 4\n"
            "error: --set kv_store.path: $W/pool.jsonl is no folder; name another one\n");
}

TEST_F(BadStore, ItsPathIsEmpty) {
  expect_refusal("exit 2\nerror: --set kv_store.path: must name a folder, got an empty text\n",
                 set({"kv_store.path="}));
}

}  // namespace
}  // namespace dbsa
