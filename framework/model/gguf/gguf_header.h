// The header of a GGUF file: its keys, and which tensors it holds where.
//
// A file is, little endian: "GGUF", version (u32), number of tensors and of keys (u64 each); the
// keys: name, type (u32), value; the tensors: name, number of dimensions (u32), each dimension
// (u64, fastest first), type (u32), offset (u64); then, from the next multiple of
// `general.alignment`, the data that the offsets count from. A string is its length (u64) and its
// bytes; an array the type of its elements (u32), their number (u64) and they. Version 3 is read.
// Nothing of the data is touched here. Source: the format's description in the ggml repository.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/checkpoint/tensor_file.h"
#include "model/gguf/gguf_value.h"

namespace dbsa::gguf {

struct Header {
  std::vector<Key> keys;             // ascending by name
  std::vector<TensorEntry> tensors;  // ascending by name; begin counts from the file's start
};

inline constexpr uint64_t kMaxKeys = 65'536;
inline constexpr uint64_t kMaxTensors = 65'536;
inline constexpr uint64_t kMaxTensorNameBytes = 64;
inline constexpr uint64_t kMaxAlignment = 65'536;

// Parses and checks a header. file: the name for messages; bytes: of the whole file, which must
// outlive the values. Fails with kEnvironment, and kConfig for what is sound but not read (another
// version, another type of tensor): "file: key or tensor, byte: expected X, found Y; what to do".
// Cost: one pass over the header, O(n log n) in keys and tensors; memory a few hundred bytes for
// each.
Result<Header> parse_header(const std::string& file, std::span<const unsigned char> bytes);

}  // namespace dbsa::gguf
