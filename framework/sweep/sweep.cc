#include "sweep/sweep.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "config/absolute_path.h"
#include "config/faults.h"
#include "config/json_pointer.h"
#include "config/schema_check.h"
#include "config/toml_document.h"
#include "host/resolve.h"
#include "pipeline/input_reader.h"
#include "sweep/axes.h"

namespace dbsa {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Faults of cells. What several have is told once, with the cells that have it.
class CellFaults {
 public:
  void add(const Error& error, const std::string& cell) {
    if (lines_.empty() || error.code == ErrorCode::kConfig) code_ = error.code;
    for (size_t begin = 0; begin <= error.message.size();) {
      const size_t end = std::min(error.message.find('\n', begin), error.message.size());
      const std::string text = error.message.substr(begin, end - begin);
      const auto [it, is_new] = places_.emplace(text, lines_.size());
      if (is_new) lines_.push_back({text, cell, 0});
      ++lines_[it->second].cells;
      begin = end + 1;
    }
  }
  // cells: of the whole sweep.
  Status status(int64_t cells) const {
    if (lines_.empty()) return {};
    std::string text;
    for (const Line& line : lines_) {
      text += (text.empty() ? "" : "\n") + line.text;
      if (line.cells == cells) continue;
      text += " (" + line.first_cell;
      if (line.cells > 1)
        text +=
            " and " + std::to_string(line.cells - 1) + " more cell" + (line.cells > 2 ? "s" : "");
      text += ")";
    }
    return Error{code_, text, ""};
  }

 private:
  struct Line {
    std::string text, first_cell;
    int64_t cells = 0;  // that have it
  };
  std::vector<Line> lines_;
  std::map<std::string, size_t> places_;  // in lines_, by text
  ErrorCode code_ = ErrorCode::kConfig;
};

// Makes the cells of a sweep whose axes are read.
class CellMaker {
 public:
  CellMaker(const TomlDocument& document, const json& source, const std::vector<GridAxis>& axes,
            const std::vector<std::string>& last, const host::PluginRegistry& registry)
      : document_(document), source_(source), axes_(axes), last_(last), registry_(registry) {}

