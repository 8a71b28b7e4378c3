#include "host/library.h"

#include <dbsa/sdk/structs.h>

#include <unistd.h>

#define BOOST_DLL_USE_STD_FS
#include <array>
#include <boost/dll/shared_library.hpp>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "config/path_kind.h"
#include "host/elf_check.h"
#include "host/plugin_call.h"

namespace dbsa::host {
namespace {

Error fault(const Manifest& manifest, const std::string& what) {
  return {ErrorCode::kPlugin, "plugin " + manifest.id + " (" + manifest.library_path + "): " + what,
          ""};
}

std::string hex(uint32_t value) {
  char text[16];
  std::snprintf(text, sizeof text, "0x%08x", value);
  return text;
}

std::string version(uint32_t major, uint32_t minor) {
  return std::to_string(major) + "." + std::to_string(minor);
}

Status check_abi(const Manifest& manifest, uint32_t major, uint32_t minor) {
  if (major == DBSA_ABI_MAJOR && minor >= DBSA_ABI_MINOR_LEAST && minor <= DBSA_ABI_MINOR)
    return {};
  const bool newer =
      std::pair(major, minor) > std::pair(uint32_t{DBSA_ABI_MAJOR}, uint32_t{DBSA_ABI_MINOR});
  return fault(
      manifest,
      "built for plugin interface " + version(major, minor) + ", this dbsa-pipe has " +
          version(DBSA_ABI_MAJOR, DBSA_ABI_MINOR) +
          (newer ? "; install a newer dbsa-pipe, or rebuild the plugin with this version's headers"
                 : "; rebuild the plugin with this version's headers"));
}

using Function = void (*)();

// A vtable is its struct_size, then function pointers.
Status check_vtable(const Manifest& manifest, const Kind& kind, const void* vtable) {
  const std::string name(kind.name);
  if (vtable == nullptr) return fault(manifest, "its table has no " + name + " functions");
  uint32_t size = 0;
  std::memcpy(&size, vtable, sizeof size);
  if (size < kind.least_bytes || size > kind.vtable_bytes)
    return fault(
        manifest,
        "its " + name + " functions have struct_size " + std::to_string(size) + ", expected " +
            (kind.least_bytes < kind.vtable_bytes ? std::to_string(kind.least_bytes) + " to "
                                                  : "") +
            std::to_string(kind.vtable_bytes));
  const char* entry = static_cast<const char*>(vtable) + sizeof(Function);
  for (size_t i = 0; (i + 1) * sizeof(Function) < kind.least_bytes; ++i) {
    Function function = nullptr;
    std::memcpy(&function, entry + i * sizeof function, sizeof function);
    if (function == nullptr)
      return fault(manifest, "its function " + std::string(kind.functions[i]) + " is null");
  }
  return {};
}

// A checked table as long as this host's, with a vtable that is, too: one for each, never freed, as
// the library.
const dbsa_plugin_table* lengthen(const dbsa_plugin_table& table) {
  struct Lengthened {
    dbsa_plugin_table table;
    std::unique_ptr<Function[]> vtable;
  };
  static std::mutex mutex;
  static auto& all = *new std::map<const dbsa_plugin_table*, Lengthened>();
  std::lock_guard lock(mutex);
  if (const auto found = all.find(&table); found != all.end()) return &found->second.table;
  const uint32_t bytes = find_kind(table.kind)->vtable_bytes;
  Lengthened made = {sdk::read_struct(&table),
                     std::make_unique<Function[]>(bytes / sizeof(Function))};
  uint32_t filled = 0;
  std::memcpy(&filled, table.vtable, sizeof filled);
  std::memcpy(made.vtable.get(), table.vtable, filled);
  std::memcpy(made.vtable.get(), &bytes, sizeof bytes);
  made.table.vtable = made.vtable.get();
  return &all.emplace(&table, std::move(made)).first->second.table;
}

// "libx.so.1: cannot open shared object file: No such file or directory" -> "libx.so.1"
std::string missing_library(const std::string& loader_text) {
  const size_t end = loader_text.find(": cannot open shared object file");
  if (end == std::string::npos) return "";
  const size_t begin = loader_text.find_last_of(" (", end);
  return loader_text.substr(begin == std::string::npos ? 0 : begin + 1,
                            end - (begin == std::string::npos ? 0 : begin + 1));
}

// The loader's own words: Boost gives "...(dlerror system message: <path>: <words>): <errno text>".
std::string loader_text(const std::string& what, const std::string& library_path) {
  constexpr std::string_view kBefore = "dlerror system message: ";
  const size_t found = what.find(kBefore);
  if (found == std::string::npos) return what;
  const size_t begin = found + kBefore.size();
  const size_t end = what.rfind("): ");
  std::string text = what.substr(begin, end == std::string::npos ? end : end - begin);
  if (text.starts_with(library_path + ": ")) text = text.substr(library_path.size() + 2);
  return text;
}

// Unloading crashes users of OpenMP, TBB and CUDA, so nothing is: the list is never freed.
void keep_forever(boost::dll::shared_library library) {
  static auto& libraries = *new std::vector<boost::dll::shared_library>();
  libraries.push_back(std::move(library));
}

}  // namespace

Status check_table(const Manifest& manifest, const dbsa_plugin_table& table) {
  // What tells an older or foreign table comes first; nothing past struct_size is read before.
  if (table.struct_size < offsetof(dbsa_plugin_table, kind))
    return fault(manifest, "its table has struct_size " + std::to_string(table.struct_size) +
                               ", expected " + std::to_string(DBSA_PLUGIN_TABLE_LEAST));
  if (table.magic != DBSA_ABI_MAGIC)
    return fault(manifest, "is no plugin of dbsa-pipe: magic " + hex(table.magic) + ", expected " +
                               hex(DBSA_ABI_MAGIC));
  DBSA_RETURN_IF_ERROR(check_abi(manifest, table.abi_major, table.abi_minor));
  if (table.struct_size < DBSA_PLUGIN_TABLE_LEAST || table.struct_size > sizeof table)
    return fault(manifest, "its table has struct_size " + std::to_string(table.struct_size) +
                               ", expected " + std::to_string(DBSA_PLUGIN_TABLE_LEAST) + " to " +
                               std::to_string(sizeof table));
  if (table.kind != manifest.kind)
    return fault(manifest,
                 "the library is of kind " +
                     (kind_name(table.kind).empty() ? std::to_string(table.kind)
                                                    : std::string(kind_name(table.kind))) +
                     ", its manifest says " + std::string(kind_name(manifest.kind)));
  if (table.revision != manifest.revision)
    return fault(manifest, "the library has revision " + std::to_string(table.revision) +
                               ", its manifest says " + std::to_string(manifest.revision) +
                               "; install both from one build");
  if (table.check_config == nullptr) return fault(manifest, "its function check_config is null");
  if (table.create == nullptr) return fault(manifest, "its function create is null");
  if (table.destroy == nullptr) return fault(manifest, "its function destroy is null");
  return check_vtable(manifest, *find_kind(table.kind), table.vtable);
}

Result<LoadedPlugin> load_library(const Manifest& manifest) {
  namespace dll = boost::dll;
  DBSA_RETURN_IF_ERROR(check_abi(manifest, manifest.abi_major, manifest.abi_minor));
  const Result<PathKind> there = path_kind(manifest.library_path);
  if (!there.ok()) return there.error();
  if (*there == PathKind::kNothing)
    return fault(manifest, "no such file; it belongs beside " + manifest.path);
  if (const Status whole = check_shared_library(manifest.library_path); !whole.ok())
    return whole.error().code == ErrorCode::kPlugin ? fault(manifest, whole.error().message)
                                                    : whole.error();

  dll::shared_library library;
  try {
    // Its constructors run.
    const PluginCallScope scope(
        PluginCall{manifest.id.c_str(), manifest.library_path.c_str(), "loading"});
    library.load(manifest.library_path, dll::load_mode::rtld_now | dll::load_mode::rtld_local);
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& cause) {
    const std::string text = loader_text(cause.what(), manifest.library_path);
    std::string message = "cannot be loaded: " + text;
    if (const std::string missing = missing_library(text); !missing.empty())
      message += "; install " + missing + " or add its folder to LD_LIBRARY_PATH";
    return fault(manifest, message);
  }
  const dbsa_plugin_table* table = nullptr;
  if (library.has(DBSA_PLUGIN_SYMBOL))
    table = &library.get<const dbsa_plugin_table>(DBSA_PLUGIN_SYMBOL);
  keep_forever(std::move(library));
  if (table == nullptr)
    return fault(manifest, std::string("has no symbol ") + DBSA_PLUGIN_SYMBOL +
                               "; its source must end with DBSA_PLUGIN(Class)");
  DBSA_RETURN_IF_ERROR(check_table(manifest, *table));
  return LoadedPlugin{manifest.id, manifest.library_path, lengthen(*table), manifest.config_keys,
                      manifest.roles};
}

const void* find_extension(const LoadedPlugin& plugin, const char* id) {
  const dbsa_plugin_table& table = *plugin.table;
  if (table.extension == nullptr) return nullptr;
  const PluginCallScope scope(plugin, "extension");
  return table.extension(id);
}

std::string program_directory() {
  std::array<char, 4097> path;  // PATH_MAX and one
  const ssize_t length = ::readlink("/proc/self/exe", path.data(), path.size());
  if (length < 0 || length == static_cast<ssize_t>(path.size())) return "";
  return std::filesystem::path(path.data(), path.data() + length).parent_path().string();
}

}  // namespace dbsa::host
