#include "host/instance.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "config/json_pointer.h"
#include "config/schema_check.h"

namespace dbsa::host {
namespace {

bool known_code(int32_t code) {
  return code >= DBSA_ERROR_INVALID_ARGUMENT && code <= DBSA_ERROR_UNSUPPORTED;
}

// A text buffer that a plugin filled; it may have forgotten the terminator.
std::string text_of(const char* buffer, size_t capacity) {
  const void* end = std::memchr(buffer, '\0', capacity);
  return {buffer,
          end != nullptr ? static_cast<size_t>(static_cast<const char*>(end) - buffer) : capacity};
}

std::string named(const LoadedPlugin& plugin, const char* function) {
  return "plugin " + plugin.id + " (" + plugin.library_path + "): " + function + ": ";
}

Error undeclared_key(const LoadedPlugin& plugin, const char* function, const std::string& key,
                     const std::string& message) {
  return {ErrorCode::kPlugin,
          named(plugin, function) + "asks for the key " + in_quotes(key) +
              ", which its manifest does not declare; the plugin's author must add [config." + key +
              "] to the manifest (it says: " + message + ")",
          ""};
}

}  // namespace

Error error_from_plugin(const LoadedPlugin& plugin, const char* function, int32_t code,
                        const dbsa_error& error) {
  if (!known_code(code))
    return {ErrorCode::kPlugin,
            named(plugin, function) + "returned " + std::to_string(code) +
                ", which is not an error code in dbsa/plugin.h",
            ""};
  std::string message = text_of(error.message, sizeof error.message);
  if (message.empty()) message = "failed with code " + std::to_string(code) + " and no message";
  std::string pointer = text_of(error.config_pointer, sizeof error.config_pointer);
  if (!pointer.empty()) {
    if (!pointer.starts_with('/')) pointer.insert(0, 1, '/');
    const std::string key = split_pointer(pointer).front();
    const std::vector<std::string>& declared = plugin.config_keys;
    if (std::find(declared.begin(), declared.end(), key) == declared.end())
      return undeclared_key(plugin, function, key, message);
    pointer.insert(0, "/" + std::string(kind_name(plugin.table->kind)));
  } else if (code == DBSA_ERROR_PLUGIN || code == DBSA_ERROR_INVALID_ARGUMENT) {
    message = named(plugin, function) + message;
  } else {
    message = plugin.id + ": " + message;
  }
  return {static_cast<ErrorCode>(code), std::move(message), std::move(pointer)};
}

Error error_from_exception(const LoadedPlugin& plugin, const char* function,
                           const std::exception* cause) {
  return {ErrorCode::kPlugin,
          named(plugin, function) + "let an exception out: " +
              (cause != nullptr ? cause->what() : "not a std::exception"),
          ""};
}

Status blame_for_needless_stop(const LoadedPlugin& plugin, const char* function,
                               const HostServices* services, Status status) {
  if (status.ok() || status.error().code != ErrorCode::kCancelled ||
      (services != nullptr && services->cancelled()))
    return status;
  return Error{ErrorCode::kPlugin,
               named(plugin, function) +
                   "says that it was stopped (DBSA_ERROR_CANCELLED), but nobody asked it to; its "
                   "author must return another error (it says: " +
                   status.error().message + ")",
               ""};
}

Status check_config(const LoadedPlugin& plugin, const nlohmann::json& config) {
  const std::string text = config.dump();
  return blame_for_needless_stop(plugin, "check_config", nullptr,
                                 call_plugin(plugin, "check_config", [&](dbsa_error* error) {
                                   return plugin.table->check_config(text.c_str(), error);
                                 }));
}

Status create_instance(const LoadedPlugin& plugin, HostServices& services,
                       const std::string& config, void*& instance) {
  instance = nullptr;
  DBSA_RETURN_IF_ERROR(blame_for_needless_stop(
      plugin, "create", &services, call_plugin(plugin, "create", [&](dbsa_error* error) {
        return plugin.table->create(services.abi(), config.c_str(), &instance, error);
      })));
  if (instance == nullptr)
    return Error{ErrorCode::kPlugin, named(plugin, "create") + "succeeded without an instance", ""};
  return {};
}

Result<Instance> Instance::create(const LoadedPlugin& plugin, HostServices& services,
                                  const nlohmann::json& config, uint32_t kind) {
  if (plugin.table->kind != kind)
    return Error{ErrorCode::kPlugin,
                 "plugin " + plugin.id + " (" + plugin.library_path + "): is a " +
                     std::string(kind_name(plugin.table->kind)) + ", not a " +
                     std::string(kind_name(kind)),
                 ""};
  void* instance = nullptr;
  {
    std::lock_guard lock(*plugin.setup);
    DBSA_RETURN_IF_ERROR(create_instance(plugin, services, config.dump(), instance));
  }
  return Instance(plugin, services, instance);
}

Instance::Instance(Instance&& other) noexcept
    : plugin_(other.plugin_),
      services_(other.services_),
      instance_(std::exchange(other.instance_, nullptr)) {}

Instance& Instance::operator=(Instance&& other) noexcept {
  if (this != &other) {
    reset();
    plugin_ = other.plugin_;
    services_ = other.services_;
    instance_ = std::exchange(other.instance_, nullptr);
  }
  return *this;
}

Instance::~Instance() { reset(); }

void Instance::reset() noexcept {
  if (instance_ == nullptr) return;
  std::lock_guard lock(*plugin_.setup);
  try {
    const PluginCallScope scope(plugin_, "destroy");
    plugin_.table->destroy(instance_);
  } catch (...) {  // nothing to tell it to; the instance is gone for us
  }
  instance_ = nullptr;
}

Error Instance::broken(const char* name, const std::string& what) const {
  return {ErrorCode::kPlugin, named(plugin_, name) + what, ""};
}

}  // namespace dbsa::host
