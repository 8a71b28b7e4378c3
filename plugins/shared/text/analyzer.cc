#include "plugins/shared/text/analyzer.h"

#include <libstemmer.h>
#include <utf8proc.h>

#include <algorithm>
#include <new>

#include "plugins/shared/text/characters.h"

namespace dbsa::text {
namespace {

bool is_apostrophe(int32_t code) { return code == '\'' || code == 0x2019; }

bool starts_word(std::string_view text) {
  while (!text.empty()) {
    const Character c = decode(text);
    if (!is_ignorable(c.code)) return is_word_character(c.code);
    text.remove_prefix(c.bytes);
  }
  return false;
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

// In lower case, by Unicode's simple mapping, and form C before and after: the composed and the
// decomposed spelling of a letter become one.
void fold(std::string& word) {
  if (is_ascii(word)) {
    for (char& c : word)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    return;
  }
  word = to_nfc(std::move(word));
  std::string lower;
  for (std::string_view rest = word; !rest.empty();) {
    const Character c = decode(rest);
    append_utf8(utf8proc_tolower(c.code), lower);
    rest.remove_prefix(c.bytes);
  }
  word = to_nfc(std::move(lower));
}

}  // namespace

Result<AnalyzerOptions> AnalyzerOptions::read(const Config& config) {
  AnalyzerOptions options;
  DBSA_ASSIGN_OR_RETURN(options.stemmer, config.get<std::string>("stemmer"));
  DBSA_ASSIGN_OR_RETURN(options.stop_words, config.get<std::string>("stop_words"));
  DBSA_ASSIGN_OR_RETURN(options.character_ngrams, config.get<int64_t>("character_ngrams"));
  return options;
}

std::string AnalyzerOptions::identity() const {
  return "analyzer 3 " + stemmer + " " + stop_words + " " + std::to_string(character_ngrams);
}

// sb_stemmer_new() returns null both for an algorithm that it lacks and without memory.
static bool has_stemmer(std::string_view algorithm) {
  for (const char** name = sb_stemmer_list(); *name != nullptr; ++name)
    if (algorithm == *name) return true;
  return false;
}

void Analyzer::Free::operator()(sb_stemmer* stemmer) const { sb_stemmer_delete(stemmer); }

Result<Analyzer> Analyzer::create(const AnalyzerOptions& options) {
  Analyzer analyzer;
  analyzer.options_ = options;
  if (options.stemmer != "none") {
    analyzer.stemmer_.reset(sb_stemmer_new(options.stemmer.c_str(), "UTF_8"));
    if (!analyzer.stemmer_ && has_stemmer(options.stemmer)) throw std::bad_alloc();
    if (!analyzer.stemmer_)
      return Error{ErrorCode::kEnvironment,
                   "libstemmer has no \"" + options.stemmer +
                       "\" algorithm for UTF-8; install a newer one, or set stemmer = \"none\"",
                   "/stemmer"};
  }
  if (options.stop_words != "none") {
    analyzer.stop_words_ = find_stop_words(options.stop_words);
    if (analyzer.stop_words_ == nullptr)
      return Error{
          ErrorCode::kConfig,
          "stop_words: there is no list \"" + options.stop_words + "\"; set it to \"none\"",
          "/stop_words"};
  }
  for (const char* language : {"french", "italian", "catalan"})
    if (options.stemmer == language) analyzer.cuts_at_apostrophe_ = true;
  return analyzer;
}

void Analyzer::start(std::string_view text) {
  rest_ = text;
  word_.clear();
  ngram_ = 0;
}

// The next run of word characters, as it stands in the text except for apostrophes and what is
// ignorable; cut where a
// script without spaces begins or ends, where such a script is cut into n-grams.
bool Analyzer::next_word() {
  word_.clear();
  unspaced_ = false;
  while (!rest_.empty()) {
    const Character c = decode(rest_);
    if (is_ignorable(c.code)) {
      // As if it were not there.
    } else if (is_word_character(c.code)) {
      const bool unspaced = options_.character_ngrams > 0 && is_unspaced(c.code);
      if (word_.empty()) unspaced_ = unspaced;
      if (unspaced != unspaced_) return true;
      word_ += rest_.substr(0, c.bytes);
    } else if (!word_.empty()) {
      if (cuts_at_apostrophe_ || !is_apostrophe(c.code) || !starts_word(rest_.substr(c.bytes)))
        return true;
    }
    rest_.remove_prefix(c.bytes);
  }
  return !word_.empty();
}

// The n characters from ngram_ on; the first shorter run is whole.
std::string_view Analyzer::next_ngram() {
  const auto characters = [&](size_t from, int64_t count) {
    size_t at = from;
    for (; count > 0 && at < word_.size(); --count)
      at += decode(std::string_view(word_).substr(at)).bytes;
    return at;
  };
  const size_t begin = ngram_;
  const size_t end = characters(begin, options_.character_ngrams);
  ngram_ = end == word_.size() ? end : characters(begin, 1);
  return std::string_view(word_).substr(begin, end - begin);
}

std::string_view Analyzer::stem() {
  if (!stemmer_) return word_;
  const auto* stem =
      sb_stemmer_stem(stemmer_.get(), reinterpret_cast<const sb_symbol*>(word_.data()),
                      static_cast<int>(word_.size()));
  if (stem == nullptr) throw std::bad_alloc();
  return {reinterpret_cast<const char*>(stem),
          static_cast<size_t>(sb_stemmer_length(stemmer_.get()))};
}

bool Analyzer::next(std::string_view& term) {
  if (unspaced_ && ngram_ < word_.size()) {
    term = next_ngram();
    return true;
  }
  while (next_word()) {
    fold(word_);
    ngram_ = 0;
    if (unspaced_) {
      term = next_ngram();
      return true;
    }
    if (stop_words_ != nullptr && stop_words_->contains(word_)) continue;
    term = stem();
    return true;
  }
  return false;
}

void ScriptCounts::add(std::string_view text) {
  while (!text.empty()) {
    const Character c = decode(text);
    text.remove_prefix(c.bytes);
    if (is_ignorable(c.code) || !is_word_character(c.code)) continue;
    ++letters;
    unspaced += is_unspaced(c.code) ? 1 : 0;
  }
}

std::string script_warning(const ScriptCounts& counts, const AnalyzerOptions& options) {
  if (options.character_ngrams > 0 || counts.unspaced * 20 <= counts.letters) return "";
  return std::to_string(counts.unspaced * 100 / counts.letters) +
         " % of the letters are of scripts that write no spaces between words (Chinese, Japanese, "
         "Thai, ...), so whole sentences count as single words and hardly any is found again; set "
         "character_ngrams = 2 beside this plugin, or compare embeddings";
}

}  // namespace dbsa::text
