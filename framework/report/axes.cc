// Axes of loose records, and the one axis that is a quantity.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <set>

#include "report/fields.h"
#include "report/study.h"

namespace dbsa {
namespace {

using nlohmann::json;

// A stage's plugin under the stage's name, without what the stage says already:
// "dbsa.mask_pattern.self" -> "self".
void add_plugin(const std::string& stage, const std::string& id, AxisValues& out) {
  const std::string prefix = "dbsa." + stage + ".";
  out[stage] = id.starts_with(prefix) ? id.substr(prefix.size()) : id;
}

// "retriever.k1" -> "1.2"; strings bare, everything else as JSON.
void flatten(const json& value, const std::string& name, AxisValues& out) {
  if (value.is_object()) {
    for (const auto& [key, inner] : value.items()) {
      if (key == "plugin" && inner.is_string() && !name.empty())
        add_plugin(name, inner.get<std::string>(), out);
      else
        flatten(inner, name.empty() ? key : name + "." + key, out);
    }
    return;
  }
  out[name] = value.is_string() ? value.get<std::string>()
                                : value.dump(-1, ' ', false, json::error_handler_t::replace);
}

bool fits_axis(double value) {
  const double size = std::fabs(value);
  return size == 0 || (size >= kLeastNumber && size <= kMostNumber);
}

// Whether a key only says what the choice of a plugin implies: some runs have it, all with one
// value.
bool is_implied(const std::set<std::string>& values, size_t holders, size_t runs) {
  return values.size() == 1 && holders < runs;
}

std::string last_parts(const std::string& path, int count) {
  size_t at = path.size();
  for (int i = 0; i < count && at != path.npos && at > 0; ++i) at = path.rfind('/', at - 1);
  return at == path.npos ? path : path.substr(at + 1);
}

// Absolute paths in as few last parts as keep them apart.
void shorten_paths(const std::string& key, std::vector<ReportRun>& runs) {
  std::set<std::string> whole;
  for (const ReportRun& run : runs)
    if (run.values.contains(key)) whole.insert(run.values.at(key));
  for (const std::string& path : whole)
    if (!path.starts_with('/')) return;
  for (int parts = 1; parts < 32; ++parts) {
    std::set<std::string> ends;
    for (const std::string& path : whole) ends.insert(last_parts(path, parts));
    if (ends.size() < whole.size()) continue;
    for (ReportRun& run : runs)
      if (run.values.contains(key)) run.values[key] = last_parts(run.values[key], parts);
    return;
  }
}

// ---- quantities
// ----------------------------------------------------------------------------------

struct Quantity {
  const char* key;  // of the configuration, or "" for what the pool holds
  const char* label;
};
constexpr Quantity kQuantities[] = {
    {"", "demonstrations in the pool"},
    {"selection.ratio", "selected share of the blocks"},
    {"selection.count", "selected blocks"},
    {"block_grouper.block_size", "block size (demonstrations)"},
};

std::optional<double> quantity_of(const ReportGroup& group, const Quantity& quantity) {
  const std::string key = quantity.key;
  if (key.empty()) return group.demonstrations;
  const size_t dot = key.find('.');
  const json& config = group.runs.front().config;
  const auto table = config.find(key.substr(0, dot));
  if (table == config.end() || !table->is_object()) return {};
  const auto value = table->find(key.substr(dot + 1));
  if (value == table->end() || !value->is_number() || !fits_axis(value->get<double>())) return {};
  return value->get<double>();
}

bool has_digits(const SweepAxis& axis) {
  return axis.values.size() > 1 &&
         std::all_of(axis.values.begin(), axis.values.end(), [](const std::string& value) {
           return std::any_of(value.begin(), value.end(),
                              [](char c) { return c >= '0' && c <= '9'; });
         });
}

// Groups by the values of all axes but one.
std::vector<std::vector<size_t>> series_along(const std::vector<ReportGroup>& groups,
                                              const std::string& axis) {
  std::vector<std::pair<AxisValues, std::vector<size_t>>> series;
  for (size_t i = 0; i < groups.size(); ++i) {
    AxisValues rest = groups[i].values;
    rest.erase(axis);
    auto it = std::find_if(series.begin(), series.end(),
                           [&](const auto& entry) { return entry.first == rest; });
    if (it == series.end()) it = series.insert(series.end(), {rest, {}});
    it->second.push_back(i);
  }
  std::vector<std::vector<size_t>> out;
  for (auto& [rest, members] : series) out.push_back(std::move(members));
  return out;
}

// x of every group, if it grows along the axis: in some series all values differ, in every other
// one they do, too, or none does (zero-shot beside pools of many sizes).
std::optional<NumericAxis> numeric_along(const std::vector<ReportGroup>& groups,
                                         const SweepAxis& axis, std::vector<double> x,
                                         const std::string& label) {
  NumericAxis numeric{axis.name, label, std::move(x), series_along(groups, axis.name)};
  bool grows = false;
  for (std::vector<size_t>& members : numeric.series) {
    std::set<double> values;
    for (const size_t i : members) values.insert(numeric.x[i]);
    if (values.size() != members.size() && values.size() != 1) return {};
    grows = grows || values.size() > 1;
    std::sort(members.begin(), members.end(),
              [&](size_t a, size_t b) { return numeric.x[a] < numeric.x[b]; });
  }
  if (!grows) return {};
  return numeric;
}

std::optional<std::vector<double>> quantities_of(const std::vector<ReportGroup>& groups,
                                                 const Quantity& quantity) {
  std::vector<double> x;
  for (const ReportGroup& group : groups) {
    const std::optional<double> value = quantity_of(group, quantity);
    if (!value) return {};
    x.push_back(*value);
  }
  return x;
}

}  // namespace

std::optional<double> as_number(const std::string& text) {
  double value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size() || !fits_axis(value)) return {};
  return value;
}

