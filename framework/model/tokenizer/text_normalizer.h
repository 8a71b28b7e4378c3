// The "normalizer" of tokenizer.json: rewrites a text before it is split.
#pragma once

#include <dbsa/sdk/result.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "model/tokenizer/bert_normalizer.h"
#include "model/tokenizer/text_bounds.h"

namespace dbsa {

class TextNormalizer {
 public:
  // From the file's value; null means none. Supported: BertNormalizer, NFC, Prepend,
  // Replace (string), Sequence.
  static Result<TextNormalizer> read(const nlohmann::json& value);

  // `text` is valid UTF-8, as is the result. Error (kConfig) where a step leaves the bounds.
  Result<std::string> apply(std::string_view text, const TextBounds& bounds) const;

  bool empty() const { return steps_.empty(); }

  // Whether some step puts a space or U+2581 in front.
  bool prepends_space() const;

 private:
  enum class Kind { kBert, kNfc, kPrepend, kReplace };
  struct Step {
    Kind kind;
    std::string place;    // for messages
    std::string pattern;  // kReplace: what is replaced
    std::string content;  // kPrepend, kReplace
    BertNormalizer bert = {};
  };
  static Status read_into(const class ComponentReader& reader, std::vector<Step>& steps);

  std::vector<Step> steps_;
};

// `text` with every occurrence of `pattern` (not empty) replaced, as far as some place beyond
// `enough` bytes of the result.
std::string replace_all(std::string_view text, std::string_view pattern, std::string_view content,
                        size_t enough = std::string::npos);

}  // namespace dbsa
