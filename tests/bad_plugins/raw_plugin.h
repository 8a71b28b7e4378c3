// A plugin without the SDK's guard: its instance is the `fault` of its configuration.
#pragma once

#include <dbsa/plugin.h>
#include <dbsa/sdk/config.h>

#include <cstring>
#include <string>

inline const std::string& fault_of(void* instance) { return *static_cast<std::string*>(instance); }

template <typename Vtable>
constexpr dbsa_plugin_table raw_table(uint32_t kind, const Vtable* vtable) {
  return {sizeof(dbsa_plugin_table),
          DBSA_ABI_MAGIC,
          DBSA_ABI_MAJOR,
          DBSA_ABI_MINOR,
          kind,
          1,
          [](const char*, dbsa_error*) -> int32_t { return DBSA_OK; },
          [](const dbsa_host*, const char* config_json, void** instance, dbsa_error*) -> int32_t {
            *instance = new std::string(
                *dbsa::Config::parse(config_json)->template get<std::string>("fault"));
            return DBSA_OK;
          },
          [](void* instance) { delete static_cast<std::string*>(instance); },
          vtable};
}

#define RAW_PLUGIN(kind, vtable)                                 \
  extern "C" {                                                   \
  extern DBSA_EXPORT const dbsa_plugin_table dbsa_plugin;        \
  const dbsa_plugin_table dbsa_plugin = raw_table(kind, vtable); \
  }                                                              \
  static_assert(true)
