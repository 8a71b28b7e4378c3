// Attention in bfloat16 on Hopper: keys and values come by the bulk copy engine, products are
// wgmma, sums are float32.
//
// A block takes works for one KV head each, one after the other: up to 128 rows, merged over the
// query heads that share the head, so that KV is read once for all of them. One warp asks for keys
// and values, 128 tokens at a time, into a ring of buffers; two warpgroups take 64 rows each. A
// warpgroup multiplies the next keys and the last values while it turns scores to weights. Softmax
// runs on within a part. Tokens that no row sees are not read; only chunks at the rim of what some
// row sees are masked.
#include "attention_device.cuh"
#include "hopper.cuh"

#include <algorithm>

namespace dbsa::cuda {
namespace {

constexpr int kTokens = 2 * kChunk;  // of a buffer
constexpr int kConsumers = 2;
constexpr int kThreads = (1 + kConsumers) * kGroupThreads;
constexpr int kBuffers = 5;  // each of keys or of values

template <int kDim>
struct Tile {
  static constexpr uint32_t kQueryBytes = kTileRows * kDim * 2;
  static constexpr uint32_t kBufferBytes = kTokens * kDim * 2;
  static constexpr uint32_t kSharedBytes = kQueryBytes + kBuffers * kBufferBytes + 1024;
};

#if DBSA_HOPPER

constexpr int kConsumerRows = kTileRows / kConsumers;

// d[64 rows, 128 tokens] = (or +=) queries * keys^T, over 16 dimensions.
template <bool kAdd>
__device__ inline void wgmma_scores(float (&d)[16][4], uint64_t queries, uint64_t keys) {
  asm volatile(
      "{\n.reg .pred p;\nsetp.ne.b32 p, %66, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {" DBSA_N64
      "}, %64, %65, p, 1, 1, 0, 0;\n}\n"
      : DBSA_R32(0), DBSA_R32(8)
      : "l"(queries), "l"(keys), "r"(int(kAdd)));
}
// d[64 rows, dimensions] += weights * values, over 16 tokens.
__device__ inline void wgmma_values(float (&d)[8][4], const uint32_t (&a)[4], uint64_t values) {
  asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" DBSA_N32
               "}, {%32, %33, %34, %35}, %36, 1, 1, 1, 1;\n"
               : DBSA_R32(0)
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(values));
}
__device__ inline void wgmma_values(float (&d)[16][4], const uint32_t (&a)[4], uint64_t values) {
  asm volatile("wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {" DBSA_N64
               "}, {%64, %65, %66, %67}, %68, 1, 1, 1, 1;\n"
               : DBSA_R32(0), DBSA_R32(8)
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(values));
}

// ---- what is seen of a piece -------------------------------------------------------------------

// Chunks first..last-1 of kTokens are read: those of which some row of the work sees something.
struct Chunks {
  int first;
  int last;
};
__device__ inline Chunks chunks_of(int any_low, int any_high) {
  if (any_low >= any_high) return {0, 0};
  return {any_low / kTokens, (any_high + kTokens - 1) / kTokens};
}

__device__ inline Visible visible_of(const AttentionArgs& args, const Work& work,
                                     const Piece& piece, int merged_row) {
  return visible(piece, args.plan.positions[work.first_row + merged_row / args.group]);
}

// By one warp.
__device__ inline Chunks chunks_by_warp(const AttentionArgs& args, const Work& work,
                                        const Piece& piece) {
  int any_low = INT32_MAX, any_high = INT32_MIN;
  for (int row = threadIdx.x % 32; row < work.rows; row += 32) {
    const Visible seen = visible(piece, args.plan.positions[work.first_row + row]);
    if (seen.low >= seen.high) continue;
    any_low = min(any_low, seen.low);
    any_high = max(any_high, seen.high);
  }
  return chunks_of(__reduce_min_sync(~0u, any_low), __reduce_max_sync(~0u, any_high));
}

struct Limits {            // one for each warpgroup
  int low[kConsumerRows];  // the row sees tokens low..high-1 of the piece
  int high[kConsumerRows];
  int any_low[4], any_high[4];  // of the four warps' share of all rows
  int all_low[4], all_high[4];  // of the warpgroup's own rows
};

// By one warpgroup, on all rows of the work. Rows beyond it see all of the piece; what they give is
// not kept.
__device__ inline void set_limits(const AttentionArgs& args, const Work& work, const Piece& piece,
                                  int group, Limits& limits) {
  const int thread = threadIdx.x % kGroupThreads;
  Visible seen{piece.begin, piece.end};
  const bool present = thread < work.rows * args.group;
  if (present) seen = visible_of(args, work, piece, thread);
  const bool any = present && seen.low < seen.high;
  const bool own = thread / kConsumerRows == group;
  if (own) {
    limits.low[thread % kConsumerRows] = seen.low;
    limits.high[thread % kConsumerRows] = seen.high;
  }
  const int any_low = __reduce_min_sync(~0u, any ? seen.low : INT32_MAX);
  const int any_high = __reduce_max_sync(~0u, any ? seen.high : INT32_MIN);
  const int all_low = __reduce_max_sync(~0u, own ? seen.low : INT32_MIN);
  const int all_high = __reduce_min_sync(~0u, own ? seen.high : INT32_MAX);
  if (thread % 32 == 0) {
    limits.any_low[thread / 32] = any_low;
    limits.any_high[thread / 32] = any_high;
    limits.all_low[thread / 32] = all_low;
    limits.all_high[thread / 32] = all_high;
  }
}
__device__ inline int min4(const int (&x)[4]) { return min(min(x[0], x[1]), min(x[2], x[3])); }
__device__ inline int max4(const int (&x)[4]) { return max(max(x[0], x[1]), max(x[2], x[3])); }

// ---- the ring of buffers -----------------------------------------------------------------------

struct Barriers {
  uint64_t full[kBuffers];
  uint64_t empty[kBuffers];
};

struct Ring {
  uint32_t full;  // shared addresses of the barriers
  uint32_t empty;
  uint32_t buffers;
  int at = 0;
  uint32_t phase = 0;

