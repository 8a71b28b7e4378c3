// dbsa.kv_store.memory: blocks in RAM, gone with the process. Every block is one 64-byte aligned
// allocation; a view shares ownership of it, so dropping a block never pulls it from under a
// reader.
#include <dbsa/sdk/kv_store.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <limits>
#include <map>
#include <shared_mutex>
#include <unordered_map>
#include <unordered_set>

namespace dbsa {
namespace {

struct FreeDeleter {
  void operator()(void* memory) const { std::free(memory); }
};

struct Block {
  dbsa_kv_format format{};
  uint64_t bytes = 0;  // of the allocation
  int64_t created_unix_s = 0;
  uint64_t order = 0;  // of arrival
  std::unique_ptr<uint8_t, FreeDeleter> memory;
  std::vector<const void*> planes;  // [layers]
};

class MemoryLease final : public KvStore::Lease {
 public:
  explicit MemoryLease(std::shared_ptr<const Block> block) : block_(std::move(block)) {}
  const dbsa_kv_format& format() const override { return block_->format; }
  const void* const* planes() const override { return block_->planes.data(); }
  // Memory has no checksum: what is here was copied by this process.
  Result<uint64_t> verify(uint32_t plane) override {
    if (plane < block_->planes.size()) return uint64_t{0};
    return Error{ErrorCode::kInvalidArgument,
                 "plane " + std::to_string(plane) + " of a block that has " +
                     std::to_string(block_->planes.size()),
                 ""};
  }

 private:
  std::shared_ptr<const Block> block_;
};

class MemoryStore final : public KvStore {
 public:
  static constexpr uint32_t kRevision = 1;

  static Result<std::unique_ptr<MemoryStore>> create(Host, const Config& config) {
    DBSA_ASSIGN_OR_RETURN(const uint64_t max_bytes, config.get<uint64_t>("max_bytes"));
    return std::make_unique<MemoryStore>(max_bytes);
  }

  explicit MemoryStore(uint64_t max_bytes) : max_bytes_(max_bytes) {}

  Result<bool> contains(const KvKey& key) override {
    std::shared_lock lock(mutex_);
    return blocks_.contains(key);
  }

  Result<std::unique_ptr<Lease>> get(const KvKey& key) override {
    std::shared_lock lock(mutex_);
    const auto found = blocks_.find(key);
    if (found == blocks_.end())
      return Error{ErrorCode::kNotFound, "no block " + key.hex() + " in memory", ""};
    return std::unique_ptr<Lease>(std::make_unique<MemoryLease>(found->second));
  }

  Status put(const KvKey& key, const dbsa_kv_format& format,
             std::span<const void* const> planes) override {
    std::unique_lock lock(mutex_);
    if (blocks_.contains(key)) return {};
    DBSA_ASSIGN_OR_RETURN(std::shared_ptr<Block> block, allocate(key, format));
    for (uint32_t i = 0; i < format.layers; ++i)
      std::memcpy(const_cast<void*>(block->planes[i]), planes[i], format.plane_bytes);
    block->created_unix_s = std::time(nullptr);
    block->order = next_order_++;
    stored_bytes_ += block->bytes;
    blocks_.emplace(key, std::move(block));
    return {};
  }

  Status publish() override { return {}; }

  Status discard(const KvKey& key) override {
    std::unique_lock lock(mutex_);
    if (const auto found = blocks_.find(key); found != blocks_.end()) erase(found);
    return {};
  }

  Status list(const std::function<bool(const KvEntry&)>& entry) override {
    std::vector<KvEntry> entries;
    {
      std::shared_lock lock(mutex_);
      entries.reserve(blocks_.size());
      for (const auto& [key, block] : blocks_) entries.push_back(entry_of(key, *block));
    }
    for (const KvEntry& one : entries)
      if (!entry(one)) break;
    return {};
  }

  Status check(const std::function<void(const KvFault&)>&) override { return {}; }

  Result<uint64_t> collect(uint64_t max_bytes, bool dry_run, const Dropped& dropped) override {
    std::unique_lock lock(mutex_);
    std::unordered_set<KvKey, KvKeyHash> keep;
    for (const auto& [id, pool] : pools_) keep.insert(pool.keys.begin(), pool.keys.end());
    std::vector<std::pair<uint64_t, KvKey>> candidates;  // by order of arrival
    for (const auto& [key, block] : blocks_)
      if (!keep.contains(key)) candidates.emplace_back(block->order, key);
    std::sort(candidates.begin(), candidates.end());
    uint64_t freed = 0;
    for (const auto& [order, key] : candidates) {
      const uint64_t left = dry_run ? stored_bytes_ - freed : stored_bytes_;
      if (max_bytes != 0 && left <= max_bytes) break;
      const auto block = blocks_.find(key);
      dropped(entry_of(key, *block->second));
      freed += block->second->bytes;
      if (!dry_run) erase(block);
    }
    return freed;
  }

