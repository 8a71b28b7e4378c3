// The header of a safetensors file: which tensors it holds and where their bytes lie.
//
// A file is: header length N (uint64, little-endian), N bytes of JSON, then the data. The JSON maps
// tensor names to {"dtype", "shape", "data_offsets": [first, end)}, offsets counted from the end of
// the header, and may hold "__metadata__" (strings). The tensors cover the data without a gap or an
// overlap. Nothing of the data is touched here.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "model/checkpoint/tensor_file.h"

namespace dbsa {

struct SafetensorsHeader {
  std::vector<TensorEntry> entries;  // ascending by name
  std::map<std::string, std::string> metadata;
};

inline constexpr uint64_t kSafetensorsHeaderLimit = 100'000'000;  // bytes

// Parses and checks a header. file: the name for messages; file_bytes: the whole file's length;
// start: the file's first bytes, at least 8 + header length of them where the file has as many.
// Fails with kEnvironment and a message of file, place, expected and found.
// Cost: one pass over the header, O(tensors log tensors).
Result<SafetensorsHeader> parse_safetensors_header(const std::string& file, uint64_t file_bytes,
                                                   std::span<const unsigned char> start);

}  // namespace dbsa
