// That the headers compile is checked by the build (headers.c, headers_cxx.cc, layout.h); here,
// what a built plugin shows to the world.
#include <dbsa/plugin.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "host/plugin_registry.h"

extern "C" int dbsa_abi_c11_value(void);

namespace dbsa::host {
namespace {

namespace fs = std::filesystem;

std::string output_of(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  std::string text;
  std::array<char, 4096> part;
  while (pipe && std::fgets(part.data(), part.size(), pipe.get()) != nullptr) text += part.data();
  return text;
}

TEST(Abi, CodesAreTheSameInC) { EXPECT_EQ(dbsa_abi_c11_value(), DBSA_ERROR_UNSUPPORTED); }

// Every plugin of this build: one exported symbol, and it loads.
TEST(Abi, PluginsExportOneSymbol) {
  const std::string folder = DBSA_PLUGIN_DIR;
  PluginRegistry registry = PluginRegistry::discover({&folder, 1});
  for (const FailedPlugin& failed : registry.failed())
    ADD_FAILURE() << failed.path << ": " << failed.cause;
  int built = 0;
  for (const Manifest& manifest : registry.manifests()) {
    if (!fs::exists(manifest.library_path)) continue;  // its target was not built
    ++built;
    const std::string symbols =
        output_of(DBSA_NM " -D --defined-only --format=posix '" + manifest.library_path + "'");
    EXPECT_TRUE(symbols.starts_with("dbsa_plugin ")) << manifest.library_path << ":\n" << symbols;
    EXPECT_EQ(std::count(symbols.begin(), symbols.end(), '\n'), 1) << manifest.library_path << ":\n"
                                                                   << symbols;
    const auto plugin = registry.load(manifest);
    EXPECT_TRUE(plugin.ok()) << plugin.error().message;
  }
  if (built == 0) GTEST_SKIP() << "no plugin was built in " << folder;
}

// Ids of ours say their kind.
TEST(Abi, IdsNameTheirKind) {
  const std::string folder = DBSA_PLUGIN_DIR;
  const PluginRegistry registry = PluginRegistry::discover({&folder, 1});
  for (const Manifest& manifest : registry.manifests())
    EXPECT_EQ(manifest.id, "dbsa." + std::string(kind_name(manifest.kind)) + "." +
                               std::string(manifest.short_name()));
}

}  // namespace
}  // namespace dbsa::host
