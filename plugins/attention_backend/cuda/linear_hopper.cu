// Products of few rows on Hopper.
//
// A block takes 64 rows of the weight - of gate and up both, for SwiGLU - and all rows of x, over
// the whole of k. One warp asks for both, 64 or 128 columns at a time, into a ring of stages; a
// warpgroup for each weight multiplies, with the weight where wgmma has its 64 rows. Weights are
// asked for before what x comes from has ended.
#include "hopper.cuh"
#include "linear.h"

#include <cuda_bf16.h>

#include <algorithm>

namespace dbsa::cuda {
namespace {

constexpr int kTile = 64;  // rows of a weight
constexpr int kMostStages = 16;

struct Target {
  const float* bias;
  const float* residual;
  void* out;  // float32, or bfloat16 of SwiGLU
  int n;
  int tiles;
};

struct LinearArgs {
  TensorMap x;
  TensorMap weights[kMostProducts];
  Target targets[kMostProducts];  // SwiGLU: gate's bias in the first, up's in the second
  int rows;
  int steps;   // of k
  int stages;  // of the ring
};

template <int kRows, bool kSwiGlu>
struct Tiling {
  static constexpr int kGroups = kSwiGlu ? 2 : 1;
  // Of 64 columns. More of them a stage where stages are small.
  static constexpr int kPanels = kRows <= 64 && !kSwiGlu ? 2 : 1;
  static constexpr uint32_t kXBytes = kRows * 128;
  static constexpr uint32_t kWeightBytes = kTile * 128;
  static constexpr uint32_t kPanelBytes = kXBytes + kGroups * kWeightBytes;
  static constexpr uint32_t kStageBytes = kPanels * kPanelBytes;
  static constexpr int kThreads = kGroups * kGroupThreads + 32;
  static constexpr bool kPair = kRows <= 128;  // two blocks fit a multiprocessor
};

#if DBSA_HOPPER

template <int kRows, bool kSwiGlu>
__device__ inline void ask(const LinearArgs& args, const TensorMap* const (&weights)[2], int tile,
                           uint32_t stage, uint32_t full, int step, bool of_x) {
  using T = Tiling<kRows, kSwiGlu>;
#pragma unroll
  for (int panel = 0; panel < T::kPanels; ++panel) {
    const int column = (step * T::kPanels + panel) * 64;
    const uint32_t at = stage + panel * T::kPanelBytes;
    if (of_x) {
      fetch_panel(at, &args.x, column, 0, full);
    } else {
#pragma unroll
      for (int group = 0; group < T::kGroups; ++group) {
        fetch_panel(at + T::kXBytes + group * T::kWeightBytes, weights[group], column, tile * kTile,
                    full);
      }
    }
  }
}

#endif  // DBSA_HOPPER

template <int kRows, bool kSwiGlu>
__global__ void __launch_bounds__(Tiling<kRows, kSwiGlu>::kThreads,
                                  Tiling<kRows, kSwiGlu>::kPair ? 2 : 1)
    linear_kernel(const __grid_constant__ LinearArgs args) {
#if DBSA_HOPPER
  using T = Tiling<kRows, kSwiGlu>;
  extern __shared__ char dynamic[];
  __shared__ uint64_t barriers[2 * kMostStages];
  const uint32_t ring = (shared_address(dynamic) + 1023) / 1024 * 1024;
  const uint32_t full = shared_address(barriers), empty = full + 8 * kMostStages;
  if (threadIdx.x == 0) {
    for (int i = 0; i < args.stages; ++i) {
      barrier_init(full + 8 * i, 1);
      barrier_init(empty + 8 * i, T::kGroups * kGroupThreads / 32);
    }
    barriers_are_set();
  }
  __syncthreads();
  let_next_begin();
  int which = 0, tile = static_cast<int>(blockIdx.x);
  while (tile >= args.targets[which].tiles) tile -= args.targets[which++].tiles;
  const TensorMap* const weights[2] = {&args.weights[which], &args.weights[which + kSwiGlu]};

  const int group = static_cast<int>(threadIdx.x) / kGroupThreads;
  if (group == T::kGroups) {
    if (threadIdx.x % 32 != 0) return;
    const int ahead = min(args.stages, args.steps);
    for (int step = 0; step < ahead; ++step) {
      barrier_expect(full + 8 * step, T::kStageBytes);
      ask<kRows, kSwiGlu>(args, weights, tile, ring + step * T::kStageBytes, full + 8 * step, step,
                          false);
    }
    wait_for_earlier();
    for (int step = 0; step < ahead; ++step) {
      ask<kRows, kSwiGlu>(args, weights, tile, ring + step * T::kStageBytes, full + 8 * step, step,
                          true);
    }
    int at = 0;
    uint32_t phase = 0;
    for (int step = ahead; step < args.steps; ++step) {
      barrier_wait(empty + 8 * at, phase);
      barrier_expect(full + 8 * at, T::kStageBytes);
      for (const bool of_x : {false, true}) {
        ask<kRows, kSwiGlu>(args, weights, tile, ring + at * T::kStageBytes, full + 8 * at, step,
                            of_x);
      }
      if (++at == args.stages) {
        at = 0;
        phase ^= 1;
      }
    }
    return;
  }

  float sums[kRows / 8][4];  // [weight rows g and g + 8 of a warp's 16][rows of x], g = lane / 4
#pragma unroll
  for (int t = 0; t < kRows / 8; ++t) {
#pragma unroll
    for (int i = 0; i < 4; ++i) sums[t][i] = 0.0f;
  }
  const int thread = static_cast<int>(threadIdx.x) % kGroupThreads, lane = thread % 32;
  const Descriptor x(ring, 16, kRows8);
  const Descriptor weight(ring + T::kXBytes + group * T::kWeightBytes, 16, kRows8);
  int at = 0, before = 0;
  uint32_t phase = 0;
  for (int step = 0; step < args.steps; ++step) {
    barrier_wait(full + 8 * at, phase);
    wgmma_fence();
#pragma unroll
    for (int panel = 0; panel < T::kPanels; ++panel) {
      const uint32_t stage = at * T::kStageBytes + panel * T::kPanelBytes;
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        wgmma_add(sums, weight.at(stage + 32 * k), x.at(stage + 32 * k));
      }
    }
    wgmma_commit();
    wgmma_wait<1>();
    if (step > 0 && lane == 0) barrier_arrive(empty + 8 * before);
    before = at;
    if (++at == args.stages) {
      at = 0;
      phase ^= 1;
    }
  }
  wgmma_wait<0>();
  wait_for_earlier();

