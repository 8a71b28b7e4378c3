// From quantised blocks to float32, every bit as the reference of the format (gguf-py) decodes
// them.
#pragma once

#include <cstdint>
#include <span>

#include "model/gguf/tensor_type.h"

namespace dbsa::gguf {

// Decodes whole blocks; `out` has type.elements floats for each. false where a scale is no number,
// or some element is none or beyond float32. type: one of those with dtype kBlocks.
// Cost: about a nanosecond an element.
bool decode_blocks(const TensorType& type, std::span<const unsigned char> blocks, float* out);

// Whether decode_blocks would return true. Cost: about a nanosecond a block.
bool are_numbers(const TensorType& type, std::span<const unsigned char> blocks);

// To bfloat16, nearest, ties to even; of finite numbers.
void round_to_bf16(std::span<const float> numbers, uint16_t* out);

}  // namespace dbsa::gguf
