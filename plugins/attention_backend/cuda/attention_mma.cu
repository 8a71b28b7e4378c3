// Attention in bfloat16 on tensor cores, sums in float32.
//
// A block takes a piece of work for one KV head: up to 128 rows, merged over the query heads that
// share the head, so that KV is read once for all of them. Keys and values come in chunks of 64
// tokens, the next while one is computed on; softmax runs on within a part. Chunks that no row sees
// are skipped, and only those at the rim of what some row sees are masked.
//
// Four warps of 32 rows multiply with mma.sync, eight of 16 where heads are wide. Tiles lie in
// shared memory as tile_offset says.
#include "attention_device.cuh"

#include <type_traits>

namespace dbsa::cuda {
namespace {

template <int kDim>
struct Shape {
  static constexpr int kWarps = kDim <= 128 ? 4 : 8;
  static constexpr int kBlocks = kDim <= 128 ? 2 : 1;  // of a multiprocessor
  static constexpr int kThreads = 32 * kWarps;
  static constexpr int kMTiles = kTileRows / (16 * kWarps);  // of 16 rows, of a warp
  static constexpr int kNTiles = kChunk / 8;                 // of scores
  static constexpr int kDTiles = kDim / 8;                   // of values
  static constexpr int kRowBytes = (kDim + 63) / 64 * 128;   // whole panels
  static constexpr int kQueryBytes = kTileRows * kRowBytes;
  static constexpr int kChunkBytes = kChunk * kRowBytes;
  static constexpr int kStages = 2;
  static constexpr int kSharedBytes = kQueryBytes + 2 * kStages * kChunkBytes + 1024;
};

// ---- instructions ----------------------------------------------------------------------------

__device__ inline void copy_async(uint32_t shared, const void* global, bool present) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared), "l"(global),
               "r"(present ? 16 : 0));
}
__device__ inline void copies_issued() { asm volatile("cp.async.commit_group;" ::: "memory"); }
__device__ inline void wait_for_copies() { asm volatile("cp.async.wait_group 0;" ::: "memory"); }

