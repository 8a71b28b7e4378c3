#include "pipeline/sweep.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <map>
#include <set>
#include <span>

#include "config/faults.h"
#include "config/json_pointer.h"
#include "config/schema_check.h"
#include "config/toml_document.h"
#include "host/resolve.h"

namespace dbsa {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Dotted keys and what they are set to, in the order of the file's keys.
using Settings = std::vector<std::pair<std::string, json>>;

// A pipeline file, or a part of one, that the sweep file names.
struct PartFile {
  std::string path;     // absolute; "" for none
  std::string pointer;  // into the sweep file, where it is named
};

struct AxisValue {
  std::string name;
  PartFile file;
  Settings settings;
};

struct Axis {
  std::string name;
  std::vector<AxisValue> values;
};

// {"selection": {"ratio": 1}} and {"selection.ratio": 1} alike.
void flatten(const json& table, const std::string& prefix, Settings& out) {
  for (const auto& [key, value] : table.items()) {
    const std::string name = prefix.empty() ? key : prefix + "." + key;
    if (value.is_object())
      flatten(value, name, out);
    else
      out.emplace_back(name, value);
  }
}

// Plugins first, outer ones before those in their tables: they decide which keys may stand beside
// them.
Settings plugins_first(Settings settings) {
  const auto rank = [](const std::string& key) {
    return key.ends_with(".plugin") ? std::count(key.begin(), key.end(), '.')
                                    : std::numeric_limits<int64_t>::max();
  };
  std::stable_sort(settings.begin(), settings.end(),
                   [&](const auto& a, const auto& b) { return rank(a.first) < rank(b.first); });
  return settings;
}

Settings flattened(const json& table) {
  Settings settings;
  flatten(table, "", settings);
  return plugins_first(std::move(settings));
}

std::vector<std::string> names_of(const std::string& dotted) {
  std::vector<std::string> names;
  for (size_t begin = 0; begin <= dotted.size();) {
    const size_t end = std::min(dotted.find('.', begin), dotted.size());
    names.push_back(dotted.substr(begin, end - begin));
    begin = end + 1;
  }
  return names;
}

// What the schema of pipelines says of a key; nullptr for plugins' own.
const json* schema_of(std::span<const std::string> names) {
  const json* schema = &pipeline_schema();
  for (const std::string& name : names) {
    if (!schema->contains("properties") || !schema->at("properties").contains(name)) return nullptr;
    schema = &schema->at("properties").at(name);
  }
  return schema;
}

// Of plugins' own keys, those called path.
bool is_path(const std::string& dotted) {
  const json* schema = schema_of(names_of(dotted));
  return schema != nullptr ? schema->value("format", "") == "path" : dotted.ends_with(".path");
}

std::string absolute_path(const fs::path& folder, const std::string& path) {
  return fs::absolute(folder / path).lexically_normal().string();
}

// How a value of an axis is called where the file gives it no name.
std::string value_name(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return value.dump();
  std::string name;
  for (const json& item : value) name += (name.empty() ? "" : ", ") + value_name(item);
  return name;
}

// Drops the own keys of the plugin that a stage has, and those of plugins within it.
void drop_own_keys(std::span<const std::string> stage, json& table) {
  const json* schema = schema_of(stage);
  json kept = json::object();
  for (const auto& [name, value] : table.items())
    if (schema != nullptr && schema->at("properties").contains(name)) kept[name] = value;
  table = std::move(kept);
}

// Lays settings over a pipeline; paths count from `folder`.
Status lay_over(const Settings& settings, const fs::path& folder, json& pipeline) {
  const auto has = [&](const char* key) {
    return std::any_of(settings.begin(), settings.end(),
                       [&](const auto& setting) { return setting.first == key; });
  };
  // Both at once are left for the check of the whole pipeline.
  if (pipeline.contains("selection") && pipeline["selection"].is_object() &&
      has("selection.ratio") != has("selection.count"))
    pipeline["selection"].erase(has("selection.ratio") ? "count" : "ratio");
  for (const auto& [key, given] : settings) {
    const std::vector<std::string> names = names_of(key);
    if (names.size() > static_cast<size_t>(TomlDocument::kMaxDepth))
      return Error{ErrorCode::kConfig, in_quotes(key) + ": the key has too many dots", ""};
    json* table = &pipeline;
    std::string table_name;
    for (size_t i = 0; i + 1 < names.size(); ++i) {
      table_name += (i > 0 ? "." : "") + names[i];
      table = &(*table)[names[i]];
      if (table->is_null()) *table = json::object();
      if (!table->is_object())
        return Error{ErrorCode::kConfig, key + ": " + table_name + " is not a table", ""};
    }
    json value = given;
    if (value.is_string() && !value.get_ref<const std::string&>().empty() && is_path(key))
      value = absolute_path(folder, value.get<std::string>());
    if (names.size() > 1 && names.back() == "plugin")
      drop_own_keys(std::span(names).first(names.size() - 1), *table);
    (*table)[names.back()] = std::move(value);
  }
  return {};
}

// The axes of a file that passed the schema.
class AxisReader {
 public:
  explicit AxisReader(const TomlDocument& document) : folder_(document.directory()) {}

