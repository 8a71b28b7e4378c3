// read_file: what is no regular file is refused at once, and what is read is one state of a file.
#include "config/read_file.h"

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <utility>

#include "config/toml_document.h"
#include "tests/support/workspace.h"

namespace {

std::function<void()> after_begin;  // of a file is read

}  // namespace

// The system's call for this program, so that a file can be changed between two calls at
// any load of the machine.
extern "C" ssize_t pread(int descriptor, void* to, size_t bytes, off_t begin) {
  const ssize_t some = ::syscall(SYS_pread64, descriptor, to, bytes, begin);
  if (begin == 0 && after_begin) after_begin();
  return some;
}

namespace dbsa {
namespace {

// As long as it lives, `act` follows each read of the begin of a file.
class AfterBegin {
 public:
  explicit AfterBegin(std::function<void()> act) { after_begin = std::move(act); }
  ~AfterBegin() { after_begin = nullptr; }
  AfterBegin(const AfterBegin&) = delete;
  AfterBegin& operator=(const AfterBegin&) = delete;
};

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
// Another program appends a byte each time when the first part of the file has been read.
TEST_F(ReadFile, AFileThatIsBeingWritten) {
  const std::string path = workspace_.write("a", std::string(1 << 16, 'x'));
  const auto append = [&] { std::ofstream(path, std::ios::app) << 'y'; };
  {
    const AfterBegin writer(append);
    EXPECT_EQ(fault(path, 1 << 20),
              "kEnvironment: is being written by another program; start again once it is "
              "complete");
  }
  // One that has ended by then is none: the file is read again, whole.
  bool written = false;
  const AfterBegin writer([&] {
    if (!written) append();
    written = true;
  });
  const auto before = std::filesystem::file_size(path);
  const Result<FileText> file = read_file(path, 1 << 20);
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(file->text.size(), before + 1);
  EXPECT_EQ(file->identity.bytes, before + 1);
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
