// A retriever plugin with the calls of its kind.
#pragma once

#include <dbsa/sdk/retriever_words.h>

#include <string>
#include <vector>

#include "tests/plugins/plugin_under_test.h"

namespace dbsa::testing {

class RetrieverUnderTest {
 public:
  RetrieverUnderTest(const std::string& file, const std::string& config) : plugin_(file, config) {}

  int32_t index(const std::vector<std::string>& documents) {
    const CTexts texts(documents);
    return vtable().index(plugin_.instance(), texts.get(), clear());
  }

  int32_t save(std::string& bytes) {
    bytes.clear();
    const dbsa_byte_sink sink = {sizeof(dbsa_byte_sink), &bytes,
                                 [](void* context, const void* data, uint64_t size) -> int32_t {
                                   static_cast<std::string*>(context)->append(
                                       static_cast<const char*>(data), size);
                                   return DBSA_OK;
                                 }};
    return vtable().save(plugin_.instance(), &sink, clear());
  }

  int32_t load(const std::string& bytes) {
    return vtable().load(plugin_.instance(), bytes.data(), bytes.size(), clear());
  }

  int32_t query(const std::string& text, int64_t count, std::vector<Hit>& hits) {
    return query(text, count, hits, clear());
  }

  // For any number of threads; no hits when it fails.
  std::vector<Hit> query_at_once(const std::string& text, int64_t count) const {
    dbsa_error error = {};
    error.struct_size = sizeof error;
    std::vector<Hit> result;
    query(text, count, result, &error);
    return result;
  }

  std::vector<Hit> hits(const std::string& text, int64_t count) {
    std::vector<Hit> result;
    EXPECT_EQ(query(text, count, result), DBSA_OK) << message();
    return result;
  }

  // Words that a text shares with a document.
  int32_t shared_words(const std::string& text, int64_t document, std::vector<SharedWord>& words) {
    words.clear();
    const auto* extension =
        static_cast<const dbsa_retriever_words*>(plugin_.extension(DBSA_EXTENSION_RETRIEVER_WORDS));
    if (extension == nullptr) return DBSA_ERROR_UNSUPPORTED;
    const dbsa_shared_word_sink sink = sdk::words_sink(words);
    return extension->shared_words(plugin_.instance(), text.data(), text.size(), document, &sink,
                                   clear());
  }

  std::string message() const { return error_.message; }
  const char* pointer() const { return error_.config_pointer; }

 private:
  int32_t query(const std::string& text, int64_t count, std::vector<Hit>& hits,
                dbsa_error* error) const {
    std::vector<int64_t> ids(count);
    std::vector<double> scores(count);
    dbsa_ranking ranking = {sizeof(dbsa_ranking), count, ids.data(), scores.data()};
    const int32_t code =
        vtable().query(plugin_.instance(), text.data(), text.size(), &ranking, error);
    hits.clear();
    for (int64_t i = 0; code == DBSA_OK && i < ranking.count; ++i)
      hits.push_back({ids[i], scores[i]});
    return code;
  }

  const dbsa_retriever_vtable& vtable() const { return plugin_.vtable<dbsa_retriever_vtable>(); }
  dbsa_error* clear() {
    error_ = {};
    error_.struct_size = sizeof error_;
    return &error_;
  }

  PluginUnderTest plugin_;
  dbsa_error error_ = {};
};

}  // namespace dbsa::testing
