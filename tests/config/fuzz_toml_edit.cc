// Edits of any TOML text: what comes out is read again by edit_toml itself, so that only crashes
// and loops can be found here.
#include <cstdint>
#include <string>

#include "config/toml_document.h"
#include "config/toml_edit.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dbsa;
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (!TomlDocument::parse(text, "a.toml").ok()) return 0;
  const TomlEdit edits[] = {{"a.b", 0.5, {"comment"}}, {"a.c", {}, {}}, {"d.e", "text", {}}};
  for (const TomlEdit& edit : edits) (void)edit_toml(text, {&edit, 1});
  return 0;
}
