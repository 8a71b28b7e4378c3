// A plugin without the SDK's guard: its instance has the `fault` of its configuration.
#pragma once

#include <dbsa/plugin.h>
#include <dbsa/sdk/config.h>

#include <cstring>
#include <string>

struct RawInstance {
  std::string fault;
  const dbsa_host* host = nullptr;
};

inline const std::string& fault_of(void* instance) {
  return static_cast<RawInstance*>(instance)->fault;
}

// With fault = "say" logs the name of the function that was called.
inline void say(void* instance, const char* function) {
  const dbsa_host* host = static_cast<RawInstance*>(instance)->host;
  if (fault_of(instance) == "say") host->log(host->context, DBSA_LOG_INFO, function);
}

template <typename Vtable>
constexpr dbsa_plugin_table raw_table(uint32_t kind, const Vtable* vtable,
                                      const void* (*extension)(const char*) = nullptr) {
  return {sizeof(dbsa_plugin_table),
          DBSA_ABI_MAGIC,
          DBSA_ABI_MAJOR,
          DBSA_ABI_MINOR,
          kind,
          1,
          [](const char*, dbsa_error*) -> int32_t { return DBSA_OK; },
          [](const dbsa_host* host, const char* config_json, void** instance,
             dbsa_error* error) -> int32_t {
            const auto config = dbsa::Config::parse(config_json);
            *instance = new RawInstance{*config->template get<std::string>("fault"), host};
            say(*instance, "create");
            if (fault_of(*instance) != "undeclared") return DBSA_OK;
            delete static_cast<RawInstance*>(*instance);
            std::strcpy(error->message, "limit is missing");
            std::strcpy(error->config_pointer, "/limit");
            return DBSA_ERROR_CONFIG;
          },
          [](void* instance) {
            say(instance, "destroy");
            delete static_cast<RawInstance*>(instance);
          },
          vtable,
          extension};
}

#define RAW_PLUGIN(...)                                         \
  extern "C" {                                                  \
  extern DBSA_EXPORT const dbsa_plugin_table dbsa_plugin;       \
  const dbsa_plugin_table dbsa_plugin = raw_table(__VA_ARGS__); \
  }                                                             \
  static_assert(true)
