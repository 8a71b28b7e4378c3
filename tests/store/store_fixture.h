// What the store tests share: a host, a store loaded through the C boundary, and blocks to store.
#pragma once

#include <dbsa/kv_store.h>
#include <dbsa/sdk/kv_store.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

namespace dbsa::store_test {

// The least a plugin needs: logs are kept, parallel_for runs in place.
class TestHost {
 public:
  TestHost() {
    host_.struct_size = sizeof host_;
    host_.context = this;
    host_.log = [](void* context, int32_t, const char* message) {
      auto& self = *static_cast<TestHost*>(context);
      std::lock_guard lock(self.mutex_);
      self.logs_.emplace_back(message);
    };
    host_.parallel_for = [](void*, int64_t count, int64_t, void (*body)(void*, int64_t, int64_t),
                            void* argument) {
      if (count > 0) body(argument, 0, count);
    };
    host_.thread_count = [](void*) { return 1; };
    host_.scratch = [](void*, int32_t, uint64_t) -> void* { return nullptr; };
    host_.cancelled = [](void* context) {
      return static_cast<TestHost*>(context)->cancel.load() ? 1 : 0;
    };
  }
  const dbsa_host* get() const { return &host_; }
  std::vector<std::string> logs() const {
    std::lock_guard lock(mutex_);
    return logs_;
  }
  std::atomic<bool> cancel = false;

 private:
  dbsa_host host_ = {};
  mutable std::mutex mutex_;
  std::vector<std::string> logs_;
};

inline const dbsa_plugin_table* load_plugin(const std::string& name) {
  const std::string path = std::string(DBSA_PLUGIN_DIR) + "/dbsa_kv_store_" + name + ".so";
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw std::runtime_error(dlerror());
  return static_cast<const dbsa_plugin_table*>(dlsym(library, DBSA_PLUGIN_SYMBOL));
}

// A block with contents that depend only on a seed.
struct TestBlock {
  KvKey key;
  dbsa_kv_format format{};
  std::vector<std::vector<uint8_t>> planes;
  std::vector<const void*> pointers() const {
    std::vector<const void*> result;
    for (const auto& plane : planes) result.push_back(plane.data());
    return result;
  }
};

inline TestBlock make_block(uint64_t seed, uint32_t layers = 3, uint64_t plane_bytes = 1000) {
  std::mt19937_64 random(seed);
  TestBlock block;
  for (uint8_t& byte : block.key.bytes) byte = static_cast<uint8_t>(random());
  block.format = {sizeof(dbsa_kv_format),
                  DBSA_KV_LAYOUT_CPU_PANELS,
                  DBSA_KV_DTYPE_BF16,
                  /*panel=*/64,
                  layers,
                  /*kv_heads=*/2,
                  /*head_dim=*/64,
                  /*reserved=*/0,
                  /*tokens=*/seed % 97 + 1,
                  plane_bytes,
                  /*scale_offset=*/0};
  for (uint32_t i = 0; i < layers; ++i) {
    std::vector<uint8_t> plane(plane_bytes);
    for (size_t at = 0; at < plane.size(); at += 8) {
      const uint64_t word = random();
      std::memcpy(plane.data() + at, &word, std::min<size_t>(8, plane.size() - at));
    }
    block.planes.push_back(std::move(plane));
  }
  return block;
}

// An error as the boundary gave it.
struct Outcome {
  int32_t code = DBSA_OK;
  std::string message;
  bool ok() const { return code == DBSA_OK; }
};
inline void PrintTo(const Outcome& outcome, std::ostream* out) {
  *out << "code " << outcome.code << ": " << outcome.message;
}

struct Fault {
  std::string key;  // empty: in no block
  std::string location;
  std::string message;
};
inline void PrintTo(const Fault& fault, std::ostream* out) { *out << fault.message; }

using Bytes = std::vector<uint8_t>;

inline Bytes read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(in), {});
}

