// The bytes of a pipeline file, up to the resolved pipeline.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "host/describe.h"
#include "host/resolve.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dbsa;
  static const std::string folder = std::string(DBSA_SOURCE_DIR) + "/tests/bad_pipelines/plugins";
  static const host::PluginRegistry registry = host::PluginRegistry::discover({&folder, 1});
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  auto document = TomlDocument::parse(text, "fuzz.toml");
  if (!document.ok()) {
    if (document.error().message.empty()) std::abort();
    return 0;
  }
  // The input also serves as an override, key and value.
  const size_t cut = text.find('\n');
  if (cut != std::string_view::npos) (void)document->set(text.substr(0, cut), text.substr(cut + 1));
  auto pipeline = host::resolve_pipeline(*document, registry);
  const std::string shown = pipeline.ok() ? pipeline->json.dump() : pipeline.error().message;
  if (shown.empty()) std::abort();
  return 0;
}
