// tokenizer.json bytes -> load, encode and decode a sample. Nothing may crash, hang or leak, and
// what loads must give ids below vocab_size() and valid text.
#include <cstdlib>

#include "model/tokenizer/tokenizer.h"
#include "text/utf8.h"

namespace {

constexpr std::string_view kSample =
    "the query: caf\u00e9 'S 12345  \t\n<s> \u2581x \U0001F600\u0301\u0323 <|end|> "
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    "bbbbbbbbbbbbbbbbbbbb\r\n\u180e\u3000 <mask> \u09fe";

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto tokenizer =
      dbsa::Tokenizer::from_json({reinterpret_cast<const char*>(data), size}, "fuzz");
  if (!tokenizer.ok()) {
    require(!tokenizer.error().message.empty());
    return 0;
  }
  for (const bool parse_special : {true, false}) {
    const auto ids = (*tokenizer)->encode(kSample, {.parse_special = parse_special});
    if (!ids.ok()) continue;
    for (const int32_t id : *ids) require(id >= 0 && id < (*tokenizer)->vocab_size());
    for (const bool skip_special : {true, false})
      require(
          !dbsa::utf8::find_invalid((*tokenizer)->decode(*ids, {.skip_special = skip_special})));
  }
  return 0;
}
