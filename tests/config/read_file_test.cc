// read_file: what is no regular file is refused at once, and what is read is one state of a file.
#include "config/read_file.h"

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "config/toml_document.h"
#include "tests/support/workspace.h"

namespace dbsa {
namespace {

constexpr uint64_t kMost = 1000;

class ReadFile : public testing::Test {
 protected:
  // "CODE: message" without the folder.
  std::string fault(const std::string& path, uint64_t most = kMost) const {
    const Result<FileText> file = read_file(path, most);
    if (file.ok()) return "read";
    const std::string code = file.error().code == ErrorCode::kNotFound      ? "kNotFound: "
                             : file.error().code == ErrorCode::kEnvironment ? "kEnvironment: "
                                                                            : "another: ";
    EXPECT_TRUE(file.error().message.starts_with(path + ": ")) << file.error().message;
    return code + file.error().message.substr(path.size() + 2);
  }

  Workspace workspace_;
};

TEST_F(ReadFile, GivesTextAndIdentity) {
  const std::string path = workspace_.write("a", std::string("x\0y\n", 4));
  const Result<FileText> file = read_file(path, 4);
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(file->text, std::string("x\0y\n", 4));
  EXPECT_EQ(file->identity.bytes, 4u);
  EXPECT_EQ(read_file(workspace_.write("empty", ""), kMost)->text, "");
  // A file whose size says nothing.
  EXPECT_THAT(read_file("/proc/self/status", 1 << 20)->text, testing::HasSubstr("Pid:"));
}

TEST_F(ReadFile, RefusesWhatIsNoRegularFile) {
  const std::string pipe = workspace_.path("pipe");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const std::string socket = workspace_.path("socket");
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  ASSERT_LT(socket.size(), sizeof address.sun_path);
  socket.copy(address.sun_path, socket.size());
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  std::filesystem::create_symlink("/dev/zero", workspace_.path("device"));
  const std::string expected = "kEnvironment: expected a regular file, found ";
  EXPECT_EQ(fault(workspace_.path()), expected + "a folder; name a regular file");
  EXPECT_EQ(fault(pipe), expected + "a named pipe; name a regular file");
  EXPECT_EQ(fault(socket), expected + "a socket; name a regular file");
  EXPECT_EQ(fault(workspace_.path("device")), expected + "a device; name a regular file");
  EXPECT_EQ(TomlDocument::load(pipe).error().message,
            pipe + ": expected a regular file, found a named pipe; name a regular file");
  ::close(listener);
}

TEST_F(ReadFile, SaysWhatIsMissingOrTooLarge) {
  EXPECT_EQ(fault(workspace_.path("none")),
            "kNotFound: cannot be opened: No such file or directory");
  EXPECT_EQ(fault(workspace_.write("a", "x") + "/b"),
            "kNotFound: cannot be opened: Not a directory");
  std::filesystem::create_symlink("loop", workspace_.path("loop"));
  EXPECT_EQ(fault(workspace_.path("loop")),
            "kEnvironment: cannot be opened: Too many levels of symbolic links");
  const std::string large = workspace_.write("large", std::string(kMost + 1, 'x'));
  EXPECT_EQ(fault(large),
            "kEnvironment: expected a file of at most 1000 bytes, found one of 1001; check that it "
            "is the right file");
  EXPECT_EQ(fault(large, kMost + 1), "read");
  // Nothing is read, or kept, of a file that only says that it is large.
  std::filesystem::resize_file(large, uint64_t{1} << 40);
  EXPECT_EQ(fault(large),
            "kEnvironment: expected a file of at most 1000 bytes, found one of 1099511627776; "
            "check that it is the right file");
  EXPECT_EQ(fault("/proc/self/status", 10),
            "kEnvironment: expected a file of at most 10 bytes, found a larger one; check that it "
            "is the right file");
}

// A file that grows all the time: what is read is whole, or the error says why it is not.
TEST_F(ReadFile, AFileThatIsBeingWritten) {
  const std::string path = workspace_.write("a", std::string(8 << 20, 'x'));
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    std::ofstream out(path, std::ios::app);
    while (!stop) out << 'y' << std::flush;
  });
  std::string said;
  for (int i = 0; i < 1000 && said.empty(); ++i) {
    const Result<FileText> file = read_file(path, 1 << 30);
    if (file.ok())
      EXPECT_EQ(file->text.size(), file->identity.bytes);
    else
      said = file.error().message;
  }
  stop = true;
  writer.join();
  EXPECT_EQ(said, path + ": is being written by another program; start again once it is complete");
}

TEST_F(ReadFile, TheEndOfAFile) {
  const std::string path = workspace_.write("a", "0123456789");
  EXPECT_EQ(*read_file_end(path, 3), "789");
  EXPECT_EQ(*read_file_end(path, 10), "0123456789");
  EXPECT_EQ(*read_file_end(path, 100), "0123456789");
  EXPECT_EQ(read_file_end(workspace_.path("none"), 3).error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace dbsa
