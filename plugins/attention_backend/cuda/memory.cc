#include "memory.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace dbsa::cuda {

Status check(cudaError_t code, const std::string& what) {
  if (code == cudaSuccess) return {};
  (void)cudaGetLastError();  // or the next launch reports it again
  return Error{code == cudaErrorMemoryAllocation ? ErrorCode::kEnvironment : ErrorCode::kRun,
               what + ": " + cudaGetErrorString(code), ""};
}

void* CudaAllocator::allocate(uint64_t bytes) {
  constexpr uint64_t kLeft = uint64_t{256} << 20;
  size_t free = 0, total = 0;
  if (cudaMemGetInfo(&free, &total) == cudaSuccess && free < bytes + kLeft) return nullptr;
  void* memory = nullptr;
  if (cudaMalloc(&memory, bytes) == cudaSuccess) return memory;
  (void)cudaGetLastError();
  return nullptr;
}

void CudaAllocator::free(void* memory) { (void)cudaFree(memory); }

std::string CudaAllocator::room() {
  size_t free = 0, total = 0;
  if (const cudaError_t code = cudaMemGetInfo(&free, &total); code != cudaSuccess)
    return std::string("and the GPU fails (") + cudaGetErrorString(code) + ")";
  return std::to_string(free >> 20) + " of " + std::to_string(total >> 20) + " MiB are free";
}

std::shared_ptr<DevicePool> make_gpu_pool(uint64_t limit) {
  return std::make_shared<DevicePool>(std::make_unique<CudaAllocator>(), limit);
}

Staging::~Staging() {
  for (Slot& slot : slots_) {
    if (slot.sent != nullptr) {
      (void)cudaEventSynchronize(slot.sent);
      (void)cudaEventDestroy(slot.sent);
    }
    if (slot.pinned != nullptr) (void)cudaFreeHost(slot.pinned);
  }
}

Status Staging::upload(cudaStream_t stream, const void* from, uint64_t bytes, void* to) {
  for (uint64_t at = 0; at < bytes; at += kMostBytes)
    DBSA_RETURN_IF_ERROR(upload_part(stream, static_cast<const char*>(from) + at,
                                     std::min(kMostBytes, bytes - at),
                                     static_cast<char*>(to) + at));
  return {};
}

Status Staging::upload_part(cudaStream_t stream, const void* from, uint64_t bytes, void* to) {
  Slot& slot = slots_[next_];
  next_ = (next_ + 1) % kSlots;
  if (slot.sent == nullptr) {
    DBSA_RETURN_IF_ERROR(
        check(cudaEventCreateWithFlags(&slot.sent, cudaEventDisableTiming), "creating an event"));
  } else {
    DBSA_RETURN_IF_ERROR(check(cudaEventSynchronize(slot.sent), "waiting for a copy"));
  }
  if (slot.bytes < bytes) {
    if (slot.pinned != nullptr) (void)cudaFreeHost(slot.pinned);
    slot.pinned = nullptr;
    slot.bytes = 0;
    const uint64_t size = std::bit_ceil(std::max<uint64_t>(bytes, 4096));
    DBSA_RETURN_IF_ERROR(check(cudaMallocHost(&slot.pinned, size), "allocating pinned memory"));
    slot.bytes = size;
  }
  std::memcpy(slot.pinned, from, bytes);
  DBSA_RETURN_IF_ERROR(
      check(cudaMemcpyAsync(to, slot.pinned, bytes, cudaMemcpyHostToDevice, stream),
            "copying to the GPU"));
  return check(cudaEventRecord(slot.sent, stream), "recording an event");
}

Transfers::~Transfers() {
  if (stream_ != nullptr) (void)cudaStreamSynchronize(stream_);
  for (Slot& slot : slots_) {
    if (slot.done != nullptr) {
      (void)cudaEventSynchronize(slot.done);
      (void)cudaEventDestroy(slot.done);
    }
    if (slot.pinned != nullptr) (void)cudaFreeHost(slot.pinned);
  }
  if (order_ != nullptr) (void)cudaEventDestroy(order_);
  if (stream_ != nullptr) (void)cudaStreamDestroy(stream_);
}

Status Transfers::open() {
  if (stream_ == nullptr)
    DBSA_RETURN_IF_ERROR(
        check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "making a stream"));
  if (order_ == nullptr)
    DBSA_RETURN_IF_ERROR(
        check(cudaEventCreateWithFlags(&order_, cudaEventDisableTiming), "making an event"));
  return {};
}

