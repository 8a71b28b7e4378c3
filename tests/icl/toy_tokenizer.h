// A tokenizer one can predict: greedy longest match over a few pieces, else single bytes.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "icl/tokenization.h"

namespace dbsa::testing {

class ToyTokenizer {
 public:
  // Piece i has id 256 + i; byte b has id b.
  explicit ToyTokenizer(std::vector<std::string> pieces = {}) : pieces_(std::move(pieces)) {}

  std::vector<int32_t> encode(std::string_view text) const {
    std::vector<int32_t> ids;
    while (!text.empty()) {
      int32_t id = static_cast<uint8_t>(text[0]);
      size_t length = 1;
      for (size_t i = 0; i < pieces_.size(); ++i) {
        if (pieces_[i].size() > length && text.starts_with(pieces_[i])) {
          id = static_cast<int32_t>(256 + i);
          length = pieces_[i].size();
        }
      }
      ids.push_back(id);
      text.remove_prefix(length);
    }
    return ids;
  }

  std::string decode(std::span<const int32_t> ids) const {
    std::string text;
    for (const int32_t id : ids) {
      if (id < 256)
        text += static_cast<char>(id);
      else
        text += pieces_[id - 256];
    }
    return text;
  }

  Tokenize tokenize() const {
    return [this](std::string_view text) -> Result<std::vector<int32_t>> { return encode(text); };
  }
  Detokenize detokenize() const {
    return [this](std::span<const int32_t> ids) { return decode(ids); };
  }

 private:
  std::vector<std::string> pieces_;
};

}  // namespace dbsa::testing
