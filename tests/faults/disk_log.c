// A preload library that writes down what a program does to the files of a folder, with the data,
// so that the states that a disk may hold after a power failure can be made from it
// (disk_states.py).
//
//   LD_PRELOAD=libdbsa_disk_log.so DBSA_DISK_LOG=FILE DBSA_DISK_ROOT=/ABSOLUTE/FOLDER
//
// A record is struct Record, then the two paths, then the data.
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "preload.h"

enum Operation { kOpen = 1, kWrite, kTruncate, kSync, kRename, kLink, kUnlink, kMkdir };

struct Record {
  uint32_t operation;
  uint32_t path_bytes;
  uint32_t to_bytes;
  uint32_t data_bytes;
  uint64_t offset;  // of a write; the length of a truncation; 1: an open that truncates
};

static int log_fd = -1;
static char root[PATH_MAX];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;  // a call and its record are one

static ssize_t put(const void* data, size_t size) {
  NEXT(write);
  return next(log_fd, data, size);
}

__attribute__((constructor)) static void start(void) {
  const char* path = getenv("DBSA_DISK_LOG");
  const char* folder = getenv("DBSA_DISK_ROOT");
  if (path == NULL || folder == NULL || strlen(folder) + 2 > sizeof root) return;
  snprintf(root, sizeof root, "%s/", folder);
  NEXT(open);
  log_fd = next(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (log_fd < 0) _exit(125);
  unsetenv("LD_PRELOAD");
}

// The absolute form of a path, in `out`; null where it is not in the folder.
static const char* inside_root(int folder, const char* path, char* out) {
  if (log_fd < 0) return NULL;
  if (path[0] == '/') {
    snprintf(out, PATH_MAX, "%s", path);
  } else {
    char link[64], at[PATH_MAX / 2];
    if (folder == AT_FDCWD)
      snprintf(link, sizeof link, "/proc/self/cwd");
    else
      snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    const ssize_t length = readlink(link, at, sizeof at - 1);
    at[length < 0 ? 0 : length] = '\0';
    snprintf(out, PATH_MAX, "%s/%s", at, path);
  }
  return strncmp(out, root, strlen(root)) == 0 ? out : NULL;
}

// The path of an open file or folder, in `out`; null where it is not the folder or in it.
static const char* path_of(int fd, char* out) {
  if (log_fd < 0) return NULL;
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(link, out, PATH_MAX - 1);
  out[length < 0 ? 0 : length] = '\0';
  const size_t folder = strlen(root) - 1;
  return strncmp(out, root, folder) == 0 && (out[folder] == '/' || out[folder] == '\0') ? out
                                                                                        : NULL;
}

static void record(enum Operation operation, const char* path, const char* to, uint64_t offset,
                   const void* data, size_t size) {
  const struct Record head = {operation, (uint32_t)strlen(path), (uint32_t)strlen(to),
                              (uint32_t)size, offset};
  put(&head, sizeof head);
  put(path, head.path_bytes);
  put(to, head.to_bytes);
  put(data, size);
}

// Runs a call and, where it did not fail, its record.
#define LOGGED(type, call, wanted, write_record) \
  pthread_mutex_lock(&mutex);                    \
  const type result = call;                      \
  if (result >= 0 && (wanted)) {                 \
    write_record;                                \
  }                                              \
  pthread_mutex_unlock(&mutex);                  \
  return result

static void record_open(int fd, int flags) {
  char name[PATH_MAX];
  const char* path = path_of(fd, name);
  if (path != NULL && (flags & (O_CREAT | O_TRUNC)) != 0)
    record(kOpen, path, "", (flags & O_TRUNC) != 0, "", 0);
}

#define OPEN(name)                                                                 \
  int name(const char* path, int flags, ...) {                                     \
    NEXT(name);                                                                    \
    va_list more;                                                                  \
    va_start(more, flags);                                                         \
    const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;         \
    va_end(more);                                                                  \
    LOGGED(int, next(path, flags, mode), log_fd >= 0, record_open(result, flags)); \
  }
OPEN(open)
OPEN(open64)

#define MAKE_TEMPORARY(name)                                                   \
  int name(char* path, int flags) {                                            \
    NEXT(name);                                                                \
    LOGGED(int, next(path, flags), log_fd >= 0, record_open(result, O_CREAT)); \
  }
MAKE_TEMPORARY(mkostemp)
MAKE_TEMPORARY(mkostemp64)

ssize_t write(int fd, const void* data, size_t size) {
  NEXT(write);
  char name[PATH_MAX];
  const char* path = path_of(fd, name);
  LOGGED(
      ssize_t, next(fd, data, size), path != NULL,
      record(kWrite, path, "", (uint64_t)(lseek(fd, 0, SEEK_CUR) - result), data, (size_t)result));
}

#define PWRITE(name, offset_type)                                             \
  ssize_t name(int fd, const void* data, size_t size, offset_type offset) {   \
    NEXT(name);                                                               \
    char file[PATH_MAX];                                                      \
    const char* path = path_of(fd, file);                                     \
    LOGGED(ssize_t, next(fd, data, size, offset), path != NULL,               \
           record(kWrite, path, "", (uint64_t)offset, data, (size_t)result)); \
  }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define FTRUNCATE(name, offset_type)                              \
  int name(int fd, offset_type length) {                          \
    NEXT(name);                                                   \
    char file[PATH_MAX];                                          \
    const char* path = path_of(fd, file);                         \
    LOGGED(int, next(fd, length), path != NULL,                   \
           record(kTruncate, path, "", (uint64_t)length, "", 0)); \
  }
FTRUNCATE(ftruncate, off_t)
FTRUNCATE(ftruncate64, off64_t)

#define SYNC(name)                                                          \
  int name(int fd) {                                                        \
    NEXT(name);                                                             \
    char file[PATH_MAX];                                                    \
    const char* path = path_of(fd, file);                                   \
    LOGGED(int, next(fd), path != NULL, record(kSync, path, "", 0, "", 0)); \
  }
SYNC(fsync)
SYNC(fdatasync)

int rename(const char* from, const char* to) {
  NEXT(rename);
  char a[PATH_MAX], b[PATH_MAX];
  const char* target = inside_root(AT_FDCWD, to, b);
  const char* source = inside_root(AT_FDCWD, from, a);
  LOGGED(int, next(from, to), target != NULL,
         record(kRename, source == NULL ? from : source, target, 0, "", 0));
}

int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) {
  NEXT(renameat2);
  char a[PATH_MAX], b[PATH_MAX];
  const char* target = inside_root(to_folder, to, b);
  const char* source = inside_root(from_folder, from, a);
  LOGGED(int, next(from_folder, from, to_folder, to, flags), target != NULL,
         record(kRename, source == NULL ? from : source, target, 0, "", 0));
}

int link(const char* from, const char* to) {
  NEXT(link);
  char a[PATH_MAX], b[PATH_MAX];
  const char* target = inside_root(AT_FDCWD, to, b);
  const char* source = inside_root(AT_FDCWD, from, a);
  LOGGED(int, next(from, to), target != NULL,
         record(kLink, source == NULL ? from : source, target, 0, "", 0));
}

#define REMOVE(name)                                                                \
  int name(const char* path) {                                                      \
    NEXT(name);                                                                     \
    char file[PATH_MAX];                                                            \
    const char* target = inside_root(AT_FDCWD, path, file);                         \
    LOGGED(int, next(path), target != NULL, record(kUnlink, target, "", 0, "", 0)); \
  }
REMOVE(unlink)
REMOVE(rmdir)
REMOVE(remove)

int mkdir(const char* path, mode_t mode) {
  NEXT(mkdir);
  char file[PATH_MAX];
  const char* target = inside_root(AT_FDCWD, path, file);
  LOGGED(int, next(path, mode), target != NULL, record(kMkdir, target, "", 0, "", 0));
}
