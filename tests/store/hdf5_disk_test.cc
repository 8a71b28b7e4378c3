// Full, limited and read-only disks: the old state stays, the message says what to do.
#include <sys/resource.h>
#include <sys/statvfs.h>

#include <csignal>

#include "child_process.h"
#include "store_fixture.h"

namespace dbsa::store_test {
namespace {

namespace fs = std::filesystem;

// Fills a tiny disk of `bytes` and tells what is wrong with the store after it.
std::string fill_disk(const fs::path& disk, uint64_t bytes) {
  if (const std::string skip = mount_tmpfs(disk, bytes); !skip.empty()) return skip;
  std::string fault;
  {
    Store store("hdf5", hdf5_config(disk / "store"));
    Outcome outcome;
    std::vector<TestBlock> put, published;
    for (uint64_t i = 0; outcome.ok() && i < 1000; ++i) {
      const TestBlock block = make_block(i, 2, 5000 + 997 * i);
      outcome = store.put(block);
      if (outcome.ok()) put.push_back(block);
      if (!outcome.ok() || i % 3 != 2) continue;
      outcome = store.publish();
      if (outcome.ok()) published.insert(published.end(), put.begin(), put.end());
      put.clear();
    }
    const std::string begin = (disk / "store").string() + ": ";
    const std::string end =
        " bytes are free; free some (`dbsa-pipe store gc` drops unused blocks) or set "
        "kv_store.path to a folder on another disk";
    if (outcome.code != DBSA_ERROR_ENVIRONMENT || !outcome.message.starts_with(begin) ||
        outcome.message.find(" failed: No space left on device, ") == std::string::npos ||
        !outcome.message.ends_with(end))
      fault = "message: " + outcome.message;
    for (const auto& file : files_in(disk / "store" / "packs"))
      if (!file.filename().string().starts_with("pack-")) fault = "left behind: " + file.string();
    for (const TestBlock& block : published)
      if (!store.holds(block)) fault = "lost a published block";
    if (store.stats().blocks != published.size()) fault = "other blocks than published";
    {
      Store fresh("hdf5", hdf5_config(disk / "store"));
      for (const Fault& one : fresh.check()) fault = "check: " + one.message;
      for (const TestBlock& block : published)
        if (!fresh.holds(block)) fault = "lost a published block for others";
    }
    // Space helps at once, without a restart.
    uint64_t freed = 0;
    if (const Outcome gc = store.collect({}, 0, &freed); !gc.ok()) fault = "gc: " + gc.message;
    if (published.size() > 3 &&
        (!store.put(published[0]).ok() || !store.publish().ok() || !store.holds(published[0])))
      fault = "cannot go on after gc";
  }
  umount(disk.c_str());
  if (!fault.empty()) fault = "disk of " + std::to_string(bytes) + " bytes: " + fault;
  return fault;
}

TEST(Hdf5Disk, FullDiskLeavesTheOldState) {
  const TemporaryFolder folder;
  DBSA_EXPECT_CHILD([&]() -> std::string {
    if (const std::string skip = private_mounts(); !skip.empty()) return skip;
    // Every size in pages: the disk is full at every stage of a put and of a publication.
    for (uint64_t bytes = 4096; bytes <= 600 * 1024; bytes += 4096)
      if (const std::string fault = fill_disk(folder.path(), bytes); !fault.empty()) return fault;
    return "";
  });
}

TEST(Hdf5Disk, FullDiskSaysWhatWasNeeded) {
  const TemporaryFolder folder;
  DBSA_EXPECT_CHILD([&]() -> std::string {
    if (const std::string skip = private_mounts(); !skip.empty()) return skip;
    if (const std::string skip = mount_tmpfs(folder.path(), 1 << 20); !skip.empty()) return skip;
    Store store("hdf5", hdf5_config(folder.path() / "store"));
    const TestBlock block = make_block(1, 2, 1000000);
    const Outcome outcome = store.put(block);
    const auto expected = [&](uint64_t free) {
      return (folder.path() / "store").string() + ": storing block " + block.key.hex() +
             " (2000000 bytes) failed: No space left on device, " + std::to_string(free) +
             " bytes are free; free some (`dbsa-pipe store gc` drops unused blocks) or set "
             "kv_store.path to a folder on another disk";
    };
    // Told while the pack, gone by now, still held some pages.
    struct statvfs disk = {};
    statvfs(folder.path().c_str(), &disk);
    for (uint64_t pages = 0; pages <= disk.f_bavail; ++pages)
      if (outcome.message == expected(pages * disk.f_frsize)) return "";
    return outcome.message;
  });
}

TEST(Hdf5Disk, LimitOnFileSizesIsNamed) {
  const TemporaryFolder folder;
  DBSA_EXPECT_CHILD([&]() -> std::string {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit = {1 << 20, 1 << 20};
    setrlimit(RLIMIT_FSIZE, &limit);
    Store store("hdf5", hdf5_config(folder.path() / "store"));
    const TestBlock block = make_block(1, 2, 1000000), small = make_block(2);
    const Outcome outcome = store.put(block);
    const std::string expected = (folder.path() / "store").string() + ": storing block " +
                                 block.key.hex() +
                                 " (2000000 bytes) failed: File too large; raise the limit on file "
                                 "sizes (ulimit -f) or lower kv_store.pack_bytes";
    if (outcome.code != DBSA_ERROR_ENVIRONMENT || outcome.message != expected)
      return outcome.message;
    if (!store.put(small).ok() || !store.publish().ok() || !store.holds(small))
      return "cannot go on";
    return "";
  });
}

std::string use_read_only_store(const fs::path& root) {
  Store store("hdf5", hdf5_config(root));
  if (!store.holds(make_block(1))) return "cannot read";
  if (!store.check().empty()) return "check finds faults";
  const std::string end =
      " failed: Read-only file system; make the folder writable or set kv_store.path to another "
      "one";
  const std::string expected = root.string() + ": opening the lock file" + end;
  Outcome outcome = store.put(make_block(2));
  if (outcome.code != DBSA_ERROR_ENVIRONMENT || outcome.message != expected) return outcome.message;
  uint64_t freed = 0;
  outcome = store.collect({}, 0, &freed);
  if (outcome.code != DBSA_ERROR_ENVIRONMENT || outcome.message != expected) return outcome.message;
  if (!store.holds(make_block(1))) return "cannot read any more";
  Store absent("hdf5", hdf5_config(root / "new"));
  outcome = absent.put(make_block(2));
  if (outcome.message != (root / "new").string() + ": making the folder" + end)
    return outcome.message;
  return "";
}

TEST(Hdf5Disk, ReadOnlyStoreCanBeRead) {
  const TemporaryFolder folder;
  {
    Store store("hdf5", hdf5_config(folder.path()));
    ASSERT_EQ(store.put(make_block(1)).message, "");
    ASSERT_EQ(store.publish().message, "");
  }
  DBSA_EXPECT_CHILD([&]() -> std::string {
    if (const std::string skip = private_mounts(); !skip.empty()) return skip;
    if (const std::string skip = make_read_only(folder.path()); !skip.empty()) return skip;
    return use_read_only_store(folder.path());
  });
}

TEST(Hdf5Disk, FolderOfAnotherUserIsNamed) {
  if (geteuid() != 0) GTEST_SKIP() << "SKIP needs root to become another user";
  const TemporaryFolder folder;
  fs::permissions(folder.path(), fs::perms(0755));
  DBSA_EXPECT_CHILD([&]() -> std::string {
    if (setgid(65534) != 0 || setuid(65534) != 0) return "SKIP cannot become another user";
    Store store("hdf5", hdf5_config(folder.path()));
    const Outcome outcome = store.put(make_block(1));
    const std::string expected =
        folder.path().string() +
        ": opening the lock file failed: Permission denied; make the folder writable or set "
        "kv_store.path to another one";
    return outcome.message == expected ? "" : outcome.message;
  });
}

}  // namespace
}  // namespace dbsa::store_test
