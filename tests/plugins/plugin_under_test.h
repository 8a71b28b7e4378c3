// Loads a plugin as a host does, with the least of a host: for tests of what plugins compute.
// That the framework's own host copes with any plugin is tested with the host.
#pragma once

#include <dbsa/sdk/plugin.h>
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace dbsa::testing {

// One instance of a plugin.
class PluginUnderTest {
 public:
  // file: "retriever_bm25"; config: the plugin's table as JSON, all keys present.
  PluginUnderTest(const std::string& file, const std::string& config) : table_(load(file)) {
    error_.struct_size = sizeof error_;
    EXPECT_EQ(table_->check_config(config.c_str(), &error_), DBSA_OK) << error_.message;
    EXPECT_EQ(table_->create(&kHost, config.c_str(), &instance_, &error_), DBSA_OK)
        << error_.message;
  }
  ~PluginUnderTest() { table_->destroy(instance_); }
  PluginUnderTest(const PluginUnderTest&) = delete;
  PluginUnderTest& operator=(const PluginUnderTest&) = delete;

  // What the plugin says against a configuration, to a host with or without [embedding].
  static dbsa_error refusal(const std::string& file, const std::string& config,
                            bool with_embedding = true) {
    static constexpr dbsa_host kBare = [] {
      dbsa_host host = kHost;
      host.embedding_width = [](void*) { return int64_t{0}; };
      return host;
    }();
    const dbsa_plugin_table* table = load(file);
    dbsa_error error = {};
    error.struct_size = sizeof error;
    void* instance = nullptr;
    if (table->check_config(config.c_str(), &error) == DBSA_OK &&
        table->create(with_embedding ? &kHost : &kBare, config.c_str(), &instance, &error) ==
            DBSA_OK) {
      ADD_FAILURE() << file << " takes " << config;
      table->destroy(instance);
    }
    return error;
  }

  void* instance() const { return instance_; }
  // The plugin's extension; nullptr where it does not have it.
  const void* extension(const char* id) const {
    return table_->extension == nullptr ? nullptr : table_->extension(id);
  }
  template <typename Vtable>
  const Vtable& vtable() const {
    return *static_cast<const Vtable*>(table_->vtable);
  }

 private:
  static const dbsa_plugin_table* load(const std::string& file) {
    const std::string path = std::string(DBSA_PLUGIN_DIR) + "/dbsa_" + file + ".so";
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);  // never closed, as in the host
    if (library == nullptr) {
      ADD_FAILURE() << dlerror();
      std::abort();
    }
    return static_cast<const dbsa_plugin_table*>(dlsym(library, DBSA_PLUGIN_SYMBOL));
  }

  static void* scratch(void*, int32_t slot, uint64_t bytes) {
    thread_local std::vector<std::unique_ptr<void, decltype(&std::free)>> slots;
    while (slots.size() < 8) slots.emplace_back(nullptr, &std::free);
    slots[slot].reset(std::aligned_alloc(64, (bytes / 64 + 1) * 64));
    return slots[slot].get();
  }

  // A text's embedding: how often each letter is in it, in either case; the last value is not 0,
  // so that every text has a length.
  static constexpr int64_t kEmbeddingWidth = 27;
  static int32_t embed(void*, const dbsa_texts* texts, float* vectors, dbsa_error*) {
    for (int64_t i = 0; i < texts->count; ++i) {
      float* row = vectors + i * kEmbeddingWidth;
      std::fill_n(row, kEmbeddingWidth, 0.0F);
      row[kEmbeddingWidth - 1] = 0.1F;
      for (uint64_t j = 0; j < texts->lengths[i]; ++j) {
        const int letter = (texts->data[i][j] | 0x20) - 'a';
        if (letter >= 0 && letter < 26) row[letter] += 1;
      }
      float square = 0;
      for (int64_t j = 0; j < kEmbeddingWidth; ++j) square += row[j] * row[j];
      for (int64_t j = 0; j < kEmbeddingWidth; ++j) row[j] /= std::sqrt(square);
    }
    return DBSA_OK;
  }

  // Takes the plugin's file for its name: {"plugin": "retriever_bm25", ...}.
  static int32_t open_plugin(void*, uint32_t, const char* config_json,
                             const dbsa_plugin_table** table, void** instance, dbsa_error* error) {
    const std::string file = nlohmann::json::parse(config_json).at("plugin");
    void* library = dlopen((std::string(DBSA_PLUGIN_DIR) + "/dbsa_" + file + ".so").c_str(),
                           RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return DBSA_ERROR_PLUGIN;
    *table = static_cast<const dbsa_plugin_table*>(dlsym(library, DBSA_PLUGIN_SYMBOL));
    return (*table)->create(&kHost, config_json, instance, error);
  }

  static constexpr dbsa_host kHost = {
      sizeof(dbsa_host),
      nullptr,
      [](void*, int32_t, const char*) {},
      [](void*, int64_t count, int64_t, void (*body)(void*, int64_t, int64_t), void* argument) {
        if (count > 0) body(argument, 0, count);
      },
      [](void*) { return int32_t{1}; },
      &scratch,
      [](void*) { return int32_t{0}; },
      [](void*) { return kEmbeddingWidth; },
      &embed,
      &open_plugin,
      [](void*, const char*) -> const void* { return nullptr; },
  };

  const dbsa_plugin_table* table_ = nullptr;
  void* instance_ = nullptr;
  dbsa_error error_ = {};
};

// Strings as they cross the boundary; `strings` must outlive it.
class CTexts {
 public:
  explicit CTexts(const std::vector<std::string>& strings) {
    for (const std::string& s : strings) {
      data_.push_back(s.data());
      lengths_.push_back(s.size());
    }
    texts_ = {sizeof(dbsa_texts), static_cast<int64_t>(strings.size()), data_.data(),
              lengths_.data()};
  }
  const dbsa_texts* get() const { return &texts_; }

 private:
  std::vector<const char*> data_;
  std::vector<uint64_t> lengths_;
  dbsa_texts texts_;
};

}  // namespace dbsa::testing
