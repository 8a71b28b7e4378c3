// Any bytes as a safetensors header: refused with a message or consistent. Seeds lie in
// corpus/safetensors.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "model/checkpoint/safetensors_header.h"

// The first byte is a number of data bytes to pretend after the header; the rest is the file.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::span<const unsigned char> file(data + 1, size - 1);
  // Both the length as given and one that makes most inputs parse.
  const uint64_t pretended = file.size() + data[0];
  const auto header = dbsa::parse_safetensors_header("f", pretended, file);
  if (!header.ok()) {
    if (header.error().message.empty()) std::abort();
    return 0;
  }
  uint64_t total = 0;
  for (const auto& entry : header->entries) {
    if (entry.begin > pretended || entry.bytes > pretended - entry.begin) std::abort();
    total += entry.bytes;
  }
  if (total > pretended) std::abort();
  return 0;
}
