// Instructions that only Hopper has: barriers in shared memory, the bulk copy engine, wgmma.
//
// Tiles lie in shared memory as wgmma and the copy engine have them with a swizzle of 128 bytes:
// panels of 64 bfloat16 a row, 16-byte units of a row exchanged by the row's number.
#pragma once

#include "device.cuh"
#include "tensor_map.h"

#include <cstdint>

#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define DBSA_HOPPER 1
#else
#define DBSA_HOPPER 0
#endif

namespace dbsa::cuda {

constexpr int kGroupThreads = 128;  // of a warpgroup

#if DBSA_HOPPER

constexpr int kRowBytes = 128;  // of a panel
constexpr uint32_t kRows8 = 8 * kRowBytes;

__device__ inline void barrier_init(uint32_t barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}
// After barrier_init, before the block meets.
__device__ inline void barriers_are_set() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
__device__ inline void barrier_arrive(uint32_t barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}
__device__ inline void barrier_expect(uint32_t barrier, uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes)
               : "memory");
}
__device__ inline void barrier_wait(uint32_t barrier, uint32_t phase) {
  asm volatile(
      "{\n.reg .pred done;\n"
      "again:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@!done bra again;\n}\n" ::"r"(barrier),
      "r"(phase)
      : "memory");
}
__device__ inline void fetch_panel(uint32_t shared, const TensorMap* map, int column, int row,
                                   uint32_t barrier) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%2, %3}], [%4];" ::"r"(shared),
      "l"(map), "r"(column), "r"(row), "r"(barrier)
      : "memory");
}
// Among the threads of one warpgroup.
__device__ inline void group_barrier(int group) {
  asm volatile("bar.sync %0, 128;" ::"r"(group + 1) : "memory");
}

// Of a tile. Where rows run along the reduction (weights, activations, keys, queries) stride is
// from 8 rows to the next 8; where they run across it (values) leading is from panel to panel and
// stride from 8 tokens to the next 8.
class Descriptor {
 public:
  __device__ Descriptor(uint32_t shared, uint32_t leading, uint32_t stride)
      // By way of a shuffle: the compiler then knows that it is the same in all lanes.
      : low_(__shfl_sync(~0u, (shared & 0x3FFFF) >> 4 | leading >> 4 << 16, 0)),
        high_(stride >> 4 | 1u << 30) {}
  __device__ uint64_t at(uint32_t bytes) const {
    return uint64_t{high_} << 32 | (low_ + (bytes >> 4));
  }

 private:
  uint32_t low_;
  uint32_t high_;
};
__device__ inline void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ inline void wgmma_commit() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
template <int kPending>
__device__ inline void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}
__device__ inline void fence_async_proxy() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

// d[64, kN] += a[64, 16] b[kN, 16]^T; d: [kN / 8][4] as the registers of a warpgroup have it.
#define DBSA_R4(t) "+f"(d[t][0]), "+f"(d[t][1]), "+f"(d[t][2]), "+f"(d[t][3])
#define DBSA_R8(t) DBSA_R4(t), DBSA_R4(t + 1)
#define DBSA_R32(t) DBSA_R8(t), DBSA_R8(t + 2), DBSA_R8(t + 4), DBSA_R8(t + 6)
#define DBSA_N8 "%0, %1, %2, %3, %4, %5, %6, %7"
#define DBSA_N32                                                                               \
  DBSA_N8                                                                                      \
  ", %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, " \
  "%26, %27, %28, %29, %30, %31"
#define DBSA_N64                                                                            \
  DBSA_N32                                                                                  \
  ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, " \
  "%49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define DBSA_N96                                                                            \
  DBSA_N64                                                                                  \
  ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, %80, " \
  "%81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"
#define DBSA_WGMMA(N, LIST, A, B, ...)                                                       \
  __device__ inline void wgmma_add(float(&d)[N / 8][4], uint64_t a, uint64_t b) {            \
    asm volatile("wgmma.mma_async.sync.aligned.m64n" #N "k16.f32.bf16.bf16 {" LIST "}, %" #A \
                 ", %" #B ", 1, 1, 1, 0, 0;"                                                 \
                 : __VA_ARGS__                                                               \
                 : "l"(a), "l"(b));                                                          \
  }
DBSA_WGMMA(16, DBSA_N8, 8, 9, DBSA_R8(0))
DBSA_WGMMA(64, DBSA_N32, 32, 33, DBSA_R32(0))
DBSA_WGMMA(128, DBSA_N64, 64, 65, DBSA_R32(0), DBSA_R32(8))
DBSA_WGMMA(192, DBSA_N96, 96, 97, DBSA_R32(0), DBSA_R32(8), DBSA_R32(16))
#undef DBSA_WGMMA

#endif  // DBSA_HOPPER

}  // namespace dbsa::cuda
