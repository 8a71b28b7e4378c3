// The wrapped calls, by what they are on.
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "fault.h"
#include "preload.h"

// ---- reading and writing -----------------------------------------------------------------------

ssize_t write(int fd, const void* data, size_t size) {
  NEXT(write);
  FAIL_OR_CUT(kWrite, fd, size);
  return next(fd, data, size);
}

ssize_t writev(int fd, const struct iovec* parts, int count) {
  NEXT(writev);
  FAIL_OR_CUT(kWrite, fd, count);
  return next(fd, parts, count);
}

ssize_t read(int fd, void* data, size_t size) {
  NEXT(read);
  FAIL_OR_CUT(kRead, fd, size);
  return next(fd, data, size);
}

ssize_t readv(int fd, const struct iovec* parts, int count) {
  NEXT(readv);
  FAIL_OR_CUT(kRead, fd, count);
  return next(fd, parts, count);
}

// Libraries that were compiled with _FORTIFY_SOURCE call these.
ssize_t __read_chk(int fd, void* data, size_t size, size_t room);
ssize_t __pread_chk(int fd, void* data, size_t size, off_t offset, size_t room);
ssize_t __pread64_chk(int fd, void* data, size_t size, off64_t offset, size_t room);

ssize_t __read_chk(int fd, void* data, size_t size, size_t room) {
  NEXT(__read_chk);
  FAIL_OR_CUT(kRead, fd, size);
  return next(fd, data, size, room);
}

#define PREAD(name, offset_type)                                      \
  ssize_t name(int fd, void* data, size_t size, offset_type offset) { \
    NEXT(name);                                                       \
    FAIL_OR_CUT(kPread, fd, size);                                    \
    return next(fd, data, size, offset);                              \
  }
PREAD(pread, off_t)
PREAD(pread64, off64_t)

#define PREAD_CHECKED(name, offset_type)                                           \
  ssize_t name(int fd, void* data, size_t size, offset_type offset, size_t room) { \
    NEXT(name);                                                                    \
    FAIL_OR_CUT(kPread, fd, size);                                                 \
    return next(fd, data, size, offset, room);                                     \
  }
PREAD_CHECKED(__pread_chk, off_t)
PREAD_CHECKED(__pread64_chk, off64_t)

#define PWRITE(name, offset_type)                                           \
  ssize_t name(int fd, const void* data, size_t size, offset_type offset) { \
    NEXT(name);                                                             \
    FAIL_OR_CUT(kPwrite, fd, size);                                         \
    return next(fd, data, size, offset);                                    \
  }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

struct dirent* readdir(DIR* folder) {
  NEXT(readdir);
  FAIL_IF(kReaddir, NULL, dirfd(folder), NULL);
  return next(folder);
}

struct dirent64* readdir64(DIR* folder) {
  NEXT(readdir64);
  FAIL_IF(kReaddir, NULL, dirfd(folder), NULL);
  return next(folder);
}

// ---- descriptors -------------------------------------------------------------------------------

#define ON_DESCRIPTOR(call, name) \
  int name(int fd) {              \
    NEXT(name);                   \
    FAIL_IF(call, NULL, fd, -1);  \
    return next(fd);              \
  }
ON_DESCRIPTOR(kFsync, fsync)
ON_DESCRIPTOR(kFdatasync, fdatasync)

// A failed close has closed.
int close(int fd) {
  NEXT(close);
  const int error = fault(kClose, NULL, fd);
  const int result = next(fd);
  if (error == 0) return result;
  errno = error == kShort ? EIO : error;
  return -1;
}

int fclose(FILE* file) {
  NEXT(fclose);
  const int error = fault(kClose, NULL, fileno(file));
  const int result = next(file);
  if (error == 0) return result;
  errno = error == kShort ? EIO : error;
  return EOF;
}

#define FTRUNCATE(name, offset_type)     \
  int name(int fd, offset_type length) { \
    NEXT(name);                          \
    FAIL_IF(kFtruncate, NULL, fd, -1);   \
    return next(fd, length);             \
  }
FTRUNCATE(ftruncate, off_t)
FTRUNCATE(ftruncate64, off64_t)

#define FALLOCATE(name, offset_type)                                   \
  int name(int fd, int mode, offset_type offset, offset_type length) { \
    NEXT(name);                                                        \
    FAIL_IF(kFallocate, NULL, fd, -1);                                 \
    return next(fd, mode, offset, length);                             \
  }
FALLOCATE(fallocate, off_t)
FALLOCATE(fallocate64, off64_t)

int flock(int fd, int operation) {
  NEXT(flock);
  FAIL_IF(kFlock, NULL, fd, -1);
  return next(fd, operation);
}

#define FSTAT(name, type)             \
  int name(int fd, struct type* to) { \
    NEXT(name);                       \
    FAIL_IF(kStat, NULL, fd, -1);     \
    return next(fd, to);              \
  }
FSTAT(fstat, stat)
FSTAT(fstat64, stat64)

// ---- names -------------------------------------------------------------------------------------

#define STAT(name, type)                        \
  int name(const char* path, struct type* to) { \
    NEXT(name);                                 \
    FAIL_IF(kStat, path, -1, -1);               \
    return next(path, to);                      \
  }
