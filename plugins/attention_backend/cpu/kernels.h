// The inner loops, once per instruction set. Each table is filled by its own translation unit,
// compiled for that set; nothing else of the plugin is. To keep instructions from leaking through
// shared inline functions, those units include this header (plain data) and intrinsics only.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace dbsa::cpu {

// How values of the right-hand matrix are kept and multiplied.
enum Arithmetic : int32_t {
  kF32 = 0,       // float32 by float32
  kBf16Wide = 1,  // bfloat16 widened to float32, by float32
  kBf16Dot = 2    // bfloat16 by bfloat16, two at a time, summed in float32
};
constexpr int kArithmetics = 3;
constexpr int kActivations = 2;

// Right-hand matrices are cut into groups of 16 columns. A step is what one multiplication takes
// from the reduction: one row of float32, or two rows of bfloat16 side by side in 32 bits.
constexpr int64_t kGroup = 16;
// Dimensions of a token's key, and of its value, that share a scale where KV is int8.
constexpr int64_t kScaledKeys = 16;
constexpr int64_t kScaledValues = 32;
constexpr int64_t kChunk = 128;  // tokens that attention takes at a time; a multiple of kGroup

// c[rows, groups * 16] = a[rows, steps] * b, or += where `accumulate`. Every element is one sum in
// ascending steps, independent of the rows and groups around it.
struct MultiplyArgs {
  const void* a;     // kF32: float; kBf16Wide: two floats a step; kBf16Dot: two bfloat16 a step
  int64_t a_stride;  // bytes from row to row
  int64_t rows;
  const void* b;   // 4-byte elements: element (step, group, column) at
  int64_t b_step;  //   step * b_step + group * b_group + column
  int64_t b_group;
  int64_t steps;
  int64_t groups;
  float* c;
  int64_t c_stride;  // floats from row to row
  bool accumulate;
  const void* next;  // what is read next, in the shape of b: a hint to fetch it meanwhile; or null
};

// Softmax state of `rows` rows over the tokens seen so far: the weighted sum of V is
// acc / sum(l) relative to exp(m). Empty: m = -inf, l = 0, acc = 0.
struct AttentionState {
  float* m;    // [rows]
  float* l;    // [rows, 16]: partial sums, lane by lane
  float* acc;  // [rows, v_width]
  int64_t rows;
};

// x[count] to int8: each `group` numbers, and what is left, with their own bfloat16 scale. From the
// largest magnitude / 127, / 126, ... / 96, rounded up, it is the one with the smallest sum of
// squared errors of bfloat16(int8 * scale). A group whose largest magnitude is below 127 * 2^-126
// counts as zeros. A group with a number that is not finite gets the scale NaN.
struct QuantiseArgs {
  const float* x;
  int64_t count;
  int64_t group;
  int8_t* out;       // [count]
  uint16_t* scales;  // [count / group, rounded up]
};

// One head's rows against tokens begin..end of one head of a KV plane.
struct AttendArgs {
  const void* q;       // rotated and scaled, as MultiplyArgs::a
  int64_t q_stride;    // bytes
  const void* k;       // [groups][steps][16]
  const void* v;       // [steps][v_width]
  const void* next_k;  // what is read after `end`, a hint as MultiplyArgs::next; or null
  const void* next_v;
  // Where KV is int8: k is [groups][head_dim][16 tokens], v is [tokens][v_width], and a value is
  // bfloat16(int8 * scale). Else null.
  const uint16_t* k_scales;  // [groups][head_dim / kScaledKeys, rounded up][16 tokens] bfloat16
  const uint16_t* v_scales;  // [groups][head_dim / kScaledValues, rounded up][16 tokens]
  uint32_t* widened;         // scratch, [kChunk, head_dim + v_width] bfloat16
  int64_t head_dim;
  int64_t v_width;  // head_dim rounded up to 16
  int64_t begin;
  int64_t end;
  const int64_t* low;   // [rows]: the row sees tokens low..high-1, indices as begin and end
  const int64_t* high;  // [rows]
  float* scores;        // scratch, [rows, kChunk]
  void* weights;        // scratch, [rows, kChunk] bfloat16, for kBf16Dot
  float soft_cap;       // c > 0: a score s becomes c tanh(s / c); 0: none
  AttentionState state;
};

// Matrices of bfloat16 cut into tiles of 16 rows by 16 steps, each of 1 KiB, ascending in memory;
// what lies beyond the matrix is zero. From one row of tiles to the next it is an odd number of
// tiles: powers of two would share few lines of the caches.
constexpr int64_t kTileRows = 16;
constexpr int64_t kTileSteps = 16;
constexpr int64_t kTileBytes = 1024;
static constexpr int64_t tile_row_bytes(int64_t step_tiles) {
  return (step_tiles | 1) * kTileBytes;
}
struct TileProduct {
  const void* a;  // [row_tiles][step_tiles | 1][16 rows][16 steps][2]
  int64_t row_tiles;
  const void* b;   // [groups][step_tiles | 1][16 steps][16 columns][2]
  int64_t groups;  // even
  int64_t step_tiles;
  float* c;          // [row_tiles * 16, groups * 16], 64-byte aligned
  int64_t c_stride;  // floats from row to row, a multiple of 16
};

