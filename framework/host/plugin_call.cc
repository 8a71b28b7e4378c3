#include "host/plugin_call.h"

namespace dbsa::host {
namespace {

// Signal handlers and exit handlers cannot be passed an argument.
constinit thread_local PluginCall this_threads_call;

}  // namespace

PluginCall current_plugin_call() noexcept { return this_threads_call; }

PluginCallScope::PluginCallScope(PluginCall call) noexcept : outer_(this_threads_call) {
  this_threads_call = call;
}

PluginCallScope::~PluginCallScope() { this_threads_call = outer_; }

}  // namespace dbsa::host
