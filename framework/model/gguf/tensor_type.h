// The types of tensors in GGUF files, as ggml numbers them, and which of them are read.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "model/checkpoint/tensor_file.h"

namespace dbsa::gguf {

// A type whose tensors are read: rows of blocks, `bytes` for `elements` elements each.
struct TensorType {
  uint32_t id = 0;
  std::string_view name;
  TensorDtype dtype = TensorDtype::kOther;
  uint32_t elements = 1;
  uint32_t bytes = 0;
};

std::span<const TensorType> tensor_types();
const TensorType* find_tensor_type(uint32_t id);            // nullptr: not read
const TensorType* find_tensor_type(std::string_view name);  // nullptr: not read

// "IQ2_XS (17)", or the number only for one that is not known.
std::string tensor_type_name(uint32_t id);
// "F32, F16, ...".
std::string known_tensor_types();

}  // namespace dbsa::gguf
