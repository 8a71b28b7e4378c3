// A plan as the kernels read it. Plain data, for C++ and CUDA.
#pragma once

#include "tensor_map.h"

#include <cstdint>

namespace dbsa::cuda {

// Tokens that attention takes at a time; they begin at multiples of it of the KV object.
constexpr int kChunk = 64;
// Rows of a piece of work: query rows times the query heads of a KV head, where these are fewer.
constexpr int kTileRows = 128;

// Kinds of segments: DBSA_SEGMENT_*.
constexpr int32_t kFullSegment = 0;
constexpr int32_t kWindowSegment = 2;

// KV on the device: [layers][K, V][kv_heads][padded_tokens][head_dim].
struct KvPlace {
  uint64_t address;       // of layer 0; 256-byte aligned
  int64_t padded_tokens;  // a multiple of kChunk
};

// Tokens begin..end of one segment, indices in its KV object.
struct Piece {
  uint64_t keys;         // address of the keys of layer 0, KV head 0, token 0
  int64_t values_bytes;  // from a key to its value
  int64_t layer_bytes;   // from layer to layer
  int64_t head_bytes;    // from KV head to KV head
  int64_t shift;         // a row at position p stands at index p - shift of the KV object
  int64_t window;        // of DBSA_SEGMENT_WINDOW
  int64_t rotation;      // row r is rotated by rotation_index[rotation + r]
  int32_t kind;          // DBSA_SEGMENT_*
  int32_t begin;
  int32_t end;
  int32_t map;  // index in `maps`; 0 where there are none
};

// Pieces over which softmax runs on.
struct Part {
  int32_t first_piece;
  int32_t pieces;
};

// Rows that are taken through some parts together, once per KV head.
struct Work {
  int32_t first_row;
  int32_t rows;
  int32_t first_part;
  int32_t parts;
  int64_t slot;  // one part: of scratch, for first_row. -1: all parts of the rows, to the end
};

// The parts of a row that are to be merged: part i lies in scratch slot slots[first + i] + row.
struct RowSlots {
  int32_t first;
  int32_t count;  // 0: one work item covers all parts, nothing to merge
};

// Device pointers into one upload.
struct DevicePlan {
  const Work* works;
  const Part* parts;
  const Piece* pieces;
  const TensorMap* maps;          // of the KV objects, where the kernel wants them
  const int32_t* positions;       // [rows]
  const int32_t* rotation_index;  // of `rotations`, see Piece
  const int64_t* slots;
  const RowSlots* row_slots;  // [rows]
  const int64_t* distances;   // [distance_count]
  const float* inv_freq;      // [head_dim / 2]
  float* rotations;           // [distance_count, 2 (cosine, sine), head_dim / 2]
  int32_t work_count;
  int32_t rows;
  int64_t distance_count;
  int64_t slot_count;  // rows of scratch; 0: nothing to merge
};

}  // namespace dbsa::cuda
