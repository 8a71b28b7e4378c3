#include "plugins/shared/text/stop_words.h"

#include <algorithm>
#include <iterator>

namespace dbsa::text {
namespace {

// Sorted in byte order; contractions stand without their apostrophe.
constexpr std::string_view kWords[] = {
    "a",       "about",   "above",   "after",    "again",      "against", "all",    "am",
    "an",      "and",     "any",     "are",      "arent",      "as",      "at",     "be",
    "because", "been",    "before",  "being",    "below",      "between", "both",   "but",
    "by",      "can",     "cant",    "could",    "couldnt",    "did",     "didnt",  "do",
    "does",    "doesnt",  "doing",   "dont",     "down",       "during",  "each",   "few",
    "for",     "from",    "further", "had",      "hadnt",      "has",     "hasnt",  "have",
    "havent",  "having",  "he",      "hed",      "her",        "here",    "hers",   "herself",
    "hes",     "him",     "himself", "his",      "how",        "i",       "id",     "if",
    "im",      "in",      "into",    "is",       "isnt",       "it",      "its",    "itself",
    "ive",     "just",    "me",      "more",     "most",       "my",      "myself", "no",
    "nor",     "not",     "now",     "of",       "off",        "on",      "once",   "only",
    "or",      "other",   "our",     "ours",     "ourselves",  "out",     "over",   "own",
    "same",    "she",     "shes",    "should",   "shouldnt",   "so",      "some",   "such",
    "than",    "that",    "thats",   "the",      "their",      "theirs",  "them",   "themselves",
    "then",    "there",   "theres",  "these",    "they",       "theyre",  "theyve", "this",
    "those",   "through", "to",      "too",      "under",      "until",   "up",     "very",
    "was",     "wasnt",   "we",      "were",     "werent",     "weve",    "what",   "whats",
    "when",    "where",   "which",   "while",    "who",        "whom",    "whose",  "why",
    "will",    "with",    "wont",    "would",    "wouldnt",    "you",     "youd",   "youll",
    "your",    "youre",   "yours",   "yourself", "yourselves", "youve",
};
static_assert(std::is_sorted(std::begin(kWords), std::end(kWords)));

}  // namespace

bool is_english_stop_word(std::string_view word) {
  return std::binary_search(std::begin(kWords), std::end(kWords), word);
}

}  // namespace dbsa::text
