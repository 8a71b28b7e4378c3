// A store in memory on a bad disk: some blocks cannot be found for a moment, some bytes do not
// match their checksums, some reads fail. What it gives without an error is right.
#include <dbsa/sdk/kv_store.h>

#include <atomic>
#include <cstring>
#include <map>
#include <mutex>

namespace dbsa {
namespace {

struct Block {
  dbsa_kv_format format{};
  std::vector<unsigned char> memory;
  std::vector<const void*> planes;
};

// True for one call in `every`, whichever thread it comes from.
bool strikes(std::atomic<uint64_t>& calls, uint64_t every) {
  return calls.fetch_add(1, std::memory_order_relaxed) % every == every - 1;
}

class FlakyStore final : public KvStore {
 public:
  static constexpr uint32_t kRevision = 1;
  static Result<std::unique_ptr<FlakyStore>> create(Host, const Config&) {
    return std::make_unique<FlakyStore>();
  }

  class FlakyLease final : public KvStore::Lease {
   public:
    FlakyLease(FlakyStore& store, std::shared_ptr<const Block> block)
        : store_(store), block_(std::move(block)) {}
    const dbsa_kv_format& format() const override { return block_->format; }
    const void* const* planes() const override { return block_->planes.data(); }
    Result<uint64_t> verify(uint32_t) override {
      if (strikes(store_.verified_, 23))
        return Error{ErrorCode::kCorrupt, "a plane does not match its checksum", ""};
      return uint64_t{0};
    }

   private:
    FlakyStore& store_;
    std::shared_ptr<const Block> block_;
  };

  Result<bool> contains(const KvKey& key) override {
    const std::lock_guard lock(mutex_);
    return blocks_.contains(key.hex());
  }
  Result<std::unique_ptr<Lease>> get(const KvKey& key) override {
    if (strikes(got_, 7)) return Error{ErrorCode::kNotFound, "the block is not there now", ""};
    if (strikes(read_, 11)) return Error{ErrorCode::kEnvironment, "input/output error", ""};
    const std::lock_guard lock(mutex_);
    const auto found = blocks_.find(key.hex());
    if (found == blocks_.end()) return Error{ErrorCode::kNotFound, "no such block", ""};
    return std::unique_ptr<Lease>(std::make_unique<FlakyLease>(*this, found->second));
  }
  Status put(const KvKey& key, const dbsa_kv_format& format,
             std::span<const void* const> planes) override {
    auto block = std::make_shared<Block>();
    block->format = format;
    block->memory.resize(format.layers * format.plane_bytes + 64);
    auto* at = block->memory.data();
    at += 64 - reinterpret_cast<uintptr_t>(at) % 64;
    for (const void* plane : planes) {
      std::memcpy(at, plane, format.plane_bytes);
      block->planes.push_back(at);
      at += format.plane_bytes;
    }
    const std::lock_guard lock(mutex_);
    blocks_[key.hex()] = std::move(block);
    return {};
  }
  Status publish() override { return {}; }
  Status discard(const KvKey& key) override {
    const std::lock_guard lock(mutex_);
    blocks_.erase(key.hex());
    return {};
  }
  Status list(const std::function<bool(const KvEntry&)>&) override { return {}; }
  Status check(const std::function<void(const KvFault&)>&) override { return {}; }
  Result<uint64_t> collect(uint64_t, bool, const Dropped&) override { return uint64_t{0}; }
  Result<uint64_t> compact() override { return uint64_t{0}; }
  Result<dbsa_kv_stats> stats() override {
    dbsa_kv_stats stats = {};
    stats.struct_size = sizeof stats;
    stats.free_bytes = uint64_t{1} << 40;
    return stats;
  }
  Status pool_put(const KvPool&) override { return {}; }
  Result<KvPool> pool_get(const std::string& id) override {
    return Error{ErrorCode::kNotFound, "no pool " + id, ""};
  }
  Result<std::vector<KvPool>> pool_list() override { return std::vector<KvPool>(); }
  Status pool_drop(const std::string& id) override {
    return Error{ErrorCode::kNotFound, "no pool " + id, ""};
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const Block>> blocks_;
  std::atomic<uint64_t> got_{0}, read_{0}, verified_{0};
};

}  // namespace
}  // namespace dbsa

DBSA_PLUGIN(dbsa::FlakyStore);
