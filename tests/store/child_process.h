// Work in a child process: killed at will, in its own namespaces, or with its own limits.
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

namespace dbsa::store_test {

// Runs `work` in a child and returns the text it returned: by convention "" for success, "SKIP ..."
// when this machine cannot run it.
inline std::string run_in_child(const std::function<std::string()>& work) {
  int ends[2];
  if (pipe(ends) != 0) return "pipe failed";
  const pid_t child = fork();
  if (child == 0) {
    std::string text;
    try {
      text = work();
    } catch (const std::exception& e) {
      text = std::string("threw: ") + e.what();
    }
    for (size_t at = 0; at < text.size();) {
      const ssize_t n = write(ends[1], text.data() + at, text.size() - at);
      if (n <= 0) break;
      at += static_cast<size_t>(n);
    }
    _exit(0);
  }
  close(ends[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<size_t>(n));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return text + " [child ended with status " + std::to_string(status) + "]";
  return text;
}

// Gives this process its own mounts, as root or in a user namespace. "" or "SKIP ...".
inline std::string private_mounts() {
  const std::string user = std::to_string(getuid()), group = std::to_string(getgid());
  const bool root = geteuid() == 0;
  if (unshare(CLONE_NEWNS | (root ? 0 : CLONE_NEWUSER)) != 0)
    return std::string("SKIP no namespaces here: ") + std::strerror(errno);
  if (!root) {
    std::ofstream("/proc/self/setgroups") << "deny";
    std::ofstream("/proc/self/uid_map") << "0 " << user << " 1";
    std::ofstream("/proc/self/gid_map") << "0 " << group << " 1";
  }
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return std::string("SKIP no mounts here: ") + std::strerror(errno);
  return "";
}

inline std::string mount_tmpfs(const std::filesystem::path& at, uint64_t bytes) {
  const std::string options = "size=" + std::to_string(bytes);
  if (mount("tmpfs", at.c_str(), "tmpfs", 0, options.c_str()) != 0)
    return std::string("SKIP no tmpfs here: ") + std::strerror(errno);
  return "";
}

inline std::string make_read_only(const std::filesystem::path& at) {
  if (mount(at.c_str(), at.c_str(), nullptr, MS_BIND, nullptr) != 0 ||
      mount(nullptr, at.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr) != 0)
    return std::string("SKIP no read-only mounts here: ") + std::strerror(errno);
  return "";
}

}  // namespace dbsa::store_test

// Runs a child and takes its text as the test's outcome.
#define DBSA_EXPECT_CHILD(...)                                                  \
  do {                                                                          \
    const std::string outcome_ = ::dbsa::store_test::run_in_child(__VA_ARGS__); \
    if (outcome_.starts_with("SKIP")) GTEST_SKIP() << outcome_;                 \
    EXPECT_EQ(outcome_, "");                                                    \
  } while (false)
