// Cuts tokens out of a text as llama.cpp does: the longest tokens first, each over all that is left
// of the text. (Hugging Face takes the leftmost first, see added_tokens.h.)
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
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

  // Whether what looks like a token is one.
  using IsMeant = std::function<bool(const AddedSplit&)>;
  // The parts of `text` in order. Cost: O(bytes of text) for each length that tokens have.
  std::vector<AddedSplit> cut(std::string_view text, const IsMeant& is_meant) const;
  // Whether a token has this id.
  bool has(int32_t id) const { return known_.contains(id); }

 private:
  struct Length {
    size_t bytes = 0;
    std::array<bool, 256> starts{};  // by byte: some token starts with it
    std::unordered_map<std::string_view, int32_t> ids;
  };
  static void cut_part(const Length& length, std::string_view text, const AddedSplit& part,
                       const IsMeant& is_meant, std::vector<AddedSplit>& parts);

  std::vector<std::string> texts_;
  std::vector<Length> lengths_;  // longest first
  std::unordered_set<int32_t> known_;
};

}  // namespace dbsa
