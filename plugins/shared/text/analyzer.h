// Analyzer: a text as the terms that BM25 counts.
#pragma once

#include <dbsa/sdk/config.h>
#include <dbsa/sdk/result.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

struct sb_stemmer;

namespace dbsa::text {

// Values are written to saved indexes: never reused.
enum class Stemmer : uint32_t { kNone = 0, kPorter = 1 };
enum class StopWords : uint32_t { kNone = 0, kEnglish = 1 };

struct AnalyzerOptions {
  Stemmer stemmer = Stemmer::kPorter;
  StopWords stop_words = StopWords::kEnglish;
  // From the keys `stemmer` (porter, none) and `stop_words` (english, none) of a plugin's table.
  static Result<AnalyzerOptions> read(const Config& config);
  bool operator==(const AnalyzerOptions&) const = default;
};

// Splits texts into terms, in order: runs of letters, marks and digits (by Unicode general
// category), in lower case (simple mapping), apostrophes inside a word dropped; then stop words
// removed, then stemmed. A byte that is not UTF-8 separates words. For one thread; cheap to make.
class Analyzer {
 public:
  static Result<Analyzer> create(const AnalyzerOptions& options);

  void start(std::string_view text) { rest_ = text; }
  // The next term; false at the end. Valid until the next call.
  bool next(std::string_view& term);

 private:
  struct Free {
    void operator()(sb_stemmer* stemmer) const;
  };

  bool next_word();

  AnalyzerOptions options_;
  std::unique_ptr<sb_stemmer, Free> stemmer_;
  std::string_view rest_;
  std::string word_;
};

}  // namespace dbsa::text