  const Target& target = args.targets[which];
  const int first = tile * kTile + thread / 32 * 16 + lane / 4;  // and first + 8
  const float* bias = args.targets[which + (kSwiGlu ? group : 0)].bias;
  float biases[2] = {0.0f, 0.0f};
  if (bias != nullptr) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      if (first + 8 * h < target.n) biases[h] = bias[first + 8 * h];
    }
  }
  if constexpr (kSwiGlu) {
    // Both warpgroups hold the same places; what is in the ring is done with by both.
    asm volatile("bar.sync 1, 256;" ::: "memory");
    float* ups = reinterpret_cast<float*>(dynamic + (ring - shared_address(dynamic))) + thread;
    if (group == 1) {
#pragma unroll
      for (int t = 0; t < kRows / 8; ++t) {
#pragma unroll
        for (int i = 0; i < 4; ++i) ups[(4 * t + i) * kGroupThreads] = sums[t][i] + biases[i / 2];
      }
    }
    asm volatile("bar.sync 1, 256;" ::: "memory");
    if (group == 1) return;
#pragma unroll
    for (int t = 0; t < kRows / 8; ++t) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int row = 8 * t + lane % 4 * 2 + i % 2, column = first + i / 2 * 8;
        if (row >= args.rows || column >= target.n) continue;
        const float gate = sums[t][i] + biases[i / 2];
        static_cast<__nv_bfloat16*>(target.out)[int64_t{row} * target.n + column] =
            __float2bfloat16_rn(silu(gate) * ups[(4 * t + i) * kGroupThreads]);
      }
    }
  } else {
    const auto each = [&](const auto& run) {
#pragma unroll
      for (int t = 0; t < kRows / 8; ++t) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const int row = 8 * t + lane % 4 * 2 + i % 2, column = first + i / 2 * 8;
          if (row < args.rows && column < target.n)
            run(sums[t][i], int64_t{row} * target.n + column, biases[i / 2]);
        }
      }
    };
    // All of it before the first is written: it may be where `out` is, and loads would not run
    // ahead of stores.
    if (target.residual != nullptr) {
      each([&](float& sum, int64_t place, float) { sum += target.residual[place]; });
    }
    each([&](float sum, int64_t place, float added) {
      static_cast<float*>(target.out)[place] = bias != nullptr ? sum + added : sum;
    });
  }
