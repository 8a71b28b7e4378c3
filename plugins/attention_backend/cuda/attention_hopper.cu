// Attention in bfloat16 on Hopper: keys and values come by the bulk copy engine, products are
// wgmma, sums are float32.
//
// A block takes works for one KV head each, one after the other: up to 128 rows, merged over the
// query heads that share the head, so that KV is read once for all of them. One warp asks for keys
// and values, 128 tokens at a time, into a ring of buffers. Three warps prepare pieces ahead: what
// each row sees of it, and the queries rotated for it. Two warpgroups of 64 rows each multiply the
// next keys and the last values while they turn scores to weights. Softmax runs on within a part.
// Tokens that no row sees are not read; only chunks at the rim of what some row sees are masked.
//
// Tiles lie in shared memory as wgmma and the copy engine have them with a swizzle of 128 bytes:
// panels of 64 numbers a row, 16-byte units of a row exchanged by the row's number.
#include "attention_device.cuh"

#include <cuda.h>

#include <algorithm>

namespace dbsa::cuda {
namespace {

#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define DBSA_HOPPER 1
#else
#define DBSA_HOPPER 0
#endif

constexpr int kTokens = 2 * kChunk;  // of a buffer
constexpr int kGroupThreads = 128;
constexpr int kConsumers = 2;
constexpr int kThreads = (1 + kConsumers) * kGroupThreads;
constexpr int kBuffers = 5;  // each of keys or of values
constexpr int kStages = 2;   // of pieces prepared

// A piece of a work as the consumers want it.
struct Stage {
  int low[kTileRows];  // the merged row sees tokens low..high-1 of the piece
  int high[kTileRows];
  int all_low[kConsumers];  // tokens that all rows of a warpgroup see
  int all_high[kConsumers];
  int first_chunk;  // chunks first..last-1 of kTokens are read
  int last_chunk;
  int begin;  // tokens of the piece
  int end;
  Work work;
  int part;  // of the work's
  int ends_part;
};

struct Barriers {
  uint64_t full[kBuffers];
  uint64_t empty[kBuffers];
  uint64_t prepared[kStages];
  uint64_t released[kStages];
};

template <int kDim>
struct Tile {
  static constexpr uint32_t kQueryBytes = kTileRows * kDim * 2;
  static constexpr uint32_t kBufferBytes = kTokens * kDim * 2;
  static constexpr uint32_t kStagesAt = kStages * kQueryBytes + kBuffers * kBufferBytes;
  static constexpr uint32_t kBarriersAt = kStagesAt + kStages * sizeof(Stage);
  static constexpr uint32_t kSharedBytes = kBarriersAt + sizeof(Barriers);
};
static_assert(Tile<128>::kSharedBytes <= 227 * 1024);

#if DBSA_HOPPER

constexpr int kPreparers = 3;  // warps
constexpr int kConsumerRows = kTileRows / kConsumers;
constexpr int kRowBytes = 128;  // of a panel
constexpr uint32_t kRows8 = 8 * kRowBytes;

// ---- instructions ----------------------------------------------------------------------------

__device__ inline void barrier_init(uint32_t barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
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
// How long the L2 cache is to keep what is fetched, in the encoding of createpolicy.
constexpr uint64_t kKeepAsUsual = 0x1000000000000000;
constexpr uint64_t kKeepBriefly = 0x12F0000000000000;
__device__ inline void fetch_panel(uint32_t shared, const KvMap* map, int column, int row,
                                   uint32_t barrier, uint64_t keep) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
      ".L2::cache_hint [%0], [%1, {%2, %3}], [%4], %5;" ::"r"(shared),
      "l"(map), "r"(column), "r"(row), "r"(barrier), "l"(keep)
      : "memory");
}
// Among the threads of one warpgroup.
__device__ inline void group_barrier(int group) {
  asm volatile("bar.sync %0, 128;" ::"r"(group + 1) : "memory");
}

// Of tiles with a swizzle of 128 bytes. For rows of the reduction's dimension (keys, queries)
// stride is from 8 rows to the next 8; for columns of it (values) leading is from panel to panel
// and stride from 8 tokens to the next 8.
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

#define DBSA_R4(t) "+f"(d[t][0]), "+f"(d[t][1]), "+f"(d[t][2]), "+f"(d[t][3])
#define DBSA_R32(t)                                                                           \
  DBSA_R4(t), DBSA_R4(t + 1), DBSA_R4(t + 2), DBSA_R4(t + 3), DBSA_R4(t + 4), DBSA_R4(t + 5), \
      DBSA_R4(t + 6), DBSA_R4(t + 7)
#define DBSA_N32                                                                               \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, " \
  "%20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define DBSA_N64                                                                            \
  DBSA_N32                                                                                  \
  ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, " \
  "%49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"

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

// ---- the ring of buffers -----------------------------------------------------------------------

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
  // Of few rows each key is read about once, and the cache is better kept for what is merged.
  const uint64_t keep = work.slot >= 0 ? kKeepBriefly : kKeepAsUsual;
  for (int p = 0; p < work.parts; ++p) {
    const Part part = args.plan.parts[work.first_part + p];
    for (int i = 0; i < part.pieces; ++i) {
      const Piece& piece = args.plan.pieces[part.first_piece + i];
      const Chunks chunks = chunks_by_warp(args, work, piece);
      if (!leads) continue;
      const KvMap* map = args.plan.maps + piece.map;
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
                        panel * 64, row, full, keep);
          }
          ring.advance();
        }
      }
    }
  }
}