  Axis read(const json& table, const std::string& pointer, Faults& faults) const {
    Axis axis = {table.at("name"), {}};
    const int forms = static_cast<int>(table.contains("key")) +
                      static_cast<int>(table.contains("keys")) +
                      static_cast<int>(table.contains("value"));
    if (forms != 1 || table.contains("value") == table.contains("values")) {
      faults.add(pointer, "give either key and values, or keys and values, or a list of value");
      return axis;
    }
    if (table.contains("value"))
      read_named(table.at("value"), pointer, axis);
    else
      read_values(table, pointer, axis, faults);
    std::set<std::string> names;
    for (const AxisValue& value : axis.values)
      if (!names.insert(value.name).second)
        faults.add(pointer, "two values are called " + in_quotes(value.name));
    return axis;
  }

 private:
  void read_named(const json& values, const std::string& pointer, Axis& axis) const {
    for (size_t i = 0; i < values.size(); ++i) {
      const std::string file = values[i].value("file", "");
      axis.values.push_back({values[i].at("name"),
                             {file.empty() ? "" : absolute_path(folder_, file),
                              pointer + "/value/" + std::to_string(i) + "/file"},
                             flattened(values[i].value("set", json::object()))});
    }
  }

  static void read_values(const json& table, const std::string& pointer, Axis& axis,
                          Faults& faults) {
    const json keys = table.contains("keys") ? table.at("keys") : json::array({table.at("key")});
    for (size_t i = 0; i < table.at("values").size(); ++i) {
      const json& given = table.at("values").at(i);
      const json values = table.contains("keys") ? given : json::array({given});
      if (!values.is_array() || values.size() != keys.size()) {
        faults.add(pointer + "/values/" + std::to_string(i),
                   "must be a list of " + std::to_string(keys.size()) + ", one for each of keys");
        continue;
      }
      AxisValue& value = axis.values.emplace_back();
      value.name = value_name(given);
      for (size_t k = 0; k < keys.size(); ++k) value.settings.emplace_back(keys[k], values[k]);
      value.settings = plugins_first(std::move(value.settings));
    }
  }

  fs::path folder_;
};

std::string hash_of(const json& value) {
  const std::string text = value.dump();
  std::array<char, 17> digits;
  std::snprintf(digits.data(), digits.size(), "%016llx",
                static_cast<unsigned long long>(XXH3_64bits(text.data(), text.size())));
  return digits.data();
}

// Faults of cells: what several have is told for the first.
class CellFaults {
 public:
  // place: what the lines of the cell begin with.
  void add(const Error& error, const std::string& place) {
    if (text_.empty() || error.code == ErrorCode::kConfig) code_ = error.code;
    for (size_t begin = 0; begin <= error.message.size();) {
      const size_t end = std::min(error.message.find('\n', begin), error.message.size());
      const std::string line = error.message.substr(begin, end - begin);
      if (seen_.insert(line.starts_with(place) ? line.substr(place.size()) : line).second)
        text_ += (text_.empty() ? "" : "\n") + line;
      begin = end + 1;
    }
  }
  Status status() const {
    if (text_.empty()) return {};
    return Error{code_, text_, ""};
  }

