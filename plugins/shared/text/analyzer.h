// Analyzer: a text as the terms that BM25 counts.
#pragma once

#include <dbsa/sdk/config.h>
#include <dbsa/sdk/result.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "plugins/shared/text/stop_words.h"

struct sb_stemmer;

namespace dbsa::text {

struct AnalyzerOptions {
  std::string stemmer = "porter";      // of libstemmer, by its name there; "none"
  std::string stop_words = "english";  // of stop_words.h; "none"
  int64_t character_ngrams = 0;        // 0: none
  // From the keys of these names in a plugin's table.
  static Result<AnalyzerOptions> read(const Config& config);
  // What decides the terms of a text, as a text.
  std::string identity() const;
  bool operator==(const AnalyzerOptions&) const = default;
};

// Splits texts into terms, in order: runs of letters, marks and digits (by Unicode general
// category), in lower case (simple mapping) and Unicode form C, apostrophes inside a word dropped;
// then stop words removed, then stemmed. French, Italian and Catalan stemmers cut at apostrophes
// ("l'heure"). A byte that is not UTF-8 separates words.
//
// With character_ngrams = n, text of scripts that write no spaces between words (Chinese, Japanese,
// Thai, Lao, Khmer, Burmese) is cut into overlapping runs of n characters, each a term; a run that
// is shorter is a term as it is.
//
// For one thread; cheap to make.
class Analyzer {
 public:
  static Result<Analyzer> create(const AnalyzerOptions& options);

  void start(std::string_view text);
  // The next term; false at the end. Valid until the next call.
  bool next(std::string_view& term);

 private:
  struct Free {
    void operator()(sb_stemmer* stemmer) const;
  };

  bool next_word();
  std::string_view next_ngram();
  std::string_view stem();

  AnalyzerOptions options_;
  const StopWords* stop_words_ = nullptr;
  bool cuts_at_apostrophe_ = false;
  std::unique_ptr<sb_stemmer, Free> stemmer_;
  std::string_view rest_;
  std::string word_;
  bool unspaced_ = false;  // whether word_ is of a script without spaces, to be cut
  size_t ngram_ = 0;       // where in word_ the next n-gram begins; its size: none is left
};

// Letters, marks and digits of texts, and those of scripts that write no spaces between words.
struct ScriptCounts {
  int64_t letters = 0;
  int64_t unspaced = 0;
  void add(std::string_view text);
};

// A warning where more than a twentieth of the letters are of such scripts and are not cut, so that
// whole sentences count as words; else "".
std::string script_warning(const ScriptCounts& counts, const AnalyzerOptions& options);

// A word in Unicode form C; what is not UTF-8 comes back as it is.
std::string to_nfc(std::string word);

}  // namespace dbsa::text