// ---- pieces prepared ---------------------------------------------------------------------------

struct StageRing {
  uint32_t prepared;  // shared addresses of the barriers
  uint32_t released;
  Stage* stages;
  int at = 0;
  uint32_t phase = 0;

  __device__ void advance() {
    at ^= 1;
    phase ^= at == 0;
  }
};

// By one warp. Rows beyond the work's see all of the piece; what they give is not kept.
__device__ inline void set_limits(const AttentionArgs& args, const Work& work, const Piece& piece,
                                  Stage& stage) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int group = 0; group < kConsumers; ++group) {
    int all_low = INT32_MIN, all_high = INT32_MAX;
#pragma unroll
    for (int i = 0; i < kConsumerRows; i += 32) {
      const int merged_row = group * kConsumerRows + i + lane;
      Visible seen{piece.begin, piece.end};
      if (merged_row < work.rows * args.group) {
        seen = visible(piece, args.plan.positions[work.first_row + merged_row / args.group]);
      }
      stage.low[merged_row] = seen.low;
      stage.high[merged_row] = seen.high;
      all_low = max(all_low, seen.low);
      all_high = min(all_high, seen.high);
    }
    all_low = __reduce_max_sync(~0u, all_low);
    all_high = __reduce_min_sync(~0u, all_high);
    if (lane == 0) {
      stage.all_low[group] = all_low;
      stage.all_high[group] = all_high;
    }
  }
}