  __device__ void advance() {
    if (++at == kBuffers) {
      at = 0;
      phase ^= 1;
    }
  }
};

template <int kDim>
__device__ inline void produce(const AttentionArgs& args, const Work& work, int kv_head,
                               Ring& ring) {
  using T = Tile<kDim>;
  const bool leads = threadIdx.x % 32 == 0;
  int fenced = -1;  // the last map that was
  for (int p = 0; p < work.parts; ++p) {
    const Part part = args.plan.parts[work.first_part + p];
    for (int i = 0; i < part.pieces; ++i) {
      const Piece& piece = args.plan.pieces[part.first_piece + i];
      const Chunks chunks = chunks_by_warp(args, work, piece);
      if (!leads) continue;
      const TensorMap* map = args.plan.maps + piece.map;
      // A copy brought the map to memory that may have held another, which this multiprocessor may
      // still know.
      if (piece.map != fenced) {
        asm volatile("fence.proxy.tensormap::generic.acquire.sys [%0], 128;" ::"l"(map) : "memory");
        fenced = piece.map;
      }
      const auto key_row = static_cast<int>(
          (args.layer * piece.layer_bytes + kv_head * piece.head_bytes) / (kDim * 2));
      const auto value_row = static_cast<int>(key_row + piece.values_bytes / (kDim * 2));
      for (int chunk = chunks.first; chunk < chunks.last; ++chunk) {
        for (int which = 0; which < 2; ++which) {
          barrier_wait(ring.empty + 8 * ring.at, ring.phase ^ 1);
          const uint32_t full = ring.full + 8 * ring.at;
          barrier_expect(full, T::kBufferBytes);
          const int row = (which == 0 ? key_row : value_row) + chunk * kTokens;
#pragma unroll
          for (int panel = 0; panel < kDim / 64; ++panel) {
            fetch_panel(ring.buffers + ring.at * T::kBufferBytes + panel * kTokens * kRowBytes, map,
                        panel * 64, row, full);
          }
          ring.advance();
        }
      }
    }
  }
}

// ---- a warpgroup's rows ------------------------------------------------------------------------

template <int kDim>
struct Rows {
  static constexpr int kScoreTiles = kTokens / 8;
  static constexpr int kDTiles = kDim / 8;
  float scores[kScoreTiles][4];
  uint32_t weights[kTokens / 16][4];
  float sums[kDTiles][4];
  float maximum[2];  // of rows g and g + 8 of a warp's 16, g = lane / 4
  float sum[2];      // this thread's share