STAT(stat, stat)
STAT(stat64, stat64)
STAT(lstat, stat)
STAT(lstat64, stat64)

int rename(const char* from, const char* to) {
  NEXT(rename);
  FAIL_IF(kRename, to, -1, -1);
  return next(from, to);
}

int renameat(int from_folder, const char* from, int to_folder, const char* to) {
  NEXT(renameat);
  FAIL_IF(kRename, to, -1, -1);
  return next(from_folder, from, to_folder, to);
}

int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) {
  NEXT(renameat2);
  FAIL_IF(kRename, to, -1, -1);
  return next(from_folder, from, to_folder, to, flags);
}

int link(const char* from, const char* to) {
  NEXT(link);
  FAIL_IF(kLink, to, -1, -1);
  return next(from, to);
}

#define ON_PATH(call, name)      \
  int name(const char* path) {   \
    NEXT(name);                  \
    FAIL_IF(call, path, -1, -1); \
    return next(path);           \
  }
ON_PATH(kUnlink, unlink)
ON_PATH(kUnlink, rmdir)
ON_PATH(kUnlink, remove)

int unlinkat(int folder, const char* path, int flags) {
  NEXT(unlinkat);
  FAIL_IF(kUnlink, path, -1, -1);
  return next(folder, path, flags);
}

int mkdir(const char* path, mode_t mode) {
  NEXT(mkdir);
  FAIL_IF(kMkdir, path, -1, -1);
  return next(path, mode);
}

char* mkdtemp(char* path) {
  NEXT(mkdtemp);
  FAIL_IF(kMkdir, path, -1, NULL);
  return next(path);
}

static mode_t mode_of(int flags, va_list more) {
  return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(more, mode_t) : 0;
}

#define OPEN(name)                             \
  int name(const char* path, int flags, ...) { \
    NEXT(name);                                \
    va_list more;                              \
    va_start(more, flags);                     \
    const mode_t mode = mode_of(flags, more);  \
    va_end(more);                              \
    FAIL_IF(kOpen, path, -1, -1);              \
    return next(path, flags, mode);            \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                       \
  int name(int folder, const char* path, int flags, ...) { \
    NEXT(name);                                            \
    va_list more;                                          \
    va_start(more, flags);                                 \
    const mode_t mode = mode_of(flags, more);              \
    va_end(more);                                          \
    FAIL_IF(kOpen, path, -1, -1);                          \
    return next(folder, path, flags, mode);                \
  }
OPENAT(openat)
OPENAT(openat64)

int __open_2(const char* path, int flags);
int __open64_2(const char* path, int flags);

#define OPEN_CHECKED(name)                \
  int name(const char* path, int flags) { \
    NEXT(name);                           \
    FAIL_IF(kOpen, path, -1, -1);         \
    return next(path, flags);             \
  }
OPEN_CHECKED(__open_2)
OPEN_CHECKED(__open64_2)

#define MAKE_TEMPORARY(name)        \
  int name(char* path, int flags) { \
    NEXT(name);                     \
    FAIL_IF(kOpen, path, -1, -1);   \
    return next(path, flags);       \
  }
MAKE_TEMPORARY(mkostemp)
MAKE_TEMPORARY(mkostemp64)

#define FOPEN(name)                                \
  FILE* name(const char* path, const char* mode) { \
    NEXT(name);                                    \
    FAIL_IF(kOpen, path, -1, NULL);                \
    return next(path, mode);                       \
  }
FOPEN(fopen)
FOPEN(fopen64)

DIR* opendir(const char* path) {
  NEXT(opendir);
  FAIL_IF(kOpen, path, -1, NULL);
  return next(path);
}

// ---- memory ------------------------------------------------------------------------------------

#define MMAP(name, offset_type)                                                                \
  void* name(void* at, size_t length, int protection, int flags, int fd, offset_type offset) { \
    NEXT(name);                                                                                \
    FAIL_IF(kMmap, NULL, fd, MAP_FAILED);                                                      \
    return next(at, length, protection, flags, fd, offset);                                    \
  }
MMAP(mmap, off_t)
MMAP(mmap64, off64_t)

int madvise(void* at, size_t length, int advice) {
  NEXT(madvise);
  FAIL_IF(kMadvise, NULL, -1, -1);
  return next(at, length, advice);
}

// Not by name: looking a name up allocates.
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* block, size_t size);
void* __libc_memalign(size_t alignment, size_t size);

void* malloc(size_t size) {
  FAIL_IF(kMalloc, NULL, -1, NULL);
  return __libc_malloc(size);
}

void* calloc(size_t count, size_t size) {
  FAIL_IF(kMalloc, NULL, -1, NULL);
  return __libc_calloc(count, size);
}

void* realloc(void* block, size_t size) {
  FAIL_IF(kMalloc, NULL, -1, NULL);
  return __libc_realloc(block, size);
}

void* aligned_alloc(size_t alignment, size_t size) {
  FAIL_IF(kMalloc, NULL, -1, NULL);
  return __libc_memalign(alignment, size);
}

int posix_memalign(void** block, size_t alignment, size_t size) {
  if (fault(kMalloc, NULL, -1) != 0) return ENOMEM;
  void* made = __libc_memalign(alignment, size);
  if (made == NULL) return ENOMEM;
  *block = made;
  return 0;
}
