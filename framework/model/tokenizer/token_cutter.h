// Cuts tokens out of a text as llama.cpp does: the longest tokens first, each over all that is left
// of the text. (Hugging Face takes the leftmost first, see added_tokens.h.)
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "model/tokenizer/added_tokens.h"

namespace dbsa {

class TokenCutter {
 public:
  // Published tokens have some 60 bytes at most; a text is read once for each length.
  static constexpr size_t kMaxBytes = 256;

  // Texts, of 1 to kMaxBytes bytes, with their ids. The first of equal texts counts.
  explicit TokenCutter(const std::vector<std::pair<std::string, int32_t>>& tokens);

  // The parts of `text` in order. Cost: O(bytes of text) for each length that tokens have.
  std::vector<AddedSplit> cut(std::string_view text) const;

 private:
  struct Length {
    size_t bytes = 0;
    std::array<bool, 256> starts{};  // by byte: some token starts with it
    std::unordered_map<std::string_view, int32_t> ids;
  };
  static void cut_part(const Length& length, std::string_view text, const AddedSplit& part,
                       std::vector<AddedSplit>& parts);

  std::vector<std::string> texts_;
  std::vector<Length> lengths_;  // longest first
};

}  // namespace dbsa
