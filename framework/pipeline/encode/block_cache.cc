#include "pipeline/encode/block_cache.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "pipeline/encode/block_content.h"

namespace dbsa {
namespace {

uint64_t half_of_memory() {
  const long pages = ::sysconf(_SC_PHYS_PAGES), bytes = ::sysconf(_SC_PAGESIZE);
  if (pages <= 0 || bytes <= 0) return UINT64_MAX;
  return static_cast<uint64_t>(pages) * static_cast<uint64_t>(bytes) / 2;
}

bool is_unused(const std::shared_ptr<OpenBlock>& block) {
  return block.use_count() == 1 && !block->in_memory();
}

}  // namespace

OpenBlock::OpenBlock(KvKey key, host::KvStore::Lease lease, host::Kv kv)
    : key_(key),
      lease_(std::move(lease)),
      kv_(std::move(kv)),
      format_(lease_.format()),
      verified_(std::make_unique<std::atomic<bool>[]>(format_.layers)) {}

OpenBlock::OpenBlock(KvKey key, BlockPlanes planes, host::Kv kv)
    : key_(key), own_(std::move(planes)), kv_(std::move(kv)), format_(own_.format()) {}

uint64_t OpenBlock::bytes_of(const LayerSet& layers) const {
  return format_.plane_bytes *
         static_cast<uint64_t>(std::count(layers.begin(), layers.end(), true));
}

Status OpenBlock::verify(int32_t layer, const LayerSet& wanted) {
  const auto i = static_cast<size_t>(layer);
  if (in_memory() || !wanted[i] || verified_[i].load(std::memory_order_relaxed)) return {};
  const auto next = std::find(wanted.begin() + layer + 1, wanted.end(), true);
  if (next != wanted.end() &&
      !verified_[static_cast<size_t>(next - wanted.begin())].load(std::memory_order_relaxed))
    lease_.fetch(static_cast<uint32_t>(next - wanted.begin()));
  DBSA_ASSIGN_OR_RETURN([[maybe_unused]] const uint64_t bytes,
                        lease_.verify(static_cast<uint32_t>(layer)));
  verified_[i].store(true, std::memory_order_relaxed);
  return {};
}

Status OpenBlock::verify(const LayerSet& wanted) {
  for (size_t i = 0; i < wanted.size(); ++i)
    DBSA_RETURN_IF_ERROR(verify(static_cast<int32_t>(i), wanted));
  return {};
}

Status OpenBlock::verify_content(const LayerSet& wanted) {
  DBSA_RETURN_IF_ERROR(verify(wanted));
  if (in_memory()) return {};
  for (size_t i = 0; i < wanted.size(); ++i)
    if (wanted[i])
      DBSA_RETURN_IF_ERROR(
          check_finite(format_, static_cast<int32_t>(i), lease_.plane(static_cast<uint32_t>(i))));
  return {};
}

BlockCache::BlockCache(host::KvStore& store, host::AttentionBackend& backend, uint64_t most_bytes)
    : store_(store),
      backend_(backend),
      most_bytes_(most_bytes == 0 ? half_of_memory() : most_bytes) {}

Result<std::shared_ptr<OpenBlock>> BlockCache::open(const KvKey& key, int64_t tokens) {
  const std::lock_guard lock(mutex_);
  if (const auto found = blocks_.find(key); found != blocks_.end()) {
    ++counts_.found;
    order_.splice(order_.begin(), order_, found->second.used);
    return found->second.block;
  }
  DBSA_ASSIGN_OR_RETURN(host::KvStore::Lease lease, store_.get(key));
  DBSA_ASSIGN_OR_RETURN(const dbsa_kv_format expected, backend_.block_format(tokens));
  if (Status same = check_format(expected, lease.format()); !same.ok())
    return Error{ErrorCode::kCorrupt, "the stored block " + same.error().message, ""};
  const uint64_t bytes = expected.plane_bytes * expected.layers;
  drop_beyond(bytes < most_bytes_ ? most_bytes_ - bytes : 0);
  DBSA_ASSIGN_OR_RETURN(host::Kv kv, backend_.block_import(lease.format(), lease.planes()));
  auto block = std::make_shared<OpenBlock>(key, std::move(lease), std::move(kv));
  insert(key, block);
  ++counts_.opened;
  return block;
}

Status BlockCache::keep(const KvKey& key, BlockPlanes planes) {
  DBSA_ASSIGN_OR_RETURN(host::Kv kv, backend_.block_import(planes.format(), planes.all().data()));
  const std::lock_guard lock(mutex_);
  insert(key, std::make_shared<OpenBlock>(key, std::move(planes), std::move(kv)));
  return {};
}

bool BlockCache::keeps(const KvKey& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = blocks_.find(key);
  return found != blocks_.end() && found->second.block->in_memory();
}

void BlockCache::drop_unused() {
  const std::lock_guard lock(mutex_);
  for (auto held = blocks_.begin(); held != blocks_.end();) {
    const auto next = std::next(held);
    if (is_unused(held->second.block)) erase(held);
    held = next;
  }
}

Status BlockCache::discard(const KvKey& key) {
  const std::lock_guard lock(mutex_);
  if (const auto held = blocks_.find(key); held != blocks_.end()) erase(held);
  return store_.discard(key);
}

BlockCacheCounts BlockCache::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

void BlockCache::insert(const KvKey& key, std::shared_ptr<OpenBlock> block) {
  if (const auto held = blocks_.find(key); held != blocks_.end()) erase(held);
  counts_.bytes += block->bytes();
  order_.push_front(key);
  blocks_.emplace(key, Held{std::move(block), order_.begin()});
}

void BlockCache::erase(Blocks::iterator held) {
  counts_.bytes -= held->second.block->bytes();
  ++counts_.dropped;
  order_.erase(held->second.used);
  blocks_.erase(held);
}

// Drops blocks that nobody uses, those first that were used longest ago, until at most `bytes`
// are left.
void BlockCache::drop_beyond(uint64_t bytes) {
  for (auto at = order_.end(); counts_.bytes > bytes && at != order_.begin();) {
    const auto held = blocks_.find(*--at);
    if (!is_unused(held->second.block)) continue;
    ++at;  // erase() takes the one before it
    erase(held);
  }
}

}  // namespace dbsa
