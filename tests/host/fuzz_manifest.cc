// The bytes of a plugin manifest. One that is accepted must describe itself in valid TOML.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "config/toml_document.h"
#include "host/describe.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dbsa;
  const auto manifest =
      host::parse_manifest({reinterpret_cast<const char*>(data), size}, "fuzz.plugin.toml");
  if (!manifest.ok()) {
    if (manifest.error().message.empty()) std::abort();
    return 0;
  }
  if (!TomlDocument::parse(host::config_toml(*manifest), "fuzz.toml").ok()) std::abort();
  (void)host::describe_plugin(*manifest).dump();
  return 0;
}
