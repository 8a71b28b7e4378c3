// Pools of the hdf5 store: their files, and what damage of one means.
#include <sys/stat.h>

#include <fstream>

#include "plugins/kv_store/hdf5/pool_file.h"
#include "store_fixture.h"

namespace dbsa::store_test {
namespace {

namespace fs = std::filesystem;
using kv_pack::read_pool;
using kv_pack::write_pool;

TEST(PoolFile, EveryFlippedBitAndEveryCutIsNoticed) {
  const std::vector<uint8_t> bytes = write_pool(std::vector<uint8_t>{1, 2, 3, 4, 5},
                                                std::vector{make_block(1).key, make_block(2).key});
  ASSERT_TRUE(read_pool(bytes).ok());
  for (size_t i = 0; i < bytes.size() * 8; ++i) {
    std::vector<uint8_t> damaged = bytes;
    damaged[i / 8] ^= static_cast<uint8_t>(1 << (i % 8));
    const auto read = read_pool(damaged);
    ASSERT_FALSE(read.ok()) << "bit " << i;
    EXPECT_EQ(read.error().code, ErrorCode::kCorrupt);
  }
  for (size_t length = 0; length < bytes.size(); ++length)
    EXPECT_FALSE(read_pool(std::span(bytes).first(length)).ok()) << length;
}

class Hdf5Pools : public testing::Test {
 protected:
  std::unique_ptr<Store> open(const fs::path& path) {
    return std::make_unique<Store>("hdf5", hdf5_config(path));
  }
  std::unique_ptr<Store> open() { return open(root()); }
  fs::path root() const { return folder_.path() / "store"; }
  fs::path file(const std::string& id) const { return root() / "pools" / (id + ".pool"); }
  TemporaryFolder folder_;
};

TEST_F(Hdf5Pools, NothingElseLiesInTheFolderAndTheSameIsNotWrittenAgain) {
  const auto store = open();
  const KvPool pool = {"a", {1, 2, 3}, {make_block(1).key}, 0, ""};
  ASSERT_EQ(store->pool_put(pool).message, "");
  struct stat before = {}, after = {};
  ASSERT_EQ(::stat(file("a").c_str(), &before), 0);
  ASSERT_EQ(store->pool_put(pool).message, "");
  ASSERT_EQ(::stat(file("a").c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
  EXPECT_EQ(std::distance(fs::directory_iterator(root() / "pools"), fs::directory_iterator()), 1);
  EXPECT_EQ(store->pool_get("a")->location, file("a").string());
}

TEST_F(Hdf5Pools, AnIdThatIsNoFileNameIsRefused) {
  const auto store = open();
  for (const char* id : {"", ".", "..", "a/b", "../a", "A", "a b", "\xc3\xa4"})
    EXPECT_EQ(store->pool_put({id, {}, {}, 0, ""}).code, DBSA_ERROR_INVALID_ARGUMENT) << id;
  EXPECT_EQ(store->pool_put({std::string(DBSA_KV_POOL_ID_MAX + 1, 'a'), {}, {}, 0, ""}).code,
            DBSA_ERROR_INVALID_ARGUMENT);
  EXPECT_FALSE(fs::exists(root() / "pools"));
}

TEST_F(Hdf5Pools, ADamagedOneStopsCollection) {
  const auto store = open();
  const TestBlock block = make_block(1);
  ASSERT_EQ(store->put(block).message, "");
  ASSERT_EQ(store->publish().message, "");
  ASSERT_EQ(store->pool_put({"good", {}, {}, 0, ""}).message, "");
  ASSERT_EQ(store->pool_put({"bad", {1, 2, 3}, {block.key}, 0, ""}).message, "");
  auto bytes = read_file(file("bad"));
  bytes.back() ^= 1;
  write_file(file("bad"), bytes);
  Outcome outcome;
  EXPECT_FALSE(store->pool_get("bad", &outcome));
  EXPECT_EQ(outcome.code, DBSA_ERROR_CORRUPT);
  const std::string said =
      file("bad").string() +
      ": not a sound pool: its checksum does not match; remove the file and run `dbsa-pipe encode` "
      "again (stored blocks are reused)";
  EXPECT_EQ(outcome.message, said);
  uint64_t freed = 0;
  for (const bool dry : {true, false}) {
    outcome = store->collect_unneeded(0, &freed, dry);
    EXPECT_EQ(outcome.code, DBSA_ERROR_CORRUPT);
    EXPECT_EQ(outcome.message, said);
  }
  EXPECT_TRUE(store->holds(block));
  EXPECT_EQ(store->pool_list().size(), 2u);
  ASSERT_EQ(store->pool_drop("bad").message, "");
  ASSERT_EQ(store->collect_unneeded(0, &freed).message, "");
  EXPECT_FALSE(store->contains(block.key));
}

// Interface 0.1 wrote only documents. They are read, and written again with their keys; until then
// nothing is dropped.
TEST_F(Hdf5Pools, AFileOfAnEarlierVersionIsReadAndStopsCollection) {
  const std::string text = "DBSAPOOL and what the host wrote";
  const std::vector<uint8_t> document(text.begin(), text.end());
  write_file(file("old"), document);
  const auto store = open();
  const TestBlock block = make_block(1);
  ASSERT_EQ(store->put(block).message, "");
  ASSERT_EQ(store->publish().message, "");
  EXPECT_EQ(store->pool_get("old")->document, document);
  uint64_t freed = 0;
  const Outcome refused = store->collect_unneeded(0, &freed);
  EXPECT_EQ(refused.code, DBSA_ERROR_CONFIG);
  EXPECT_EQ(refused.message,
            file("old").string() +
                ": was written by an earlier version and does not say which blocks it needs; run "
                "`dbsa-pipe encode` with its pipeline, which encodes none of them again, or give "
                "the pool up with `dbsa-pipe store rm`");
  EXPECT_TRUE(store->holds(block));
  ASSERT_EQ(store->pool_put({"old", document, {block.key}, 0, ""}).message, "");
  EXPECT_EQ(store->pool_get("old")->document, document);
  ASSERT_EQ(store->collect_unneeded(0, &freed).message, "");
  EXPECT_TRUE(store->holds(block));
}

// Two folders with the same packs have the same pools and one lock: neither drops what the other
// needs.
TEST_F(Hdf5Pools, StoresThatShareTheirPacksByALinkShareTheirPools) {
  const auto store = open();
  const std::vector<TestBlock> blocks = {make_block(1), make_block(2), make_block(3)};
  for (const TestBlock& block : blocks) ASSERT_EQ(store->put(block).message, "");
  ASSERT_EQ(store->publish().message, "");
  ASSERT_EQ(store->pool_put({"first", {}, {blocks[0].key}, 0, ""}).message, "");
  const fs::path second = folder_.path() / "second";
  fs::create_directory(second);
  fs::create_directory_symlink(root() / "packs", second / "packs");
  const auto other = open(second);
  EXPECT_EQ(other->pool_list().size(), 1u);
  ASSERT_EQ(other->pool_put({"second", {}, {blocks[1].key}, 0, ""}).message, "");
  EXPECT_TRUE(fs::exists(file("second")));
  uint64_t freed = 0;
  EXPECT_EQ(other->collect_unneeded(0, &freed).code, DBSA_ERROR_ENVIRONMENT)
      << "the first one writes";
  ASSERT_EQ(store->collect_unneeded(0, &freed).message, "");
  EXPECT_TRUE(store->holds(blocks[0]));
  EXPECT_TRUE(store->holds(blocks[1]));
  EXPECT_FALSE(store->contains(blocks[2].key));
}

TEST_F(Hdf5Pools, AnUnwritableFolderIsReported) {
  const auto store = open();
  fs::create_directories(root());
  std::ofstream(root() / "pools") << "a file where the folder should be";
  const Outcome outcome = store->pool_put({"a", {}, {}, 0, ""});
  EXPECT_EQ(outcome.code, DBSA_ERROR_ENVIRONMENT);
  EXPECT_EQ(outcome.message, root().string() + ": making the folder failed: Not a directory");
}

}  // namespace
}  // namespace dbsa::store_test