  __device__ void clear() {
#pragma unroll
    for (int t = 0; t < kDTiles; ++t) {
#pragma unroll
      for (int i = 0; i < 4; ++i) sums[t][i] = 0.0f;
    }
    maximum[0] = maximum[1] = -INFINITY;
    sum[0] = sum[1] = 0.0f;
  }
  __device__ void multiply_keys(const Descriptor& queries, const Descriptor& keys) {
    wgmma_scores<false>(scores, queries.at(0), keys.at(0));
#pragma unroll
    for (int k = 1; k < kDim / 16; ++k) {
      wgmma_scores<true>(scores, queries.at(k / 4 * kTileRows * kRowBytes + k % 4 * 32),
                         keys.at(k / 4 * kTokens * kRowBytes + k % 4 * 32));
    }
    wgmma_commit();
  }
  __device__ void multiply_values(const Descriptor& values) {
#pragma unroll
    for (int k = 0; k < kTokens / 16; ++k) {
      wgmma_values(sums, weights[k], values.at(k * 2 * kRows8));
    }
    wgmma_commit();
  }
  __device__ void mask(int first_token, const Limits& limits) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int row = threadIdx.x % kGroupThreads / 32 * 16 + lane / 4 + 8 * h;
      const int low = limits.low[row] - first_token - lane % 4 * 2;
      const int high = limits.high[row] - first_token - lane % 4 * 2;
#pragma unroll
      for (int t = 0; t < kScoreTiles; ++t) {
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const int token = t * 8 + e;
          if (token < low || token >= high) scores[t][2 * h + e] = -INFINITY;
        }
      }
    }
  }
  // Scores to weights relative to the new maximum; what there is must shrink by `shrink`.
  __device__ void soften(float (&shrink)[2]) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      float top = maximum[h];
#pragma unroll
      for (int t = 0; t < kScoreTiles; ++t) {
        top = fmaxf(top, fmaxf(scores[t][2 * h], scores[t][2 * h + 1]));
      }
      top = fmaxf(top, __shfl_xor_sync(~0u, top, 1));
      top = fmaxf(top, __shfl_xor_sync(~0u, top, 2));
      const float base = top == -INFINITY ? 0.0f : top;
      shrink[h] = fast_exp2(maximum[h] - base);
      maximum[h] = top;
      float own = 0.0f;
#pragma unroll
      for (int t = 0; t < kScoreTiles; ++t) {
        scores[t][2 * h] = fast_exp2(scores[t][2 * h] - base);
        scores[t][2 * h + 1] = fast_exp2(scores[t][2 * h + 1] - base);
        own += scores[t][2 * h] + scores[t][2 * h + 1];
      }
      sum[h] = __fmaf_rn(sum[h], shrink[h], own);
    }
  }
  // Never sleeps, since sums are not negative. The compiler would move the wait for the values up
  // before the exponentials, which are to run meanwhile.
  __device__ void finish_before_waiting() const {
    if (sum[0] + sum[1] < 0.0f) asm volatile("nanosleep.u32 1;" ::: "memory");
  }
  __device__ void rescale(const float (&shrink)[2]) {
    if (!__any_sync(~0u, shrink[0] != 1.0f || shrink[1] != 1.0f)) return;
#pragma unroll
    for (int t = 0; t < kDTiles; ++t) {
      sums[t][0] *= shrink[0];
      sums[t][1] *= shrink[0];
      sums[t][2] *= shrink[1];
      sums[t][3] *= shrink[1];
    }
  }
  __device__ void round_weights() {
#pragma unroll
    for (int k = 0; k < kTokens / 16; ++k) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float(&pair)[4] = scores[2 * k + i / 2];
        weights[k][i] = pack_bf16(pair[i % 2 * 2], pair[i % 2 * 2 + 1]);
      }
    }
  }
};

// The values of tokens outside a piece may be anything; a weight of zero does not make NaN zero.
// Both warpgroups write the same.
template <int kDim>
__device__ inline void clear_outside(uint32_t values, int low, int high, int group) {
  for (int i = threadIdx.x % kGroupThreads; i < kTokens * kDim / 8; i += kGroupThreads) {
    const int token = i / (kDim / 8);
    if (token >= low && token < high) continue;
    const uint32_t at = values + tile_offset(kTokens, token, i % (kDim / 8));
    asm volatile("st.shared.v4.b32 [%0], {%1, %1, %1, %1};" ::"r"(at), "r"(0) : "memory");
  }
  fence_async_proxy();
  group_barrier(group);
}

