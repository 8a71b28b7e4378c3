#include "device_pool.h"

#include <algorithm>
#include <bit>

namespace dbsa::cuda {

namespace {

// Sizes that differ little share blocks: up to an eighth is left unused.
uint64_t rounded(uint64_t bytes) {
  const uint64_t least = std::max<uint64_t>(bytes, 256);
  const uint64_t step = std::max<uint64_t>(256, std::bit_floor(least) / 8);
  return (least + step - 1) / step * step;
}

std::string mib(uint64_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

}  // namespace

// ---- DevicePool -----------------------------------------------------------------------------

DevicePool::DevicePool(std::unique_ptr<DeviceAllocator> allocator, uint64_t limit)
    : allocator_(std::move(allocator)), limit_(limit) {}

DevicePool::~DevicePool() { free_kept(); }

Result<void*> DevicePool::take(uint64_t bytes) {
  std::lock_guard lock(mutex_);
  return take_locked(bytes);
}

void DevicePool::give(void* block, uint64_t bytes) {
  std::lock_guard lock(mutex_);
  give_locked(block, bytes);
}

uint64_t DevicePool::used() const {
  std::lock_guard lock(mutex_);
  return used_;
}

Result<void*> DevicePool::take_locked(uint64_t bytes) {
  const uint64_t size = rounded(bytes);
  void* block = nullptr;
  do {
    if (const auto found = kept_.find(size); found != kept_.end()) {
      block = found->second;
      kept_.erase(found);
    } else {
      block = allocate(size);
      if (block == nullptr && !kept_.empty()) {
        free_kept();
        block = allocate(size);
      }
    }
  } while (block == nullptr && drop_oldest());
  if (block == nullptr)
    return Error{ErrorCode::kEnvironment,
                 "the GPU has no room for " + mib(bytes) + " more: " + mib(used_) +
                     " are in use here, " + allocator_->room() +
                     (limit_ == 0 ? std::string() : ", memory_gib allows " + mib(limit_)) +
                     "; take fewer blocks, a smaller model.chunk_tokens, " +
                     (limit_ == 0 ? "or another GPU" : "a larger memory_gib, or another GPU"),
                 ""};
  used_ += size;
  return block;
}

void DevicePool::give_locked(void* block, uint64_t bytes) {
  const uint64_t size = rounded(bytes);
  used_ -= size;
  kept_.emplace(size, block);
}

void* DevicePool::allocate(uint64_t size) {
  if (limit_ != 0 && size > limit_ - std::min(limit_, held_)) return nullptr;
  void* block = allocator_->allocate(size);
  if (block != nullptr) held_ += size;
  return block;
}

void DevicePool::free_kept() {
  for (const auto& [size, block] : kept_) {
    allocator_->free(block);
    held_ -= size;
  }
  kept_.clear();
}

// Whether there was any to drop.
bool DevicePool::drop_oldest() {
  if (cached_.empty()) return false;
  CachedMemory* oldest = cached_.begin()->second;
  cached_.erase(cached_.begin());
  give_locked(std::exchange(oldest->data_, nullptr), oldest->bytes_);
  return true;
}

// ---- DeviceMemory ---------------------------------------------------------------------------

Result<DeviceMemory> DeviceMemory::make(const std::shared_ptr<DevicePool>& pool, uint64_t bytes) {
  DeviceMemory made;
  DBSA_ASSIGN_OR_RETURN(made.data_, pool->take(bytes));
  made.pool_ = pool;
  made.bytes_ = bytes;
  return made;
}

DeviceMemory& DeviceMemory::operator=(DeviceMemory&& other) noexcept {
  std::swap(pool_, other.pool_);
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

DeviceMemory::~DeviceMemory() {
  if (data_ != nullptr) pool_->give(data_, bytes_);
}

Status DeviceMemory::reserve(const std::shared_ptr<DevicePool>& pool, uint64_t bytes) {
  if (data_ != nullptr && bytes <= bytes_) return {};
  *this = DeviceMemory();
  DBSA_ASSIGN_OR_RETURN(*this, make(pool, bytes));
  return {};
}

// ---- CachedMemory ---------------------------------------------------------------------------

CachedMemory::CachedMemory(std::shared_ptr<DevicePool> pool, uint64_t bytes)
    : pool_(std::move(pool)), bytes_(bytes) {}

CachedMemory::~CachedMemory() {
  std::lock_guard lock(pool_->mutex_);
  pool_->cached_.erase({last_use_, this});
  if (data_ != nullptr) pool_->give_locked(data_, bytes_);
}

void CachedMemory::pin() {
  std::lock_guard lock(pool_->mutex_);
  if (pins_ == 0) pool_->cached_.erase({last_use_, this});
  ++pins_;
  last_use_ = ++pool_->uses_;
}

Result<bool> CachedMemory::reserve() {
  std::lock_guard lock(pool_->mutex_);
  if (data_ != nullptr) return true;
  DBSA_ASSIGN_OR_RETURN(data_, pool_->take_locked(bytes_));
  return false;
}

void CachedMemory::unpin() {
  std::lock_guard lock(pool_->mutex_);
  if (--pins_ == 0 && data_ != nullptr) pool_->cached_.emplace(last_use_, this);
}

}  // namespace dbsa::cuda
