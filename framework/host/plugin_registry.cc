#include "host/plugin_registry.h"

#include <xxhash.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <tuple>

#include "config/nearest_name.h"
#include "config/path_kind.h"
#include "config/read_file.h"
#include "config/schema_check.h"
#include "host/library.h"

namespace dbsa::host {
namespace {

namespace fs = std::filesystem;

// One spelling for each folder, so that none is searched twice.
std::string tidy(const std::string& folder) {
  std::error_code failure;
  fs::path path = fs::weakly_canonical(folder, failure);
  if (failure) path = fs::absolute(folder, failure).lexically_normal();
  return path.string();
}

void add_once(std::vector<std::string>& folders, const std::string& folder) {
  if (folder.empty()) return;
  std::string path = tidy(folder);
  if (std::find(folders.begin(), folders.end(), path) == folders.end())
    folders.push_back(std::move(path));
}

std::vector<std::string> manifest_files(SearchedFolder& folder) {
  std::vector<std::string> files;
  const Result<PathKind> kind = path_kind(folder.path);
  folder.exists = kind.ok() && *kind == PathKind::kFolder;
  if (!kind.ok()) folder.failure = kind.error().message;
  if (!folder.exists) return files;
  std::error_code failure;
  for (fs::directory_iterator at(folder.path, failure), end; !failure && at != end;
       at.increment(failure))
    if (at->path().filename().string().ends_with(kManifestSuffix))
      files.push_back(at->path().string());
  if (failure) folder.failure = "cannot be read: " + failure.message();
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

std::vector<std::string> plugin_search_path(std::span<const std::string> options) {
  std::vector<std::string> folders;
  for (const std::string& option : options) add_once(folders, option);
  if (const char* list = std::getenv("DBSA_PLUGIN_PATH")) {
    const std::string_view text = list;
    for (size_t begin = 0; begin <= text.size();) {
      const size_t end = std::min(text.find(':', begin), text.size());
      add_once(folders, std::string(text.substr(begin, end - begin)));
      begin = end + 1;
    }
  }
  if (const std::string program = program_directory(); !program.empty()) {
    add_once(folders, program + "/../lib/dbsa/plugins");
    add_once(folders, program + "/../" DBSA_INSTALL_LIBDIR "/dbsa/plugins");
  }
  return folders;
}

PluginRegistry PluginRegistry::discover(std::span<const std::string> folders) {
  PluginRegistry registry;
  std::vector<std::string> once;
  for (const std::string& folder : folders) add_once(once, folder);
  std::vector<Manifest> found;
  for (const std::string& folder : once) {
    SearchedFolder searched = {folder, false, 0, ""};
    for (const std::string& file : manifest_files(searched)) {
      ++searched.manifests;
      Result<Manifest> manifest = load_manifest(file);
      if (manifest.ok())
        found.push_back(std::move(manifest).value());
      else
        registry.failed_.push_back({file, manifest.error().message});
    }
    registry.searched_.push_back(std::move(searched));
  }
  std::stable_sort(found.begin(), found.end(), [](const Manifest& a, const Manifest& b) {
    return std::tie(a.kind, a.id) < std::tie(b.kind, b.id);
  });
  // Of two plugins with one id neither is used: which one was meant is not ours to guess.
  std::map<std::string, std::vector<std::string>> files_of;
  for (const Manifest& manifest : found) files_of[manifest.id].push_back(manifest.path);
  for (const auto& [id, files] : files_of) {
    if (files.size() < 2) continue;
    std::string cause = "more than one plugin has the id " + id + ": ";
    for (size_t i = 0; i < files.size(); ++i) cause += (i == 0 ? "" : " and ") + files[i];
    cause += "; remove all but one";
    for (const std::string& file : files) registry.failed_.push_back({file, cause});
    registry.twins_[id] = cause;
  }
  for (Manifest& manifest : found)
    if (!registry.twins_.contains(manifest.id)) registry.manifests_.push_back(std::move(manifest));
  return registry;
}

std::string PluginRegistry::places() const {
  if (searched_.empty()) return "no folder was searched";
  std::string text = "searched: ";
  for (size_t i = 0; i < searched_.size(); ++i) {
    const SearchedFolder& folder = searched_[i];
    text += (i == 0 ? "" : ", ") + folder.path;
    text += !folder.failure.empty() ? " (" + folder.failure + ")"
            : folder.exists         ? " (" + std::to_string(folder.manifests) +
                                  (folder.manifests == 1 ? " manifest)" : " manifests)")
                            : " (no such folder)";
  }
  return text;
}

Error PluginRegistry::unknown(uint32_t kind, std::string_view name) const {
  std::vector<std::string> names;
  std::string available;
  for (const Manifest& manifest : manifests_) {
    if (manifest.kind != kind) continue;
    names.emplace_back(manifest.short_name());
    available += (available.empty() ? "" : ", ") + names.back();
  }
  std::string message = "no " + std::string(kind_name(kind)) + " plugin " + in_quotes(name);
  const std::string nearest = nearest_name(name, names);
  if (!nearest.empty()) message += "; did you mean \"" + nearest + "\"?";
  message += (nearest.empty() ? "; available: " : " available: ") +
             (available.empty() ? "none" : available) + "; " + places();
  // The one that was meant may be among the refused.
  constexpr size_t kTelling = 3;  // shorter names are part of any file's
  for (const FailedPlugin& failed : failed_)
    if (name.size() >= kTelling &&
        fs::path(failed.path).filename().string().find(name) != std::string::npos)
      message += "; refused: " + failed.cause;
  return {ErrorCode::kPlugin, std::move(message), ""};
}

Result<const Manifest*> PluginRegistry::find(uint32_t kind, std::string_view name) const {
  const bool full = name.find('.') != std::string_view::npos;
  const Manifest* match = nullptr;
  for (const auto& [id, cause] : twins_) {
    const bool same_name = std::string_view(id).substr(id.rfind('.') + 1) == name &&
                           id.find("." + std::string(kind_name(kind)) + ".") != std::string::npos;
    if (full ? id == name : same_name) return Error{ErrorCode::kPlugin, cause, ""};
  }
  for (const Manifest& manifest : manifests_) {
    if (full && manifest.id == name && manifest.kind != kind)
      return Error{ErrorCode::kPlugin,
                   manifest.id + " is a " + std::string(kind_name(manifest.kind)) +
                       " plugin, not a " + std::string(kind_name(kind)),
                   ""};
    if (manifest.kind != kind || (full ? manifest.id : manifest.short_name()) != name) continue;
    if (match != nullptr)
      return Error{
          ErrorCode::kPlugin,
          in_quotes(name) + " may be " + match->id + " or " + manifest.id + "; write the full id",
          ""};
    match = &manifest;
  }
  if (match == nullptr) return unknown(kind, name);
  return match;
}

Result<LoadedPlugin> PluginRegistry::load(const Manifest& manifest) {
  std::lock_guard lock(*setup_);
  if (const auto found = loaded_.find(manifest.id); found != loaded_.end()) return found->second;
  DBSA_ASSIGN_OR_RETURN(LoadedPlugin plugin, load_library(manifest));
  plugin.setup = setup_;
  loaded_.emplace(manifest.id, plugin);
  return plugin;
}

Result<std::string> plugin_file_hash(const Manifest& manifest) {
  constexpr uint64_t kMaxBytes = uint64_t{1} << 30;
  const Result<FileText> library = read_file(manifest.library_path, kMaxBytes);
  if (!library.ok()) return Error{ErrorCode::kEnvironment, library.error().message, ""};
  const XXH128_hash_t hash = XXH3_128bits(library->text.data(), library->text.size());
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(hash.high64),
                static_cast<unsigned long long>(hash.low64));
  return std::string(text);
}

}  // namespace dbsa::host