Status Transfers::begin_after(cudaStream_t stream) {
  DBSA_RETURN_IF_ERROR(open());
  DBSA_RETURN_IF_ERROR(check(cudaEventRecord(order_, stream), "ordering copies"));
  return check(cudaStreamWaitEvent(stream_, order_, 0), "ordering copies");
}

Status Transfers::finish_before(cudaStream_t stream) {
  DBSA_RETURN_IF_ERROR(open());
  DBSA_RETURN_IF_ERROR(check(cudaEventRecord(order_, stream_), "ordering copies"));
  return check(cudaStreamWaitEvent(stream, order_, 0), "ordering copies");
}

// Waits for the slot's last copy and makes it hold `bytes`.
Status Transfers::ready(Slot& slot, uint64_t bytes) {
  if (slot.done == nullptr) {
    DBSA_RETURN_IF_ERROR(
        check(cudaEventCreateWithFlags(&slot.done, cudaEventDisableTiming), "making an event"));
  } else {
    DBSA_RETURN_IF_ERROR(check(cudaEventSynchronize(slot.done), "copying"));
  }
  if (bytes <= slot.bytes) return {};
  if (slot.pinned != nullptr) DBSA_RETURN_IF_ERROR(check(cudaFreeHost(slot.pinned), "copying"));
  slot.pinned = nullptr;
  slot.bytes = 0;
  DBSA_RETURN_IF_ERROR(check(cudaMallocHost(&slot.pinned, bytes), "allocating pinned memory"));
  slot.bytes = bytes;
  return {};
}

void Transfers::copy(const void* from, uint64_t bytes, void* to) const {
  constexpr uint64_t kPiece = uint64_t{256} << 10;
  const auto pieces = static_cast<int64_t>((bytes + kPiece - 1) / kPiece);
  host_.parallel_for(pieces, 1, [&](int64_t begin, int64_t end) {
    const uint64_t first = static_cast<uint64_t>(begin) * kPiece;
    std::memcpy(static_cast<char*>(to) + first, static_cast<const char*>(from) + first,
                std::min(bytes, static_cast<uint64_t>(end) * kPiece) - first);
  });
}

Status Transfers::upload(const void* from, uint64_t bytes, void* to) {
  DBSA_RETURN_IF_ERROR(open());
  for (uint64_t at = 0; at < bytes; at += kSlotBytes) {
    const uint64_t count = std::min(kSlotBytes, bytes - at);
    Slot& slot = slots_[next_];
    next_ = (next_ + 1) % kSlots;
    DBSA_RETURN_IF_ERROR(ready(slot, count));
    copy(static_cast<const char*>(from) + at, count, slot.pinned);
    DBSA_RETURN_IF_ERROR(check(cudaMemcpyAsync(static_cast<char*>(to) + at, slot.pinned, count,
                                               cudaMemcpyHostToDevice, stream_),
                               "copying to the GPU"));
    DBSA_RETURN_IF_ERROR(check(cudaEventRecord(slot.done, stream_), "copying to the GPU"));
  }
  return {};
}

Status Transfers::download(cudaStream_t stream, const void* from, uint64_t bytes, void* to) {
  const uint64_t parts = (bytes + kSlotBytes - 1) / kSlotBytes;
  const auto count = [&](uint64_t part) { return std::min(kSlotBytes, bytes - part * kSlotBytes); };
  const int first = next_;
  const auto slot_of = [&](uint64_t part) -> Slot& {
    return slots_[(static_cast<uint64_t>(first) + part) % kSlots];
  };
  const auto fetch = [&](uint64_t part) -> Status {
    Slot& slot = slot_of(part);
    DBSA_RETURN_IF_ERROR(ready(slot, count(part)));
    DBSA_RETURN_IF_ERROR(
        check(cudaMemcpyAsync(slot.pinned, static_cast<const char*>(from) + part * kSlotBytes,
                              count(part), cudaMemcpyDeviceToHost, stream),
              "copying from the GPU"));
    return check(cudaEventRecord(slot.done, stream), "copying from the GPU");
  };
  for (uint64_t part = 0; part < std::min<uint64_t>(parts, kSlots); ++part)
    DBSA_RETURN_IF_ERROR(fetch(part));
  for (uint64_t part = 0; part < parts; ++part) {
    Slot& slot = slot_of(part);
    DBSA_RETURN_IF_ERROR(check(cudaEventSynchronize(slot.done), "work on the GPU"));
    copy(slot.pinned, count(part), static_cast<char*>(to) + part * kSlotBytes);
    if (part + kSlots < parts) DBSA_RETURN_IF_ERROR(fetch(part + kSlots));
  }
  return {};
}

}  // namespace dbsa::cuda
