// English stop words.
#pragma once

#include <string_view>

namespace dbsa::text {

// Whether a word, in lower case and without apostrophes, is an English function word: an article,
// pronoun, auxiliary verb, preposition, conjunction, interrogative or a common particle.
bool is_english_stop_word(std::string_view word);

}  // namespace dbsa::text
