// Several processes on one HDF5 store, and processes that die.
#include <sys/mman.h>
#include <sys/wait.h>

#include <csignal>
#include <thread>

#include "child_process.h"
#include "store_fixture.h"

namespace dbsa::store_test {
namespace {

namespace fs = std::filesystem;

// Blocks of many sizes, by number.
TestBlock numbered(uint64_t i) { return make_block(i, i % 4 + 1, 200 + i * 7919 % 30000); }

// A counter that parent and children share.
class SharedCounter {
 public:
  SharedCounter()
      : value_(new (mmap(nullptr, sizeof *value_, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0)) std::atomic<uint64_t>(0)) {}
  SharedCounter(const SharedCounter&) = delete;
  SharedCounter& operator=(const SharedCounter&) = delete;
  ~SharedCounter() { munmap(static_cast<void*>(value_), sizeof *value_); }
  std::atomic<uint64_t>& operator*() { return *value_; }

 private:
  std::atomic<uint64_t>* value_;
};

pid_t start(const std::function<void()>& work) {
  const pid_t child = fork();
  if (child == 0) {
    try {
      work();
    } catch (const std::exception& e) {
      std::fprintf(stderr, "child threw: %s\n", e.what());
      _exit(99);
    }
    _exit(0);
  }
  return child;
}

int wait_for(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

// Puts blocks from *published on and counts those that are published for sure.
void encode(const fs::path& root, std::atomic<uint64_t>& published, uint64_t end) {
  Store store("hdf5", hdf5_config(root));
  for (uint64_t i = published; i < end; ++i) {
    if (!store.put(numbered(i)).ok()) _exit(1);
    if (i % 5 != 4 && i + 1 != end) continue;
    if (!store.publish().ok()) _exit(2);
    published = i + 1;
  }
}

TEST(StoreProcesses, KilledWritersLeaveTheOldStateOrTheNew) {
  const uint64_t seed = test_seed();
  std::mt19937_64 random(seed);
  const TemporaryFolder folder;
  SharedCounter published;
  // Instants within twice what a few publications take on this machine.
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_EQ(wait_for(start([&] { encode(folder.path(), *published, 20); })), 0);
  const auto span = std::chrono::duration_cast<std::chrono::microseconds>(
      2 * (std::chrono::steady_clock::now() - begin));
  uint64_t leftovers = 0, kills = 0;
  for (int round = 0; round < 50; ++round) {
    const pid_t child = start([&] { encode(folder.path(), *published, ~uint64_t{0}); });
    std::this_thread::sleep_for(span * (random() % 1000) / 1000);
    kill(child, SIGKILL);
    const int status = wait_for(child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the writer failed by itself: " << status;
    ++kills;
    for (const fs::path& file : files_in(folder.path() / "packs"))
      leftovers += file.filename().string().starts_with("writing-");

    Store store("hdf5", hdf5_config(folder.path()));
    ASSERT_TRUE(store.check().empty()) << "round " << round << ", " << store.check()[0].message;
    for (uint64_t i = 0; i < *published; ++i)
      ASSERT_TRUE(store.holds(numbered(i))) << "block " << i << " lost in round " << round;
    // Past the counter a block is there whole or not at all.
    for (uint64_t i = *published; i < *published + 10; ++i)
      ASSERT_TRUE(!store.contains(numbered(i).key) || store.holds(numbered(i)));
  }
  std::printf("%llu kills, %llu blocks published, %llu leftovers seen\n",
              static_cast<unsigned long long>(kills), static_cast<unsigned long long>(*published),
              static_cast<unsigned long long>(leftovers));
  // The next writer cleans up.
  encode(folder.path(), *published, *published + 5);
  for (const fs::path& file : files_in(folder.path() / "packs"))
    EXPECT_TRUE(file.filename().string().starts_with("pack-")) << file;
  EXPECT_GT(*published, 25u) << "no writer lived long enough: the test shows nothing";
  EXPECT_GT(leftovers, 0u) << "no kill hit a writer at work: the test shows nothing";
}

TEST(StoreProcesses, KilledMaintenanceLosesNothing) {
  const uint64_t seed = test_seed();
  std::mt19937_64 random(seed);
  const TemporaryFolder folder;
  constexpr uint64_t kBlocks = 60;
  SharedCounter published;
  encode(folder.path(), *published, kBlocks);
  int finished = 0, killed = 0;
  std::chrono::microseconds span{20000};
  for (int round = 0; round < 30; ++round) {
    const auto begin = std::chrono::steady_clock::now();
    const pid_t child = start([&] {
      nlohmann::json config = hdf5_config(folder.path());
      config["pack_bytes"] = 1 << 20;
      Store store("hdf5", config);
      uint64_t freed = 0;
      // Drops one more block in each round, and rewrites.
      std::vector<KvKey> roots;
      for (uint64_t i = static_cast<uint64_t>(round); i < kBlocks; ++i)
        roots.push_back(numbered(i).key);
      if (!store.collect(roots, 0, &freed).ok() || !store.compact(&freed).ok()) _exit(1);
    });
    std::this_thread::sleep_for(span * (random() % 1000) / 1000);
    // Every fifth may finish and tells how long that takes.
    if (round % 5 != 0) kill(child, SIGKILL);
    const int status = wait_for(child);
    ASSERT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0) << status;
    ++(WIFSIGNALED(status) ? killed : finished);
    if (round % 5 == 0)
      span = std::chrono::duration_cast<std::chrono::microseconds>(
          std::chrono::steady_clock::now() - begin);
    Store store("hdf5", hdf5_config(folder.path()));
    ASSERT_TRUE(store.check().empty());
    for (uint64_t i = static_cast<uint64_t>(round); i < kBlocks; ++i)
      ASSERT_TRUE(store.holds(numbered(i))) << "block " << i << " lost in round " << round;
  }
  std::printf("%d killed, %d finished\n", killed, finished);
  EXPECT_GT(killed, 0);
}

TEST(StoreProcesses, TwoProcessesReadWhileOneEncodes) {
  const TemporaryFolder folder;
  constexpr uint64_t kBlocks = 200;
  SharedCounter published;
  const pid_t writer = start([&] { encode(folder.path(), *published, kBlocks); });
  std::vector<pid_t> readers;
  for (int r = 0; r < 2; ++r)
    readers.push_back(start([&] {
      Store store("hdf5", hdf5_config(folder.path()));
      uint64_t seen = 0;
      while (seen < kBlocks) {
        for (const uint64_t end = *published; seen < end; ++seen)
          if (!store.holds(numbered(seen))) _exit(3);
        if (store.contains(make_block(999999).key)) _exit(4);
      }
    }));
  EXPECT_EQ(wait_for(writer), 0);
  for (const pid_t reader : readers) EXPECT_EQ(wait_for(reader), 0);
}

TEST(StoreProcesses, TwoProcessesEncodeTheSamePool) {
  const TemporaryFolder folder;
  constexpr uint64_t kBlocks = 100;
  SharedCounter a, b;
  const pid_t one = start([&] { encode(folder.path(), *a, kBlocks); });
  const pid_t two = start([&] { encode(folder.path(), *b, kBlocks); });
  EXPECT_EQ(wait_for(one), 0);
  EXPECT_EQ(wait_for(two), 0);
  Store store("hdf5", hdf5_config(folder.path()));
  EXPECT_EQ(store.stats().blocks, kBlocks);
  for (uint64_t i = 0; i < kBlocks; ++i) EXPECT_TRUE(store.holds(numbered(i)));
  EXPECT_TRUE(store.check().empty());
  uint64_t freed = 0;
  ASSERT_EQ(store.compact(&freed).message, "");
  EXPECT_EQ(files_in(folder.path() / "packs").size(), 1u);
  for (uint64_t i = 0; i < kBlocks; ++i) EXPECT_TRUE(store.holds(numbered(i)));
}

// Readers hold no lock: packs are merged and removed under them, and rooted blocks are never gone.
TEST(StoreProcesses, ReadersNeverMissARootedBlockDuringCollection) {
  const TemporaryFolder folder;
  constexpr uint64_t kBlocks = 80;
  SharedCounter published, stop, reads;
  encode(folder.path(), *published, kBlocks);
  std::vector<pid_t> readers;
  for (uint64_t r = 0; r < 2; ++r)
    readers.push_back(start([&, r] {
      std::mt19937_64 random(r);
      while (*stop == 0) {
        Store store("hdf5", hdf5_config(folder.path()));
        for (int n = 0; n < 40; ++n, ++*reads)
          if (!store.holds(numbered(random() % 40))) _exit(3);
      }
    }));
  for (uint64_t round = 0; round < 20; ++round) {
    nlohmann::json config = hdf5_config(folder.path());
    config["pack_bytes"] = (1 << 20) << (round % 3);
    Store store("hdf5", config);
    std::vector<KvKey> roots;
    for (uint64_t i = 0; i < kBlocks - 2 * round; ++i) roots.push_back(numbered(i).key);
    uint64_t freed = 0;
    EXPECT_EQ(store.collect(roots, 0, &freed).message, "");
    EXPECT_EQ(store.compact(&freed).message, "");
  }
  while (*reads < 100) std::this_thread::yield();
  *stop = 1;
  for (const pid_t reader : readers) EXPECT_EQ(wait_for(reader), 0);
}

}  // namespace
}  // namespace dbsa::store_test