__device__ inline void load_matrices(uint32_t (&r)[4], uint32_t shared) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared));
}
__device__ inline void load_transposed(uint32_t (&r)[4], uint32_t shared) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared));
}
__device__ inline void mma(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// ---- the kernel --------------------------------------------------------------------------------

struct Limits {
  int low[kTileRows];  // tokens low..high-1 of the piece are seen by the row
  int high[kTileRows];
  // Of the four warps that set them: what any row sees, and what all rows see.
  int any_low[4], any_high[4], all_low[4], all_high[4];
};

__device__ inline int warp_min(int x) { return __reduce_min_sync(~0u, x); }
__device__ inline int warp_max(int x) { return __reduce_max_sync(~0u, x); }

// Rows beyond the work's see all of the piece; what they give is not kept.
__device__ inline void set_limits(const AttentionArgs& args, const Work& work, const Piece& piece,
                                  Limits& limits) {
  const int merged_row = threadIdx.x;
  if (merged_row >= kTileRows) return;
  const bool present = merged_row < work.rows * args.group;
  Visible seen{piece.begin, piece.end};
  if (present) {
    seen = visible(piece, args.plan.positions[work.first_row + merged_row / args.group]);
  }
  limits.low[merged_row] = seen.low;
  limits.high[merged_row] = seen.high;
  const bool any = present && seen.low < seen.high;
  const int any_low = warp_min(any ? seen.low : INT32_MAX);
  const int any_high = warp_max(any ? seen.high : INT32_MIN);
  const int all_low = warp_max(seen.low);
  const int all_high = warp_min(seen.high);
  if (merged_row % 32 == 0) {
    const int warp = merged_row / 32;
    limits.any_low[warp] = any_low;
    limits.any_high[warp] = any_high;
    limits.all_low[warp] = all_low;
    limits.all_high[warp] = all_high;
  }
}
__device__ inline int min4(const int (&x)[4]) { return min(min(x[0], x[1]), min(x[2], x[3])); }
__device__ inline int max4(const int (&x)[4]) { return max(max(x[0], x[1]), max(x[2], x[3])); }

// Begins to copy the keys and values of a chunk; tokens outside the piece become zeros.
template <int kDim>
__device__ inline void fetch_chunk(const Piece& piece, uint64_t keys, int chunk, uint32_t shared) {
  constexpr int kUnits = kDim / 8;  // of 16 bytes, of a token
  constexpr int kThreads = Shape<kDim>::kThreads;
  constexpr int kChunkBytes = Shape<kDim>::kChunkBytes;
  static_assert(kChunk * kUnits % kThreads == 0);
#pragma unroll
  for (int i = 0; i < kChunk * kUnits / kThreads; ++i) {
    const int item = i * kThreads + threadIdx.x;
    const int token = item / kUnits;
    const int unit = item % kUnits;
    const int index = chunk * kChunk + token;
    const bool present = index >= piece.begin && index < piece.end;
    const uint64_t from = keys + (present ? int64_t{index} * (kDim * 2) + unit * 16 : 0);
    const uint32_t to = shared + tile_offset(kChunk, token, unit);
    copy_async(to, reinterpret_cast<const void*>(from), present);
    copy_async(to + kChunkBytes, reinterpret_cast<const void*>(from + piece.values_bytes), present);
  }
}

template <int kDim>
struct Accumulators {
  using S = Shape<kDim>;
  float sums[S::kMTiles][S::kDTiles][4];
  // Of rows g and g + 8 of an m tile, g = lane / 4. The sum is this thread's share.
  float maximum[S::kMTiles][2];
  float sum[S::kMTiles][2];

  __device__ void clear() {
#pragma unroll
    for (int m = 0; m < S::kMTiles; ++m) {
#pragma unroll
      for (int t = 0; t < S::kDTiles; ++t) {
#pragma unroll
        for (int i = 0; i < 4; ++i) sums[m][t][i] = 0.0f;
      }
      maximum[m][0] = maximum[m][1] = -INFINITY;
      sum[m][0] = sum[m][1] = 0.0f;
    }
  }
};

// Scores of one m tile to softmax weights, relative to the new maximum; rescales what there is.
template <int kNTiles, int kDTiles>
__device__ inline void soften(float (&scores)[kNTiles][4], float (&sums)[kDTiles][4],
                              float (&maximum)[2], float (&sum)[2]) {
  float shrink[2];
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    float top = maximum[h];
#pragma unroll
    for (int t = 0; t < kNTiles; ++t)
      top = fmaxf(top, fmaxf(scores[t][2 * h], scores[t][2 * h + 1]));
    top = fmaxf(top, __shfl_xor_sync(~0u, top, 1));
    top = fmaxf(top, __shfl_xor_sync(~0u, top, 2));
    const float base = top == -INFINITY ? 0.0f : top;
    shrink[h] = fast_exp2(maximum[h] - base);
    maximum[h] = top;
    float own = 0.0f;
#pragma unroll
    for (int t = 0; t < kNTiles; ++t) {
      scores[t][2 * h] = fast_exp2(scores[t][2 * h] - base);
      scores[t][2 * h + 1] = fast_exp2(scores[t][2 * h + 1] - base);
      own += scores[t][2 * h] + scores[t][2 * h + 1];
    }
    sum[h] = __fmaf_rn(sum[h], shrink[h], own);
  }
  if (__any_sync(~0u, shrink[0] != 1.0f || shrink[1] != 1.0f)) {
#pragma unroll
    for (int t = 0; t < kDTiles; ++t) {
      sums[t][0] *= shrink[0];
      sums[t][1] *= shrink[0];
      sums[t][2] *= shrink[1];
      sums[t][3] *= shrink[1];
    }
  }
}

template <int kNTiles>
__device__ inline void mask(float (&scores)[kNTiles][4], int first_token, const Limits& limits,
                            int first_row) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int row = first_row + lane / 4 + 8 * h;
    const int low = limits.low[row] - first_token - lane % 4 * 2;
    const int high = limits.high[row] - first_token - lane % 4 * 2;
#pragma unroll
    for (int t = 0; t < kNTiles; ++t) {
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        const int token = t * 8 + e;
        if (token < low || token >= high) scores[t][2 * h + e] = -INFINITY;
      }
    }
  }
}

