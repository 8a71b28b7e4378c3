// Kernels for AMX: products of bfloat16 in tiles of 16 rows by 16 columns, the rest as AVX-512 with
// BF16 has it.
#include "tile_config.h"
#include "vector_avx512_bf16.h"

namespace dbsa::cpu {
namespace {

// A tile holds 16 rows of 64 bytes: of `a` 16 rows by 16 steps, of `b` 16 steps by a group of 16
// columns, of `c` 16 rows by 16 floats. Tiles 0-3 are sums, 4 and 5 hold `a`, 6 and 7 `b`.
constexpr TileConfig kConfig;

// gcc does not know that its instructions for tiles read and write memory.
inline void memory_barrier() { __asm__ volatile("" ::: "memory"); }

// Tiles are ready to be used while one of these lives. They are given back afterwards: any other
// code that uses tiles on this thread sets them up for itself.
class TileScope {
 public:
  TileScope() { _tile_loadconfig(&kConfig); }
  ~TileScope() { _tile_release(); }
  TileScope(const TileScope&) = delete;
  TileScope& operator=(const TileScope&) = delete;
};

// Distances in bytes: from row to row of a tile, and from tile to tile along rows, groups and
// steps.
struct TileStrides {
  int64_t a_row, a_rows, a_steps;
  int64_t b_row, b_groups, b_steps;
  int64_t c_row;
};

// Tile T's sums make room for those of the next block, which begin with what is in memory or with
// 0. A macro, as the number of a tile is part of the instruction.
#define DBSA_NEXT_SUMS(T, offset)                                         \
  if (stored_ != nullptr) _tile_stored(T, stored_ + (offset), at_.c_row); \
  if (accumulate) {                                                       \
    _tile_loadd(T, c + (offset), at_.c_row);                              \
  } else {                                                                \
    _tile_zero(T);                                                        \
  }

// Sums of R tiles of rows by G groups over some steps, in tiles 0-3. Storing those of the block
// before takes turns with the first multiplications of the next, so that neither waits for the
// other.
template <int R, int G>
class TileBlocks {
 public:
  explicit TileBlocks(const TileStrides& strides) : at_(strides) {}

  // a, b: the first step's tiles. c += or = the sums, once the block after this one or flush stores
  // them.
  void multiply(const char* a, const char* b, char* c, int64_t step_tiles, bool accumulate) {
    _tile_loadd(4, a, at_.a_row);
    _tile_loadd(6, b, at_.b_row);
    DBSA_NEXT_SUMS(0, 0);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (G > 1) {
      _tile_loadd(7, b + at_.b_groups, at_.b_row);
      DBSA_NEXT_SUMS(1, 64);
      _tile_dpbf16ps(1, 4, 7);
    }
    if constexpr (R > 1) {
      const int64_t below = kTileRows * at_.c_row;
      _tile_loadd(5, a + at_.a_rows, at_.a_row);
      DBSA_NEXT_SUMS(2, below);
      _tile_dpbf16ps(2, 5, 6);
      if constexpr (G > 1) {
        DBSA_NEXT_SUMS(3, below + 64);
        _tile_dpbf16ps(3, 5, 7);
      }
    }
    for (int64_t s = 1; s < step_tiles; ++s) {
      a += at_.a_steps;
      b += at_.b_steps;
      _tile_loadd(4, a, at_.a_row);
      _tile_loadd(6, b, at_.b_row);
      _tile_dpbf16ps(0, 4, 6);
      if constexpr (G > 1) {
        _tile_loadd(7, b + at_.b_groups, at_.b_row);
        _tile_dpbf16ps(1, 4, 7);
      }
      if constexpr (R > 1) {
        _tile_loadd(5, a + at_.a_rows, at_.a_row);
        _tile_dpbf16ps(2, 5, 6);
        if constexpr (G > 1) _tile_dpbf16ps(3, 5, 7);
      }
    }
    stored_ = c;
  }
  void flush() {
    if (stored_ == nullptr) return;
    _tile_stored(0, stored_, at_.c_row);
    if constexpr (G > 1) _tile_stored(1, stored_ + 64, at_.c_row);
    if constexpr (R > 1) {
      const int64_t below = kTileRows * at_.c_row;
      _tile_stored(2, stored_ + below, at_.c_row);
      if constexpr (G > 1) _tile_stored(3, stored_ + below + 64, at_.c_row);
    }
  }

