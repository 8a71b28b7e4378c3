// The HDF5 store: writing blocks, finding them, and reading them cached and not, against memory and
// against reading the same files.
#include <fcntl.h>
#include <gflags/gflags.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "bench/support/bench.h"
#include "bench/support/ceilings.h"
#include "bench/support/inputs.h"
#include "bench/support/plugins.h"
#include "config/stopwatch.h"
#include "host/kv_store.h"

DEFINE_int64(blocks, 64, "blocks in the store");
DEFINE_int64(block_tokens, 1024, "tokens of a block");
DEFINE_int32(layers, 12, "layers of the model");
DEFINE_int32(kv_heads, 4, "KV heads of the model");
DEFINE_int32(head_dim, 64, "size of a head");

namespace dbsa::bench {
namespace {

namespace fs = std::filesystem;

dbsa_kv_format block_format() {
  dbsa_kv_format format = {};
  format.struct_size = sizeof format;
  format.layout = DBSA_KV_LAYOUT_TOKEN_MAJOR;
  format.dtype = DBSA_KV_DTYPE_BF16;
  format.layers = static_cast<uint32_t>(FLAGS_layers);
  format.kv_heads = static_cast<uint32_t>(FLAGS_kv_heads);
  format.head_dim = static_cast<uint32_t>(FLAGS_head_dim);
  format.tokens = static_cast<uint64_t>(FLAGS_block_tokens);
  format.plane_bytes = 2 * 2 * format.kv_heads * format.head_dim * format.tokens;
  return format;
}

KvKey key_of(int64_t block) {
  KvKey key;
  std::mt19937_64 random(static_cast<uint64_t>(block));
  for (uint8_t& byte : key.bytes) byte = static_cast<uint8_t>(random());
  return key;
}

class Bench {
 public:
  explicit Bench(Report& report)
      : report_(report), plugins_(report.threads()), format_(block_format()) {
    planes_.resize(static_cast<size_t>(format_.layers));
    std::mt19937_64 random(1);
    for (std::vector<uint64_t>& plane : planes_) {
      plane.resize(format_.plane_bytes / 8);
      for (uint64_t& word : plane) word = random();
    }
    bytes_ = static_cast<double>(FLAGS_blocks) * static_cast<double>(format_.plane_bytes) *
             static_cast<double>(format_.layers);
  }

  void run() {
    {
      host::KvStore store = open();
      const Stopwatch clock;
      fill(store);
      add("write and publish", clock.seconds(), "", 0);
    }
    const double memory = read_rate(memory_buffer_bytes(), 1);
    {
      host::KvStore store = open();
      const Stopwatch clock;
      std::vector<host::KvStore::Lease> leases = find(store);
      report_.add({.name = "find a block, all of them once",
                   .value = clock.seconds() / static_cast<double>(FLAGS_blocks) * 1e6,
                   .unit = "us"});
      check(leases);
      add("cached: first touch, with verification", timed([&] { verify(leases); }),
          "reading memory", memory);
      host::KvStore in_memory = plugins_.create<host::KvStore>(DBSA_KIND_KV_STORE, "memory");
      fill(in_memory);
      std::vector<host::KvStore::Lease> kept = find(in_memory);
      // In turns, for the machine may change its pace.
      std::vector<double> mapped, held;
      for (int round = 0; round < 7; ++round) {
        mapped.push_back(timed([&] { read(leases); }));
        held.push_back(timed([&] { read(kept); }));
      }
      add("cached: read in place", median(mapped), "blocks in memory", bytes_ / median(held),
          1 / 1.05);
    }
    cold();
  }

