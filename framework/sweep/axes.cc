#include "sweep/axes.h"

#include <algorithm>
#include <map>
#include <set>

#include "config/absolute_path.h"
#include "config/faults.h"
#include "config/json_pointer.h"
#include "config/schema_check.h"

namespace dbsa {
namespace {

using nlohmann::json;

// How a value of an axis is called where the file gives it no name.
std::string value_name(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return value.dump();
  std::string name;
  for (const json& item : value) name += (name.empty() ? "" : ", ") + value_name(item);
  return name;
}

// The axes of a file that passed the schema.
class AxisReader {
 public:
  explicit AxisReader(const TomlDocument& document) : document_(document) {}

  GridAxis read(const json& table, const std::string& pointer, Faults& faults) const {
    GridAxis axis = {table.at("name"), {}};
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
    for (const GridValue& value : axis.values)
      if (!names.insert(value.name).second)
        faults.add(pointer, "two values are called " + in_quotes(value.name));
    return axis;
  }

 private:
  void read_named(const json& values, const std::string& pointer, GridAxis& axis) const {
    for (size_t i = 0; i < values.size(); ++i) {
      const std::string file = values[i].value("file", "");
      const std::string at = pointer + "/value/" + std::to_string(i);
      axis.values.push_back(
          {values[i].at("name"),
           {file.empty() ? "" : absolute_path(document_.directory() / file), at + "/file"},
           flattened(document_, at + "/set")});
    }
  }

  void read_values(const json& table, const std::string& pointer, GridAxis& axis,
                   Faults& faults) const {
    const json keys = table.contains("keys") ? table.at("keys") : json::array({table.at("key")});
    for (size_t i = 0; i < table.at("values").size(); ++i) {
      const json& given = table.at("values").at(i);
      const std::string at = pointer + "/values/" + std::to_string(i);
      const json values = table.contains("keys") ? given : json::array({given});
      if (!values.is_array() || values.size() != keys.size()) {
        faults.add(at,
                   "must be a list of " + std::to_string(keys.size()) + ", one for each of keys");
        continue;
      }
      GridValue& value = axis.values.emplace_back();
      value.name = value_name(given);
      for (size_t k = 0; k < keys.size(); ++k)
        value.settings.push_back({keys[k], values[k], document_.place_with_file(at)});
      value.settings = plugins_first(std::move(value.settings));
    }
  }

  const TomlDocument& document_;
};

// Axes and values that `baseline` and `published` name must be there.
void check_names(const json& cell, const std::string& pointer, const std::vector<GridAxis>& axes,
                 Faults& faults) {
  for (const auto& [name, value] : cell.items()) {
    const auto axis = std::find_if(axes.begin(), axes.end(),
                                   [&name = name](const GridAxis& a) { return a.name == name; });
    const std::string place = append_pointer(pointer, name);
    if (axis == axes.end()) {
      faults.add(place, "there is no axis of this name");
      continue;
    }
    const bool known =
        std::any_of(axis->values.begin(), axis->values.end(),
                    [&value = value](const GridValue& v) { return v.name == value; });
    if (!known) faults.add(place, "the axis has no value " + value.dump());
  }
}

}  // namespace

bool names_chosen(const json& cell, const std::vector<GridAxis>& axes) {
  for (const auto& [name, value] : cell.items())
    for (const GridAxis& axis : axes)
      if (axis.name == name &&
          std::none_of(axis.values.begin(), axis.values.end(),
                       [&value = value](const GridValue& v) { return v.name == value; }))
        return false;
  return true;
}

Status choose_values(const std::vector<std::string>& only, std::vector<GridAxis>& axes) {
  std::map<std::string, std::set<std::string>> wanted;
  for (const std::string& word : only) {
    bool found = false;
    for (const GridAxis& axis : axes)
      for (const GridValue& value : axis.values)
        if (word == axis.name + "=" + value.name) {
          wanted[axis.name].insert(value.name);
          found = true;
        }
    if (found) continue;
    std::string known;
    for (const GridAxis& axis : axes)
      for (const GridValue& value : axis.values) known += "\n  " + axis.name + "=" + value.name;
    return Error{ErrorCode::kConfig,
                 "--only " + word + ": expected an axis and one of its values:" + known, ""};
  }
  for (GridAxis& axis : axes)
    if (const auto names = wanted.find(axis.name); names != wanted.end())
      std::erase_if(axis.values,
                    [&](const GridValue& value) { return !names->second.contains(value.name); });
  return {};
}

Result<std::vector<GridAxis>> read_axes(const TomlDocument& document, const json& source) {
  Faults faults;
  std::vector<GridAxis> axes;
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

}  // namespace dbsa
