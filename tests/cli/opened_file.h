// How often a file is opened while this lives, as the system counts it.
#pragma once

#include <gtest/gtest.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <string>

namespace dbsa {

class OpenedFile {
 public:
  explicit OpenedFile(const std::string& path) : queue_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
    // With the closes between them, as equal events in a row would be one.
    EXPECT_GE(::inotify_add_watch(queue_, path.c_str(), IN_OPEN | IN_CLOSE_NOWRITE), 0) << path;
  }
  ~OpenedFile() { ::close(queue_); }
  OpenedFile(const OpenedFile&) = delete;
  OpenedFile& operator=(const OpenedFile&) = delete;

  // Since the last call.
  int count() {
    int opened = 0;
    inotify_event event = {};  // of one file, so that no name follows
    while (::read(queue_, &event, sizeof event) == static_cast<ssize_t>(sizeof event))
      opened += (event.mask & IN_OPEN) != 0 ? 1 : 0;
    return opened;
  }

 private:
  int queue_;
};

}  // namespace dbsa
