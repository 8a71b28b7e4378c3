#include <dbsa/retriever_words.h>

#include <cmath>
#include <string_view>

#include "raw_plugin.h"
#include "sudden_ends.h"

namespace {

int32_t index(void* instance, const dbsa_texts*, dbsa_error* error) {
  say(instance, "index");
  if (fault_of(instance) != "asks_for_limit") return DBSA_OK;
  std::strcpy(error->message, "too few documents");
  std::strcpy(error->config_pointer, "/limit");
  return DBSA_ERROR_INVALID_ARGUMENT;
}

int32_t save(void* instance, const dbsa_byte_sink* sink, dbsa_error*) {
  say(instance, "save");
  sink->write(sink->context, "ab", 2);
  return sink->write(sink->context, "c", 1);
}

int32_t load(void* instance, const void* data, uint64_t bytes, dbsa_error* error) {
  say(instance, "load");
  if (fault_of(instance) != "no_load" && bytes == 3 && std::memcmp(data, "abc", 3) == 0)
    return DBSA_OK;
  std::strcpy(error->message, "not an index");
  return DBSA_ERROR_CORRUPT;
}

int32_t query(void* instance, const char* text, uint64_t length, dbsa_ranking* ranking,
              dbsa_error* error) {
  const std::string& fault = fault_of(instance);
  say(instance, "query");
  end_suddenly(fault);
  if (fault == "stopped") {
    std::strcpy(error->message, "enough");
    return DBSA_ERROR_CANCELLED;
  }
  if (fault == "one_text" &&
      std::string_view(text, length).find("boom") != std::string_view::npos) {
    std::strcpy(error->message, "cannot rank for this text");
    return DBSA_ERROR_RUN;
  }
  for (int64_t i = 0; i < ranking->count; ++i) {
    ranking->ids[i] = i;
    ranking->scores[i] = -static_cast<double>(i);
  }
  if (fault == "too_many") ++ranking->count;
  if (fault == "negative") ranking->count = -1;
  if (fault == "out_of_range") ranking->ids[1] = 1000;
  if (fault == "twice") ranking->ids[1] = 0;
  if (fault == "nan") ranking->scores[1] = std::nan("");
  if (fault == "ascending") ranking->scores[1] = 3;
  return DBSA_OK;
}

constexpr dbsa_retriever_vtable kVtable = {sizeof kVtable, index, save, load, query};

[[maybe_unused]] int32_t shared_words(void* instance, const char*, uint64_t, int64_t,
                                      const dbsa_shared_word_sink* sink, dbsa_error* error) {
  const std::string& fault = fault_of(instance);
  if (fault == "no_words") {
    std::strcpy(error->message, "no words here");
    return DBSA_ERROR_UNSUPPORTED;
  }
  dbsa_shared_word words[2] = {{sizeof words[0], "ab", 2, 1, 1, 0.5},
                               {sizeof words[0], "b", 1, 2, 3, 0.25}};
  if (fault == "word_size") words[1].struct_size = 8;
  if (fault == "word_null") words[1].word = nullptr;
  if (fault == "word_empty") words[1].length = 0;
  if (fault == "word_absent") words[1].in_document = 0;
  if (fault == "word_twice") words[1] = words[0];
  for (const dbsa_shared_word& word : words) {
    const int32_t code = sink->take(sink->context, &word);
    if (code != DBSA_OK && fault != "word_null") return code;  // that one does not even stop
  }
  return DBSA_OK;
}

#if defined(WORDS_SIZE)
constexpr dbsa_retriever_words kWords = {8, shared_words};
#elif defined(WORDS_NULL)
constexpr dbsa_retriever_words kWords = {sizeof kWords, nullptr};
#else
constexpr dbsa_retriever_words kWords = {sizeof kWords, shared_words};
#endif

}  // namespace

RAW_PLUGIN(DBSA_KIND_RETRIEVER, &kVtable, [](const char* id) -> const void* {
  return std::string_view(id) == DBSA_EXTENSION_RETRIEVER_WORDS ? &kWords : nullptr;
});