bool value_less(const std::string& a, const std::string& b) {
  const std::optional<double> x = as_number(a), y = as_number(b);
  if (x && y && *x != *y) return *x < *y;
  if (x.has_value() != y.has_value()) return x.has_value();
  return a < b;
}

AxisValues keys_of_groups(const ReportRun& run) {
  AxisValues values;
  flatten(run.config, "", values);
  for (const std::string& key : run.identity.outside_group) values.erase(key);
  return values;
}

void find_axes(StudyInput& input) {
  std::map<std::string, std::set<std::string>> values;
  std::map<std::string, size_t> holders;
  for (ReportRun& run : input.runs) {
    run.values = keys_of_groups(run);
    for (const auto& [key, value] : run.values) {
      values[key].insert(value);
      ++holders[key];
    }
  }
  for (const auto& [key, found] : values) {
    const bool differs = found.size() > 1 || holders[key] < input.runs.size();
    if (!differs || is_implied(found, holders[key], input.runs.size()))
      for (ReportRun& run : input.runs) run.values.erase(key);
    else
      shorten_paths(key, input.runs);
  }
  std::map<std::string, std::set<std::string>> axes;
  for (const ReportRun& run : input.runs)
    for (const auto& [key, value] : run.values) axes[key].insert(value);
  for (const auto& [key, found] : axes) {
    SweepAxis axis{key, {found.begin(), found.end()}, false};
    std::sort(axis.values.begin(), axis.values.end(), value_less);
    input.axes.push_back(std::move(axis));
  }
}

std::optional<NumericAxis> find_numeric_axis(const std::vector<ReportGroup>& groups,
                                             const std::vector<SweepAxis>& axes) {
  for (const Quantity& quantity : kQuantities) {
    const std::optional<std::vector<double>> x = quantities_of(groups, quantity);
    if (!x) continue;
    for (const SweepAxis& axis : axes)
      if (has_digits(axis) && !axis.is_identity)
        if (auto numeric = numeric_along(groups, axis, *x, quantity.label)) return numeric;
  }
  for (const SweepAxis& axis : axes) {
    if (axis.is_identity) continue;
    std::vector<double> x;
    for (const ReportGroup& group : groups) {
      const auto value = group.values.find(axis.name);
      const auto number = value == group.values.end() ? std::nullopt : as_number(value->second);
      if (number) x.push_back(*number);
    }
    if (x.size() == groups.size())
      if (auto numeric = numeric_along(groups, axis, x, axis.name)) return numeric;
  }
  return {};
}

}  // namespace dbsa
