// RetrieverWords: a second base class for retrievers that rank by words, see
// dbsa/retriever_words.h. Such a plugin has also
//
//   static const void* extension(std::string_view id) { return words_extension<X>(id); }
#pragma once

#include <dbsa/retriever_words.h>
#include <dbsa/sdk/retriever.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dbsa {

struct SharedWord {
  std::string word;  // as it is indexed
  int64_t in_query = 0;
  int64_t in_document = 0;
  double score = 0;  // NaN where the document's score is no sum over words
};

class RetrieverWords {
 public:
  virtual ~RetrieverWords() = default;
  // In byte order. kUnsupported where this instance goes by no words. Thread-safe.
  virtual Result<std::vector<SharedWord>> shared_words(std::string_view text,
                                                       int64_t document) const = 0;
};

namespace sdk {

// A sink that appends to a std::vector<SharedWord>.
inline dbsa_shared_word_sink words_sink(std::vector<SharedWord>& words) {
  return {sizeof(dbsa_shared_word_sink), &words,
          [](void* context, const dbsa_shared_word* word) noexcept {
            return guard(nullptr, [&]() -> Status {
              static_cast<std::vector<SharedWord>*>(context)->push_back(
                  {std::string(word->word, word->length), word->in_query, word->in_document,
                   word->score});
              return {};
            });
          }};
}

}  // namespace sdk

template <typename Plugin>
const void* words_extension(std::string_view id) {
  static constexpr dbsa_retriever_words kWords = {
      sizeof(dbsa_retriever_words),
      [](void* instance, const char* text, uint64_t length, int64_t document,
         const dbsa_shared_word_sink* sink, dbsa_error* error) noexcept {
        return sdk::guard(error, [&]() -> Status {
          const RetrieverWords& plugin =
              static_cast<const Plugin&>(*static_cast<const Retriever*>(instance));
          DBSA_ASSIGN_OR_RETURN(const std::vector<SharedWord> words,
                                plugin.shared_words({text, length}, document));
          for (const SharedWord& word : words) {
            const dbsa_shared_word shared = {sizeof shared, word.word.data(), word.word.size(),
                                             word.in_query, word.in_document, word.score};
            if (const int32_t code = sink->take(sink->context, &shared); code != DBSA_OK)
              return Error{static_cast<ErrorCode>(code), "the host could not take the words", ""};
          }
          return {};
        });
      }};
  return id == DBSA_EXTENSION_RETRIEVER_WORDS ? &kWords : nullptr;
}

}  // namespace dbsa
