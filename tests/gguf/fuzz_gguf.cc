// Any bytes as a GGUF file: its header and its tokenizer are refused with a message, or consistent.
// Seeds lie in fuzz_seeds.
#include <cstdint>
#include <cstdlib>

#include "model/gguf/gguf_header.h"
#include "model/gguf/gguf_tokenizer.h"

namespace {

constexpr const char* kText = "Ab  c\xc3\xa9 12<s>\n";

void check_tensors(const dbsa::gguf::Header& header, uint64_t size) {
  uint64_t total = 0;
  for (const dbsa::TensorEntry& entry : header.tensors) {
    if (entry.begin > size || entry.bytes > size - entry.begin) std::abort();
    total += entry.bytes;
  }
  if (total > size) std::abort();
}

void check_keys(const dbsa::gguf::Header& header) {
  for (const dbsa::gguf::Key& key : header.keys) {
    const auto strings = dbsa::gguf::array_strings("f", key);
    const auto* array = std::get_if<dbsa::gguf::Array>(&key.value);
    if (strings.ok() && (array == nullptr || strings->size() != array->count)) std::abort();
  }
}

void check_tokenizer(const dbsa::gguf::Header& header) {
  const auto tokenizer = dbsa::gguf::read_gguf_tokenizer("f", header.keys);
  if (!tokenizer.ok()) {
    if (tokenizer.error().message.empty()) std::abort();
    return;
  }
  const auto ids = (*tokenizer)->encode(kText);
  if (!ids.ok()) return;
  for (const int32_t id : *ids)
    if (id < 0 || id >= (*tokenizer)->vocab_size()) std::abort();
  (void)(*tokenizer)->decode(*ids);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto header = dbsa::gguf::parse_header("f", {data, size});
  if (!header.ok()) {
    if (header.error().message.empty()) std::abort();
    return 0;
  }
  check_tensors(*header, size);
  check_keys(*header);
  check_tokenizer(*header);
  return 0;
}
