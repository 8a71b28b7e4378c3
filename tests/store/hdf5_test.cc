// The HDF5 store by itself: the folder, the files in it, several instances on one store.
#include "child_process.h"
#include "plugins/kv_store/hdf5/pack_name.h"
#include "plugins/kv_store/hdf5/pack_reader.h"
#include "store_fixture.h"

namespace dbsa::store_test {
namespace {

using kv_pack::pack_name;
using kv_pack::pack_number;

class Hdf5StoreTest : public testing::Test {
 protected:
  std::filesystem::path root() const { return folder_.path() / "store"; }
  std::filesystem::path packs() const { return root() / "packs"; }
  std::unique_ptr<Store> open() { return std::make_unique<Store>("hdf5", hdf5_config(root())); }

  TemporaryFolder folder_;
};

TEST(PackName, CountsAndNothingElse) {
  EXPECT_EQ(pack_name(1), "pack-00000001.h5");
  EXPECT_EQ(pack_name(123456789), "pack-123456789.h5");
  EXPECT_EQ(pack_number("pack-00000012.h5"), 12u);
  EXPECT_EQ(pack_number("pack-123456789.h5"), 123456789u);
  EXPECT_EQ(pack_number("pack-999999999999.h5"), 999999999999u);
  for (const char* name :
       {"pack-1000000000000.h5", "pack-18446744073709551615.h5", "pack-18446744073709551616.h5",
        "pack-1.h5", "pack-.h5", "pack-0000000x.h5", "pack-00000001.h5~", "writing-1-2.h5",
        "pack-000000001.h5", ""})
    EXPECT_FALSE(pack_number(name)) << name;
}

TEST_F(Hdf5StoreTest, OpeningAndReadingMakeNoFiles) {
  const auto store = open();
  EXPECT_FALSE(store->contains(make_block(1).key));
  uint64_t freed = 0;
  EXPECT_EQ(store->collect({}, 0, &freed).message, "");
  EXPECT_FALSE(std::filesystem::exists(root()));
}

// Cluster profiles set it; HDF5 lets it override what a program asks for. HDF5 reads it once, in
// the process that uses it first, so each value gets its own process.
TEST_F(Hdf5StoreTest, HDF5sOwnLocksStayOffWhateverTheEnvironmentSays) {
  for (const char* value : {"TRUE", "1", "FALSE", "0", "BEST_EFFORT"}) {
    const std::filesystem::path place = folder_.path() / value;
    const std::string said = run_in_child([&]() -> std::string {
      ::setenv("HDF5_USE_FILE_LOCKING", value, 1);
      Store store("hdf5", hdf5_config(place));
      if (const Outcome put = store.put(make_block(1)); !put.ok()) return put.message;
      return store.publish().message;
    });
    EXPECT_EQ(said, "") << value;
    EXPECT_TRUE(Store("hdf5", hdf5_config(place)).contains(make_block(1).key)) << value;
  }
}

TEST_F(Hdf5StoreTest, BadPathsAreRefused) {
  const TestHost host;
  void* instance = nullptr;
  std::ofstream(folder_.path() / "file") << "x";
  Outcome outcome = Store::create("hdf5", host, hdf5_config(folder_.path() / "file"), &instance);
  EXPECT_EQ(outcome.code, DBSA_ERROR_ENVIRONMENT);
  EXPECT_EQ(outcome.message,
            (folder_.path() / "file").string() +
                ": is not a folder; set kv_store.path to a folder, or to a name that is free");
  dbsa_error error = {};
  EXPECT_EQ(load_plugin("hdf5")->check_config(hdf5_config("").dump().c_str(), &error),
            DBSA_ERROR_CONFIG);
  EXPECT_STREQ(error.message, "path must name a folder, got an empty text");
  EXPECT_STREQ(error.config_pointer, "/path");
  EXPECT_EQ(instance, nullptr);
}

// A number that is the largest of its type must not make the next pack the oldest.
TEST_F(Hdf5StoreTest, AFileWithANumberThatNoPackHasIsIgnoredAndNamed) {
  std::filesystem::create_directories(packs());
  std::ofstream(packs() / "pack-18446744073709551615.h5") << "not a pack";
  const auto store = open();
  const TestBlock block = make_block(1);
  ASSERT_EQ(store->put(block).message, "");
  ASSERT_EQ(store->publish().message, "");
  EXPECT_TRUE(std::filesystem::exists(packs() / "pack-00000001.h5"));
  EXPECT_TRUE(open()->holds(block));
  EXPECT_TRUE(store->check().empty());
  ASSERT_EQ(store->host().logs().size(), 1u);
  EXPECT_EQ(store->host().logs()[0],
            (packs() / "pack-18446744073709551615.h5").string() +
                ": is ignored, its name is not one of a pack: expected pack-00000001.h5 to "
                "pack-999999999999.h5; rename or remove it");
}

TEST_F(Hdf5StoreTest, AfterTheLastNumberNothingIsPublished) {
  {
    const auto store = open();
    ASSERT_EQ(store->put(make_block(1)).message, "");
    ASSERT_EQ(store->publish().message, "");
  }
  std::filesystem::rename(packs() / "pack-00000001.h5", packs() / "pack-999999999999.h5");
  const auto store = open();
  EXPECT_TRUE(store->holds(make_block(1)));
  ASSERT_EQ(store->put(make_block(2)).message, "");
  const Outcome outcome = store->publish();
  EXPECT_EQ(outcome.code, DBSA_ERROR_ENVIRONMENT);
  EXPECT_EQ(outcome.message, root().string() +
                                 ": publishing a pack: pack-999999999999.h5 has the last number "
                                 "there is; move this file to another folder");
  EXPECT_EQ(files_in(packs()).size(), 1u);
}

TEST_F(Hdf5StoreTest, UnpublishedBlocksEndWithTheInstance) {
  open()->put(make_block(1));
  EXPECT_TRUE(files_in(packs()).empty());
  EXPECT_FALSE(open()->contains(make_block(1).key));
}

TEST_F(Hdf5StoreTest, AnotherInstanceSeesWhatIsPublished) {
  const auto writer = open(), reader = open();
  for (uint64_t i = 0; i < 20; ++i) {
    const TestBlock block = make_block(i);
    EXPECT_FALSE(reader->contains(block.key));
    ASSERT_EQ(writer->put(block).message, "");
    EXPECT_FALSE(reader->contains(block.key));
    ASSERT_EQ(writer->publish().message, "");
    // get looks again by itself; so does contains
    EXPECT_TRUE(i % 2 == 0 ? reader->holds(block) : reader->contains(block.key));
  }
  EXPECT_EQ(reader->stats().blocks, 20u);
  EXPECT_EQ(files_in(packs()).size(), 20u);
  EXPECT_EQ(files_in(packs()).back().filename(), "pack-00000020.h5");
}

TEST_F(Hdf5StoreTest, TwoWritersShareAStore) {
  const auto a = open(), b = open();
  const TestBlock one = make_block(1), two = make_block(2), both = make_block(3);
  ASSERT_EQ(a->put(one).message, "");
  ASSERT_EQ(b->put(two).message, "");
  ASSERT_EQ(a->put(both).message, "");
  ASSERT_EQ(b->put(both).message, "");
  ASSERT_EQ(b->publish().message, "");
  ASSERT_EQ(a->publish().message, "");
  const auto reader = open();
  for (const TestBlock& block : {one, two, both}) EXPECT_TRUE(reader->holds(block));
  EXPECT_EQ(reader->stats().blocks, 3u);
  EXPECT_TRUE(reader->check().empty());
}

TEST_F(Hdf5StoreTest, PublishesByItselfWhenAPackIsFullOrOld) {
  nlohmann::json config = hdf5_config(root());
  config["pack_bytes"] = 1 << 20;
  {
    Store store("hdf5", config);
    for (uint64_t i = 0; i < 12; ++i) ASSERT_EQ(store.put(make_block(i, 1, 100000)).message, "");
    EXPECT_EQ(open()->stats().blocks, 11u);  // 11 blocks and HDF5's own bytes pass 1 MiB
  }
  config["publish_interval_s"] = 0.0;
  Store store("hdf5", config);
  ASSERT_EQ(store.put(make_block(50)).message, "");
  EXPECT_TRUE(open()->contains(make_block(50).key));
}

TEST_F(Hdf5StoreTest, NewestCopyOfAKeyWins) {
  TestBlock old_copy = make_block(1), new_copy = make_block(2);
  new_copy.key = old_copy.key;
  const auto a = open(), b = open();
  ASSERT_EQ(a->put(old_copy).message, "");
  ASSERT_EQ(b->put(new_copy).message, "");
  ASSERT_EQ(a->publish().message, "");
  ASSERT_EQ(b->publish().message, "");
  EXPECT_TRUE(open()->holds(new_copy));
  EXPECT_EQ(open()->list().at(old_copy.key.hex()).location, "pack-00000002.h5");
  // A discard falls back to the other copy.
  const auto c = open();
  ASSERT_EQ(c->discard(old_copy.key).message, "");
  EXPECT_TRUE(c->holds(old_copy));
}

TEST_F(Hdf5StoreTest, MaintenanceRefusesWhileOthersWrite) {
  const auto writer = open(), other = open();
  ASSERT_EQ(writer->put(make_block(1)).message, "");
  ASSERT_EQ(writer->publish().message, "");
  uint64_t freed = 0;
  const Outcome busy = other->compact(&freed);
  EXPECT_EQ(busy.code, DBSA_ERROR_ENVIRONMENT);
  EXPECT_EQ(busy.message, root().string() + ": process " + std::to_string(getpid()) +
                              " is writing to this store; wait until it ends, then try again");
  EXPECT_EQ(writer->compact(&freed).message, "");  // its own lock is no hindrance
  EXPECT_EQ(other->put(make_block(2)).message, "");
  EXPECT_EQ(writer->collect({}, 0, &freed).code, DBSA_ERROR_ENVIRONMENT);
  EXPECT_EQ(writer->put(make_block(3)).message, "");  // it can go on writing
}

TEST_F(Hdf5StoreTest, CompactDropsSupersededCopies) {
  TestBlock old_copy = make_block(1, 2, 60000), new_copy = make_block(2, 2, 60000);
  new_copy.key = old_copy.key;
  {
    const auto a = open(), b = open();
    a->put(old_copy);
    b->put(new_copy);
    ASSERT_EQ(a->publish().message, "");
    ASSERT_EQ(b->publish().message, "");
  }
  const auto store = open();
  uint64_t freed = 0;
  ASSERT_EQ(store->compact(&freed).message, "");
  EXPECT_GE(freed, 120000u);
  EXPECT_TRUE(open()->holds(new_copy));
  EXPECT_EQ(files_in(packs()).size(), 1u);
}

TEST_F(Hdf5StoreTest, CollectKeepsTimesOfPublication) {
  std::string keep;
  int64_t created = 0;
  {
    const auto store = open();
    store->put(make_block(1));
    store->put(make_block(2));
    store->publish();
    keep = make_block(1).key.hex();
    created = store->list().at(keep).created_unix_s;
  }
  sleep(1);
  const auto store = open();
  uint64_t freed = 0;
  ASSERT_EQ(store->collect({make_block(1).key}, 0, &freed).message, "");
  EXPECT_EQ(store->list().at(keep).created_unix_s, created);
  EXPECT_EQ(store->list().at(keep).location, "pack-00000002.h5");
}

TEST_F(Hdf5StoreTest, RemovesLeftoversOfDeadWritersOnly) {
  const auto alive = open();
  ASSERT_EQ(alive->put(make_block(1)).message, "");
  ASSERT_EQ(files_in(packs()).size(), 1u);
  const auto living = files_in(packs())[0];
  const auto dead = packs() / "writing-99999-abc.h5";
  std::ofstream(dead) << "half a pack";
  std::ofstream(packs() / "notes.txt") << "somebody's";

  const auto store = open();
  ASSERT_EQ(store->put(make_block(2)).message, "");
  EXPECT_FALSE(std::filesystem::exists(dead));
  EXPECT_TRUE(std::filesystem::exists(living));
  EXPECT_TRUE(std::filesystem::exists(packs() / "notes.txt"));
  const auto logs = store->host().logs();
  ASSERT_EQ(logs.size(), 1u);
  EXPECT_EQ(logs[0], dead.string() + ": removed what a stopped process had left");
  ASSERT_EQ(alive->publish().message, "");
  EXPECT_TRUE(store->holds(make_block(1)));
}

TEST_F(Hdf5StoreTest, WaitsForMaintenanceUntilCancelled) {
  open()->put(make_block(1));  // makes the folder and the lock
  const UniqueLock held(root() / "lock");
  const auto store = open();
  store->host().cancel = true;
  const Outcome outcome = store->put(make_block(1));
  EXPECT_EQ(outcome.code, DBSA_ERROR_CANCELLED);
  EXPECT_EQ(outcome.message, root().string() + ": cancelled while waiting");
  ASSERT_EQ(store->host().logs().size(), 1u);
  EXPECT_EQ(store->host().logs()[0], root().string() + ": waiting for process " +
                                         std::to_string(getpid()) + " to finish collecting");
}

TEST_F(Hdf5StoreTest, H5pyReadsAPack) {
  std::string python;
  for (const char* one : {"python3", "/usr/bin/python3"})
    if (std::system((std::string(one) + " -c 'import h5py' 2>/dev/null").c_str()) == 0)
      python = one;
  if (python.empty()) GTEST_SKIP() << "SKIP python3 with h5py is not installed";
  const TestBlock block = make_block(1, 3, 1000), other = make_block(2, 2, 4096);
  {
    const auto store = open();
    ASSERT_EQ(store->put(block).message, "");
    ASSERT_EQ(store->put(other).message, "");
    ASSERT_EQ(store->publish().message, "");
  }
  std::ofstream planes(folder_.path() / "planes", std::ios::binary);
  for (const auto& plane : block.planes)
    planes.write(reinterpret_cast<const char*>(plane.data()), 1000);
  planes.close();
  std::ofstream(folder_.path() / "look.py") << R"(
import sys, h5py
f = h5py.File(sys.argv[1], 'r')
expected = open(sys.argv[2], 'rb').read()
key = sys.argv[3]
assert f.userblock_size == 4096, f.userblock_size
assert sorted(f) == ['block_format', 'blocks', 'index'], sorted(f)
assert len(f['blocks']) == 2
d = f['blocks'][key]
assert d.dtype == 'u1' and d.shape == (3, 1024) and d.chunks is None, (d.dtype, d.shape)
assert d[:, :1000].tobytes() == expected
assert not d[:, 1000:].any()
a = d.attrs['format']
got = {n: int(a[n]) for n in a.dtype.names}
assert got == dict(layout=2, dtype=2, panel=64, layers=3, kv_heads=2, head_dim=64, tokens=2,
                   plane_bytes=1000, scale_offset=0), got
rows = f['index/blocks'][:]
row = [r for r in rows if bytes(r['key']).hex() == key][0]
assert row['plane_offset'] == d.id.get_offset() and row['plane_stride'] == 1024
assert f['index/plane_xxh3'].shape == (5,)
)";
  const std::string command = python + " " + (folder_.path() / "look.py").string() + " " +
                              files_in(packs())[0].string() + " " +
                              (folder_.path() / "planes").string() + " " + block.key.hex();
  EXPECT_EQ(std::system(command.c_str()), 0);
}

// HDF5's own bytes stay small beside the planes.
TEST_F(Hdf5StoreTest, PacksAreDense) {
  {
    const auto store = open();
    for (uint64_t i = 0; i < 500; ++i) ASSERT_EQ(store->put(make_block(i, 4, 4096)).message, "");
    ASSERT_EQ(store->publish().message, "");
  }
  const uint64_t planes = 500 * 4 * 4096;
  EXPECT_LE(open()->stats().stored_bytes, planes + 500 * 1024 + 65536);
  EXPECT_TRUE(open()->check().empty());
}

}  // namespace
}  // namespace dbsa::store_test
