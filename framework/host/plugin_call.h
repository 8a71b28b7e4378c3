// The call into a plugin that a thread is in: for what is said when a plugin crashes or ends the
// program, and cannot be asked any more.
#pragma once

#include "host/loaded_plugin.h"

namespace dbsa::host {

struct PluginCall {
  const char* id = nullptr;  // null outside of any call
  const char* library = nullptr;
  const char* function = nullptr;
};

// This thread's innermost call. Safe in a signal handler.
PluginCall current_plugin_call() noexcept;

// A call, while this lives: the host's own, or on another thread a part of one.
class PluginCallScope {
 public:
  // `plugin` and `function` outlive this.
  PluginCallScope(const LoadedPlugin& plugin, const char* function) noexcept
      : PluginCallScope(PluginCall{plugin.id.c_str(), plugin.library_path.c_str(), function}) {}
  explicit PluginCallScope(PluginCall call) noexcept;
  ~PluginCallScope();
  PluginCallScope(const PluginCallScope&) = delete;
  PluginCallScope& operator=(const PluginCallScope&) = delete;

 private:
  const PluginCall outer_;
};

}  // namespace dbsa::host
