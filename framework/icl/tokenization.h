// What this folder needs of a tokenizer.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/byte_range.h"

namespace dbsa {

// A text of a prompt, and which bytes of it come from data: there the text of a special token is
// never that token.
struct PromptText {
  std::string text;
  std::vector<ByteRange> data = {};  // ascending

  PromptText() = default;
  PromptText(std::string all) : text(std::move(all)) {}  // NOLINT: what has no data is a text
  PromptText(std::string_view all) : text(all) {}        // NOLINT
  PromptText(const char* all) : text(all) {}             // NOLINT
  operator std::string_view() const { return text; }     // NOLINT

  PromptText& add(std::string_view part) {
    text += part;
    return *this;
  }
  PromptText& add_data(std::string_view part) {
    data.push_back({text.size(), text.size() + part.size()});
    return add(part);
  }
  PromptText& append(const PromptText& other) {
    for (const ByteRange& range : other.data)
      data.push_back({text.size() + range.begin, text.size() + range.end});
    return add(std::string_view(other.text));
  }
};

// Token ids of a text, nothing added. Special tokens are recognised only where a chat template
// writes the prompt, and nowhere in data.
using Tokenize = std::function<Result<std::vector<int32_t>>(const PromptText&)>;

// Text of token ids. It may drop one space at the start and write U+FFFD for half a character.
using Detokenize = std::function<std::string(std::span<const int32_t>)>;

}  // namespace dbsa