// What a part gives, to scratch or merged with what the parts before it gave, which lies in `out`.
template <int kDim>
__device__ inline void keep_part(const AttentionArgs& args, const Work& work, int kv_head, int part,
                                 int group, const Rows<kDim>& rows, RowState (&totals)[2]) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int merged_row =
        group * kConsumerRows + threadIdx.x % kGroupThreads / 32 * 16 + lane / 4 + 8 * h;
    RowState state;
    state.maximum = rows.maximum[h];
    state.sum = rows.sum[h];
    state.sum += __shfl_xor_sync(~0u, state.sum, 1);
    state.sum += __shfl_xor_sync(~0u, state.sum, 2);
    if (merged_row >= work.rows * args.group) continue;
    keep_row<kDim / 8>(
        args, work, kv_head, part, merged_row, state,
        [&](int t) { return make_float2(rows.sums[t][2 * h], rows.sums[t][2 * h + 1]); },
        totals[h]);
  }
}

// Lets the buffers of a work go, for a warpgroup without rows in it.
__device__ inline void skip(const AttentionArgs& args, const Work& work, Ring& ring) {
  for (int p = 0; p < work.parts; ++p) {
    const Part part = args.plan.parts[work.first_part + p];
    for (int i = 0; i < part.pieces; ++i) {
      const Chunks chunks = chunks_by_warp(args, work, args.plan.pieces[part.first_piece + i]);
      for (int buffer = 2 * chunks.first; buffer < 2 * chunks.last; ++buffer) {
        barrier_wait(ring.full + 8 * ring.at, ring.phase);
        if (threadIdx.x % 32 == 0) barrier_arrive(ring.empty + 8 * ring.at);
        ring.advance();
      }
    }
  }
}

template <int kDim>
__device__ inline void consume(const AttentionArgs& args, const Work& work, int kv_head, int group,
                               char* queries_at, Limits& limits, Ring& ring) {
  using T = Tile<kDim>;
  const int thread = threadIdx.x % kGroupThreads;
  const Descriptor queries(shared_address(queries_at) + group * kConsumerRows * kRowBytes, 16,
                           kRows8);
  const int first_row = group * kConsumerRows;
  const int own_rows = min(kConsumerRows, work.rows * args.group - first_row);
  if (own_rows <= 0) {
    skip(args, work, ring);
    return;
  }
  group_barrier(group);  // the work before is done with its queries
  // Rows beyond the work's are zero.
  for (int i = own_rows * (kDim / 8) + thread; i < kConsumerRows * kDim / 8; i += kGroupThreads) {
    *reinterpret_cast<uint4*>(queries_at + tile_offset(kTileRows, first_row + i / (kDim / 8),
                                                       i % (kDim / 8))) = make_uint4(0, 0, 0, 0);
  }
  const bool arrives = thread % 32 == 0;  // one of each warp

  RowState totals[2];
  int64_t rotated_for = INT64_MIN;
  for (int p = 0; p < work.parts; ++p) {
    const Part part = args.plan.parts[work.first_part + p];
    Rows<kDim> rows;
    rows.clear();
    int next_piece = 0;
    Chunks chunks{0, 0};            // of the current piece
    int begin = 0, end = 0;         // its tokens
    int all_low = 0, all_high = 0;  // those that all rows of the warpgroup see
    // To the next chunk that is read; false: the part is at its end.
    const auto next = [&]() {
      while (chunks.first >= chunks.last) {
        if (next_piece == part.pieces) return false;
        const Piece& piece = args.plan.pieces[part.first_piece + next_piece++];
        group_barrier(group);  // the limits and queries of the piece before are done with
        set_limits(args, work, piece, group, limits);
        if (rotated_for != piece.rotation) {
          rotated_for = piece.rotation;
          rotate_queries<kDim, kGroupThreads, 4>(args, work, kv_head, piece, first_row, own_rows,
                                                 thread, queries_at);
        }
        fence_async_proxy();
        group_barrier(group);
        chunks = chunks_of(min4(limits.any_low), max4(limits.any_high));
        begin = piece.begin;
        end = piece.end;
        all_low = max4(limits.all_low);
        all_high = min4(limits.all_high);
      }
      return true;
    };
    const auto keys_of_next = [&]() {
      barrier_wait(ring.full + 8 * ring.at, ring.phase);
      return Descriptor(ring.buffers + ring.at * T::kBufferBytes, 16, kRows8);
    };
    const auto release = [&](int buffer) {
      if (arrives) barrier_arrive(ring.empty + 8 * buffer);
    };
    // Masks and softens the scores of the current chunk and moves on to its values.
    int values_low = 0, values_high = 0;  // tokens of the piece among those of a buffer
    const auto scores_to_weights = [&](float(&shrink)[2]) {
      const int first_token = chunks.first * kTokens;
      if (first_token < all_low || first_token + kTokens > all_high) rows.mask(first_token, limits);
      rows.soften(shrink);
      values_low = begin - first_token;
      values_high = end - first_token;
      ++chunks.first;
    };
    const auto values_of_last = [&](const Ring& of) {
      barrier_wait(of.full + 8 * of.at, of.phase);
      const uint32_t values = of.buffers + of.at * T::kBufferBytes;
      if (values_low > 0 || values_high < kTokens) {
        clear_outside<kDim>(values, values_low, values_high, group);
      }
      return Descriptor(values, kTokens * kRowBytes, kRows8);
    };

    if (next()) {
      float shrink[2];
      Descriptor keys = keys_of_next();
      wgmma_fence();
      rows.multiply_keys(queries, keys);
      wgmma_wait<0>();
      release(ring.at);
      ring.advance();
      scores_to_weights(shrink);
      rows.round_weights();
      while (next()) {
        const Ring of_values = ring;
        ring.advance();
        keys = keys_of_next();
        const Descriptor values = values_of_last(of_values);
        wgmma_fence();
        rows.multiply_keys(queries, keys);
        rows.multiply_values(values);
        wgmma_wait<1>();
        release(ring.at);
        ring.advance();
        scores_to_weights(shrink);
        rows.finish_before_waiting();
        wgmma_wait<0>();
        release(of_values.at);
        rows.rescale(shrink);
        rows.round_weights();
      }
      const Descriptor values = values_of_last(ring);
      wgmma_fence();
      rows.multiply_values(values);
      wgmma_wait<0>();
      release(ring.at);
      ring.advance();
    }
    keep_part<kDim>(args, work, kv_head, p, group, rows, totals);
  }
}