template <int kDim>
__device__ inline void compute_chunk(uint32_t queries, uint32_t keys, bool masked, int first_token,
                                     const Limits& limits, Accumulators<kDim>& acc) {
  using S = Shape<kDim>;
  const int lane = threadIdx.x % 32;
  const int first_row = threadIdx.x / 32 * 16 * S::kMTiles;
  float scores[S::kMTiles][S::kNTiles][4] = {};
#pragma unroll
  for (int k = 0; k < kDim / 16; ++k) {
    uint32_t a[S::kMTiles][4];
#pragma unroll
    for (int m = 0; m < S::kMTiles; ++m) {
      load_matrices(a[m], queries + tile_offset(kTileRows, first_row + 16 * m + lane % 16,
                                                2 * k + lane / 16));
    }
#pragma unroll
    for (int t = 0; t < S::kNTiles; t += 2) {
      uint32_t b[4];
      load_matrices(
          b, keys + tile_offset(kChunk, 8 * t + lane % 8 + lane / 16 * 8, 2 * k + lane / 8 % 2));
#pragma unroll
      for (int m = 0; m < S::kMTiles; ++m) {
        mma(scores[m][t], a[m], b[0], b[1]);
        mma(scores[m][t + 1], a[m], b[2], b[3]);
      }
    }
  }
#pragma unroll
  for (int m = 0; m < S::kMTiles; ++m) {
    if (masked) mask(scores[m], first_token, limits, first_row + 16 * m);
    soften(scores[m], acc.sums[m], acc.maximum[m], acc.sum[m]);
  }
  const uint32_t values = keys + S::kChunkBytes;
#pragma unroll
  for (int k = 0; k < kChunk / 16; ++k) {
    uint32_t a[S::kMTiles][4];
#pragma unroll
    for (int m = 0; m < S::kMTiles; ++m) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float(&pair)[4] = scores[m][2 * k + i / 2];
        a[m][i] = pack_bf16(pair[i % 2 * 2], pair[i % 2 * 2 + 1]);
      }
    }
#pragma unroll
    for (int t = 0; t < S::kDTiles; t += 2) {
      uint32_t b[4];
      load_transposed(b, values + tile_offset(kChunk, 16 * k + lane % 16, t + lane / 16));
#pragma unroll
      for (int m = 0; m < S::kMTiles; ++m) {
        mma(acc.sums[m][t], a[m], b[0], b[1]);
        mma(acc.sums[m][t + 1], a[m], b[2], b[3]);
      }
    }
  }
}

// What a part gives, to scratch or merged with what the parts before it gave.
template <int kDim>
__device__ inline void keep_part(const AttentionArgs& args, const Work& work, int kv_head, int part,
                                 const Accumulators<kDim>& acc,
                                 RowState (&totals)[Shape<kDim>::kMTiles][2]) {
  using S = Shape<kDim>;
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int m = 0; m < S::kMTiles; ++m) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      RowState state;
      state.maximum = acc.maximum[m][h];
      state.sum = acc.sum[m][h];
      state.sum += __shfl_xor_sync(~0u, state.sum, 1);
      state.sum += __shfl_xor_sync(~0u, state.sum, 2);
      const int merged_row = (threadIdx.x / 32 * S::kMTiles + m) * 16 + lane / 4 + 8 * h;
      if (merged_row >= work.rows * args.group) continue;
      keep_row<S::kDTiles>(
          args, work, kv_head, part, merged_row, state,
          [&](int t) { return make_float2(acc.sums[m][t][2 * h], acc.sums[m][t][2 * h + 1]); },
          totals[m][h]);
    }
  }
}

