// Any bytes as a GGUF file: refused with a message, or consistent. Seeds lie in fuzz_seeds.
#include <cstdint>
#include <cstdlib>

#include "model/gguf/gguf_header.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto header = dbsa::gguf::parse_header("f", {data, size});
  if (!header.ok()) {
    if (header.error().message.empty()) std::abort();
    return 0;
  }
  uint64_t total = 0;
  for (const dbsa::TensorEntry& entry : header->tensors) {
    if (entry.begin > size || entry.bytes > size - entry.begin) std::abort();
    total += entry.bytes;
  }
  if (total > size) std::abort();
  for (const dbsa::gguf::Key& key : header->keys) {
    const auto strings = dbsa::gguf::array_strings("f", key);
    const auto* array = std::get_if<dbsa::gguf::Array>(&key.value);
    if (strings.ok() && (array == nullptr || strings->size() != array->count)) std::abort();
  }
  return 0;
}
