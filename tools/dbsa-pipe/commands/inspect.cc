// dbsa-pipe inspect: what plugins there are and what they take, from their manifests, and the keys
// of a section of the pipeline file. The list runs no plugin code; one plugin, and all with
// --failed, are loaded and checked as `run` would.
#include <algorithm>

#include "commands.h"
#include "commands/probe_plugin.h"
#include "config/nearest_name.h"
#include "config/schema_check.h"
#include "host/describe.h"
#include "host/loaded_plugin.h"
#include "host/needs.h"
#include "json_output.h"
#include "options.h"
#include "session.h"
#include "terminal/sudden_end.h"

namespace dbsa::cli {

namespace {

std::vector<std::string> kind_names() {
  std::vector<std::string> names;
  for (const host::Kind& kind : host::kinds()) names.emplace_back(kind.name);
  return names;
}

}  // namespace

CommandLine inspect_command_line() {
  CommandLine line(
      {"inspect", "[NAME]",
       "List plugins, or show the keys of one or of a section of the pipeline file.",
       "NAME is a section of the pipeline file (data, prompt, selection, decoding ...) or a "
       "plugin.\n"
       "A plugin is named by its full id (dbsa.retriever.bm25) or its last part (bm25), which "
       "means this\n"
       "program's own plugin if there is one. The library is loaded and checked; the exit code is "
       "3\n"
       "if it cannot be used. If several folders have the plugin, the first one's copy is used.",
       "dbsa-pipe inspect\n"
       "dbsa-pipe inspect bm25\n"
       "dbsa-pipe inspect decoding\n"
       "dbsa-pipe inspect dbsa.retriever.bm25 --config\n"
       "dbsa-pipe inspect --failed"});
  line.arguments({"NAME"}, 0).choices("NAME", host::pipeline_sections());
  line.value("kind", "KIND",
             "only plugins of this kind: block_grouper, mask_pattern, retriever, kv_store, "
             "attention_backend");
  line.choices("kind", kind_names());
  line.flag("config", "print the plugin's table for a pipeline file, ready to paste");
  line.flag("failed", "list plugins that cannot be used, with the cause");
  add_plugin_options(line);
  line.flag("json", "print one JSON document on standard output");
  return line;
}
namespace {

using host::Manifest;
using host::PluginRegistry;

// 0: any kind.
Result<uint32_t> wanted_kind(const CommandLine& line) {
  if (!line.has("kind")) return uint32_t{0};
  const std::string name = line.text("kind");
  const uint32_t kind = host::kind_from_name(name);
  if (kind != 0) return kind;
  std::string all;
  for (const std::string& known : kind_names()) all += (all.empty() ? "" : ", ") + known;
  return Error{
      ErrorCode::kConfig,
      with_hint("--kind: unknown kind " + in_quotes(name) + did_you_mean(name, kind_names()),
                "kinds: " + all),
      ""};
}

Result<const Manifest*> find_plugin(const PluginRegistry& registry, uint32_t kind,
                                    const std::string& name) {
  if (kind != 0) return registry.find(kind, name);
  const std::vector<std::string> ids = registry.meant(0, name);
  if (ids.size() == 1) return registry.find(0, name);
  if (ids.size() > 1) {
    std::string all;
    for (const std::string& id : ids) all += (all.empty() ? "" : ", ") + id;
    return Error{ErrorCode::kConfig,
                 in_quotes(name) + " may be any of " + all + "; write the full id or add --kind",
                 ""};
  }
  std::vector<std::string> names;
  for (const Manifest& manifest : registry.manifests()) {
    names.push_back(manifest.id);
    names.emplace_back(manifest.short_name());
  }
  if (kind == 0)
    for (const std::string& section : host::pipeline_sections()) names.push_back(section);
  std::string folders;
  for (const host::SearchedFolder& folder : registry.searched())
    folders += (folders.empty() ? "" : ", ") + folder.path;
  return Error{ErrorCode::kPlugin,
               with_hint("no plugin or section " + in_quotes(name) + did_you_mean(name, names),
                         "`dbsa-pipe inspect` lists installed plugins, --failed broken ones; "
                         "searched: " +
                             folders),
               ""};
}

nlohmann::json description(const PluginRegistry& registry, const Manifest& manifest) {
  nlohmann::json out = host::describe_plugin(manifest);
  out["shadows"] = nlohmann::json::array();
  for (const host::ShadowedPlugin& copy : registry.shadowed())
    if (copy.id == manifest.id) out["shadows"].push_back(copy.path);
  return out;
}

void print_shadowed(const PluginRegistry& registry, uint32_t kind, Terminal& terminal) {
  Table table({{"shadowed plugin"}, {"not used"}, {"used"}});
  bool any = false;
  for (const host::ShadowedPlugin& copy : registry.shadowed()) {
    if (kind != 0 && copy.kind != kind) continue;
    table.add({copy.id, copy.path, copy.used});
    any = true;
  }
  if (!any) return;
  terminal.out("");
  table.print(terminal);
}

void print_list(const PluginRegistry& registry, uint32_t kind, Terminal& terminal) {
  Table table({{"kind"}, {"plugin"}, {"version"}, {"summary"}});
  size_t shown = 0;
  for (const Manifest& manifest : registry.manifests()) {
    if (kind != 0 && manifest.kind != kind) continue;
    table.add({std::string(host::kind_name(manifest.kind)), manifest.id, manifest.version,
               manifest.summary});
    ++shown;
  }
  if (shown > 0)
    table.print(terminal);
  else
    terminal.out("no plugins found");
  print_shadowed(registry, kind, terminal);
  if (shown == 0 || !registry.failed().empty())
    for (const host::SearchedFolder& folder : registry.searched())
      terminal.note("searched " + folder.path + (folder.exists ? "" : " (no such folder)"));
  if (!registry.failed().empty())
    terminal.warning(std::to_string(registry.failed().size()) +
                     " cannot be used; `dbsa-pipe inspect --failed` says why");
}

void print_keys(const std::vector<host::ConfigRow>& keys, Terminal& terminal) {
  Table table({{"key"}, {"type"}, {"default"}, {"range"}, {"unit"}, {"meaning"}});
  for (const host::ConfigRow& key : keys)
    table.add({key.key, key.type, key.default_value, key.range, key.unit, key.description});
  table.print(terminal);
}

void print_plugin(const PluginRegistry& registry, const Manifest& manifest, Terminal& terminal) {
  terminal.out(terminal.out_style(Style::kBold, manifest.id) + "  " + manifest.version);
  terminal.out(manifest.summary);
  if (!manifest.description.empty()) {
    std::string text = manifest.description;
    while (!text.empty() && text.back() == '\n') text.pop_back();
    terminal.out("\n" + text);
  }
  terminal.out("");
  std::string needs = manifest.needs_cuda ? "CUDA" : "";
  for (const std::string& library : manifest.needs_libraries)
    needs += (needs.empty() ? "" : ", ") + library;
  const auto row = [&](const char* name, const std::string& value) {
    std::string title = name;
    title.resize(10, ' ');
    terminal.out(title + value);
  };
  row("kind", std::string(host::kind_name(manifest.kind)));
  row("revision", std::to_string(manifest.revision));
  row("licence", manifest.licence);
  row("needs", needs.empty() ? "nothing beyond the C++ runtime" : needs);
  row("library", manifest.library_path);
  for (const host::ShadowedPlugin& copy : registry.shadowed())
    if (copy.id == manifest.id) row("shadows", copy.path);
  if (const Status status = host::check_needs(manifest); !status.ok())
    row("here", "cannot run: " + status.error().message);
  terminal.out("");
  const std::vector<host::ConfigRow> keys = host::config_rows(manifest);
  if (keys.empty()) {
    terminal.out("No keys of its own.");
    return;
  }
  print_keys(keys, terminal);
}

// Short names of the plugins of a stage, or full ids where those mean another one.
std::vector<std::string> plugins_of(const PluginRegistry& registry, const std::string& section) {
  std::vector<std::string> names;
  const uint32_t kind = host::kind_from_name(section);
  for (const Manifest& manifest : registry.manifests())
    if (kind != 0 && manifest.kind == kind) names.push_back(registry.name_of(manifest));
  return names;
}

void print_section(const PluginRegistry& registry, const std::string& section, Terminal& terminal) {
  terminal.out(terminal.out_style(Style::kBold, "[" + section + "]"));
  terminal.out("");
  print_keys(host::section_rows(section), terminal);
  const std::vector<std::string> plugins = plugins_of(registry, section);
  if (plugins.empty()) return;
  terminal.out("");
  std::string all;
  for (const std::string& name : plugins) all += (all.empty() ? "" : ", ") + name;
  terminal.out("A plugin has its own keys besides these; `dbsa-pipe inspect NAME` shows them: " +
               all);
}

nlohmann::ordered_json section_to_json(const PluginRegistry& registry, const std::string& section) {
  return {{"section", section},
          {"config", nlohmann::ordered_json(pipeline_schema().at("properties").at(section))},
          {"plugins", plugins_of(registry, section)}};
}

bool is_section(const std::string& name) {
  const std::vector<std::string> sections = host::pipeline_sections();
  return std::find(sections.begin(), sections.end(), name) != sections.end();
}

// Manifests that cannot be used, libraries that do not load, and what lacks a device.
std::vector<host::FailedPlugin> find_failed(PluginRegistry& registry, uint32_t kind) {
  std::vector<host::FailedPlugin> failed = registry.failed();
  for (const Manifest& manifest : registry.manifests()) {
    if (kind != 0 && manifest.kind != kind) continue;
    if (const Status usable = probe_plugin(registry, manifest); !usable.ok())
      failed.push_back({manifest.path, usable.error().message});
    else if (const Status status = host::check_needs(manifest); !status.ok())
      failed.push_back({manifest.path, "cannot run here: " + status.error().message});
  }
  return failed;
}

int print_failed(const std::vector<host::FailedPlugin>& failed, const CommandLine& line,
                 Terminal& terminal) {
  if (line.has("json")) {
    nlohmann::ordered_json out = nlohmann::ordered_json::array();
    for (const host::FailedPlugin& plugin : failed)
      out.push_back({{"path", plugin.path}, {"cause", plugin.cause}});
    print_document("failed_plugins", {{"plugins", std::move(out)}}, terminal);
    return 0;
  }
  if (failed.empty()) terminal.out("every plugin found can be used");
  for (const host::FailedPlugin& plugin : failed) {
    terminal.out(terminal.out_style(Style::kRed, plugin.path));
    std::string_view cause = plugin.cause;
    while (!cause.empty()) {
      const size_t end = std::min(cause.find('\n'), cause.size());
      terminal.out("  " + std::string(cause.substr(0, end)));
      cause.remove_prefix(std::min(end + 1, cause.size()));
    }
  }
  return 0;
}

Result<int> inspect_section(const PluginRegistry& registry, const CommandLine& line,
                            Terminal& terminal) {
  const std::string section = line.text("NAME");
  if (line.has("config"))
    return Error{ErrorCode::kConfig,
                 "--config prints a plugin's table, and " + in_quotes(section) +
                     " is a section of the pipeline file; `dbsa-pipe inspect` lists plugins",
                 ""};
  if (line.has("json"))
    print_document("section", section_to_json(registry, section), terminal);
  else
    print_section(registry, section, terminal);
  return 0;
}

Result<int> inspect_plugin(PluginRegistry& registry, uint32_t kind, const CommandLine& line,
                           Terminal& terminal) {
  DBSA_ASSIGN_OR_RETURN(const Manifest* manifest, find_plugin(registry, kind, line.text("NAME")));
  DBSA_RETURN_IF_ERROR(probe_plugin(registry, *manifest));
  if (line.has("json")) {
    print_document("plugin", description(registry, *manifest), terminal);
  } else if (line.has("config")) {
    std::string table = host::config_toml(*manifest);
    while (!table.empty() && table.back() == '\n') table.pop_back();
    terminal.out(table);
  } else {
    print_plugin(registry, *manifest, terminal);
  }
  return 0;
}

Result<int> inspect(const CommandLine& line, Terminal& terminal) {
  DBSA_ASSIGN_OR_RETURN(const uint32_t kind, wanted_kind(line));
  DBSA_ASSIGN_OR_RETURN(PluginRegistry registry, discover_plugins(line));
  if (line.has("failed") && line.has("NAME"))
    return Error{ErrorCode::kConfig,
                 "--failed looks at all plugins; leave out " + in_quotes(line.text("NAME")) +
                     ", or name a --kind",
                 ""};
  if (line.has("failed")) return print_failed(find_failed(registry, kind), line, terminal);
  if (kind == 0 && is_section(line.text("NAME"))) return inspect_section(registry, line, terminal);
  if (line.has("NAME")) return inspect_plugin(registry, kind, line, terminal);
  if (line.has("config"))
    return Error{ErrorCode::kConfig,
                 "--config needs a plugin, as in `dbsa-pipe inspect bm25 "
                 "--config`",
                 ""};
  if (!line.has("json")) {
    print_list(registry, kind, terminal);
    return 0;
  }
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const Manifest& manifest : registry.manifests())
    if (kind == 0 || manifest.kind == kind)
      all.push_back(nlohmann::ordered_json(description(registry, manifest)));
  print_document("plugins", {{"plugins", std::move(all)}}, terminal);
  return 0;
}

}  // namespace

int inspect_command(Words words, Terminal& terminal) {
  CommandLine line = inspect_command_line();
  const Result<bool> parsed = line.parse(words, terminal);
  if (!parsed.ok()) return fail(terminal, parsed.error());
  if (!*parsed) return 0;
  set_phase("looking at plugins");
  const Result<int> code = inspect(line, terminal);
  return code.ok() ? *code : fail(terminal, code.error());
}

}  // namespace dbsa::cli
