#include "model/tokenizer/bert_normalizer.h"

#include "model/tokenizer/bert_characters.h"
#include "model/tokenizer/component_reader.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace dbsa {
namespace {

// Appends what `write` makes of each character.
template <typename Write>
std::string rewrite(std::string_view text, const Write& write) {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  for (size_t pos = 0; pos < text.size();) write(utf8::next(text, pos), out);
  return out;
}

}  // namespace

Result<BertNormalizer> BertNormalizer::read(const ComponentReader& reader) {
  DBSA_RETURN_IF_ERROR(
      reader.allow_only({"clean_text", "handle_chinese_chars", "strip_accents", "lowercase"}));
  BertNormalizer out;
  DBSA_ASSIGN_OR_RETURN(out.clean_text, reader.boolean("clean_text", true));
  DBSA_ASSIGN_OR_RETURN(out.handle_chinese_chars, reader.boolean("handle_chinese_chars", true));
  DBSA_ASSIGN_OR_RETURN(out.lowercase, reader.boolean("lowercase", true));
  out.strip_accents = out.lowercase;
  if (!reader.is_null("strip_accents")) {
    DBSA_ASSIGN_OR_RETURN(out.strip_accents, reader.boolean("strip_accents", out.lowercase));
  }
  return out;
}

std::string BertNormalizer::apply(std::string_view text) const {
  std::string out(text);
  if (clean_text) {
    out = rewrite(out, [](char32_t c, std::string& to) {
      if (!is_bert_control(c)) utf8::append(to, utf8::is_white_space(c) ? U' ' : c);
    });
  }
  if (handle_chinese_chars) {
    out = rewrite(out, [](char32_t c, std::string& to) {
      const bool apart = is_chinese_character(c);
      if (apart) to += ' ';
      utf8::append(to, c);
      if (apart) to += ' ';
    });
  }
  if (strip_accents) {
    out = rewrite(normalize_nfd(out), [](char32_t c, std::string& to) {
      if (!is_bert_accent(c)) utf8::append(to, c);
    });
  }
  return lowercase ? to_lowercase(out) : out;
}

}  // namespace dbsa