inline void write_file(const std::filesystem::path& path, const Bytes& bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

// A store behind the C boundary.
class Store {
 public:
  // Throws std::runtime_error with the plugin's message when create fails.
  Store(const std::string& plugin, const nlohmann::json& config) : table_(load_plugin(plugin)) {
    if (const Outcome made = create(plugin, host_, config, &instance_); !made.ok())
      throw std::runtime_error(made.message);
    vtable_ = static_cast<const dbsa_kv_store_vtable*>(table_->vtable);
  }
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  ~Store() {
    if (instance_ != nullptr) table_->destroy(instance_);
  }

  static Outcome create(const std::string& plugin, const TestHost& host,
                        const nlohmann::json& config, void** instance) {
    dbsa_error error = {};
    error.struct_size = sizeof error;
    const int32_t code =
        load_plugin(plugin)->create(host.get(), config.dump().c_str(), instance, &error);
    return {code, code == DBSA_OK ? "" : error.message};
  }

  Outcome put(const TestBlock& block) {
    const auto pointers = block.pointers();
    return call([&](dbsa_error* error) {
      return vtable_->put(instance_, block.key.bytes.data(), &block.format, pointers.data(), error);
    });
  }
  Outcome publish() {
    return call([&](dbsa_error* error) { return vtable_->publish(instance_, error); });
  }
  Outcome discard(const KvKey& key) {
    return call(
        [&](dbsa_error* error) { return vtable_->discard(instance_, key.bytes.data(), error); });
  }
  bool contains(const KvKey& key) {
    int32_t found = 0;
    const Outcome outcome = call([&](dbsa_error* error) {
      return vtable_->contains(instance_, key.bytes.data(), &found, error);
    });
    EXPECT_EQ(outcome.message, "");
    return found != 0;
  }

  // An open view, released at its end.
  class View {
   public:
    View(Store* store, dbsa_kv_view view) : store_(store), view_(view) {}
    View(View&& other) noexcept
        : store_(std::exchange(other.store_, nullptr)), view_(other.view_) {}
    View& operator=(View&&) = delete;
    ~View() {
      if (store_ != nullptr) store_->vtable_->release(store_->instance_, view_.lease);
    }
    const dbsa_kv_view& operator*() const { return view_; }
    const dbsa_kv_view* operator->() const { return &view_; }
    Outcome verify(uint32_t plane, uint64_t* bytes) const {
      return call([&](dbsa_error* error) {
        return store_->vtable_->verify_plane(store_->instance_, view_.lease, plane, bytes, error);
      });
    }
    void fetch(uint32_t plane) const {
      if (store_->vtable_->fetch_plane != nullptr)
        store_->vtable_->fetch_plane(store_->instance_, view_.lease, plane);
    }
    // Checks every plane.
    Outcome verify() const {
      for (uint32_t i = 0; i < view_.format->layers; ++i) {
        uint64_t bytes = 0;
        if (Outcome outcome = verify(i, &bytes); !outcome.ok()) return outcome;
      }
      return {};
    }
    // Whether it holds exactly `block`, in alignment.
    bool equals(const TestBlock& block) const {
      const auto& f = *view_.format;
      const auto& g = block.format;
      if (f.layout != g.layout || f.dtype != g.dtype || f.panel != g.panel ||
          f.layers != g.layers || f.kv_heads != g.kv_heads || f.head_dim != g.head_dim ||
          f.tokens != g.tokens || f.plane_bytes != g.plane_bytes ||
          f.scale_offset != g.scale_offset)
        return false;
      for (uint32_t i = 0; i < f.layers; ++i)
        if (reinterpret_cast<uintptr_t>(view_.planes[i]) % DBSA_KV_PLANE_ALIGNMENT != 0 ||
            std::memcmp(view_.planes[i], block.planes[i].data(), f.plane_bytes) != 0)
          return false;
      return true;
    }

   private:
    Store* store_;
    dbsa_kv_view view_;
  };

  std::optional<View> get(const KvKey& key, Outcome* outcome = nullptr) {
    dbsa_kv_view view = {};
    view.struct_size = sizeof view;
    const Outcome result = call(
        [&](dbsa_error* error) { return vtable_->get(instance_, key.bytes.data(), &view, error); });
    if (outcome != nullptr) *outcome = result;
    if (!result.ok()) return std::nullopt;
    return View(this, view);
  }

  // Whether the store has exactly this block and its planes are sound.
  bool holds(const TestBlock& block) {
    const auto view = get(block.key);
    return view && view->equals(block) && view->verify().ok();
  }

  std::map<std::string, KvEntry> list() {
    std::map<std::string, KvEntry> entries;
    const dbsa_kv_entry_sink sink = {
        sizeof sink, &entries, [](void* context, const dbsa_kv_entry* entry) -> int32_t {
          const KvKey key = KvKey::from(entry->key);
          const bool added =
              static_cast<std::map<std::string, KvEntry>*>(context)
                  ->emplace(key.hex(), KvEntry{key, *entry->format, entry->stored_bytes,
                                               entry->created_unix_s, entry->location})
                  .second;
          EXPECT_TRUE(added) << "listed twice: " << key.hex();
          return DBSA_OK;
        }};
    const Outcome outcome =
        call([&](dbsa_error* error) { return vtable_->list(instance_, &sink, error); });
    EXPECT_EQ(outcome.message, "");
    return entries;
  }

  std::vector<Fault> check() {
    std::vector<Fault> faults;
    const dbsa_kv_fault_sink sink = {
        sizeof sink, &faults,
        [](void* context, const uint8_t* key, const char* location, const char* message) {
          static_cast<std::vector<Fault>*>(context)->push_back(
              {key != nullptr ? KvKey::from(key).hex() : "", location, message});
        }};
    const Outcome outcome =
        call([&](dbsa_error* error) { return vtable_->check(instance_, &sink, error); });
    EXPECT_EQ(outcome.message, "");
    return faults;
  }

  // With a pool "roots" of these blocks; without it for none. Keys of what was dropped are
  // appended.
  Outcome collect(const std::vector<KvKey>& roots, uint64_t max_bytes, uint64_t* freed,
                  bool dry_run = false, std::vector<KvKey>* dropped = nullptr) {
    const Outcome kept =
        roots.empty() ? pool_drop("roots") : pool_put({"roots", {1}, roots, 0, ""});
    if (!kept.ok() && kept.code != DBSA_ERROR_NOT_FOUND) return kept;
    return collect_unneeded(max_bytes, freed, dry_run, dropped);
  }
  // With the pools that there are.
  Outcome collect_unneeded(uint64_t max_bytes, uint64_t* freed, bool dry_run = false,
                           std::vector<KvKey>* dropped = nullptr) {
    std::vector<KvKey> told;
    const dbsa_kv_entry_sink sink = {
        sizeof sink, &told, [](void* context, const dbsa_kv_entry* entry) -> int32_t {
          static_cast<std::vector<KvKey>*>(context)->push_back(KvKey::from(entry->key));
          return DBSA_OK;
        }};
    Outcome outcome = call([&](dbsa_error* error) {
      return vtable_->collect(instance_, max_bytes, dry_run ? 1 : 0, &sink, freed, error);
    });
    if (dropped != nullptr) *dropped = told;
    return outcome;
  }

  Outcome pool_put(const KvPool& pool) {
    const dbsa_kv_pool out = sdk::to_abi(pool);
    return call([&](dbsa_error* error) { return vtable_->pool_put(instance_, &out, error); });
  }
  std::optional<KvPool> pool_get(const std::string& id, Outcome* outcome = nullptr) {
    std::vector<KvPool> pools;
    const dbsa_kv_pool_sink sink = pool_sink(pools);
    const Outcome got = call(
        [&](dbsa_error* error) { return vtable_->pool_get(instance_, id.c_str(), &sink, error); });
    if (outcome != nullptr) *outcome = got;
    if (!got.ok()) return std::nullopt;
    EXPECT_EQ(pools.size(), 1u);
    return pools.front();
  }
  std::vector<KvPool> pool_list() {
    std::vector<KvPool> pools;
    const dbsa_kv_pool_sink sink = pool_sink(pools);
    const Outcome listed =
        call([&](dbsa_error* error) { return vtable_->pool_list(instance_, &sink, error); });
    EXPECT_EQ(listed.message, "");
    return pools;
  }
  Outcome pool_drop(const std::string& id) {
    return call(
        [&](dbsa_error* error) { return vtable_->pool_drop(instance_, id.c_str(), error); });
  }
  Outcome compact(uint64_t* freed) {
    return call([&](dbsa_error* error) { return vtable_->compact(instance_, freed, error); });
  }
  dbsa_kv_stats stats() {
    dbsa_kv_stats stats = {};
    stats.struct_size = sizeof stats;
    const Outcome outcome =
        call([&](dbsa_error* error) { return vtable_->stats(instance_, &stats, error); });
    EXPECT_EQ(outcome.message, "");
    return stats;
  }
  TestHost& host() { return host_; }

 private:
  static dbsa_kv_pool_sink pool_sink(std::vector<KvPool>& pools) {
    return {sizeof(dbsa_kv_pool_sink), &pools,
            [](void* context, const dbsa_kv_pool* pool) -> int32_t {
              static_cast<std::vector<KvPool>*>(context)->push_back(sdk::from_abi(*pool));
              return DBSA_OK;
            }};
  }

  template <typename Call>
  static Outcome call(Call&& function) {
    dbsa_error error = {};
    error.struct_size = sizeof error;
    const int32_t code = function(&error);
    return {code, code == DBSA_OK ? "" : error.message};
  }

  TestHost host_;
  const dbsa_plugin_table* table_;
  const dbsa_kv_store_vtable* vtable_ = nullptr;
  void* instance_ = nullptr;
};

// A folder that is removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "dbsa-store-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make " + name);
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// The configuration of an HDF5 store that publishes only when told to.
inline nlohmann::json hdf5_config(const std::filesystem::path& path) {
  return {{"path", path.string()},
          {"max_bytes", 0},
          {"pack_bytes", 1 << 28},
          {"publish_interval_s", 1e9}};
}

inline std::vector<std::filesystem::path> files_in(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored))
    files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

// Holds a store's lock file as maintenance does.
class UniqueLock {
 public:
  explicit UniqueLock(const std::filesystem::path& file) : fd_(open(file.c_str(), O_RDWR)) {
    if (fd_ < 0 || flock(fd_, LOCK_EX | LOCK_NB) != 0)
      throw std::runtime_error("cannot lock " + file.string());
  }
  UniqueLock(const UniqueLock&) = delete;
  UniqueLock& operator=(const UniqueLock&) = delete;
  ~UniqueLock() { close(fd_); }

 private:
  int fd_;
};

// The seed of a randomised test: DBSA_TEST_SEED or a fresh one; printed.
inline uint64_t test_seed() {
  const char* given = std::getenv("DBSA_TEST_SEED");
  const uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::printf("DBSA_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

}  // namespace dbsa::store_test
