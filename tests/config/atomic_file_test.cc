// Files that appear whole or not at all: what killed, competing and refused writers leave, and
// modes.
#include "config/atomic_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "config/file_calls.h"
#include "tests/store/child_process.h"
#include "tests/support/workspace.h"

namespace dbsa {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code absent;
  for (const auto& entry : fs::directory_iterator(folder, absent))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

int mode_of(const std::string& path) {
  struct stat info = {};
  return ::stat(path.c_str(), &info) == 0 ? static_cast<int>(info.st_mode & 07777) : -1;
}

// A child that repeats `work` until it is killed, `span` later.
void kill_during(const std::function<void()>& work, std::chrono::microseconds span) {
  const pid_t child = ::fork();
  if (child == 0)
    for (;;) work();
  std::this_thread::sleep_for(span);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

class AtomicFile : public testing::Test {
 protected:
  std::string path(const std::string& name = "") const { return workspace_.path(name); }
  std::vector<std::string> names() const { return names_in(path("")); }
  Workspace workspace_;
};

TEST_F(AtomicFile, WritesAndReplaces) {
  ASSERT_TRUE(write_file_atomically(path("a/b/c.json"), "one").ok());
  EXPECT_EQ(workspace_.read("a/b/c.json"), "one");
  const std::string_view pieces[] = {"two, ", "", "three"};
  ASSERT_TRUE(write_file_atomically(path("a/b/c.json"), pieces).ok());
  EXPECT_EQ(workspace_.read("a/b/c.json"), "two, three");
  EXPECT_THAT(names_in(path("a/b")), ElementsAre("c.json"));
}

TEST_F(AtomicFile, TheNextWriterRemovesWhatAKilledOneLeft) {
  const std::string large(1 << 22, 'x');
  for (int round = 0; round < 200 && count_leftovers(path("")).files == 0; ++round)
    kill_during([&] { (void)write_file_atomically(path("large"), large); },
                std::chrono::milliseconds(1 + round % 20));
  const Leftovers left = count_leftovers(path(""));
  ASSERT_GT(left.files, 0) << "no kill hit a writer at work: the test shows nothing";
  EXPECT_LE(left.bytes, large.size());
  ASSERT_TRUE(write_file_atomically(path("small"), "y").ok());
  EXPECT_EQ(count_leftovers(path("")).files, 0);
  for (const std::string& name : names()) EXPECT_TRUE(name == "large" || name == "small") << name;
}

TEST_F(AtomicFile, ALivingWritersFileStays) {
  const std::string living = workspace_.write("a.json.tmp-abc123", "12345");
  {
    const Descriptor writer(::open(living.c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_EQ(lock_file(writer.get(), LOCK_EX), 0);
    EXPECT_EQ(count_leftovers(path("")).files, 0);
    ASSERT_TRUE(write_file_atomically(path("b.json"), "{}").ok());
    EXPECT_THAT(names(), ElementsAre("a.json.tmp-abc123", "b.json"));
  }
  EXPECT_EQ(count_leftovers(path("")).files, 1);
  EXPECT_EQ(count_leftovers(path("")).bytes, 5u);
  EXPECT_EQ(remove_leftovers(path("")).bytes, 5u);
  EXPECT_THAT(names(), ElementsAre("b.json"));
}

TEST_F(AtomicFile, OnlyNamesOfItsOwnAreLeftovers) {
  for (const char* name : {"a.tmp-abc12", "a.tmp-abc1234", "a.tmp-abc-12", ".tmp-abc123",
                           "tmp-abc123", "a.tmp-abc123.json", "a.tmp"}) {
    EXPECT_FALSE(is_temporary_name(name)) << name;
    workspace_.write(name, "x");
  }
  EXPECT_TRUE(is_temporary_name("a.tmp-aB3xyz"));
  fs::create_directory(path("folder.tmp-abc123"));
  fs::create_symlink(path("a.tmp"), path("link.tmp-abc123"));
  ASSERT_EQ(::mkfifo(path("fifo.tmp-abc123").c_str(), 0600), 0);
  const auto before = names();
  EXPECT_EQ(count_leftovers(path("")).files, 0);
  EXPECT_EQ(remove_leftovers(path("")).files, 0);
  EXPECT_EQ(names(), before);
  EXPECT_EQ(remove_leftovers(path("absent")).files, 0);
}

TEST_F(AtomicFile, ModesAreThoseOfTheUmask) {
  DBSA_EXPECT_CHILD([&]() -> std::string {
    for (const int mask : {022, 077, 002}) {
      ::umask(mask);
      const std::string folder = path(std::to_string(mask)), file = folder + "/inner/a.json";
      for (const int old : {0, 0640, 0777}) {
        if (old != 0 && ::chmod(file.c_str(), static_cast<mode_t>(old)) != 0) return "chmod";
        if (!write_file_atomically(file, "x").ok()) return "write";
        if (mode_of(file) != (0666 & ~mask))
          return "over " + std::to_string(old) + ": mode " + std::to_string(mode_of(file));
      }
      if (!write_new_file([&](int) { return folder + "/new"; }, "x").ok()) return "new";
      if (mode_of(folder + "/new") != (0666 & ~mask)) return "mode of a new file";
      for (const char* made : {"", "/inner"})
        if (mode_of(folder + made) != (0777 & ~mask)) return "mode of a folder";
    }
    return "";
  });
}

std::string numbered(const std::string& folder, int n) {
  return folder + "/r" + (n > 1 ? "-" + std::to_string(n) : "") + ".json";
}

TEST_F(AtomicFile, ANewFileTakesTheNextFreeName) {
  const std::string folder = path("runs");
  const auto write = [&](std::string_view text) {
    return write_new_file([&](int n) { return numbered(folder, n); }, text);
  };
  EXPECT_EQ(*write("one"), folder + "/r.json");
  workspace_.write("runs/r-2.json", "");  // as killed writers of former versions left them
  EXPECT_EQ(*write("three"), folder + "/r-3.json");
  EXPECT_EQ(workspace_.read("runs/r.json"), "one");
  EXPECT_EQ(workspace_.read("runs/r-2.json"), "");
  EXPECT_THAT(names_in(folder), ElementsAre("r-2.json", "r-3.json", "r.json"));
}

TEST_F(AtomicFile, CompetingWritersNeverTakeOneName) {
  const std::string folder = path("runs");
  std::vector<pid_t> children;
  for (int i = 0; i < 3; ++i) {
    children.push_back(::fork());
    if (children.back() != 0) continue;
    for (int n = 0; n < 20; ++n)
      if (!write_new_file([&](int k) { return numbered(folder, k); }, "whole").ok()) ::_exit(1);
    ::_exit(0);
  }
  for (const pid_t child : children) {
    int status = -1;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  const auto made = names_in(folder);
  EXPECT_EQ(made.size(), 60u);
  for (const std::string& name : made) EXPECT_EQ(workspace_.read("runs/" + name), "whole") << name;
}

TEST_F(AtomicFile, AKilledWriterLeavesNoEmptyFile) {
  const std::string text(1 << 18, 'x');
  for (int round = 0; round < 30; ++round)
    kill_during(
        [&] { (void)write_new_file([&](int n) { return numbered(path("runs"), n); }, text); },
        std::chrono::milliseconds(2 + round % 7));
  size_t whole = 0;
  for (const std::string& name : names_in(path("runs"))) {
    if (is_temporary_name(name)) continue;
    EXPECT_EQ(fs::file_size(path("runs/" + name)), text.size()) << name;
    ++whole;
  }
  EXPECT_GT(whole, 0u) << "no writer lived long enough: the test shows nothing";
}

TEST_F(AtomicFile, ARefusedWriteLeavesTheOldFileAndNothingElse) {
  workspace_.write("a.json", "old");
  DBSA_EXPECT_CHILD([&]() -> std::string {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit = {4096, 4096};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const Status status = write_file_atomically(path("a.json"), std::string(10000, 'x'));
    if (status.ok()) return "written";
    if (status.error().code != ErrorCode::kEnvironment) return "code";
    return status.error().message == path("a.json") + ": cannot write: File too large"
               ? ""
               : status.error().message;
  });
  EXPECT_THAT(names(), ElementsAre("a.json"));
  EXPECT_EQ(workspace_.read("a.json"), "old");
}

TEST_F(AtomicFile, AFullDiskIsAnError) {
  DBSA_EXPECT_CHILD([&]() -> std::string {
    if (const std::string skip = store_test::private_mounts(); !skip.empty()) return skip;
    if (const std::string skip = store_test::mount_tmpfs(path(""), 1 << 16); !skip.empty())
      return skip;
    const std::string large(1 << 20, 'x');
    for (const Status& status :
         {write_file_atomically(path("a"), large), [&]() -> Status {
            DBSA_RETURN_IF_ERROR(write_new_file([&](int) { return path("a"); }, large));
            return {};
          }()})
      if (status.ok() ||
          status.error().message != path("a") + ": cannot write: No space left on device")
        return status.ok() ? "written" : status.error().message;
    return names().empty() ? "" : "left behind: " + names().front();
  });
}

TEST_F(AtomicFile, AFolderThatCannotBeIsNamed) {
  workspace_.write("file", "");
  const Status status = write_file_atomically(path("file/inside/a"), "x");
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().message,
            path("file/inside") + ": cannot make the folder: Not a directory");
}

// Signals that are handled and interrupt what waits: no write fails for them, no lock is given up.
TEST_F(AtomicFile, SignalsDoNotDisturb) {
  const std::string held = workspace_.write("held", "");
  const Descriptor holder(::open(held.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(lock_file(holder.get(), LOCK_EX), 0);
  std::thread release([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    lock_file(holder.get(), LOCK_UN);
  });
  DBSA_EXPECT_CHILD([&]() -> std::string {
    struct sigaction action = {};
    action.sa_handler = [](int) {};
    ::sigaction(SIGALRM, &action, nullptr);  // without SA_RESTART
    const itimerval often = {{0, 300}, {0, 300}};
    ::setitimer(ITIMER_REAL, &often, nullptr);
    const Descriptor waiter(uninterrupted([&] { return ::open(held.c_str(), O_RDWR); }));
    if (const int code = lock_file(waiter.get(), LOCK_EX); code != 0)
      return "locking: " + std::to_string(code);
    for (int i = 0; i < 20; ++i)
      if (const Status status = write_file_atomically(path("new/" + std::to_string(i % 3)),
                                                      std::string(1 << 18, 'x'));
          !status.ok())
        return status.error().message;
    return "";
  });
  release.join();
}

TEST(FileCalls, AFailureThatShowsInCloseIsFound) {
  EXPECT_EQ(flush_as_closing(-1), EBADF);
  const Descriptor null(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  EXPECT_EQ(flush_as_closing(null.get()), 0);
  EXPECT_EQ(::write(null.get(), "x", 1), 1) << "the descriptor itself stays open";
}

TEST(FileCalls, RenamesNeverReplace) {
  const Workspace workspace;
  workspace.write("a", "a");
  workspace.write("b", "b");
  EXPECT_EQ(rename_new(workspace.path("a"), workspace.path("b")), EEXIST);
  EXPECT_EQ(rename_new(workspace.path("a"), workspace.path("c")), 0);
  EXPECT_EQ(workspace.read("b") + workspace.read("c"), "ba");
  EXPECT_EQ(rename_new(workspace.path("a"), workspace.path("d")), ENOENT);
}

}  // namespace
}  // namespace dbsa