  Result<uint64_t> compact() override { return uint64_t{0}; }

  Result<dbsa_kv_stats> stats() override {
    std::shared_lock lock(mutex_);
    dbsa_kv_stats stats = {};
    stats.struct_size = sizeof stats;
    stats.blocks = blocks_.size();
    stats.stored_bytes = stored_bytes_;
    stats.max_bytes = max_bytes_;
    stats.free_bytes = static_cast<uint64_t>(sysconf(_SC_AVPHYS_PAGES)) *
                       static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    return stats;
  }

  Status pool_put(const KvPool& pool) override {
    std::unique_lock lock(mutex_);
    KvPool& kept = pools_[pool.id] = pool;
    kept.changed_unix_s = std::time(nullptr);
    kept.location = "memory";
    return {};
  }

  Result<KvPool> pool_get(const std::string& id) override {
    std::shared_lock lock(mutex_);
    const auto found = pools_.find(id);
    if (found == pools_.end()) return no_pool(id);
    return found->second;
  }

  Result<std::vector<KvPool>> pool_list() override {
    std::shared_lock lock(mutex_);
    std::vector<KvPool> all;
    for (const auto& [id, pool] : pools_)
      all.push_back({id, {}, {}, pool.changed_unix_s, pool.location});
    return all;
  }

  Status pool_drop(const std::string& id) override {
    std::unique_lock lock(mutex_);
    if (pools_.erase(id) == 0) return no_pool(id);
    return {};
  }

 private:
  using Blocks = std::unordered_map<KvKey, std::shared_ptr<const Block>, KvKeyHash>;

  Result<std::shared_ptr<Block>> allocate(const KvKey& key, const dbsa_kv_format& format) const {
    constexpr uint64_t kAlign = DBSA_KV_PLANE_ALIGNMENT;
    if (format.layers == 0 || format.plane_bytes == 0 ||
        format.plane_bytes > (uint64_t{1} << 62) / format.layers - kAlign)
      return Error{ErrorCode::kInvalidArgument,
                   "block " + key.hex() + " has " + std::to_string(format.layers) + " layers of " +
                       std::to_string(format.plane_bytes) + " bytes",
                   ""};
    const uint64_t stride = (format.plane_bytes + kAlign - 1) / kAlign * kAlign;
    auto block = std::make_shared<Block>();
    block->format = format;
    block->bytes = stride * format.layers;
    if (max_bytes_ != 0 && block->bytes > max_bytes_ - std::min(max_bytes_, stored_bytes_))
      return Error{ErrorCode::kEnvironment,
                   "memory: block " + key.hex() + " needs " + std::to_string(block->bytes) +
                       " bytes, " + std::to_string(stored_bytes_) + " of " +
                       std::to_string(max_bytes_) +
                       " allowed bytes are used; raise kv_store.max_bytes (0: no bound)",
                   ""};
    block->memory.reset(static_cast<uint8_t*>(std::aligned_alloc(kAlign, block->bytes)));
    if (block->memory == nullptr)
      return Error{ErrorCode::kEnvironment,
                   "memory: no room for block " + key.hex() + ", which needs " +
                       std::to_string(block->bytes) + " bytes",
                   ""};
    for (uint32_t i = 0; i < format.layers; ++i)
      block->planes.push_back(block->memory.get() + i * stride);
    return block;
  }

  static KvEntry entry_of(const KvKey& key, const Block& block) {
    return {key, block.format, block.bytes, block.created_unix_s, "memory"};
  }

  static Error no_pool(const std::string& id) {
    return {ErrorCode::kNotFound, "memory: no pool " + id, ""};
  }

  void erase(Blocks::const_iterator at) {
    stored_bytes_ -= at->second->bytes;
    blocks_.erase(at);
  }

  const uint64_t max_bytes_;  // 0: no bound
  mutable std::shared_mutex mutex_;
  Blocks blocks_;
  std::map<std::string, KvPool> pools_;
  uint64_t stored_bytes_ = 0;
  uint64_t next_order_ = 0;
};

}  // namespace
}  // namespace dbsa

DBSA_PLUGIN(dbsa::MemoryStore);
