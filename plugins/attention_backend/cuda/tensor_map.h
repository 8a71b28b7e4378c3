// How the copy engine of Hopper sees a matrix: a CUtensorMap.
#pragma once

#include <cstdint>

namespace dbsa::cuda {

struct alignas(128) TensorMap {
  unsigned char bytes[128];
};

// Of a bfloat16 matrix [rows, width] on the device, 16-byte aligned, width % 8 == 0, of which
// box_rows rows of 64 numbers are fetched at a time, with a swizzle of 128 bytes; what lies outside
// the matrix comes as zeros. False: the driver cannot.
bool encode_map(uint64_t address, int64_t rows, int64_t width, int box_rows, TensorMap* map);

}  // namespace dbsa::cuda