 private:
  const TileStrides at_;
  char* stored_ = nullptr;  // where the sums in the tiles belong
};

#undef DBSA_NEXT_SUMS

// R tiles of rows at a time by G groups at a time, of which there are a multiple each.
template <int R, int G>
void multiply_strided(const MultiplyArgs& x) {
  TileStrides at = {};
  at.a_row = x.a_stride;
  at.a_rows = kTileRows * x.a_stride;
  at.a_steps = kTileSteps * 4;
  at.b_row = x.b_step * 4;
  at.b_groups = x.b_group * 4;
  at.b_steps = kTileSteps * x.b_step * 4;
  at.c_row = x.c_stride * 4;
  memory_barrier();
  TileBlocks<R, G> blocks(at);
  for (int64_t row = 0; row < x.rows; row += R * kTileRows) {
    for (int64_t group = 0; group < x.groups; group += G) {
      blocks.multiply(static_cast<const char*>(x.a) + row * x.a_stride,
                      static_cast<const char*>(x.b) + group * at.b_groups,
                      reinterpret_cast<char*>(x.c + row * x.c_stride + group * kGroup),
                      x.steps / kTileSteps, x.accumulate);
    }
  }
  blocks.flush();
  memory_barrier();
}

// x.rows: a multiple of R tiles.
template <int R>
void multiply_tile_rows(const MultiplyArgs& x) {
  MultiplyArgs part = x;
  part.groups = x.groups / 2 * 2;
  if (part.groups > 0) multiply_strided<R, 2>(part);
  if (part.groups == x.groups) return;
  part.b = static_cast<const uint32_t*>(x.b) + part.groups * x.b_group;
  part.c = x.c + part.groups * kGroup;
  part.groups = 1;
  multiply_strided<R, 1>(part);
}

// The last rows, fewer than a tile has, filled up with zeros.
void multiply_last_rows(const MultiplyArgs& x, int64_t row) {
  constexpr int64_t kStepsAtOnce = 128;
  constexpr int64_t kGroupsAtOnce = 4;
  alignas(64) char a[kTileRows * kStepsAtOnce * 4];
  alignas(64) float c[kTileRows * kGroupsAtOnce * kGroup];
  const int64_t rows = x.rows - row;
  MultiplyArgs part = x;
  for (int64_t step = 0; step < x.steps; step += kStepsAtOnce) {
    part.steps = x.steps - step < kStepsAtOnce ? x.steps - step : kStepsAtOnce;
    part.accumulate = x.accumulate || step > 0;
    const auto a_bytes = static_cast<size_t>(part.steps) * 4;
    for (int64_t r = 0; r < kTileRows; ++r) {
      char* to = a + r * part.steps * 4;
      if (r < rows) {
        __builtin_memcpy(to, static_cast<const char*>(x.a) + (row + r) * x.a_stride + step * 4,
                         a_bytes);
      } else {
        __builtin_memset(to, 0, a_bytes);
      }
    }
    for (int64_t group = 0; group < x.groups; group += kGroupsAtOnce) {
      part.groups = x.groups - group < kGroupsAtOnce ? x.groups - group : kGroupsAtOnce;
      part.b = static_cast<const uint32_t*>(x.b) + step * x.b_step + group * x.b_group;
      const int64_t width = part.groups * kGroup;
      const auto c_bytes = static_cast<size_t>(width) * 4;
      float* const place = x.c + row * x.c_stride + group * kGroup;
      if (part.accumulate) {
        for (int64_t r = 0; r < rows; ++r)
          __builtin_memcpy(c + r * width, place + r * x.c_stride, c_bytes);
        __builtin_memset(c + rows * width, 0, static_cast<size_t>(kTileRows - rows) * c_bytes);
      }
      part.a = a;
      part.a_stride = part.steps * 4;
      part.rows = kTileRows;
      part.c = c;
      part.c_stride = width;
      multiply_tile_rows<1>(part);
      for (int64_t r = 0; r < rows; ++r)
        __builtin_memcpy(place + r * x.c_stride, c + r * width, c_bytes);
    }
  }
}

// Whole tiles of steps.
void multiply_whole_steps(const MultiplyArgs& x) {
  constexpr int64_t kPair = 2 * kTileRows;
  MultiplyArgs part = x;
  part.rows = x.rows / kPair * kPair;
  if (part.rows > 0) multiply_tile_rows<2>(part);
  int64_t row = part.rows;
  if (row + kTileRows <= x.rows) {
    part.a = static_cast<const char*>(x.a) + row * x.a_stride;
    part.c = x.c + row * x.c_stride;
    part.rows = kTileRows;
    multiply_tile_rows<1>(part);
    row += kTileRows;
  }
  if (row < x.rows) multiply_last_rows(x, row);
}

// The last steps, fewer than a tile has, filled up with zeros, so that the sums are those of whole
// tiles whose other steps are zero.
void multiply_last_steps(const MultiplyArgs& x) {
  constexpr int64_t kRowsAtOnce = 96;
  constexpr int64_t kGroupsAtOnce = 4;
  alignas(64) char a[kRowsAtOnce * kTileSteps * 4];
  alignas(64) uint32_t b[kGroupsAtOnce * kTileSteps * kGroup];
  MultiplyArgs part = x;
  part.a = a;
  part.a_stride = kTileSteps * 4;
  part.b = b;
  part.b_step = kGroup;
  part.b_group = kTileSteps * kGroup;
  part.steps = kTileSteps;
  const auto step_bytes = static_cast<size_t>(x.steps) * 4;
  for (int64_t row = 0; row < x.rows; row += kRowsAtOnce) {
    part.rows = x.rows - row < kRowsAtOnce ? x.rows - row : kRowsAtOnce;
    for (int64_t r = 0; r < part.rows; ++r) {
      char* to = a + r * part.a_stride;
      __builtin_memset(to, 0, kTileSteps * 4);
      __builtin_memcpy(to, static_cast<const char*>(x.a) + (row + r) * x.a_stride, step_bytes);
    }
    for (int64_t group = 0; group < x.groups; group += kGroupsAtOnce) {
      part.groups = x.groups - group < kGroupsAtOnce ? x.groups - group : kGroupsAtOnce;
      for (int64_t g = 0; g < part.groups; ++g) {
        uint32_t* to = b + g * part.b_group;
        const uint32_t* from = static_cast<const uint32_t*>(x.b) + (group + g) * x.b_group;
        for (int64_t s = 0; s < x.steps; ++s)
          __builtin_memcpy(to + s * kGroup, from + s * x.b_step, kGroup * 4);
        __builtin_memset(to + x.steps * kGroup, 0,
                         static_cast<size_t>((kTileSteps - x.steps) * kGroup) * 4);
      }
      part.c = x.c + row * x.c_stride + group * kGroup;
      multiply_whole_steps(part);
    }
  }
}

// A TileProduct whose rows of tiles are a multiple of R. Two groups' part of b, a few steps of it,
// stays in the first cache while the rows pass by, and what comes next is fetched meanwhile. Few
// rows have to wait for b in any case, and read it straight through.
template <int R>
void multiply_blocks(const TileProduct& x) {
  const bool few = x.row_tiles <= 2;
  const int64_t steps_at_once = few ? x.step_tiles : 8;
  const int64_t stride = tile_row_bytes(x.step_tiles);
  TileStrides at = {};
  at.a_row = at.b_row = 64;
  at.a_rows = at.b_groups = stride;
  at.a_steps = at.b_steps = kTileBytes;
  at.c_row = x.c_stride * 4;
  const auto b_at = [&](int64_t group, int64_t step) {
    return static_cast<const char*>(x.b) + group * stride + step * kTileBytes;
  };
  memory_barrier();
  TileBlocks<R, 2> blocks(at);
  for (int64_t step = 0; step < x.step_tiles; step += steps_at_once) {
    const int64_t steps = x.step_tiles - step < steps_at_once ? x.step_tiles - step : steps_at_once;
    const bool last = step + steps == x.step_tiles;
    for (int64_t group = 0; group < x.groups; group += 2) {
      const char* const next = last ? b_at(group + 2, 0) : b_at(group, step + steps);
      const int64_t fetched = few ? 0 : (steps * kTileBytes * R / x.row_tiles + 63) / 64 * 64;
      for (int64_t row = 0; row < x.row_tiles; row += R) {
        const char* const ahead = next + row / R * fetched;
        for (int64_t i = 0; i < fetched; i += 64) {
          _mm_prefetch(ahead + i, _MM_HINT_T1);
          _mm_prefetch(ahead + stride + i, _MM_HINT_T1);
        }
        blocks.multiply(
            static_cast<const char*>(x.a) + row * stride + step * kTileBytes, b_at(group, step),
            reinterpret_cast<char*>(x.c + row * kTileRows * x.c_stride + group * kGroup), steps,
            step > 0);
      }
    }
  }
  blocks.flush();
  memory_barrier();
}

void multiply_packed(const TileProduct& x) {
  const TileScope scope;
  if (x.row_tiles % 2 == 0) {
    multiply_blocks<2>(x);
  } else {
    multiply_blocks<1>(x);
  }
}

void pack_tiles(const float* x, int64_t rows, int64_t width, void* tiles) {
  char* to = static_cast<char*>(tiles);
  for (int64_t i = 0; i < width; i += 2 * kTileSteps, to += kTileBytes) {
    const int64_t left = width - i;
    const __mmask16 low = left >= 16 ? 0xffff : static_cast<__mmask16>((1u << left) - 1);
    const __mmask16 high = left >= 32   ? 0xffff
                           : left <= 16 ? 0
                                        : static_cast<__mmask16>((1u << (left - 16)) - 1);
    for (int64_t r = 0; r < kTileRows; ++r) {
      __m512i pairs = _mm512_setzero_si512();
      if (r < rows) {
        const float* from = x + r * width + i;
        pairs = (__m512i)_mm512_cvtne2ps_pbh(_mm512_maskz_loadu_ps(high, from + 16),
                                             _mm512_maskz_loadu_ps(low, from));
      }
      _mm512_store_si512(to + r * 64, pairs);
    }
  }
}

void write_through(const float* x, int64_t rows, int64_t columns, float* out, int64_t stride) {
  const bool lines =
      columns % 16 == 0 && stride % 16 == 0 && reinterpret_cast<uintptr_t>(out) % 64 == 0;
  for (int64_t r = 0; r < rows; ++r, x += columns, out += stride) {
    if (!lines) {
      __builtin_memcpy(out, x, static_cast<size_t>(columns) * sizeof(float));
      continue;
    }
    for (int64_t i = 0; i < columns; i += 16) _mm512_stream_ps(out + i, _mm512_loadu_ps(x + i));
  }
  _mm_sfence();
}

// How many steps there are changes no sum, where those that are more are zero.
void multiply_in_tiles(const MultiplyArgs& x) {
  MultiplyArgs part = x;
  part.steps = x.steps / kTileSteps * kTileSteps;
  if (part.steps > 0) multiply_whole_steps(part);
  if (part.steps == x.steps) return;
  part.a = static_cast<const char*>(x.a) + part.steps * 4;
  part.b = static_cast<const uint32_t*>(x.b) + part.steps * x.b_step;
  part.accumulate = x.accumulate || part.steps > 0;
  part.steps = x.steps - part.steps;
  multiply_last_steps(part);
}

}  // namespace
}  // namespace dbsa::cpu

#define DBSA_KERNEL_TILES
#define DBSA_KERNEL_TABLE amx_bf16_kernels
#include "kernels_body.h"