 private:
  std::set<std::string> seen_;
  std::string text_;
  ErrorCode code_ = ErrorCode::kConfig;
};

// "key=value" as --set takes it, in two.
Result<std::pair<std::string, std::string>> split_setting(const std::string& word) {
  const size_t equals = word.find('=');
  if (equals == word.npos || equals == 0)
    return Error{ErrorCode::kConfig,
                 "--set " + word + ": expected KEY=VALUE, as in --set selection.ratio=0.5", ""};
  std::pair<std::string, std::string> setting = {word.substr(0, equals), word.substr(equals + 1)};
  if (setting.first == "output.directory")
    return Error{ErrorCode::kConfig,
                 "--set output.directory: records lie in the sweep's own output.directory; set it "
                 "in the sweep file",
                 ""};
  return setting;
}

// Makes the cells of a sweep whose axes are read.
class CellMaker {
 public:
  CellMaker(const TomlDocument& document, const json& source, const std::vector<Axis>& axes,
            const std::vector<std::string>& last, const host::PluginRegistry& registry)
      : document_(document), source_(source), axes_(axes), last_(last), registry_(registry) {}

  Status make(Sweep& sweep) {
    DBSA_RETURN_IF_ERROR(read_files());
    CellFaults faults;
    std::vector<size_t> at(axes_.size(), 0);
    for (bool more = true; more; more = advance(at))
      for (int64_t run = 1; run <= sweep.runs; ++run) {
        SweepCell cell = chosen(at, run);
        cell.index = static_cast<int64_t>(sweep.cells.size());
        const std::string name = document_.name() + " (" + cell.name() + ")";
        Result<json> config = resolve(at, cell, name, sweep.directory);
        if (!config.ok()) {
          faults.add(config.error(), name + ": ");
          continue;
        }
        cell.config = std::move(config).value();
        json answers = cell.config;  // what they depend on
        answers.erase("output");
        cell.id = hash_of(answers);
        sweep.cells.push_back(std::move(cell));
      }
    return faults.status();
  }

 private:
  // The next choice of values, the last axis fastest.
  bool advance(std::vector<size_t>& at) const {
    for (size_t i = at.size(); i-- > 0;) {
      if (++at[i] < axes_[i].values.size()) return true;
      at[i] = 0;
    }
    return false;
  }

  SweepCell chosen(const std::vector<size_t>& at, int64_t run) const {
    SweepCell cell;
    cell.run = run;
    for (size_t k = 0; k < at.size(); ++k)
      cell.values.emplace_back(axes_[k].name, axes_[k].values[at[k]].name);
    return cell;
  }

  // The cell's whole pipeline. `name` stands for it in messages.
  Result<json> resolve(const std::vector<size_t>& at, const SweepCell& cell,
                       const std::string& name, const std::string& directory) const {
    const fs::path folder = document_.directory();
    json pipeline = json::object();
    const auto lay = [&](const Settings& settings) -> Status {
      const Status status = lay_over(settings, folder, pipeline);
      if (status.ok()) return {};
      return Error{status.error().code, name + ": " + status.error().message, ""};
    };
    DBSA_RETURN_IF_ERROR(lay(files_.at(source_.at("base"))));
    for (size_t k = 0; k < at.size(); ++k) {
      const AxisValue& value = axes_[k].values[at[k]];
      DBSA_RETURN_IF_ERROR(lay(files_.at(value.file.path)));
      DBSA_RETURN_IF_ERROR(lay(value.settings));
    }
    DBSA_RETURN_IF_ERROR(lay(flattened(source_.value("set", json::object()))));
    for (const json& key : source_.at("seed_keys"))
      DBSA_RETURN_IF_ERROR(lay({{key.get<std::string>(), cell.run}}));
    TomlDocument last;
    for (const std::string& word : last_) {
      DBSA_ASSIGN_OR_RETURN(const auto setting, split_setting(word));
      DBSA_RETURN_IF_ERROR(last.set(setting.first, setting.second));
    }
    DBSA_RETURN_IF_ERROR(lay(flattened(last.json())));
    DBSA_RETURN_IF_ERROR(lay({{"output.directory", directory}}));
    DBSA_ASSIGN_OR_RETURN(TomlDocument document,
                          TomlDocument::from_json(std::move(pipeline), name, folder));
    for (const std::string& word : last_) {  // once more, so that faults name the option
      DBSA_ASSIGN_OR_RETURN(const auto setting, split_setting(word));
      DBSA_RETURN_IF_ERROR(document.set(setting.first, setting.second));
    }
    DBSA_ASSIGN_OR_RETURN(host::ResolvedPipeline resolved,
                          host::resolve_pipeline(std::move(document), registry_));
    return std::move(resolved.json);
  }

