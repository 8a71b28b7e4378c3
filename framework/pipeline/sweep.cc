#include "pipeline/sweep.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <map>
#include <set>

#include "config/faults.h"
#include "config/json_pointer.h"
#include "config/schema_check.h"
#include "config/toml_document.h"
#include "config/toml_writer.h"
#include "host/resolve.h"

namespace dbsa {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Dotted keys and what they are set to, in the order of the file's keys.
using Settings = std::vector<std::pair<std::string, json>>;

struct AxisValue {
  std::string name;
  std::string file;  // absolute; "" for none
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

Settings flattened(const json& table) {
  Settings settings;
  flatten(table, "", settings);
  // Plugins first: they decide which keys may stand beside them.
  std::stable_partition(settings.begin(), settings.end(),
                        [](const auto& setting) { return setting.first.ends_with(".plugin"); });
  return settings;
}

json::json_pointer pointer_of(const std::string& dotted) {
  std::string text = "/" + dotted;
  std::replace(text.begin(), text.end(), '.', '/');
  return json::json_pointer(text);
}

bool is_path(const std::string& dotted) {
  const json& schema = pipeline_schema();
  json::json_pointer at;
  size_t begin = 0;
  for (size_t end; begin <= dotted.size(); begin = end + 1) {
    end = std::min(dotted.find('.', begin), dotted.size());
    at = at / "properties" / dotted.substr(begin, end - begin);
  }
  if (schema.contains(at)) return schema.at(at).value("format", "") == "path";
  return dotted.ends_with(".path");  // a plugin's own
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

// Lays settings over a pipeline; paths count from `folder`.
void lay_over(const Settings& settings, const fs::path& folder, json& pipeline) {
  for (const auto& [key, given] : settings) {
    json value = given;
    if (value.is_string() && !value.get_ref<const std::string&>().empty() && is_path(key))
      value = absolute_path(folder, value.get<std::string>());
    const json::json_pointer pointer = pointer_of(key);
    if (key.ends_with(".plugin") && pipeline.contains(pointer.parent_pointer())) {
      json& table = pipeline[pointer.parent_pointer()];
      const json::json_pointer schema =
          json::json_pointer("/properties") / pointer.parent_pointer() / "properties";
      json kept = json::object();
      if (pipeline_schema().contains(schema))
        for (const auto& [name, own] : table.items())
          if (pipeline_schema().at(schema).contains(name)) kept[name] = own;
      table = std::move(kept);
    }
    if (key == "selection.ratio" && pipeline.contains("selection"))
      pipeline["selection"].erase("count");
    if (key == "selection.count" && pipeline.contains("selection"))
      pipeline["selection"].erase("ratio");
    pipeline[pointer] = std::move(value);
  }
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
      read_named(table.at("value"), axis);
    else
      read_values(table, pointer, axis, faults);
    std::set<std::string> names;
    for (const AxisValue& value : axis.values)
      if (!names.insert(value.name).second)
        faults.add(pointer, "two values are called " + in_quotes(value.name));
    return axis;
  }

 private:
  void read_named(const json& values, Axis& axis) const {
    for (const json& value : values) {
      const std::string file = value.value("file", "");
      axis.values.push_back({value.at("name"), file.empty() ? "" : absolute_path(folder_, file),
                             flattened(value.value("set", json::object()))});
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

// The lines of an error, each once, in the order met.
class Lines {
 public:
  void add(const Error& error, const std::string& cell) {
    if (text_.empty() || error.code == ErrorCode::kConfig) code_ = error.code;
    for (size_t begin = 0; begin <= error.message.size();) {
      const size_t end = std::min(error.message.find('\n', begin), error.message.size());
      const std::string line = error.message.substr(begin, end - begin);
      // The same fault of several cells is shown for the first.
      if (seen_.insert(line.substr(line.find("): ") == line.npos ? 0 : line.find("): "))).second)
        text_ += (text_.empty() ? "" : "\n") + cell + line;
      begin = end + 1;
    }
  }
  bool empty() const { return text_.empty(); }
  Error error() const { return {code_, text_, ""}; }

 private:
  std::set<std::string> seen_;
  std::string text_;
  ErrorCode code_ = ErrorCode::kConfig;
};

// Makes the cells of a sweep whose axes are read.
class CellMaker {
 public:
  CellMaker(const TomlDocument& document, const json& source, const std::vector<Axis>& axes,
            const std::vector<std::string>& last, const host::PluginRegistry& registry)
      : document_(document), source_(source), axes_(axes), last_(last), registry_(registry) {}

  Status make(Sweep& sweep) {
    Lines faults;
    std::vector<size_t> at(axes_.size(), 0);
    for (bool more = true; more; more = advance(at))
      for (int64_t run = 1; run <= sweep.runs; ++run)
        if (const Status status = add(at, run, sweep); !status.ok()) faults.add(status.error(), "");
    if (faults.empty()) return {};
    return faults.error();
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

  Status add(const std::vector<size_t>& at, int64_t run, Sweep& sweep) {
    SweepCell cell;
    cell.index = static_cast<int64_t>(sweep.cells.size());
    cell.run = run;
    json pipeline = json::object();
    DBSA_RETURN_IF_ERROR(lay_file_over(source_.at("base"), pipeline));
    for (size_t k = 0; k < at.size(); ++k) {
      const AxisValue& value = axes_[k].values[at[k]];
      cell.values.emplace_back(axes_[k].name, value.name);
      DBSA_RETURN_IF_ERROR(lay_file_over(value.file, pipeline));
      lay_over(value.settings, document_.directory(), pipeline);
    }
    lay_over(flattened(source_.value("set", json::object())), document_.directory(), pipeline);
    for (const json& key : source_.at("seed_keys"))
      lay_over({{key.get<std::string>(), run}}, document_.directory(), pipeline);
    pipeline["output"]["directory"] = sweep.directory;
    DBSA_ASSIGN_OR_RETURN(
        TomlDocument document,
        TomlDocument::parse(to_toml(pipeline), document_.name() + " (" + cell.name() + ")"));
    for (const std::string& word : last_) {
      const size_t equals = word.find('=');
      if (equals == word.npos || equals == 0)
        return Error{ErrorCode::kConfig,
                     "--set " + word + ": expected KEY=VALUE, as in --set selection.ratio=0.5", ""};
      DBSA_RETURN_IF_ERROR(document.set(word.substr(0, equals), word.substr(equals + 1)));
    }
    DBSA_ASSIGN_OR_RETURN(host::ResolvedPipeline resolved,
                          host::resolve_pipeline(std::move(document), registry_));
    cell.config = std::move(resolved.json);
    cell.id = hash_of(cell.config);
    sweep.cells.push_back(std::move(cell));
    return {};
  }

  Status lay_file_over(const std::string& file, json& pipeline) {
    if (file.empty()) return {};
    if (!files_.contains(file)) {
      DBSA_ASSIGN_OR_RETURN(const TomlDocument document, TomlDocument::load(file));
      json made = json::object();  // its paths made absolute
      lay_over(flattened(document.json()), document.directory(), made);
      files_.emplace(file, flattened(made));
    }
    lay_over(files_.at(file), "", pipeline);
    return {};
  }

  const TomlDocument& document_;
  const json& source_;
  const std::vector<Axis>& axes_;
  const std::vector<std::string>& last_;  // "key=value"
  const host::PluginRegistry& registry_;
  std::map<std::string, Settings> files_;
};

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
    const size_t equals = std::min(word.find('='), word.size());
    const auto axis = std::find_if(axes.begin(), axes.end(), [&](const Axis& a) {
      return a.name == std::string_view(word).substr(0, equals);
    });
    const std::string value = equals < word.size() ? word.substr(equals + 1) : "";
    if (axis == axes.end() || std::none_of(axis->values.begin(), axis->values.end(),
                                           [&](const AxisValue& v) { return v.name == value; })) {
      std::string known;
      for (const Axis& a : axes)
        for (const AxisValue& v : a.values) known += "\n  " + a.name + "=" + v.name;
      return Error{ErrorCode::kConfig,
                   "--only " + word + ": expected an axis and one of its values:" + known, ""};
    }
    wanted[axis->name].insert(value);
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
  for (json& figure : source["published"])
    if (!figure.contains("metric")) figure["metric"] = "accuracy";
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
  if (document.json().contains("baseline")) sweep.baseline = source.at("baseline");
  sweep.published = source.at("published");
  DBSA_RETURN_IF_ERROR(CellMaker(document, source, axes, choice.settings, registry).make(sweep));
  return sweep;
}

}  // namespace dbsa
