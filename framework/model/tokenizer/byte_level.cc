#include "model/tokenizer/byte_level.h"

#include "text/utf8.h"

namespace dbsa {

// Printable Latin-1 bytes stand for themselves, the others for U+0100 and up, in order.
ByteLevelAlphabet::ByteLevelAlphabet() {
  bytes_.fill(-1);
  char32_t other = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const bool printable =
        (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xFF && byte != 0xAD);
    const char32_t c = printable ? static_cast<char32_t>(byte) : other++;
    utf8::append(characters_[static_cast<size_t>(byte)], c);
    bytes_[c] = static_cast<int16_t>(byte);
  }
}

void ByteLevelAlphabet::append(std::string_view bytes, std::string& out) const {
  for (const char byte : bytes) out += characters_[static_cast<unsigned char>(byte)];
}

void ByteLevelAlphabet::append_bytes(std::string_view token, std::string& out) const {
  const size_t before = out.size();
  for (size_t pos = 0; pos < token.size();) {
    const char32_t c = utf8::next(token, pos);
    const int byte = c < bytes_.size() ? bytes_[c] : -1;
    if (byte < 0) {
      out.resize(before);
      out += token;
      return;
    }
    out.push_back(static_cast<char>(byte));
  }
}

}  // namespace dbsa
