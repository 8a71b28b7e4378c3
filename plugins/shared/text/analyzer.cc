#include "plugins/shared/text/analyzer.h"

#include <libstemmer.h>
#include <utf8proc.h>

#include "plugins/shared/text/stop_words.h"

namespace dbsa::text {
namespace {

struct Character {
  int32_t code = -1;  // -1 for a byte that is not UTF-8
  size_t bytes = 1;
};

Character decode(std::string_view text) {
  if (const auto byte = static_cast<unsigned char>(text[0]); byte < 0x80) return {byte, 1};
  int32_t code = -1;
  const auto bytes = utf8proc_iterate(reinterpret_cast<const uint8_t*>(text.data()),
                                      static_cast<utf8proc_ssize_t>(text.size()), &code);
  if (bytes <= 0) return {};
  return {code, static_cast<size_t>(bytes)};
}

bool is_word_character(int32_t code) {
  if (code < 0x80)
    return (code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z') ||
           (code >= '0' && code <= '9');
  switch (utf8proc_category(code)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return true;
    default:
      return false;
  }
}

bool is_apostrophe(int32_t code) { return code == '\'' || code == 0x2019; }

void append_lower(int32_t code, std::string& word) {
  if (code < 0x80) {
    word += static_cast<char>(code >= 'A' && code <= 'Z' ? code + 32 : code);
    return;
  }
  uint8_t bytes[4];
  const auto count = utf8proc_encode_char(utf8proc_tolower(code), bytes);
  word.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(count));
}

}  // namespace

Result<AnalyzerOptions> AnalyzerOptions::read(const Config& config) {
  DBSA_ASSIGN_OR_RETURN(const std::string stemmer, config.get<std::string>("stemmer"));
  DBSA_ASSIGN_OR_RETURN(const std::string stop_words, config.get<std::string>("stop_words"));
  return AnalyzerOptions{stemmer == "porter" ? Stemmer::kPorter : Stemmer::kNone,
                         stop_words == "english" ? StopWords::kEnglish : StopWords::kNone};
}

void Analyzer::Free::operator()(sb_stemmer* stemmer) const { sb_stemmer_delete(stemmer); }

Result<Analyzer> Analyzer::create(const AnalyzerOptions& options) {
  Analyzer analyzer;
  analyzer.options_ = options;
  if (options.stemmer == Stemmer::kPorter) {
    analyzer.stemmer_.reset(sb_stemmer_new("porter", "UTF_8"));
    if (!analyzer.stemmer_)
      return Error{ErrorCode::kEnvironment, "libstemmer has no \"porter\" algorithm for UTF-8",
                   "/stemmer"};
  }
  return analyzer;
}

bool Analyzer::next_word() {
  word_.clear();
  while (!rest_.empty()) {
    const Character c = decode(rest_);
    if (is_word_character(c.code)) {
      append_lower(c.code, word_);
    } else if (!word_.empty()) {
      const std::string_view after = rest_.substr(c.bytes);
      if (!is_apostrophe(c.code) || after.empty() || !is_word_character(decode(after).code))
        return true;
    }
    rest_.remove_prefix(c.bytes);
  }
  return !word_.empty();
}

bool Analyzer::next(std::string_view& term) {
  while (next_word()) {
    if (options_.stop_words == StopWords::kEnglish && is_english_stop_word(word_)) continue;
    term = word_;
    if (stemmer_) {
      const auto* stem =
          sb_stemmer_stem(stemmer_.get(), reinterpret_cast<const sb_symbol*>(word_.data()),
                          static_cast<int>(word_.size()));
      if (stem == nullptr) throw std::bad_alloc();
      term = {reinterpret_cast<const char*>(stem),
              static_cast<size_t>(sb_stemmer_length(stemmer_.get()))};
    }
    return true;
  }
  return false;
}

}  // namespace dbsa::text