#endif  // DBSA_HOPPER
}

template <int kRows, bool kSwiGlu>
cudaError_t launch(cudaStream_t stream, const void* x, int64_t rows, int64_t k, int blocks,
                   LinearArgs& args) {
  using T = Tiling<kRows, kSwiGlu>;
  if (!encode_map(reinterpret_cast<uint64_t>(x), rows, k, kRows, &args.x)) {
    return cudaErrorNotSupported;
  }
  int device = 0, multiprocessors = 0, most_bytes = 0, bytes_together = 0;
  cudaError_t error = cudaGetDevice(&device);
  const auto ask_for = [&](int* to, cudaDeviceAttr what) {
    if (error == cudaSuccess) error = cudaDeviceGetAttribute(to, what, device);
  };
  ask_for(&multiprocessors, cudaDevAttrMultiProcessorCount);
  ask_for(&most_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin);
  ask_for(&bytes_together, cudaDevAttrMaxSharedMemoryPerMultiprocessor);
  if (error != cudaSuccess) return error;
  constexpr int kBeside = 1024 + 1024 + 16 * kMostStages;  // the system's, alignment, barriers
  const int room =
      T::kPair && blocks > multiprocessors ? bytes_together / 2 - kBeside : most_bytes - kBeside;
  args.rows = static_cast<int>(rows);
  args.steps = static_cast<int>((k + 64 * T::kPanels - 1) / (64 * T::kPanels));
  const auto stages_in = [](int bytes) {
    return std::min(bytes / static_cast<int>(T::kStageBytes), kMostStages);
  };
  const auto bytes_of = [](int stages) { return stages * static_cast<int>(T::kStageBytes) + 1024; };
  args.stages = stages_in(room);
  const int bytes = bytes_of(args.stages);
  // The most that any launch asks for: one of another instance may come in between.
  error = cudaFuncSetAttribute(linear_kernel<kRows, kSwiGlu>,
                               cudaFuncAttributeMaxDynamicSharedMemorySize,
                               bytes_of(stages_in(most_bytes - kBeside)));
  if (error != cudaSuccess) return error;
  return launch_early(stream, linear_kernel<kRows, kSwiGlu>, dim3(static_cast<unsigned>(blocks)),
                      dim3(T::kThreads), static_cast<size_t>(bytes), args);
}

template <bool kSwiGlu>
cudaError_t launch_for(cudaStream_t stream, const void* x, int64_t rows, int64_t k, int blocks,
                       LinearArgs& args) {
  if (rows <= 16) return launch<16, kSwiGlu>(stream, x, rows, k, blocks, args);
  if (rows <= 64) return launch<64, kSwiGlu>(stream, x, rows, k, blocks, args);
  if (rows <= 128) return launch<128, kSwiGlu>(stream, x, rows, k, blocks, args);
  return launch<192, kSwiGlu>(stream, x, rows, k, blocks, args);
}

int tiles_of(int64_t n) { return static_cast<int>((n + kTile - 1) / kTile); }

}  // namespace

bool has_few_rows_linear() { return compute_capability() == 90; }

bool encode_weight(const void* weight, int64_t n, int64_t k, TensorMap* map) {
  return encode_map(reinterpret_cast<uint64_t>(weight), n, k, kTile, map);
}

cudaError_t few_rows_linear(cudaStream_t stream, const void* x, int64_t rows, int64_t k,
                            const FewRowsProduct* products, int count) {
  LinearArgs args = {};
  int blocks = 0;
  for (int i = 0; i < count; ++i) {
    const FewRowsProduct& p = products[i];
    args.weights[i] = *p.weight;
    args.targets[i] = {p.bias, p.residual, p.out, static_cast<int>(p.n), tiles_of(p.n)};
    blocks += tiles_of(p.n);
  }
  return launch_for<false>(stream, x, rows, k, blocks, args);
}

cudaError_t few_rows_swiglu(cudaStream_t stream, const void* x, int64_t rows, int64_t k,
                            const TensorMap& gate, const float* gate_bias, const TensorMap& up,
                            const float* up_bias, int64_t n, void* out) {
  LinearArgs args = {};
  args.weights[0] = gate;
  args.weights[1] = up;
  args.targets[0] = {gate_bias, nullptr, out, static_cast<int>(n), tiles_of(n)};
  args.targets[1] = {up_bias, nullptr, nullptr, 0, 0};
  return launch_for<true>(stream, x, rows, k, tiles_of(n), args);
}

}  // namespace dbsa::cuda
