// A preload library that makes the n-th call of a kind fail, to see what a program makes of it.
//
//   LD_PRELOAD=libdbsa_fault_shim.so DBSA_FAULT_REPORT=FILE   counts calls
//   DBSA_FAULT_CALL=pwrite     the kind of call, one of kNames below
//   DBSA_FAULT_AT=3            the third of these fails, and no other
//   DBSA_FAULT_ERROR=ENOSPC    how: a name of kErrors below, or `short` (half of the bytes are
//                              read or written); with + at the end all later calls fail, too
//   DBSA_FAULT_CHILDREN=1      processes that the program starts count and fail, too
//
// The report is mapped, so that it is whole however the process ends; its layout is struct Report.
// What libc calls inside itself cannot be wrapped: what fopen, fwrite and fclose do to the file.
// So fopen counts as open, fclose as close, and standard output is for the driver to close or fill.
// Standard error takes no part: it is what a failure is told on.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault.h"

static const char* const kNames[kCalls] = {
    "write",   "pwrite", "fsync", "fdatasync", "rename",    "link",  "unlink",
    "mkdir",   "open",   "close", "ftruncate", "fallocate", "flock", "mmap",
    "madvise", "read",   "pread", "readdir",   "stat",      "malloc"};

static const struct {
  const char* name;
  int code;
} kErrors[] = {{"EIO", EIO},
               {"ENOSPC", ENOSPC},
               {"EINTR", EINTR},
               {"EMFILE", EMFILE},
               {"ENOMEM", ENOMEM},
               {"EDQUOT", EDQUOT},
               {"EAGAIN", EAGAIN},
               {"ENOLCK", ENOLCK},
               {"EACCES", EACCES},
               {"EROFS", EROFS},
               {"EINVAL", EINVAL},
               {"EFAULT", EFAULT},
               {"EOPNOTSUPP", EOPNOTSUPP},
               {"short", kShort}};

struct Report {
  struct {
    char name[16];
    _Atomic uint64_t count;
  } calls[kCalls];
  _Atomic uint64_t reached;  // how many calls failed
  char trace[8192];          // of the first: what it was on, then "library+0xoffset" a line
};

static struct Report* report;  // null: nothing is counted
static int wanted = -1;        // a Call
static uint64_t wanted_at;
static int wanted_error;
static bool and_later;
// Inside this library: its own calls are not counted. Initial-exec, so that malloc may read it.
static __thread int inside __attribute__((tls_model("initial-exec")));

// ---- set-up ------------------------------------------------------------------------------------

static void refuse(const char* what, const char* found) {
  fprintf(stderr, "fault_shim: %s, got \"%s\"\n", what, found == NULL ? "" : found);
  _exit(125);
}

static void stop_in_child(void) { report = NULL; }

static void read_wish(const char* name) {
  for (int i = 0; i < kCalls; ++i)
    if (strcmp(name, kNames[i]) == 0) wanted = i;
  if (wanted < 0) refuse("DBSA_FAULT_CALL must be a kind of call", name);
  const char* at = getenv("DBSA_FAULT_AT");
  wanted_at = at == NULL ? 0 : strtoull(at, NULL, 10);
  if (wanted_at == 0) refuse("DBSA_FAULT_AT must be a number from 1", at);
  const char* error = getenv("DBSA_FAULT_ERROR");
  const size_t length = error == NULL ? 0 : strcspn(error, "+");
  for (size_t i = 0; i < sizeof kErrors / sizeof *kErrors; ++i)
    if (length > 0 && strlen(kErrors[i].name) == length &&
        strncmp(kErrors[i].name, error, length) == 0)
      wanted_error = kErrors[i].code;
  if (wanted_error == 0) refuse("DBSA_FAULT_ERROR must be a known error", error);
  and_later = error[length] == '+';
}

__attribute__((constructor)) static void start(void) {
  const char* path = getenv("DBSA_FAULT_REPORT");
  if (path == NULL) return;
  ++inside;
  const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0 || ftruncate(fd, sizeof(struct Report)) != 0)
    refuse("DBSA_FAULT_REPORT must be a file that can be written", path);
  void* mapped = mmap(NULL, sizeof(struct Report), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (mapped == MAP_FAILED) refuse("DBSA_FAULT_REPORT must be a file that can be mapped", path);
  close(fd);
  struct Report* mine = mapped;
  for (int i = 0; i < kCalls; ++i) strncpy(mine->calls[i].name, kNames[i], 15);
  const char* call = getenv("DBSA_FAULT_CALL");
  if (call != NULL) read_wish(call);
  void* frame;
  backtrace(&frame, 1);  // loads what it needs now
  if (getenv("DBSA_FAULT_CHILDREN") == NULL) {
    pthread_atfork(NULL, NULL, stop_in_child);
    static const char* const kOwn[] = {"LD_PRELOAD", "DBSA_FAULT_REPORT", "DBSA_FAULT_CALL",
                                       "DBSA_FAULT_AT", "DBSA_FAULT_ERROR"};
    for (size_t i = 0; i < sizeof kOwn / sizeof *kOwn; ++i) unsetenv(kOwn[i]);
  }
  --inside;
  report = mine;
}

// ---- the decision ------------------------------------------------------------------------------

static void write_trace(const char* path, int fd) {
  char* out = report->trace;
  const char* end = out + sizeof report->trace;
  char link[64], target[512];
  if (path == NULL && fd >= 0) {
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t length = readlink(link, target, sizeof target - 1);
    target[length < 0 ? 0 : length] = '\0';
    path = target;
  }
  out += snprintf(out, (size_t)(end - out), "%s\n", path == NULL ? "" : path);
  void* frames[40];
  const int count = backtrace(frames, 40);
  for (int i = 0; i < count && out < end; ++i) {
    Dl_info info;
    if (dladdr(frames[i], &info) == 0 || info.dli_fname == NULL) continue;
    out += snprintf(out, (size_t)(end - out), "%s+0x%llx\n", info.dli_fname,
                    (unsigned long long)((char*)frames[i] - (char*)info.dli_fbase));
  }
}

int fault(enum Call call, const char* path, int fd) {
  if (report == NULL || inside || fd == STDERR_FILENO) return 0;
  const uint64_t n = atomic_fetch_add(&report->calls[call].count, 1) + 1;
  if ((int)call != wanted || n < wanted_at || (n > wanted_at && !and_later)) return 0;
  ++inside;
  if (atomic_fetch_add(&report->reached, 1) == 0) write_trace(path, fd);
  --inside;
  return wanted_error;
}