template <int kDim>
__global__ void __launch_bounds__(Shape<kDim>::kThreads, Shape<kDim>::kBlocks)
    mma_kernel(AttentionArgs args) {
  using S = Shape<kDim>;
  extern __shared__ char dynamic[];
  __shared__ Limits limits;
  char* queries = dynamic + (1024 - shared_address(dynamic) % 1024) % 1024;
  const uint32_t queries_at = shared_address(queries);
  const uint32_t chunks_at = queries_at + S::kQueryBytes;

  const Work work = args.plan.works[blockIdx.x];
  const int kv_head = blockIdx.y;
  const int rows = work.rows * args.group;
  const bool computes = int(threadIdx.x) / 32 * 16 * S::kMTiles < rows;
  for (int i = threadIdx.x; i < S::kQueryBytes / 16; i += S::kThreads) {
    reinterpret_cast<uint4*>(queries)[i] = make_uint4(0, 0, 0, 0);
  }

  RowState totals[S::kMTiles][2];
  int64_t rotated_for = -1;
  bool any_rotated = false;
  for (int p = 0; p < work.parts; ++p) {
    const Part part = args.plan.parts[work.first_part + p];
    Accumulators<kDim> acc;
    acc.clear();
    for (int i = 0; i < part.pieces; ++i) {
      const Piece& piece = args.plan.pieces[part.first_piece + i];
      __syncthreads();  // the piece before is done with what is written now
      set_limits(args, work, piece, limits);
      __syncthreads();
      const int any_low = min4(limits.any_low), any_high = max4(limits.any_high);
      if (any_low >= any_high) continue;
      const int all_low = max4(limits.all_low), all_high = min4(limits.all_high);
      const uint64_t keys =
          piece.keys + args.layer * piece.layer_bytes + kv_head * piece.head_bytes;
      int chunk = any_low / kChunk;
      const int end = (any_high + kChunk - 1) / kChunk;
      int stage = 0;
      fetch_chunk<kDim>(piece, keys, chunk, chunks_at);
      copies_issued();
      if (!any_rotated || rotated_for != piece.rotation) {
        rotate_queries<kDim, S::kThreads, 4>(args, work, kv_head, piece, 0, rows, threadIdx.x,
                                             queries);
        rotated_for = piece.rotation;
        any_rotated = true;
      }
      for (; chunk < end; ++chunk, stage ^= 1) {
        wait_for_copies();
        __syncthreads();
        if (chunk + 1 < end) {
          fetch_chunk<kDim>(piece, keys, chunk + 1, chunks_at + (stage ^ 1) * 2 * S::kChunkBytes);
          copies_issued();
        }
        if (!computes) continue;
        const int first_token = chunk * kChunk;
        const bool masked = first_token < all_low || first_token + kChunk > all_high;
        const uint32_t keys_at = chunks_at + stage * 2 * S::kChunkBytes;
        compute_chunk<kDim>(queries_at, keys_at, masked, first_token, limits, acc);
      }
    }
    if (computes) keep_part<kDim>(args, work, kv_head, p, acc, totals);
  }
}

template <int kDim>
cudaError_t launch(cudaStream_t stream, const AttentionArgs& args) {
  using S = Shape<kDim>;
  // Cheap, and the current device may be another than last time.
  const cudaError_t error = cudaFuncSetAttribute(
      mma_kernel<kDim>, cudaFuncAttributeMaxDynamicSharedMemorySize, S::kSharedBytes);
  if (error != cudaSuccess) return error;
  const dim3 grid(args.plan.work_count, args.kv_heads);
  mma_kernel<kDim><<<grid, S::kThreads, S::kSharedBytes, stream>>>(args);
  return cudaGetLastError();
}

// what(head_dim as a constant) for a width that is compiled, else `none`.
template <class Result, class What>
Result with_dim(int head_dim, Result none, const What& what) {
  switch (head_dim) {
    case 32:
      return what(std::integral_constant<int, 32>());
    case 64:
      return what(std::integral_constant<int, 64>());
    case 80:
      return what(std::integral_constant<int, 80>());
    case 96:
      return what(std::integral_constant<int, 96>());
    case 128:
      return what(std::integral_constant<int, 128>());
    case 256:
      return what(std::integral_constant<int, 256>());
    default:
      return none;
  }
}

}  // namespace

int mma_shared_bytes(int head_dim) {
  return with_dim(head_dim, 0, [](auto dim) { return Shape<decltype(dim)::value>::kSharedBytes; });
}

cudaError_t mma_attention(cudaStream_t stream, const AttentionArgs& args) {
  return with_dim(args.head_dim, cudaErrorInvalidValue,
                  [&](auto dim) { return launch<decltype(dim)::value>(stream, args); });
}

}  // namespace dbsa::cuda
