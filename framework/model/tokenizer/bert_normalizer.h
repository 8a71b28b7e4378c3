// The normalizer "BertNormalizer" of tokenizer.json.
#pragma once

#include <dbsa/sdk/result.h>

#include <string>
#include <string_view>

namespace dbsa {

struct BertNormalizer {
  bool clean_text = true;            // drops control characters; white space becomes ' '
  bool handle_chinese_chars = true;  // a space on both sides of each
  bool strip_accents = true;         // decomposes, then drops nonspacing marks
  bool lowercase = true;             // character by character

  bool operator==(const BertNormalizer&) const = default;

  // Errors name the setting.
  static Result<BertNormalizer> read(const class ComponentReader& reader);

  // `text` is valid UTF-8, as is the result.
  std::string apply(std::string_view text) const;
};

}  // namespace dbsa
