// Stop words of some languages: function words, which say little about what a text is about.
#pragma once

#include <span>
#include <string_view>

namespace dbsa::text {

// Articles, pronouns, auxiliary verbs, prepositions, conjunctions, interrogatives and common
// particles of a language.
struct StopWords {
  std::string_view language;  // by libstemmer's name
  std::span<const std::string_view> words;

  // word: in lower case and form C, without apostrophes.
  bool contains(std::string_view word) const;
};

// The list of a language, or nullptr. There are lists for Danish, Dutch, English, French, German,
// Italian, Norwegian, Portuguese, Russian, Spanish and Swedish.
const StopWords* find_stop_words(std::string_view language);

}  // namespace dbsa::text
