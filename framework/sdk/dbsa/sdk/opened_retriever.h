// OpenedRetriever: a retriever that another plugin opened for itself, from one of its keys: one
// whose manifest says format = "retriever". See dbsa_host.open_plugin.
#pragma once

#include <dbsa/sdk/retriever_words.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace dbsa {

class OpenedRetriever {
 public:
  // key: of the plugin's own table. Only within the plugin's create.
  static Result<OpenedRetriever> open(Host host, const Config& config, const std::string& key) {
    DBSA_ASSIGN_OR_RETURN(const nlohmann::json table, config.get<nlohmann::json>(key));
    const dbsa_plugin_table* plugin = nullptr;
    void* instance = nullptr;
    dbsa_error error = empty_error();
    if (const int32_t code =
            host.abi()->open_plugin(host.abi()->context, DBSA_KIND_RETRIEVER, table.dump().c_str(),
                                    &plugin, &instance, &error);
        code != DBSA_OK)
      return failed(code, error, "/" + key);
    return OpenedRetriever(plugin, instance);
  }

  // As Retriever's; the same thread labels.
  Status index(Texts documents) {
    dbsa_error error = empty_error();
    const int32_t code = vtable().index(instance_.get(), &documents.abi(), &error);
    if (code != DBSA_OK) return failed(code, error);
    documents_ = documents.size();
    return {};
  }
  Result<std::string> save() const {
    std::string bytes;
    const dbsa_byte_sink sink = {sizeof(dbsa_byte_sink), &bytes,
                                 [](void* context, const void* data, uint64_t size) noexcept {
                                   return sdk::guard(nullptr, [&]() -> Status {
                                     static_cast<std::string*>(context)->append(
                                         static_cast<const char*>(data), size);
                                     return {};
                                   });
                                 }};
    dbsa_error error = empty_error();
    const int32_t code = vtable().save(instance_.get(), &sink, &error);
    if (code != DBSA_OK) return failed(code, error);
    return bytes;
  }
  // documents: how many the saved index was made from.
  Status load(std::string_view bytes, int64_t documents) {
    dbsa_error error = empty_error();
    const int32_t code = vtable().load(instance_.get(), bytes.data(), bytes.size(), &error);
    if (code != DBSA_OK) return failed(code, error);
    documents_ = documents;
    return {};
  }
  Result<std::vector<Hit>> query(std::string_view text, int64_t count) const {
    const int64_t capacity = std::clamp<int64_t>(count, 0, documents_);
    std::vector<int64_t> ids(static_cast<size_t>(capacity));
    std::vector<double> scores(static_cast<size_t>(capacity));
    dbsa_ranking ranking = {sizeof(dbsa_ranking), capacity, ids.data(), scores.data()};
    dbsa_error error = empty_error();
    const int32_t code =
        vtable().query(instance_.get(), text.data(), text.size(), &ranking, &error);
    if (code != DBSA_OK) return failed(code, error);
    if (ranking.count < 0 || ranking.count > capacity)
      return Error{ErrorCode::kPlugin, "a retriever returned more hits than it was asked for", ""};
    std::vector<Hit> hits;
    for (size_t i = 0; i < static_cast<size_t>(ranking.count); ++i) {
      if (ids[i] < 0 || ids[i] >= documents_)
        return Error{ErrorCode::kPlugin, "a retriever returned a document that is not there", ""};
      hits.push_back({ids[i], scores[i]});
    }
    return hits;
  }
  // As RetrieverWords'; kUnsupported, too, where the retriever does not have the extension.
  Result<std::vector<SharedWord>> shared_words(std::string_view text, int64_t document) const {
    const auto* words = static_cast<const dbsa_retriever_words*>(
        plugin_->struct_size < sizeof *plugin_ || plugin_->extension == nullptr
            ? nullptr
            : plugin_->extension(DBSA_EXTENSION_RETRIEVER_WORDS));
    if (words == nullptr || words->struct_size != sizeof *words || words->shared_words == nullptr)
      return Error{ErrorCode::kUnsupported, "a retriever that goes by no words", ""};
    std::vector<SharedWord> shared;
    const dbsa_shared_word_sink sink = sdk::words_sink(shared);
    dbsa_error error = empty_error();
    const int32_t code =
        words->shared_words(instance_.get(), text.data(), text.size(), document, &sink, &error);
    if (code != DBSA_OK) return failed(code, error);
    return shared;
  }

 private:
  OpenedRetriever(const dbsa_plugin_table* plugin, void* instance)
      : plugin_(plugin), instance_(instance, plugin->destroy) {}
  const dbsa_retriever_vtable& vtable() const {
    return *static_cast<const dbsa_retriever_vtable*>(plugin_->vtable);
  }
  static dbsa_error empty_error() {
    dbsa_error error = {};
    error.struct_size = sizeof error;
    return error;
  }
  static Error failed(int32_t code, const dbsa_error& error, const std::string& key = "") {
    const std::string pointer = error.config_pointer;
    return {static_cast<ErrorCode>(code), error.message,
            key.empty() || pointer.empty() ? key : key + pointer};
  }

  const dbsa_plugin_table* plugin_;
  std::unique_ptr<void, void (*)(void*)> instance_;
  int64_t documents_ = 0;
};

}  // namespace dbsa
