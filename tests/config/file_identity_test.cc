// Whether a file is still as it was opened: what is overwritten in place is noticed, no matter what
// its times are made to say, and what is replaced by a rename is not in the way.
#include "config/file_identity.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/support/workspace.h"

namespace dbsa {
namespace {

namespace fs = std::filesystem;

class FileIdentityTest : public testing::Test {
 protected:
  FileIdentityTest() : path_(workspace_.write("file", "some bytes")) {
    descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    const auto identity = settled_identity(descriptor_, path_);
    if (identity.ok()) identity_ = *identity;
  }
  ~FileIdentityTest() override { ::close(descriptor_); }

  std::string fault() const {
    const Status status = check_unchanged(descriptor_, identity_, path_);
    return status.ok() ? "" : status.error().message;
  }
  void overwrite_in_place(const std::string& bytes) const {
    std::ofstream(path_, std::ios::binary | std::ios::in) << bytes;
  }

  Workspace workspace_;
  std::string path_;
  int descriptor_;
  FileIdentity identity_;
};

TEST_F(FileIdentityTest, AFileLeftAloneIsUnchanged) {
  EXPECT_EQ(identity_.bytes, 10u);
  EXPECT_EQ(fault(), "");
  EXPECT_TRUE(is_settled(identity_));
}

TEST_F(FileIdentityTest, AnOverwrittenFileIsChangedWhateverItsTimesSay) {
  struct stat before = {};
  ASSERT_EQ(::fstat(descriptor_, &before), 0);
  overwrite_in_place("SOME");
  const timespec times[2] = {before.st_atim, before.st_mtim};
  ASSERT_EQ(::utimensat(AT_FDCWD, path_.c_str(), times, 0), 0);
  EXPECT_EQ(fault(),
            path_ +
                ": was changed while it was in use, so what is computed would be of no one "
                "version of it; start again, and replace files by renaming new ones over them");
}

TEST_F(FileIdentityTest, AShorterFileIsChanged) {
  fs::resize_file(path_, 4);
  EXPECT_NE(fault(), "");
}

TEST_F(FileIdentityTest, AFileReplacedOrDeletedIsUnchanged) {
  const std::string other = workspace_.write("other", "other bytes");
  fs::rename(other, path_);
  EXPECT_EQ(fault(), "");
  fs::remove(path_);
  EXPECT_EQ(fault(), "");
}

// The next change must show, so a file that changed within this tick of the clock is waited for:
// its identity then differs from the one after a change that follows at once.
TEST_F(FileIdentityTest, AChangeRightAfterOpeningShows) {
  for (int i = 0; i < 20; ++i) {
    overwrite_in_place("a");
    const auto identity = settled_identity(descriptor_, path_);
    ASSERT_TRUE(identity.ok());
    overwrite_in_place("b");
    EXPECT_FALSE(check_unchanged(descriptor_, *identity, path_).ok()) << "round " << i;
  }
}

TEST_F(FileIdentityTest, AFileThatIsBeingWrittenIsWaitedFor) {
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    for (int i = 0; i < 30 && !stop; ++i) {
      overwrite_in_place(std::to_string(i));
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    overwrite_in_place("the end");
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  const auto identity = settled_identity(descriptor_, path_);
  stop = true;
  writer.join();
  ASSERT_TRUE(identity.ok());
  EXPECT_TRUE(is_settled(*identity));
}

TEST_F(FileIdentityTest, ATimeToComeIsNotWaitedFor) {
  const auto future = fs::file_time_type::clock::now() + std::chrono::hours(24);
  fs::last_write_time(path_, future);
  const auto before = std::chrono::steady_clock::now();
  ASSERT_TRUE(settled_identity(descriptor_, path_).ok());
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(10));
}

TEST(FileIdentity, AFolderAndAFifoAreNoFiles) {
  const Workspace workspace;
  const std::string fifo = workspace.path("fifo");
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  for (const std::string& path : {fifo, workspace.path()}) {
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ASSERT_GE(descriptor, 0);
    const auto identity = settled_identity(descriptor, path);
    ::close(descriptor);
    ASSERT_FALSE(identity.ok());
    EXPECT_EQ(identity.error().message, path + ": expected a regular file");
  }
}

}  // namespace
}  // namespace dbsa
