// Blocks of GGUF files: their types, and what is in one.
#pragma once

#include "kernels.h"

#include <dbsa/quantised_weights.h>

#include <cstdint>
#include <string_view>

namespace dbsa::cpu {

struct QuantisedType {
  uint32_t id;  // DBSA_BLOCKS_*
  std::string_view name;
  int64_t elements;  // of a block
  int64_t bytes;     // of a block
  QuantisedForm form;
  // As kernels_quantised.h has them, for 16 columns: values of 32 elements, scales of a block.
  int64_t value_bytes;
  int64_t scale_bytes;
};

// nullptr: not computed with.
const QuantisedType* find_quantised_type(uint32_t id);

// A block's fields. Elements are the numbers that the block holds, offsets not taken off; of Q8_0
// and of scales of Q6_K bytes whose sign counts.
struct BlockFields {
  uint8_t elements[256];
  uint16_t scale;    // float16; the exponent of MXFP4
  uint16_t minimum;  // float16
  uint8_t scales[16];
  uint8_t minimums[8];
};
void read_block(const QuantisedType& type, const unsigned char* block, BlockFields& fields);

// Elements of whole blocks as float32, rounded to bfloat16.
void decode_blocks(const QuantisedType& type, const unsigned char* blocks, int64_t count,
                   float* out);

// Into column `column` of a group: one block as the kernels read it. values: of the block's first
// 32 elements; scales: of the block.
void place_block(const QuantisedType& type, const BlockFields& fields, int64_t column,
                 uint8_t* values, uint8_t* scales);

}  // namespace dbsa::cpu
