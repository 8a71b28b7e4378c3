// A chat template cut into text and the tokens inside its tags.
//
// White space is Jinja's with trim_blocks and lstrip_blocks, as transformers sets them: the line
// end behind a block tag or a comment goes, and so do the blanks before one that begins a line; `-`
// inside a tag's brace takes all white space on its side, `+` keeps it. One line end at the end of
// the template goes, too.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dbsa::jinja {

enum class TokenKind {
  kText,        // between tags
  kBlockBegin,  // {%
  kBlockEnd,
  kOutputBegin,  // {{
  kOutputEnd,
  kName,
  kString,  // `text` is what it stands for
  kInteger,
  kReal,
  kOperator,  // `text` is it
  kEnd,       // of the template
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;
  int64_t line = 0;  // 1-based
};

// kConfig "LINE: what" for what is no template. Cost: O(bytes).
Result<std::vector<Token>> read_tokens(std::string_view source);

// "LINE: what", for read_tokens and all that follows.
Error fault_at(int64_t line, const std::string& what);

}  // namespace dbsa::jinja
