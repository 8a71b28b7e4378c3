// GPT-2's way to write bytes as printable characters: each byte has its own character below
// U+0144, so that vocabularies of arbitrary bytes are valid text.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace dbsa {

class ByteLevelAlphabet {
 public:
  ByteLevelAlphabet();

  // Appends the characters of the bytes.
  void append(std::string_view bytes, std::string& out) const;

  // Appends the bytes of a token; one that holds other characters is appended as it is.
  void append_bytes(std::string_view token, std::string& out) const;

 private:
  std::array<std::string, 256> characters_;
  std::array<int16_t, 0x180> bytes_;  // by character; -1: none
};

}  // namespace dbsa