  // Every file that the cells are made of, its paths made absolute.
  Status read_files() {
    Faults faults;
    files_[""] = {};
    read_file({source_.at("base"), "/base"}, faults);
    for (const Axis& axis : axes_)
      for (const AxisValue& value : axis.values) read_file(value.file, faults);
    return faults.status(document_);
  }

  void read_file(const PartFile& file, Faults& faults) {
    if (files_.contains(file.path)) return;
    const Result<TomlDocument> part = TomlDocument::load(file.path);
    json laid = json::object();
    const Status status =
        part.ok() ? lay_over(flattened(part->json()), part->directory(), laid) : part.error();
    if (!status.ok()) faults.add(file.pointer, status.error().message, status.error().code);
    files_[file.path] = flattened(laid);
  }

  const TomlDocument& document_;
  const json& source_;
  const std::vector<Axis>& axes_;
  const std::vector<std::string>& last_;  // "key=value"
  const host::PluginRegistry& registry_;
  std::map<std::string, Settings> files_;  // by path; none for ""
};

// A grid is easily written that nobody can run.
Status check_size(const std::vector<Axis>& axes, int64_t runs, const std::string& name) {
  constexpr double kMost = 100000;
  auto cells = static_cast<double>(runs);
  for (const Axis& axis : axes) cells *= static_cast<double>(axis.values.size());
  if (cells <= kMost) return {};
  return Error{ErrorCode::kConfig,
               name + ": has more than 100,000 cells; split it, or leave values out with --only",
               ""};
}

// Whether all values that a cell of `baseline` or `published` names are among those chosen.
bool names_chosen(const json& cell, const std::vector<Axis>& axes) {
  for (const auto& [name, value] : cell.items())
    for (const Axis& axis : axes)
      if (axis.name == name &&
          std::none_of(axis.values.begin(), axis.values.end(),
                       [&value = value](const AxisValue& v) { return v.name == value; }))
        return false;
  return true;
}

// Axes and values that `baseline` and `published` name must be there.
void check_names(const json& cell, const std::string& pointer, const std::vector<Axis>& axes,
                 Faults& faults) {
  for (const auto& [name, value] : cell.items()) {
    const auto axis = std::find_if(axes.begin(), axes.end(),
                                   [&name = name](const Axis& a) { return a.name == name; });
    const std::string place = append_pointer(pointer, name);
    if (axis == axes.end()) {
      faults.add(place, "there is no axis of this name");
      continue;
    }
    const bool known =
        std::any_of(axis->values.begin(), axis->values.end(),
                    [&value = value](const AxisValue& v) { return v.name == value; });
    if (!known) faults.add(place, "the axis has no value " + value.dump());
  }
}

// Leaves out what --only does not name.
Status choose_values(const std::vector<std::string>& only, std::vector<Axis>& axes) {
  std::map<std::string, std::set<std::string>> wanted;
  for (const std::string& word : only) {
    bool found = false;
    for (const Axis& axis : axes)
      for (const AxisValue& value : axis.values)
        if (word == axis.name + "=" + value.name) {
          wanted[axis.name].insert(value.name);
          found = true;
        }
    if (found) continue;
    std::string known;
    for (const Axis& axis : axes)
      for (const AxisValue& value : axis.values) known += "\n  " + axis.name + "=" + value.name;
    return Error{ErrorCode::kConfig,
                 "--only " + word + ": expected an axis and one of its values:" + known, ""};
  }
  for (Axis& axis : axes)
    if (const auto names = wanted.find(axis.name); names != wanted.end())
      std::erase_if(axis.values,
                    [&](const AxisValue& value) { return !names->second.contains(value.name); });
  return {};
}

Result<std::vector<Axis>> read_axes(const TomlDocument& document, const json& source) {
  Faults faults;
  std::vector<Axis> axes;
  std::set<std::string> names;
  for (size_t i = 0; i < source.at("axis").size(); ++i) {
    const std::string pointer = "/axis/" + std::to_string(i);
    axes.push_back(AxisReader(document).read(source.at("axis").at(i), pointer, faults));
    if (!names.insert(axes.back().name).second)
      faults.add(pointer + "/name", "another axis has the name " + in_quotes(axes.back().name));
  }
  if (source.contains("baseline")) check_names(source.at("baseline"), "/baseline", axes, faults);
  for (size_t i = 0; i < source.at("published").size(); ++i)
    check_names(source.at("published").at(i).at("cell"),
                "/published/" + std::to_string(i) + "/cell", axes, faults);
  DBSA_RETURN_IF_ERROR(faults.status(document));
  return axes;
}

}  // namespace

