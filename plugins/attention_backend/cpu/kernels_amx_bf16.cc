// Kernels for AMX: products of bfloat16 in tiles of 16 rows by 16 columns, the rest as AVX-512 with
// BF16 has it.
#include "tile_config.h"
#include "vector_avx512_bf16.h"

namespace dbsa::cpu {
namespace {

// A tile holds 16 rows of 64 bytes: of `a` 16 rows by 16 steps, of `b` 16 steps by a group of 16
// columns, of `c` 16 rows by 16 floats. Tiles 0-3 are sums, 4 and 5 hold `a`, 6 and 7 `b`.
constexpr int64_t kTile = 16;
constexpr int64_t kTileSteps = 16;

constexpr TileConfig kConfig;

// gcc does not know that its instructions for tiles read and write memory.
inline void memory_barrier() { __asm__ volatile("" ::: "memory"); }

// Tiles are ready to be used while one of these lives. They are given back afterwards: whatever
// else uses tiles on this thread sets them up for itself.
class TileScope {
 public:
  TileScope() { _tile_loadconfig(&kConfig); }
  ~TileScope() { _tile_release(); }
  TileScope(const TileScope&) = delete;
  TileScope& operator=(const TileScope&) = delete;
};

// One or two tiles of rows by one or two groups. `steps` is a multiple of kTileSteps; a_stride and
// c_stride are in bytes, b as in MultiplyArgs.
struct TileArgs {
  const char* a;
  int64_t a_stride;
  const uint32_t* b;
  int64_t b_step;
  int64_t b_group;
  int64_t steps;
  float* c;
  int64_t c_stride;
  bool accumulate;
};

template <int R, int G>
void multiply_tiles(const TileArgs& x) {
  const auto c = [&](int r, int g) {
    return reinterpret_cast<char*>(x.c) + r * kTile * x.c_stride + g * 64;
  };
  memory_barrier();
  if (x.accumulate) {
    _tile_loadd(0, c(0, 0), x.c_stride);
    if constexpr (G > 1) _tile_loadd(1, c(0, 1), x.c_stride);
    if constexpr (R > 1) _tile_loadd(2, c(1, 0), x.c_stride);
    if constexpr (R > 1 && G > 1) _tile_loadd(3, c(1, 1), x.c_stride);
  } else {
    _tile_zero(0);
    if constexpr (G > 1) _tile_zero(1);
    if constexpr (R > 1) _tile_zero(2);
    if constexpr (R > 1 && G > 1) _tile_zero(3);
  }
  const char* a = x.a;
  const uint32_t* b = x.b;
  for (int64_t s = 0; s < x.steps; s += kTileSteps) {
    _tile_loadd(4, a, x.a_stride);
    _tile_loadd(6, b, x.b_step * 4);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (G > 1) {
      _tile_loadd(7, b + x.b_group, x.b_step * 4);
      _tile_dpbf16ps(1, 4, 7);
    }
    if constexpr (R > 1) {
      _tile_loadd(5, a + kTile * x.a_stride, x.a_stride);
      _tile_dpbf16ps(2, 5, 6);
      if constexpr (G > 1) _tile_dpbf16ps(3, 5, 7);
    }
    a += kTileSteps * 4;
    b += kTileSteps * x.b_step;
  }
  _tile_stored(0, c(0, 0), x.c_stride);
  if constexpr (G > 1) _tile_stored(1, c(0, 1), x.c_stride);
  if constexpr (R > 1) _tile_stored(2, c(1, 0), x.c_stride);
  if constexpr (R > 1 && G > 1) _tile_stored(3, c(1, 1), x.c_stride);
  memory_barrier();
}

template <int R>
void multiply_tile_rows(const MultiplyArgs& x, const char* a, int64_t a_stride, float* c,
                        int64_t c_stride) {
  TileArgs tile = {};
  tile.a = a;
  tile.a_stride = a_stride;
  tile.b_step = x.b_step;
  tile.b_group = x.b_group;
  tile.steps = x.steps;
  tile.c_stride = c_stride * 4;
  tile.accumulate = x.accumulate;
  for (int64_t group = 0; group < x.groups; group += 2) {
    tile.b = static_cast<const uint32_t*>(x.b) + group * x.b_group;
    tile.c = c + group * kGroup;
    if (group + 1 < x.groups) {
      multiply_tiles<R, 2>(tile);
    } else {
      multiply_tiles<R, 1>(tile);
    }
  }
}

// The last rows, fewer than a tile has, filled up with zeros.
void multiply_last_rows(const MultiplyArgs& x, int64_t row) {
  constexpr int64_t kStepsAtOnce = 128;
  constexpr int64_t kGroupsAtOnce = 4;
  alignas(64) char a[kTile * kStepsAtOnce * 4];
  alignas(64) float c[kTile * kGroupsAtOnce * kGroup];
  const int64_t rows = x.rows - row;
  MultiplyArgs part = x;
  for (int64_t step = 0; step < x.steps; step += kStepsAtOnce) {
    part.steps = x.steps - step < kStepsAtOnce ? x.steps - step : kStepsAtOnce;
    part.accumulate = x.accumulate || step > 0;
    const auto a_bytes = static_cast<size_t>(part.steps) * 4;
    for (int64_t r = 0; r < kTile; ++r) {
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
        __builtin_memset(c + rows * width, 0, static_cast<size_t>(kTile - rows) * c_bytes);
      }
      multiply_tile_rows<1>(part, a, part.steps * 4, c, width);
      for (int64_t r = 0; r < rows; ++r)
        __builtin_memcpy(place + r * x.c_stride, c + r * width, c_bytes);
    }
  }
}

// From `row` on, R tiles of rows at a time as long as there are as many; the first row left.
template <int R>
int64_t multiply_whole_rows(const MultiplyArgs& x, int64_t row) {
  for (; row + R * kTile <= x.rows; row += R * kTile)
    multiply_tile_rows<R>(x, static_cast<const char*>(x.a) + row * x.a_stride, x.a_stride,
                          x.c + row * x.c_stride, x.c_stride);
  return row;
}

// Whole tiles of steps.
void multiply_whole_steps(const MultiplyArgs& x) {
  const int64_t row = multiply_whole_rows<1>(x, multiply_whole_rows<2>(x, 0));
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