 private:
  host::KvStore open() {
    return plugins_.create<host::KvStore>(DBSA_KIND_KV_STORE, "hdf5",
                                          {{"path", folder_.file("store")}});
  }
  void fill(host::KvStore& store) {
    for (int64_t block = 0; block < FLAGS_blocks; ++block) {
      planes_[0][0] = static_cast<uint64_t>(block);  // no two blocks are equal
      std::vector<const void*> planes;
      for (const std::vector<uint64_t>& plane : planes_) planes.push_back(plane.data());
      must(store.put(key_of(block), format_, planes));
    }
    must(store.publish());
  }
  static std::vector<host::KvStore::Lease> find(host::KvStore& store) {
    std::vector<host::KvStore::Lease> leases;
    for (int64_t block = 0; block < FLAGS_blocks; ++block)
      leases.push_back(must(store.get(key_of(block))));
    return leases;
  }
  // What is read is what was written.
  void check(const std::vector<host::KvStore::Lease>& leases) {
    for (int64_t block = 0; block < FLAGS_blocks; ++block) {
      planes_[0][0] = static_cast<uint64_t>(block);
      for (uint32_t layer = 0; layer < format_.layers; ++layer)
        if (std::memcmp(leases[static_cast<size_t>(block)].plane(layer), planes_[layer].data(),
                        format_.plane_bytes) != 0)
          give_up("block " + std::to_string(block) + " is not what was written");
    }
  }
  static void verify(const std::vector<host::KvStore::Lease>& leases) {
    for (const host::KvStore::Lease& lease : leases)
      for (uint32_t layer = 0; layer < lease.format().layers; ++layer) {
        if (layer + 1 < lease.format().layers) lease.fetch(layer + 1);
        must(lease.verify(layer));
      }
  }
  static void read(const std::vector<host::KvStore::Lease>& leases) {
    for (const host::KvStore::Lease& lease : leases)
      for (uint32_t layer = 0; layer < lease.format().layers; ++layer)
        read_all(static_cast<const char*>(lease.plane(layer)),
                 static_cast<int64_t>(lease.format().plane_bytes));
  }
  template <typename Body>
  static double timed(const Body& body) {
    const Stopwatch clock;
    body();
    return clock.seconds();
  }

  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(folder_.path()))
      if (entry.is_regular_file()) names.push_back(entry.path());
    return names;
  }
  void forget() const {
    for (const std::string& name : files()) {
      const int fd = ::open(name.c_str(), O_RDONLY);
      ::fsync(fd);
      ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
      ::close(fd);
    }
  }
  // Bytes a second that pread takes from the store's files, 4 MiB at once.
  double pread_rate() const {
    std::vector<char> into(4 << 20, 1);
    double bytes = 0;
    const Stopwatch clock;
    for (const std::string& name : files()) {
      const int fd = ::open(name.c_str(), O_RDONLY);
      for (off_t at = 0;;) {
        const ssize_t got = ::pread(fd, into.data(), into.size(), at);
        if (got <= 0) break;
        at += got;
        bytes += static_cast<double>(got);
      }
      ::close(fd);
    }
    return bytes / clock.seconds();
  }

  void cold() {
    std::vector<double> preads, verified;
    for (int round = 0; round < 3; ++round) {
      forget();
      preads.push_back(pread_rate());
      forget();
      host::KvStore store = open();
      verified.push_back(timed([&] { verify(find(store)); }));
    }
    add("not cached: find, load and verify", median(verified), "pread of the same files",
        median(preads), 0.9);
  }

  void add(const std::string& name, double seconds, const std::string& ceiling_name, double ceiling,
           std::optional<double> goal = {}) {
    Row row{.name = name, .value = bytes_ / seconds / 1e9, .unit = "GB/s", .goal = goal};
    row.ceiling_name = ceiling_name;
    if (ceiling > 0) row.ceiling = ceiling / 1e9;
    report_.add(row);
  }

  Report& report_;
  Folder folder_;
  Plugins plugins_;
  dbsa_kv_format format_;
  std::vector<std::vector<uint64_t>> planes_;
  double bytes_ = 0;  // of all blocks
};

int run(int argc, char** argv) {
  Report report("bench_store", "Blocks in the HDF5 store", &argc, &argv);
  Bench(report).run();
  return report.finish();
}

}  // namespace
}  // namespace dbsa::bench

int main(int argc, char** argv) { return dbsa::bench::run(argc, argv); }