std::string SweepCell::name() const {
  std::string text;
  for (const auto& [axis, value] : values) text += axis + " = " + value + ", ";
  return text + "run " + std::to_string(run);
}

std::string cell_pipeline_path(const SweepCell& cell) { return "cells/" + cell.id + ".toml"; }
std::string cell_record_path(const SweepCell& cell) { return "records/" + cell.id + ".json"; }
std::string cell_failure_path(const SweepCell& cell) { return "failures/" + cell.id + ".json"; }

nlohmann::ordered_json Sweep::to_json() const {
  nlohmann::ordered_json axes_out = nlohmann::ordered_json::array();
  for (const auto& [name, values] : axes) axes_out.push_back({{"name", name}, {"values", values}});
  nlohmann::ordered_json cells_out = nlohmann::ordered_json::array();
  for (const SweepCell& cell : cells) {
    nlohmann::ordered_json values = nlohmann::ordered_json::object();
    for (const auto& [axis, value] : cell.values) values[axis] = value;
    cells_out.push_back({{"index", cell.index},
                         {"run", cell.run},
                         {"values", std::move(values)},
                         {"name", cell.name()},
                         {"pipeline", cell_pipeline_path(cell)},
                         {"record", cell_record_path(cell)},
                         {"failure", cell_failure_path(cell)}});
  }
  return {{"schema_version", 1},    {"title", title},
          {"sweep", path},          {"axes", std::move(axes_out)},
          {"runs", runs},           {"baseline", baseline},
          {"published", published}, {"cells", std::move(cells_out)}};
}

Result<Sweep> load_sweep(const std::string& path, const SweepChoice& choice,
                         const host::PluginRegistry& registry) {
  DBSA_ASSIGN_OR_RETURN(const TomlDocument document, TomlDocument::load(path));
  DBSA_RETURN_IF_ERROR(check_schema(sweep_schema(), document.json()).status(document));
  json source = document.json();
  apply_defaults(sweep_schema(), source);
  DBSA_ASSIGN_OR_RETURN(std::vector<Axis> axes, read_axes(document, source));
  DBSA_RETURN_IF_ERROR(choose_values(choice.only, axes));
  const fs::path folder = document.directory();
  if (const std::string base = source.at("base"); !base.empty())
    source["base"] = absolute_path(folder, base);

  Sweep sweep;
  sweep.path = absolute_path("", path);
  const std::string stem = fs::path(path).stem().string();
  sweep.title = source.at("title").get<std::string>();
  if (sweep.title.empty()) sweep.title = stem;
  const std::string directory = source.at("output").at("directory");
  sweep.directory = absolute_path(folder, directory.empty() ? "runs/" + stem : directory);
  sweep.runs = choice.runs.value_or(source.at("runs").get<int64_t>());
  if (sweep.runs < 1 || sweep.runs > 10000)
    return Error{ErrorCode::kConfig,
                 "--runs: must be between 1 and 10000, got " + std::to_string(sweep.runs), ""};
  for (const Axis& axis : axes) {
    auto& [name, values] = sweep.axes.emplace_back(axis.name, std::vector<std::string>());
    for (const AxisValue& value : axis.values) values.push_back(value.name);
  }
  // What speaks of values that --only leaves out has nothing to be compared with.
  if (document.json().contains("baseline") && names_chosen(source.at("baseline"), axes))
    sweep.baseline = source.at("baseline");
  sweep.published = json::array();
  for (const json& figure : source.at("published"))
    if (names_chosen(figure.at("cell"), axes)) sweep.published.push_back(figure);
  DBSA_RETURN_IF_ERROR(check_size(axes, sweep.runs, document.name()));
  DBSA_RETURN_IF_ERROR(CellMaker(document, source, axes, choice.settings, registry).make(sweep));
  return sweep;
}

}  // namespace dbsa
