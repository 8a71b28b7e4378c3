#include "host/plugin_registry.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <tuple>

#include "config/absolute_path.h"
#include "config/hash128.h"
#include "config/nearest_name.h"
#include "config/path_kind.h"
#include "config/read_file.h"
#include "config/schema_check.h"
#include "config/toml_document.h"
#include "host/library.h"

namespace dbsa::host {
namespace {

namespace fs = std::filesystem;

// One spelling for each folder, so that none is searched twice.
std::string tidy(const std::string& folder) {
  std::error_code failure;
  const fs::path path = fs::weakly_canonical(folder, failure);
  return failure ? absolute_path(folder) : path.string();
}

void add_once(std::vector<std::string>& folders, const std::string& folder) {
  if (folder.empty()) return;
  std::string path = tidy(folder);
  if (std::find(folders.begin(), folders.end(), path) == folders.end())
    folders.push_back(std::move(path));
}

std::string file_name(const std::string& path) { return fs::path(path).filename().string(); }

// "dbsa.retriever.bm25" -> "bm25"
std::string_view short_name(std::string_view id) { return id.substr(id.rfind('.') + 1); }

// What a line `id = "dbsa.retriever.bm25"` gives, in a manifest that may be no TOML; "" for none.
std::string id_in_text(std::string_view text) {
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const auto skip = [&](char wanted) {
      line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
      if (!line.starts_with(wanted)) return false;
      line.remove_prefix(1);
      return true;
    };
    if (!skip('i') || !line.starts_with('d')) continue;
    line.remove_prefix(1);
    if (!skip('=')) continue;
    const bool quoted = skip('"') || skip('\'');
    const std::string_view id = line.substr(0, line.find_first_of("\"' \t\r#"));
    return quoted && id.find('.') != id.npos ? std::string(id) : "";
  }
  return "";
}

// The id that a manifest gives which cannot be used; "" where it gives none.
std::string claimed_id(const std::string& path) {
  const Result<TomlDocument> document = TomlDocument::load(path);
  if (!document.ok()) {
    const Result<FileText> file = read_file(path, TomlDocument::kMaxBytes);
    return file.ok() ? id_in_text(file->text) : "";
  }
  const auto id = document->json().find("id");
  return id != document->json().end() && id->is_string() ? id->get<std::string>() : "";
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

std::vector<std::string> given_plugin_folders(std::span<const std::string> options) {
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
  return folders;
}

std::vector<std::string> plugin_search_path(std::span<const std::string> options) {
  std::vector<std::string> folders = given_plugin_folders(options);
  if (const std::string program = program_directory(); !program.empty()) {
    add_once(folders, program + "/../lib/dbsa/plugins");
    add_once(folders, program + "/../" DBSA_INSTALL_LIBDIR "/dbsa/plugins");
  }
  return folders;
}

void PluginRegistry::add_folder(const std::string& folder) {
  SearchedFolder searched = {folder, false, 0, ""};
  std::map<std::string, std::vector<Manifest>> found;  // by id
  std::vector<FailedPlugin> broken;
  for (const std::string& file : manifest_files(searched)) {
    ++searched.manifests;
    Result<Manifest> manifest = load_manifest(file);
    if (!manifest.ok()) {
      broken.push_back({file, manifest.error().message});
      continue;
    }
    std::vector<Manifest>& copies = found[manifest->id];
    copies.push_back(std::move(manifest).value());
  }
  searched_.push_back(std::move(searched));
  for (auto& [id, copies] : found) {
    if (const auto used = first_.find(id); used != first_.end()) {
      for (const Manifest& copy : copies)
        shadowed_.push_back({copy.kind, id, copy.path, used->second});
      continue;
    }
    const Manifest& copy = copies.front();
    auto before = broken_.find(id);
    if (before == broken_.end()) before = broken_.find(file_name(copy.path));
    if (before != broken_.end()) {
      refused_[id] = {copy.kind, before->second.path + ", which is looked for before " + copy.path +
                                     ", cannot be used: " + before->second.cause};
      first_[id] = before->second.path;
      for (const Manifest& other : copies)
        shadowed_.push_back({other.kind, id, other.path, first_[id]});
      continue;
    }
    first_[id] = copy.path;
    if (copies.size() == 1) {
      manifests_.push_back(std::move(copies.front()));
      continue;
    }
    std::string cause = "more than one plugin has the id " + id + ": ";
    for (size_t i = 0; i < copies.size(); ++i) cause += (i == 0 ? "" : " and ") + copies[i].path;
    cause += "; remove all but one";
    for (const Manifest& other : copies) failed_.push_back({other.path, cause});
    refused_[id] = {copy.kind, cause};
  }
  for (FailedPlugin& failed : broken) {
    if (const std::string id = claimed_id(failed.path); !id.empty()) broken_.emplace(id, failed);
    broken_.emplace(file_name(failed.path), failed);
    failed_.push_back(std::move(failed));
  }
}

PluginRegistry PluginRegistry::discover(std::span<const std::string> folders) {
  PluginRegistry registry;
  std::vector<std::string> once;
  for (const std::string& folder : folders) add_once(once, folder);
  for (const std::string& folder : once) registry.add_folder(folder);
  std::stable_sort(registry.manifests_.begin(), registry.manifests_.end(),
                   [](const Manifest& a, const Manifest& b) {
                     return std::tie(a.kind, a.id) < std::tie(b.kind, b.id);
                   });
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

std::string PluginRegistry::refused_as(std::string_view name) const {
  constexpr size_t kTelling = 3;  // shorter names are part of any file's
  const std::string_view last = short_name(name);
  std::string text;
  for (const FailedPlugin& failed : failed_) {
    const std::string id = claimed_id(failed.path);
    const bool by_id = !id.empty() && (id == name || short_name(id) == name);
    const bool by_file =
        last.size() >= kTelling && file_name(failed.path).find(last) != std::string::npos;
    if (by_id || by_file) text += "; refused: " + failed.cause;
  }
  if (text.empty() && !failed_.empty())
    text = "; " + std::to_string(failed_.size()) +
           (failed_.size() == 1 ? " manifest was" : " manifests were") +
           " refused: `dbsa-pipe inspect --failed` says why";
  return text;
}

Error PluginRegistry::unknown(uint32_t kind, std::string_view name) const {
  std::vector<std::string> names;
  std::string available;
  for (const Manifest& manifest : manifests_) {
    if (manifest.kind != kind) continue;
    names.push_back(name_of(manifest));
    available += (available.empty() ? "" : ", ") + names.back();
  }
  std::string message = "no " + std::string(kind_name(kind)) + " plugin " + in_quotes(name);
  const std::string nearest = nearest_name(name, names);
  if (!nearest.empty()) message += "; did you mean \"" + nearest + "\"?";
  message += (nearest.empty() ? "; available: " : " available: ") +
             (available.empty() ? "none" : available) + "; " + places();
  message += refused_as(name);
  return {ErrorCode::kPlugin, std::move(message), ""};
}

std::vector<std::string> PluginRegistry::meant(uint32_t kind, std::string_view name) const {
  const bool full = name.find('.') != name.npos;
  std::map<uint32_t, std::vector<std::string>> ids_of;  // by kind
  const auto consider = [&](uint32_t of_kind, const std::string& id) {
    if (full ? id == name : (kind == 0 || kind == of_kind) && short_name(id) == name)
      ids_of[of_kind].push_back(id);
  };
  for (const Manifest& manifest : manifests_) consider(manifest.kind, manifest.id);
  for (const auto& [id, refused] : refused_) consider(refused.kind, id);
  std::vector<std::string> all;
  for (auto& [of_kind, ids] : ids_of) {
    // A stranger's plugin changes nothing for those who use ours by its short name.
    const std::string ours = "dbsa." + std::string(kind_name(of_kind)) + "." + std::string(name);
    if (std::find(ids.begin(), ids.end(), ours) != ids.end()) ids = {ours};
    all.insert(all.end(), ids.begin(), ids.end());
  }
  // Nor one of another kind.
  const auto is_ours = [](const std::string& id) { return id.starts_with("dbsa."); };
  if (!full && std::any_of(all.begin(), all.end(), is_ours))
    std::erase_if(all, std::not_fn(is_ours));
  return all;
}

std::string PluginRegistry::name_of(const Manifest& manifest) const {
  std::string name(manifest.short_name());
  return meant(manifest.kind, name) == std::vector{manifest.id} ? name : manifest.id;
}

Result<const Manifest*> PluginRegistry::find(uint32_t kind, std::string_view name) const {
  const std::vector<std::string> ids = meant(kind, name);
  if (ids.empty()) return unknown(kind, name);
  if (ids.size() > 1) {
    std::string all;
    for (size_t i = 0; i < ids.size(); ++i)
      all += (i == 0 ? "" : i + 1 == ids.size() ? " or " : ", ") + ids[i];
    return Error{ErrorCode::kPlugin, in_quotes(name) + " may be " + all + "; write the full id",
                 ""};
  }
  if (const auto refused = refused_.find(ids.front()); refused != refused_.end())
    return Error{ErrorCode::kPlugin, refused->second.cause, ""};
  const auto match =
      std::find_if(manifests_.begin(), manifests_.end(),
                   [&](const Manifest& manifest) { return manifest.id == ids.front(); });
  if (kind != 0 && match->kind != kind)
    return Error{ErrorCode::kPlugin,
                 match->id + " is a " + std::string(kind_name(match->kind)) + " plugin, not a " +
                     std::string(kind_name(kind)),
                 ""};
  return &*match;
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
  return hash_text(library->text).hex();
}

}  // namespace dbsa::host