template <int kDim>
__device__ inline void prepare(const AttentionArgs& args, const Work& work, int kv_head,
                               char* queries, StageRing& ring) {
  const int thread = threadIdx.x % kGroupThreads - 32;
  for (int p = 0; p < work.parts; ++p) {
    const Part part = args.plan.parts[work.first_part + p];
    for (int i = 0; i < part.pieces; ++i) {
      const Piece& piece = args.plan.pieces[part.first_piece + i];
      barrier_wait(ring.released + 8 * ring.at, ring.phase ^ 1);
      Stage& stage = ring.stages[ring.at];
      if (thread < 32) {
        const Chunks chunks = chunks_by_warp(args, work, piece);
        set_limits(args, work, piece, stage);
        if (thread == 0) {
          stage.first_chunk = chunks.first;
          stage.last_chunk = chunks.last;
          stage.begin = piece.begin;
          stage.end = piece.end;
          stage.work = work;
          stage.part = p;
          stage.ends_part = i == part.pieces - 1;
        }
      }
      rotate_queries<kDim, 32 * kPreparers, 2>(args, work, kv_head, piece, 0,
                                               work.rows * args.group, thread,
                                               queries + ring.at * Tile<kDim>::kQueryBytes);
      fence_async_proxy();
      __syncwarp();
      if (thread % 32 == 0) barrier_arrive(ring.prepared + 8 * ring.at);
      ring.advance();
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
  __device__ void mask(int first_token, const int* lows, const int* highs) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int row = threadIdx.x % kGroupThreads / 32 * 16 + lane / 4 + 8 * h;
      const int low = lows[row] - first_token - lane % 4 * 2;
      const int high = highs[row] - first_token - lane % 4 * 2;
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
    float base[2];
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      // Two chains, of the first and second number of each tile, to wait less for each other.
      float first = scores[0][2 * h], second = scores[0][2 * h + 1];
#pragma unroll
      for (int t = 1; t < kScoreTiles; ++t) {
        first = fmaxf(first, scores[t][2 * h]);
        second = fmaxf(second, scores[t][2 * h + 1]);
      }
      base[h] = fmaxf(maximum[h], fmaxf(first, second));
    }
#pragma unroll
    for (int step = 1; step <= 2; ++step) {
#pragma unroll
      for (int h = 0; h < 2; ++h) base[h] = fmaxf(base[h], __shfl_xor_sync(~0u, base[h], step));
    }
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const float top = base[h];
      if (top == -INFINITY) base[h] = 0.0f;
      shrink[h] = fast_exp2(maximum[h] - base[h]);
      maximum[h] = top;
      float first = 0.0f, second = 0.0f;
#pragma unroll
      for (int t = 0; t < kScoreTiles; ++t) {
        scores[t][2 * h] = fast_exp2(scores[t][2 * h] - base[h]);
        scores[t][2 * h + 1] = fast_exp2(scores[t][2 * h + 1] - base[h]);
        first += scores[t][2 * h];
        second += scores[t][2 * h + 1];
      }
      sum[h] = __fmaf_rn(sum[h], shrink[h], first + second);
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

template <int kDim>
class Consumer {
 public:
  __device__ Consumer(const AttentionArgs& args, int group, uint32_t queries, const Ring& ring,
                      const StageRing& stages)
      : args_(args), group_(group), queries_(queries), ring_(ring), stages_(stages) {}

  // A work with the parts that it has.
  __device__ void run(int kv_head) {
    RowState totals[2];
    for (bool last = false; !last;) {
      take_stage();
      const Work work = stage_->work;
      const int part = stage_->part;
      last = part == work.parts - 1;
      if (work.rows * args_.group <= group_ * kConsumerRows) {
        skip_part();
        continue;
      }
      Rows<kDim> rows;
      run_part(rows);
      keep_part<kDim>(args_, work, kv_head, part, group_, rows, totals);
    }
  }

 private:
  using T = Tile<kDim>;

  __device__ void arrive(uint32_t barrier) const {
    if (threadIdx.x % 32 == 0) barrier_arrive(barrier);
  }
  __device__ void take_stage() {
    barrier_wait(stages_.prepared + 8 * stages_.at, stages_.phase);
    stage_ = stages_.stages + stages_.at;
    chunk_ = stage_->first_chunk;
    last_chunk_ = stage_->last_chunk;
    begin_ = stage_->begin;
    end_ = stage_->end;
    all_low_ = stage_->all_low[group_];
    all_high_ = stage_->all_high[group_];
    ends_part_ = stage_->ends_part != 0;
  }
  __device__ void release_stage() {
    __syncwarp();
    arrive(stages_.released + 8 * stages_.at);
    stages_.advance();
  }
  // To the next chunk that is read; false: the part is at its end, and its last stage released.
  __device__ bool next() {
    while (chunk_ >= last_chunk_) {
      const bool ended = ends_part_;
      release_stage();
      if (ended) return false;
      take_stage();
    }
    return true;
  }
  // Lets the buffers of a part go, for a warpgroup without rows in it.
  __device__ void skip_part() {
    while (next()) {
      for (int which = 0; which < 2; ++which) {
        barrier_wait(ring_.full + 8 * ring_.at, ring_.phase);
        release(ring_.at);
        ring_.advance();
      }
      ++chunk_;
    }
  }

  __device__ void release(int buffer) const { arrive(ring_.empty + 8 * buffer); }
  __device__ Descriptor keys() const {
    barrier_wait(ring_.full + 8 * ring_.at, ring_.phase);
    return Descriptor(ring_.buffers + ring_.at * T::kBufferBytes, 16, kRows8);
  }
  __device__ Descriptor queries() const {
    return Descriptor(queries_ + stages_.at * T::kQueryBytes + group_ * kConsumerRows * kRowBytes,
                      16, kRows8);
  }
  // Of the chunk before, in the buffer at which `ring` stands.
  __device__ Descriptor values(const Ring& ring) const {
    barrier_wait(ring.full + 8 * ring.at, ring.phase);
    const uint32_t values = ring.buffers + ring.at * T::kBufferBytes;
    if (values_low_ > 0 || values_high_ < kTokens) {
      clear_outside<kDim>(values, values_low_, values_high_, group_);
    }
    return Descriptor(values, kTokens * kRowBytes, kRows8);
  }
  // Masks and softens the scores of the current chunk and goes on to its values.
  __device__ void scores_to_weights(Rows<kDim>& rows, float (&shrink)[2]) {
    const int first_token = chunk_ * kTokens;
    if (first_token < all_low_ || first_token + kTokens > all_high_) {
      rows.mask(first_token, stage_->low + group_ * kConsumerRows,
                stage_->high + group_ * kConsumerRows);
    }
    rows.soften(shrink);
    values_low_ = begin_ - first_token;
    values_high_ = end_ - first_token;
    ++chunk_;
  }

  __device__ void run_part(Rows<kDim>& rows) {
    rows.clear();
    if (!next()) return;
    float shrink[2];
    const Descriptor first_keys = keys();
    wgmma_fence();
    rows.multiply_keys(queries(), first_keys);
    wgmma_wait<0>();
    release(ring_.at);
    ring_.advance();
    scores_to_weights(rows, shrink);
    rows.round_weights();
    while (next()) {
      const Ring of_values = ring_;
      ring_.advance();
      const Descriptor next_keys = keys();
      const Descriptor last_values = values(of_values);
      const Descriptor own_queries = queries();
      wgmma_fence();
      rows.multiply_keys(own_queries, next_keys);
      rows.multiply_values(last_values);
      wgmma_wait<1>();
      release(ring_.at);
      ring_.advance();
      scores_to_weights(rows, shrink);
      rows.finish_before_waiting();
      wgmma_wait<0>();
      release(of_values.at);
      rows.rescale(shrink);
      rows.round_weights();
    }
    const Descriptor last_values = values(ring_);
    wgmma_fence();
    rows.multiply_values(last_values);
    wgmma_wait<0>();
    release(ring_.at);
    ring_.advance();
  }

  const AttentionArgs& args_;
  const int group_;
  const uint32_t queries_;
  Ring ring_;
  StageRing stages_;

  // The stage that is worked on.
  const Stage* stage_ = nullptr;
  int chunk_ = 0;
  int last_chunk_ = 0;
  int begin_ = 0;
  int end_ = 0;
  int all_low_ = 0;
  int all_high_ = 0;
  bool ends_part_ = false;
  int values_low_ = 0;  // tokens of the piece among those of the buffer of values
  int values_high_ = 0;
};

#endif  // DBSA_HOPPER

template <int kDim>
__global__ void __launch_bounds__(kThreads, 1) hopper_kernel(AttentionArgs args) {
#if DBSA_HOPPER
  using T = Tile<kDim>;
  extern __shared__ __align__(1024) char shared[];
  const uint32_t base = shared_address(shared);
  auto& barriers = *reinterpret_cast<Barriers*>(shared + T::kBarriersAt);
  Ring ring{shared_address(barriers.full), shared_address(barriers.empty),
            base + kStages * T::kQueryBytes};
  StageRing stages{shared_address(barriers.prepared), shared_address(barriers.released),
                   reinterpret_cast<Stage*>(shared + T::kStagesAt)};
  if (threadIdx.x == 0) {
    constexpr int kConsumerWarps = kConsumers * kGroupThreads / 32;
    for (int i = 0; i < kBuffers; ++i) {
      barrier_init(ring.full + 8 * i, 1);
      barrier_init(ring.empty + 8 * i, kConsumerWarps);
    }
    for (int i = 0; i < kStages; ++i) {
      barrier_init(stages.prepared + 8 * i, kPreparers);
      barrier_init(stages.released + 8 * i, kConsumerWarps);
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  __syncthreads();
  cudaTriggerProgrammaticLaunchCompletion();  // what merges the parts may be launched, and wait
  const int group = int(threadIdx.x) / kGroupThreads;
  const int works = args.plan.work_count;
  const int units = works * args.kv_heads;
  if (group == kConsumers) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 64;");
    const bool prepares = threadIdx.x % kGroupThreads >= 32;
    for (int unit = blockIdx.x; unit < units; unit += gridDim.x) {
      const Work work = args.plan.works[unit % works];
      if (prepares) {
        prepare<kDim>(args, work, unit / works, shared, stages);
      } else {
        produce<kDim>(args, work, unit / works, ring);
      }
    }
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 224;");
    Consumer<kDim> consumer(args, group, base, ring, stages);
    for (int unit = blockIdx.x; unit < units; unit += gridDim.x) consumer.run(unit / works);
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
  hopper_kernel<kDim><<<blocks, kThreads, kBytes, stream>>>(args);
  return cudaGetLastError();
}

using EncodeTiled = CUresult (*)(CUtensorMap*, CUtensorMapDataType, cuuint32_t, void*,
                                 const cuuint64_t*, const cuuint64_t*, const cuuint32_t*,
                                 const cuuint32_t*, CUtensorMapInterleave, CUtensorMapSwizzle,
                                 CUtensorMapL2promotion, CUtensorMapFloatOOBfill);

EncodeTiled find_encoder() {
  void* found = nullptr;
  cudaDriverEntryPointQueryResult result{};
  if (cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found, 12000, cudaEnableDefault,
                                       &result) != cudaSuccess ||
      result != cudaDriverEntryPointSuccess) {
    return nullptr;
  }
  return reinterpret_cast<EncodeTiled>(found);
}

}  // namespace

bool encode_hopper_map(const KvPlace& place, int64_t rows, int64_t head_dim, KvMap* map) {
  static_assert(sizeof(CUtensorMap) == sizeof(KvMap) && alignof(CUtensorMap) <= alignof(KvMap));
  static const EncodeTiled encode = find_encoder();
  if (encode == nullptr) return false;
  const cuuint64_t sizes[2] = {static_cast<cuuint64_t>(head_dim), static_cast<cuuint64_t>(rows)};
  const cuuint64_t strides[1] = {static_cast<cuuint64_t>(head_dim) * 2};
  const cuuint32_t box[2] = {64, kTokens};
  const cuuint32_t steps[2] = {1, 1};
  return encode(reinterpret_cast<CUtensorMap*>(map), CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2,
                reinterpret_cast<void*>(place.address), sizes, strides, box, steps,
                CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

cudaError_t hopper_attention(cudaStream_t stream, const AttentionArgs& args) {
  return args.head_dim == 64 ? launch<64>(stream, args) : launch<128>(stream, args);
}

}  // namespace dbsa::cuda