  Status make(bool force_set, Sweep& sweep) {
    DBSA_RETURN_IF_ERROR(read_files());
    if (!force_set) DBSA_RETURN_IF_ERROR(check_settings());
    CellFaults faults;
    std::vector<size_t> at(axes_.size(), 0);
    int64_t count = 0;
    for (bool more = true; more; more = advance(at))
      for (int64_t run = 1; run <= sweep.runs; ++run) {
        SweepCell cell = chosen(at, run);
        cell.index = count++;
        if (const Status made = resolve(at, sweep.directory, cell); !made.ok()) {
          faults.add(made.error(), cell.name());
          continue;
        }
        sweep.cells.push_back(std::move(cell));
      }
    return faults.status(count);
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

  // A row of the report bears the name of a value that its cells then would not have.
  Status check_settings() const {
    for (const std::string& option : last_) {
      const std::string key = option.substr(0, option.find('='));
      for (const auto& [set, axis] : axis_keys_)
        if (set == key || set.starts_with(key + ".") || key.starts_with(set + "."))
          return Error{
              ErrorCode::kConfig,
              "--set " + key + ": the axis \"" + axis + "\" of " + document_.name() + " sets " +
                  set +
                  ", so its rows would be named after values that they do not have; choose "
                  "a value with --only, edit the sweep file, or add --force-set",
              ""};
    }
    return {};
  }

  SweepCell chosen(const std::vector<size_t>& at, int64_t run) const {
    SweepCell cell;
    cell.run = run;
    for (size_t k = 0; k < at.size(); ++k)
      cell.values.emplace_back(axes_[k].name, axes_[k].values[at[k]].name);
    return cell;
  }

  // Fills in the cell's whole pipeline and its identity. Places of faults are those of the files
  // that it is laid from.
  Status resolve(const std::vector<size_t>& at, const std::string& directory, SweepCell& cell) {
    const fs::path& folder = document_.directory();
    DBSA_ASSIGN_OR_RETURN(TomlDocument pipeline, empty_pipeline(document_));
    const auto lay = [&](const KeyValues& settings) {
      return lay_over(settings, folder, pipeline);
    };
    DBSA_RETURN_IF_ERROR(lay(files_.at(source_.at("base"))));
    for (size_t k = 0; k < at.size(); ++k) {
      const GridValue& value = axes_[k].values[at[k]];
      DBSA_RETURN_IF_ERROR(lay(files_.at(value.file.path)));
      DBSA_RETURN_IF_ERROR(lay(value.settings));
    }
    DBSA_RETURN_IF_ERROR(lay(flattened(document_, "/set")));
    for (size_t i = 0; i < source_.at("seed_keys").size(); ++i)
      DBSA_RETURN_IF_ERROR(lay({{source_.at("seed_keys").at(i), cell.run,
                                 document_.place_with_file("/seed_keys/" + std::to_string(i))}}));
    DBSA_RETURN_IF_ERROR(set_over(last_, pipeline));
    DBSA_RETURN_IF_ERROR(pipeline.set("output.directory", json(directory).dump()));
    DBSA_ASSIGN_OR_RETURN(host::ResolvedPipeline resolved,
                          host::resolve_pipeline(std::move(pipeline), registry_));
    DBSA_ASSIGN_OR_RETURN(const json tables, pipeline_identity(resolved));
    cell.speed_keys = chosen_by_axes(pipeline_speed_keys(resolved));
    json named_by = {{"speed", cell.speed_keys}};
    if (const Result<InputIdentity> inputs = inputs_.read(resolved); inputs.ok()) {
      cell.identity = run_identity(tables, *inputs, seed_keys(resolved));
      named_by["run"] = cell.identity.run;
    } else {
      // The cell will say what is wrong with them when it runs, and stop no other.
      named_by["config"] = resolved.json;
      named_by["config"].erase("output");
    }
    cell.id = identity_hash(named_by).substr(0, 16);
    cell.config = std::move(resolved.json);
    return {};
  }

  // Those of the keys that an axis sets, by their dotted names.
  json chosen_by_axes(const json& speed_keys) const {
    json out = json::object();
    for (const std::string& key : set_keys_)
      if (const json::json_pointer at(pointer_of_key(key)); speed_keys.contains(at))
        out[key] = speed_keys.at(at);
    return out;
  }

  // Nothing yet, for keys to be laid over; what has no place is said of the document.
  static Result<TomlDocument> empty_pipeline(const TomlDocument& document) {
    return TomlDocument::from_json(json::object(), document.name(), document.directory());
  }

  // Every file that the cells are made of, its paths made absolute.
  Status read_files() {
    Faults faults;
    files_[""] = {};
    read_file({source_.at("base"), "/base"}, faults);
    for (const GridAxis& axis : axes_)
      for (const GridValue& value : axis.values) read_file(value.file, faults);
    for (const GridAxis& axis : axes_) add_axis_keys(axis);
    return faults.status(document_);
  }

  // The keys that the axis sets, and those that it varies: not those that all of its values set
  // alike, as files of whole pipelines do.
  void add_axis_keys(const GridAxis& axis) {
    std::map<std::string, std::map<size_t, json>> set;  // key -> values by place on the axis
    for (size_t i = 0; i < axis.values.size(); ++i) {
      for (const KeyValue& setting : files_.at(axis.values[i].file.path))
        set[setting.key][i] = setting.value;
      for (const KeyValue& setting : axis.values[i].settings) set[setting.key][i] = setting.value;
    }
    for (const auto& [key, values] : set) {
      set_keys_.insert(key);
      const json& first = values.begin()->second;
      const bool alike = values.size() == axis.values.size() &&
                         std::all_of(values.begin(), values.end(),
                                     [&](const auto& value) { return value.second == first; });
      if (!alike) axis_keys_.emplace(key, axis.name);
    }
  }

  void read_file(const GridPart& file, Faults& faults) {
    if (files_.contains(file.path)) return;
    const auto read = [&]() -> Result<KeyValues> {
      DBSA_ASSIGN_OR_RETURN(const TomlDocument part, TomlDocument::load(file.path));
      DBSA_ASSIGN_OR_RETURN(TomlDocument laid, empty_pipeline(part));
      DBSA_RETURN_IF_ERROR(lay_over(flattened(part), part.directory(), laid));
      return flattened(laid);
    };
    Result<KeyValues> settings = read();
    if (!settings.ok()) faults.add(file.pointer, settings.error().message, settings.error().code);
    files_[file.path] = settings.ok() ? std::move(settings).value() : KeyValues();
  }

  const TomlDocument& document_;
  const json& source_;
  const std::vector<GridAxis>& axes_;
  const std::vector<std::string>& last_;  // "key=value"
  const host::PluginRegistry& registry_;
  std::map<std::string, KeyValues> files_;        // by path; none for ""
  std::set<std::string> set_keys_;                // dotted keys that axes set
  std::map<std::string, std::string> axis_keys_;  // of those, the ones that vary: the axis
  InputReader inputs_;
};

// A grid is easily written that nobody can run.
Status check_size(const std::vector<GridAxis>& axes, int64_t runs, const std::string& name) {
  constexpr double kMost = 100000;
  auto cells = static_cast<double>(runs);
  for (const GridAxis& axis : axes) cells *= static_cast<double>(axis.values.size());
  if (cells <= kMost) return {};
  return Error{ErrorCode::kConfig,
               name + ": has more than 100,000 cells; split it, or leave values out with --only",
               ""};
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

std::vector<std::pair<const SweepCell*, const SweepCell*>> Sweep::twins() const {
  std::vector<std::pair<const SweepCell*, const SweepCell*>> pairs;
  std::map<std::string, const SweepCell*> first;
  for (const SweepCell& cell : cells) {
    const auto [known, is_new] = first.emplace(cell.id, &cell);
    if (!is_new && known->second->values != cell.values) pairs.emplace_back(&cell, known->second);
  }
  return pairs;
}

namespace {

// All values of an axis, in the order that was there before if it has all of those now.
nlohmann::ordered_json merged_values(const nlohmann::ordered_json& now,
                                     const nlohmann::ordered_json& before) {
  const auto has = [](const nlohmann::ordered_json& list, const nlohmann::ordered_json& value) {
    return std::find(list.begin(), list.end(), value) != list.end();
  };
  const bool narrower =
      std::all_of(now.begin(), now.end(), [&](const auto& value) { return has(before, value); });
  if (narrower) return before;
  nlohmann::ordered_json all = now;
  for (const nlohmann::ordered_json& value : before)
    if (!has(all, value)) all.push_back(value);
  return all;
}

}  // namespace

nlohmann::ordered_json merged_listing(const Sweep& sweep, const nlohmann::ordered_json& before) {
  using nlohmann::ordered_json;
  ordered_json now = sweep.to_json();
  const auto names = [](const ordered_json& listing) {
    std::vector<std::string> out;
    for (const ordered_json& axis : listing.at("axes")) out.push_back(axis.at("name"));
    return out;
  };
  try {
    if (!before.is_object() || before.at("schema_version") != now.at("schema_version") ||
        names(before) != names(now))
      return now;
    std::set<std::string> listed;  // values and run
    const auto place = [](const ordered_json& cell) {
      return json(cell.at("values")).dump() + " " + cell.at("run").dump();
    };
    for (const ordered_json& cell : now.at("cells")) listed.insert(place(cell));
    ordered_json kept = ordered_json::array();
    for (const ordered_json& cell : before.at("cells")) {
      std::error_code absent;
      const std::string record = cell.at("record");
      if (!listed.contains(place(cell)) && fs::exists(sweep.directory + "/" + record, absent))
        kept.push_back(cell);
    }
    if (kept.empty()) return now;
    for (size_t i = 0; i < now.at("axes").size(); ++i) {
      ordered_json& values = now["axes"][i]["values"];
      values = merged_values(values, before.at("axes").at(i).at("values"));
    }
    for (const char* key : {"baseline", "published"})
      if (now.at(key).is_null() || now.at(key).empty()) now[key] = before.at(key);
    now["runs"] = std::max(now.at("runs").get<int64_t>(), before.at("runs").get<int64_t>());
    auto index = static_cast<int64_t>(now.at("cells").size());
    for (ordered_json& cell : kept) {
      cell["index"] = index++;
      now["cells"].push_back(std::move(cell));
    }
    return now;
  } catch (const nlohmann::json::exception&) {
    return sweep.to_json();  // what is there is no sweep.json
  }
}

bool is_sweep_file(const TomlDocument& document) { return document.json().contains("axis"); }

Result<Sweep> load_sweep(const std::string& path, const SweepChoice& choice,
                         const host::PluginRegistry& registry) {
  DBSA_ASSIGN_OR_RETURN(const TomlDocument document, TomlDocument::load(path));
  if (!is_sweep_file(document) && document.json().contains("model"))
    return Error{ErrorCode::kConfig,
                 path +
                     ": expected a sweep file, with [[axis]], found a pipeline file; use "
                     "`dbsa-pipe run`, or name it as `base` in a sweep file",
                 ""};
  DBSA_RETURN_IF_ERROR(check_schema(sweep_schema(), document.json()).status(document));
  json source = document.json();
  apply_defaults(sweep_schema(), source);
  DBSA_ASSIGN_OR_RETURN(std::vector<GridAxis> axes, read_axes(document, source));
  DBSA_RETURN_IF_ERROR(choose_values(choice.only, axes));
  for (const std::string& option : choice.settings)
    if (option.starts_with("output.directory="))
      return Error{ErrorCode::kConfig,
                   "--set output.directory: records lie in the sweep's own output.directory; set "
                   "it in the sweep file",
                   ""};
  const fs::path& folder = document.directory();
  if (const std::string base = source.at("base"); !base.empty())
    source["base"] = absolute_path(folder / base);

  Sweep sweep;
  sweep.path = absolute_path(path);
  const std::string stem = fs::path(path).stem().string();
  sweep.title = source.at("title").get<std::string>();
  if (sweep.title.empty()) sweep.title = stem;
  const std::string directory = source.at("output").at("directory");
  sweep.directory = absolute_path(folder / (directory.empty() ? "runs/" + stem : directory));
  sweep.runs = choice.runs.value_or(source.at("runs").get<int64_t>());
  if (sweep.runs < 1 || sweep.runs > 10000)
    return Error{ErrorCode::kConfig,
                 "--runs: must be between 1 and 10000, got " + std::to_string(sweep.runs), ""};
  for (const GridAxis& axis : axes) {
    auto& [name, values] = sweep.axes.emplace_back(axis.name, std::vector<std::string>());
    for (const GridValue& value : axis.values) values.push_back(value.name);
  }
  // What speaks of values that --only leaves out has nothing to be compared with.
  if (document.json().contains("baseline") && names_chosen(source.at("baseline"), axes))
    sweep.baseline = source.at("baseline");
  sweep.published = json::array();
  for (const json& figure : source.at("published"))
    if (names_chosen(figure.at("cell"), axes)) sweep.published.push_back(figure);
  DBSA_RETURN_IF_ERROR(check_size(axes, sweep.runs, document.name()));
  CellMaker maker(document, source, axes, choice.settings, registry);
  DBSA_RETURN_IF_ERROR(maker.make(choice.force_set, sweep));
  return sweep;
}

}  // namespace dbsa
