// Instance: owns one instance of a plugin and makes its calls: errors become Result, exceptions
// that leak out of a function that reports errors become errors, [setup] calls are serialised.
//
// The typed wrappers (attention_backend.h, kv_store.h, ...) are built on it and check what comes
// back from the plugin.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <exception>
#include <nlohmann/json.hpp>
#include <string>

#include "host/host_services.h"
#include "host/loaded_plugin.h"
#include "host/plugin_call.h"

namespace dbsa::host {

class Instance {
 public:
  // Calls the plugin's create. kConfig errors carry a pointer into the pipeline ("/retriever/k1").
  static Result<Instance> create(const LoadedPlugin& plugin, HostServices& services,
                                 const nlohmann::json& config, uint32_t kind);
  Instance(Instance&& other) noexcept;
  Instance& operator=(Instance&& other) noexcept;
  ~Instance();

  void* get() const { return instance_; }
  const LoadedPlugin& plugin() const { return plugin_; }

  template <typename Vtable>
  const Vtable& vtable() const {
    return *static_cast<const Vtable*>(plugin_.table->vtable);
  }

  // function(instance, arguments..., &error) with its code and error as a Status. `name` is the
  // vtable entry's, for messages.
  template <typename Function, typename... Arguments>
  Status call(const char* name, Function function, Arguments... arguments) const;
  // The same for a [setup] function.
  template <typename Function, typename... Arguments>
  Status setup_call(const char* name, Function function, Arguments... arguments) const;

  // The error for a contract that the plugin broke: what it returned, and from which function.
  Error broken(const char* name, const std::string& what) const;

 private:
  Instance(LoadedPlugin plugin, HostServices& services, void* instance)
      : plugin_(std::move(plugin)), services_(&services), instance_(instance) {}
  void reset() noexcept;

  LoadedPlugin plugin_;
  HostServices* services_;
  void* instance_ = nullptr;
};

// Calls the plugin's create, which gives `instance`. As Instance::create, for a table that its user
// calls itself.
Status create_instance(const LoadedPlugin& plugin, HostServices& services,
                       const std::string& config, void*& instance);
// Calls the plugin's check_config. As for create, pointers lead into the pipeline.
Status check_config(const LoadedPlugin& plugin, const nlohmann::json& config);

// ---- details ----------------------------------------------------------------------------------

// An error struct ready for a callee.
inline void clear(dbsa_error& error) {
  error.struct_size = sizeof error;
  error.code = DBSA_OK;
  error.message[0] = '\0';
  error.config_pointer[0] = '\0';
}

// A key that the manifest does not declare is one that no user can set, so an error that points to
// one becomes the plugin's.
Error error_from_plugin(const LoadedPlugin& plugin, const char* function, int32_t code,
                        const dbsa_error& error);
Error error_from_exception(const LoadedPlugin& plugin, const char* function,
                           const std::exception* cause);
// A plugin that says that it was stopped, while nobody has asked to stop, has failed.
// services: null where nothing can ask it.
Status blame_for_needless_stop(const LoadedPlugin& plugin, const char* function,
                               const HostServices* services, Status status);

// Makes one call into a plugin; `function` takes the error struct and returns the code.
template <typename Call>
Status call_plugin(const LoadedPlugin& plugin, const char* name, Call&& function) {
  dbsa_error error;
  clear(error);
  int32_t code = DBSA_OK;
  try {
    const PluginCallScope scope(plugin, name);
    code = function(&error);
  } catch (const std::exception& cause) {
    return error_from_exception(plugin, name, &cause);
  } catch (...) {
    return error_from_exception(plugin, name, nullptr);
  }
  if (code != DBSA_OK) return error_from_plugin(plugin, name, code, error);
  return {};
}

template <typename Function, typename... Arguments>
Status Instance::call(const char* name, Function function, Arguments... arguments) const {
  return blame_for_needless_stop(plugin_, name, services_,
                                 call_plugin(plugin_, name, [&](dbsa_error* error) {
                                   return function(instance_, arguments..., error);
                                 }));
}

template <typename Function, typename... Arguments>
Status Instance::setup_call(const char* name, Function function, Arguments... arguments) const {
  std::lock_guard lock(*plugin_.setup);
  return call(name, function, arguments...);
}

}  // namespace dbsa::host