// Quantised matrices. The reduction is cut into blocks of 32 values, columns into groups. Block b
// of a group has its values at values + b * (bytes of 16 columns), scales run along beside them
// (kernels_quantised.h has both layouts).
enum QuantisedForm : int32_t { kQ4_0, kQ4_1, kQ5_0, kQ5_1, kQ8_0, kQ4K, kQ5K, kQ6K, kMxfp4 };
// What the elements of MXFP4 stand for.
inline constexpr float kE2M1[16] = {0,     0.5f,  1,  1.5f,  2,  3,  4,  6,
                                    -0.0f, -0.5f, -1, -1.5f, -2, -3, -4, -6};

// Blocks first_block.. of one group as bfloat16, a right-hand matrix [blocks * 16 steps][16].
struct DecodeArgs {
  QuantisedForm form;
  const void* values;  // of the group, as scales
  const void* scales;
  int64_t first_block;
  int64_t blocks;
  uint32_t* out;
};

// c[rows, groups * 16] = a * b, b being quantised.
struct QuantisedProduct {
  QuantisedForm form;
  const void* a;     // pairs of bfloat16, as MultiplyArgs::a
  int64_t a_stride;  // bytes
  int64_t rows;      // 1..kFewRows
  const void* values;
  int64_t value_stride;  // bytes from group to group
  const void* scales;
  int64_t scale_stride;
  int64_t groups;
  int64_t blocks;
  float* c;
  int64_t c_stride;  // floats
};
constexpr int64_t kFewRows = 4;

struct Kernels {
  void (*multiply[kArithmetics])(const MultiplyArgs& args);  // null: not on this path
  void (*attend[kArithmetics])(const AttendArgs& args);
  void (*decode)(const DecodeArgs& args);
  // As multiply[kBf16Dot] on what decode makes. Null: not on this path.
  void (*multiply_quantised)(const QuantisedProduct& product);
  // c = a * b, each element one sum in ascending steps; fastest where row_tiles is even. Null where
  // there are no tiles.
  void (*multiply_tiles)(const TileProduct& product);
  // Rows x[rows, width], at most 16, as a row of tiles, rounded to bfloat16. Null likewise.
  void (*pack_tiles)(const float* x, int64_t rows, int64_t width, void* tiles);
  // Copies x[rows, columns] to rows that lie `stride` floats apart, past the caches. Null likewise.
  void (*write_through)(const float* x, int64_t rows, int64_t columns, float* out, int64_t stride);
  // Adds `part` to `total`; rows of `part` that saw nothing leave `total` as it is.
  void (*merge)(const AttentionState& part, const AttentionState& total, int64_t v_width);
  // out[head_dim] = acc / sum(l) of one row.
  void (*finish)(const AttentionState& state, int64_t row, int64_t v_width, int64_t head_dim,
                 float* out);
  // out = scale * x rotated by an angle per pair (i, i + half). cosine, sine: [half].
  void (*rotate)(const float* x, const float* cosine, const float* sine, int64_t half, float scale,
                 float* out);
  // To bfloat16, round to nearest even; the second keeps the result in float32.
  void (*to_bf16)(const float* x, int64_t count, uint16_t* out);
  void (*round_bf16)(const float* x, int64_t count, float* out);
  void (*quantise)(const QuantiseArgs& args);
  void (*rms_norm)(const float* x, const float* weight, int64_t width, float epsilon, float* out);
  void (*layer_norm)(const float* x, const float* weight, const float* bias, int64_t width,
                     float epsilon, float* out);
  void (*gelu)(const float* x, int64_t count, float* out);
  // out = activation(gate) * up, by DBSA_ACTIVATION_*.
  void (*gate[kActivations])(const float* gate, const float* up, int64_t count, float* out);
  // out = x + factor * y.
  void (*add_scaled)(const float* x, const float* y, float factor, int64_t count, float* out);
  // out = factor * x, and where cap > 0 of that cap * tanh(factor * x / cap).
  void (*scale)(const float* x, float factor, float cap, int64_t count, float* out);
  // out = x (+ bias) (+ residual), each summand may be null.
  void (*add)(const float* x, const float* bias, const float* residual, int64_t count, float* out);
  // out = exp(x), for x <= 0; the exponential of silu, and of softmax in float32.
  void (*exp)(const float* x, int64_t count, float* out);
  // The index of the largest of x, the least of equals; any where one of x is NaN.
  int64_t (*find_largest)(const float* x, int64_t count);
  // The sum of exp(x - largest), `largest` being that of x; NaN where one of x is NaN or +inf.
  double (*sum_exp)(const float* x, int64_t count, float largest);
};

const Kernels& portable_kernels();
#ifdef DBSA_CPU_X86
const Kernels& avx2_kernels();
const Kernels& avx512_bf16_kernels();
const Kernels& amx_bf16_kernels();
#endif

}  // namespace dbsa::cpu
