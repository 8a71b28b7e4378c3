// What this machine can do: the ceilings that other benches measure themselves against.
#include <fcntl.h>
#include <gflags/gflags.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "bench/support/bench.h"
#include "bench/support/ceilings.h"
#include "config/stopwatch.h"

DECLARE_string(folder);
DEFINE_int64(file_mib, 1024, "size of the file that is read; 0: leave it out");

namespace dbsa::bench {
namespace {

class File {
 public:
  explicit File(int64_t bytes) : bytes_(bytes) {
    std::string path = FLAGS_folder + "/dbsa-bench-XXXXXX";
    descriptor_ = ::mkostemp(path.data(), O_CLOEXEC);
    if (descriptor_ < 0) give_up(FLAGS_folder + ": cannot make a file there");
    ::unlink(path.c_str());
    std::vector<uint64_t> words(1 << 17);
    std::mt19937_64 random(1);
    for (int64_t at = 0; at < bytes; at += static_cast<int64_t>(words.size()) * 8) {
      for (uint64_t& word : words) word = random();
      if (::write(descriptor_, words.data(), words.size() * 8) !=
          static_cast<ssize_t>(words.size() * 8))
        give_up(FLAGS_folder + ": the disk is full");
    }
    ::fsync(descriptor_);
  }
  ~File() { ::close(descriptor_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  void forget() const { ::posix_fadvise(descriptor_, 0, 0, POSIX_FADV_DONTNEED); }

  double pread_rate(std::vector<char>& into) const {
    const Stopwatch clock;
    for (int64_t at = 0; at < bytes_; at += static_cast<int64_t>(into.size()))
      if (::pread(descriptor_, into.data(), into.size(), at) <= 0) give_up("pread failed");
    return static_cast<double>(bytes_) / clock.seconds();
  }

  // Maps the file, makes its pages present if `populate`, and reads them `times` times; the rate of
  // the last time.
  double map_rate(bool populate, int times) const {
    Stopwatch clock;
    void* at = ::mmap(nullptr, static_cast<size_t>(bytes_), PROT_READ, MAP_SHARED, descriptor_, 0);
    if (at == MAP_FAILED) give_up("the file cannot be mapped");
#ifdef MADV_POPULATE_READ
    if (populate) ::madvise(at, static_cast<size_t>(bytes_), MADV_POPULATE_READ);
#endif
    double seconds = 0;
    for (int i = 0; i < times; ++i) {
      read_all(static_cast<const char*>(at), bytes_);
      seconds = clock.seconds();
      clock = Stopwatch();
    }
    ::munmap(at, static_cast<size_t>(bytes_));
    return static_cast<double>(bytes_) / seconds;
  }

 private:
  int64_t bytes_;
  int descriptor_ = -1;
};

void add_file_rows(Report& report) {
  const int64_t bytes = FLAGS_file_mib << 20;
  const File file(bytes);
  std::vector<char> into(4 << 20);
  std::memset(into.data(), 1, into.size());
  const auto row = [&](const char* name, double rate) {
    report.add({.name = name, .value = rate / 1e9, .unit = "GB/s"});
  };
  row("file, cached: pread, 4 MiB at once", (file.pread_rate(into), file.pread_rate(into)));
  row("file, cached: new mapping, read in place", file.map_rate(false, 1));
  row("file, cached: kept mapping, read in place", file.map_rate(false, 2));
  file.forget();
  row("file, not cached: pread, 4 MiB at once", file.pread_rate(into));
  file.forget();
  row("file, not cached: new mapping, read in place", file.map_rate(false, 1));
  file.forget();
  row("file, not cached: new mapping, populated, read", file.map_rate(true, 1));
}

int run(int argc, char** argv) {
  Report report("bench_ceilings", "What this machine can do", &argc, &argv);
  std::vector<int> counts = {1};
  if (report.threads() > 1) counts.push_back(report.threads());
  for (const int threads : counts) {
    const std::string on =
        threads == 1 ? ", 1 thread" : ", " + std::to_string(threads) + " threads";
    const auto peak = [&](const char* name, Peak which) {
      if (const auto rate = peak_rate(which, threads))
        report.add({.name = name + on, .value = *rate / 1e9, .unit = "GFLOP/s"});
    };
    peak("float32 multiply-add", Peak::kF32);
    peak("bfloat16 dot product", Peak::kDot);
    peak("bfloat16 tiles (AMX)", Peak::kAmx);
    const auto read = [&](const char* name, int64_t bytes) {
      report.add({.name = name + on, .value = read_rate(bytes, threads) / 1e9, .unit = "GB/s"});
    };
    read("read 16 KiB (first-level cache)", 16 << 10);
    read("read 512 KiB (second level)", 512 << 10);
    read("read 16 MiB (third level)", 16 << 20);
    read("read memory", memory_buffer_bytes());
    report.add({.name = "copy memory" + on,
                .value = copy_rate(memory_buffer_bytes() / 2, threads) / 1e9,
                .unit = "GB/s"});
  }
  if (FLAGS_file_mib > 0) add_file_rows(report);
  return report.finish();
}

}  // namespace
}  // namespace dbsa::bench

int main(int argc, char** argv) { return dbsa::bench::run(argc, argv); }
