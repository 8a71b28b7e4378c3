// What wrappers of calls ask: whether this one must fail. See fault.c.
#pragma once

#include <errno.h>
#include <unistd.h>

enum Call {
  kWrite,
  kPwrite,
  kFsync,
  kFdatasync,
  kRename,
  kLink,
  kUnlink,
  kMkdir,
  kOpen,
  kClose,
  kFtruncate,
  kFallocate,
  kFlock,
  kMmap,
  kMadvise,
  kRead,
  kPread,
  kReaddir,
  kStat,
  kMalloc,
  kCalls
};

// Instead of an errno: half of the bytes are read or written.
enum { kShort = 1 << 20 };

// The error that this call must fail with, kShort, or 0. `path` or `fd` are what it is on.
__attribute__((visibility("hidden"))) int fault(enum Call call, const char* path, int fd);

// A failed call's return value.
#define FAIL_IF(call, path, fd, value)         \
  do {                                         \
    const int error_ = fault(call, path, fd);  \
    if (error_ != 0) {                         \
      errno = error_ == kShort ? EIO : error_; \
      return value;                            \
    }                                          \
  } while (0)

// As FAIL_IF, for calls that may do a part of it.
#define FAIL_OR_CUT(call, fd, size)           \
  do {                                        \
    const int error_ = fault(call, NULL, fd); \
    if (error_ == kShort) {                   \
      if (size > 1) size /= 2;                \
    } else if (error_ != 0) {                 \
      errno = error_;                         \
      return -1;                              \
    }                                         \
  } while (0)
