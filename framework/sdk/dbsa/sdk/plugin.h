// What every plugin kind shares: the plugin table, and the guard around each call.
//
// A plugin class derives from the class of its kind (retriever.h, kv_store.h, ...) and has
//
//   static constexpr uint32_t kRevision = 1;                     // as in the manifest
//   static Result<std::unique_ptr<X>> create(Host, const Config&);
//   static Status check_config(const Config&);                   // optional
//   static const void* extension(std::string_view id);           // optional, nullptr: not there
//
// and one line at the end of its source: DBSA_PLUGIN(X).
#pragma once

#include <dbsa/sdk/config.h>
#include <dbsa/sdk/host.h>
#include <dbsa/sdk/result.h>
#include <dbsa/sdk/structs.h>

#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <string_view>

namespace dbsa {

// Texts as a plugin sees them.
class Texts {
 public:
  explicit Texts(const dbsa_texts* texts) : texts_(texts) {}
  int64_t size() const { return texts_->count; }
  std::string_view operator[](int64_t i) const { return {texts_->data[i], texts_->lengths[i]}; }
  const dbsa_texts& abi() const { return *texts_; }  // for Host::embed

 private:
  const dbsa_texts* texts_;
};

namespace sdk {

inline void copy_text(char* destination, size_t capacity, std::string_view source) {
  size_t length = source.size() < capacity ? source.size() : capacity - 1;
  // Not inside a character.
  if (length < source.size())
    while (length > 0 && (static_cast<unsigned char>(source[length]) & 0xC0) == 0x80) --length;
  std::memcpy(destination, source.data(), length);
  destination[length] = '\0';
}

inline int32_t report(dbsa_error* error, const Error& cause) {
  if (error != nullptr) {
    error->code = static_cast<int32_t>(cause.code);
    copy_text(error->message, sizeof error->message, cause.message);
    copy_text(error->config_pointer, sizeof error->config_pointer, cause.config_pointer);
  }
  return static_cast<int32_t>(cause.code);
}

// Runs `work` (a callable returning Status) and turns its error, or what it throws, into a code.
template <typename Work>
int32_t guard(dbsa_error* error, Work&& work) noexcept {
  try {
    if (Status status = work(); !status.ok()) return report(error, status.error());
    return DBSA_OK;
  } catch (const std::bad_alloc&) {
    return report(error, {ErrorCode::kEnvironment, "out of memory", ""});
  } catch (const std::exception& e) {
    return report(error, {ErrorCode::kPlugin, std::string("the plugin threw: ") + e.what(), ""});
  } catch (...) {
    return report(error, {ErrorCode::kPlugin, "the plugin threw an unknown exception", ""});
  }
}

template <typename Plugin>
concept HasCheckConfig = requires(const Config& config) {
  { Plugin::check_config(config) } -> std::same_as<Status>;
};

template <typename Plugin>
concept HasExtension = requires(std::string_view id) {
  { Plugin::extension(id) } -> std::same_as<const void*>;
};

template <typename Plugin>
constexpr decltype(dbsa_plugin_table::extension) extension_of() {
  if constexpr (HasExtension<Plugin>)
    return [](const char* id) noexcept -> const void* { return Plugin::extension(id); };
  return nullptr;
}

// Instances cross the boundary as a pointer to the class of the kind, Plugin::Kind.
template <typename Plugin>
constexpr dbsa_plugin_table make_table(const typename Plugin::Kind::Vtable* vtable) {
  return {
      sizeof(dbsa_plugin_table),
      DBSA_ABI_MAGIC,
      DBSA_ABI_MAJOR,
      DBSA_ABI_MINOR,
      Plugin::Kind::kKind,
      Plugin::kRevision,
      [](const char* config_json, dbsa_error* error) noexcept {
        return guard(error, [&]() -> Status {
          DBSA_ASSIGN_OR_RETURN([[maybe_unused]] Config config, Config::parse(config_json));
          if constexpr (HasCheckConfig<Plugin>) return Plugin::check_config(config);
          return {};
        });
      },
      [](const dbsa_host* host, const char* config_json, void** instance,
         dbsa_error* error) noexcept {
        return guard(error, [&]() -> Status {
          DBSA_ASSIGN_OR_RETURN(Config config, Config::parse(config_json));
          DBSA_ASSIGN_OR_RETURN(std::unique_ptr<Plugin> made, Plugin::create(Host(host), config));
          *instance = static_cast<typename Plugin::Kind*>(made.release());
          return {};
        });
      },
      [](void* instance) noexcept { delete static_cast<typename Plugin::Kind*>(instance); },
      vtable,
      extension_of<Plugin>(),
  };
}

}  // namespace sdk
}  // namespace dbsa

// Exports a plugin class. Once per shared object.
#define DBSA_PLUGIN(Class)                                   \
  extern "C" {                                               \
  extern DBSA_EXPORT const dbsa_plugin_table dbsa_plugin;    \
  constinit const dbsa_plugin_table dbsa_plugin =            \
      ::dbsa::sdk::make_table<Class>(&Class::Kind::kVtable); \
  }                                                          \
  static_assert(true, "a semicolon follows DBSA_PLUGIN")