#endif  // DBSA_HOPPER

template <int kDim>
__global__ void __launch_bounds__(kThreads, 1) hopper_kernel(AttentionArgs args) {
#if DBSA_HOPPER
  using T = Tile<kDim>;
  extern __shared__ char dynamic[];
  __shared__ Limits limits[kConsumers];
  __shared__ Barriers barriers;
  char* queries = dynamic + (1024 - shared_address(dynamic) % 1024) % 1024;
  Ring ring{shared_address(barriers.full), shared_address(barriers.empty),
            shared_address(queries) + T::kQueryBytes};
  if (threadIdx.x == 0) {
    for (int i = 0; i < kBuffers; ++i) {
      barrier_init(ring.full + 8 * i, 1);
      barrier_init(ring.empty + 8 * i, kConsumers * kGroupThreads / 32);
    }
    barriers_are_set();
  }
  let_next_begin();
  wait_for_earlier();
  __syncthreads();
  const int group = int(threadIdx.x) / kGroupThreads;
  const int units = args.plan.work_count * args.kv_heads;
  const auto each_unit = [&](const auto& run) {
    for (int unit = blockIdx.x; unit < units; unit += gridDim.x) {
      run(args.plan.works[unit % args.plan.work_count], unit / args.plan.work_count);
    }
  };
  if (group == kConsumers) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
    if (threadIdx.x % kGroupThreads >= 32) return;
    each_unit([&](const Work& work, int head) { produce<kDim>(args, work, head, ring); });
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
    each_unit([&](const Work& work, int head) {
      consume<kDim>(args, work, head, group, queries, limits[group], ring);
    });
  }
#endif
}

template <int kDim>
cudaError_t launch(cudaStream_t stream, const AttentionArgs& args) {
  constexpr auto kBytes = static_cast<int>(Tile<kDim>::kSharedBytes);
  int device = 0, multiprocessors = 0;
  cudaError_t error = cudaGetDevice(&device);
  if (error == cudaSuccess) {
    error = cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device);
  }
  // Cheap, and the current device may be another than last time.
  if (error == cudaSuccess) {
    error = cudaFuncSetAttribute(hopper_kernel<kDim>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 kBytes);
  }
  if (error != cudaSuccess) return error;
  const int blocks = std::min(multiprocessors, args.plan.work_count * args.kv_heads);
  return launch_early(stream, hopper_kernel<kDim>, dim3(static_cast<unsigned>(blocks)),
                      dim3(kThreads), kBytes, args);
}

}  // namespace

bool encode_hopper_map(const KvPlace& place, int64_t rows, int64_t head_dim, TensorMap* map) {
  return encode_map(place.address, rows, head_dim, kTokens, map);
}

cudaError_t hopper_attention(cudaStream_t stream, const AttentionArgs& args) {
  return args.head_dim == 64 ? launch<64>(stream, args) : launch<128>(stream, args);
}

}  // namespace dbsa::cuda
