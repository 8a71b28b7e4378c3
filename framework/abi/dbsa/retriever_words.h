/* dbsa/retriever_words.h - extension of retrievers: the words that a query and a document share.
 *
 * A retriever that ranks by words says which of them speak for a document, so that a user sees why
 * it was chosen. Nothing is selected by it. Id: "dbsa.retriever.words/1".
 */
#ifndef DBSA_RETRIEVER_WORDS_H
#define DBSA_RETRIEVER_WORDS_H

#include <dbsa/retriever.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DBSA_EXTENSION_RETRIEVER_WORDS "dbsa.retriever.words/1"

typedef struct dbsa_shared_word {
  uint32_t struct_size;
  const char* word; /* UTF-8 as it is indexed, a stem for one; not terminated */
  uint64_t length;  /* bytes, > 0 */
  int64_t in_query; /* how often it occurs there, > 0 */
  int64_t in_document;
  double score; /* what it adds to the document's score; NaN where that is no sum over words */
} dbsa_shared_word;
#define DBSA_SHARED_WORD_LEAST (offsetof(dbsa_shared_word, score) + sizeof(double))

/* Takes a word, borrowed for the call. Anything other than DBSA_OK means stop and return that code.
 */
typedef struct dbsa_shared_word_sink {
  uint32_t struct_size;
  void* context;
  int32_t (*take)(void* context, const dbsa_shared_word* word);
} dbsa_shared_word_sink;

typedef struct dbsa_retriever_words {
  uint32_t struct_size;
  /* The words that the text and document `document` of the index share, each once, in byte order.
   * Where scores are sums over words, theirs in this order add up to the document's, bit for bit.
   * DBSA_ERROR_UNSUPPORTED where this instance goes by no words. [any] */
  int32_t (*shared_words)(void* instance, const char* text, uint64_t length, int64_t document,
                          const dbsa_shared_word_sink* sink, dbsa_error* error);
} dbsa_retriever_words;
#define DBSA_RETRIEVER_WORDS_LEAST (offsetof(dbsa_retriever_words, shared_words) + sizeof(void*))

#ifdef __cplusplus
}
#endif

#endif /* DBSA_RETRIEVER_WORDS_H */
