// Stores that cannot be written.
#include <filesystem>
#include <fstream>

#include "tests/bad_input/bad_input.h"
#include "tests/store/child_process.h"

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

// What cannot be mended in the store is computed for this process alone.
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
            "exit 4\nerror: " + name +
                ": not a sound pool manifest: it is a folder; remove the file and run `dbsa-pipe "
                "encode` again (stored blocks are reused)\n");
}

TEST_F(BadStore, ItsPathIsAFile) {
  EXPECT_EQ(say("encode", set({"kv_store.path=pool.jsonl"})),
            "exit 4\n"
            "error: --set kv_store.path: $W/pool.jsonl is no folder; name another one\n");
}

TEST_F(BadStore, ItsPathIsEmpty) {
  expect_refusal("exit 2\nerror: --set kv_store.path: must name a folder, got an empty text\n",
                 set({"kv_store.path="}));
}

}  // namespace
}  // namespace dbsa
