// sweep.json: what a sweep was made of.
#include <algorithm>

#include "config/schema_check.h"
#include "report/fields.h"
#include "report/input.h"

namespace dbsa {
namespace {

using nlohmann::json;

constexpr const char* kSweepFile = "the sweep.json of `dbsa-pipe sweep`";

bool is_sweep(const ReportFields& fields) {
  const json* version = fields.find("/schema_version");
  if (version == nullptr || !version->is_number_integer() || fields.find("/cells") == nullptr) {
    fields.fault("", std::string("expected ") + kSweepFile +
                         ", got other JSON: it has no schema_version, or no cells");
    return false;
  }
  if (*version == kSweepSchemaVersion) return true;
  fields.fault("/schema_version", "expected " + std::to_string(kSweepSchemaVersion) + ", got " +
                                      version->dump() +
                                      "; read it with the dbsa-pipe that wrote it, or a newer one");
  return false;
}

std::vector<SweepAxis> read_axes(const ReportFields& fields) {
  std::vector<SweepAxis> axes;
  const size_t count = fields.array("/axes").size();
  for (size_t i = 0; i < count; ++i) {
    const std::string at = "/axes/" + std::to_string(i);
    SweepAxis axis{fields.text(at + "/name"), {}, false};
    const size_t values = fields.array(at + "/values").size();
    for (size_t k = 0; k < values; ++k)
      axis.values.push_back(fields.text(at + "/values/" + std::to_string(k)));
    axes.push_back(std::move(axis));
  }
  return axes;
}

// Values of known axes, each one that the axis has.
AxisValues read_values(const ReportFields& fields, const std::string& at,
                       const std::vector<SweepAxis>& axes) {
  AxisValues values = fields.texts(at);
  for (const auto& entry : values) {
    const std::string& name = entry.first;
    const std::string& value = entry.second;
    const auto axis =
        std::find_if(axes.begin(), axes.end(), [&](const SweepAxis& a) { return a.name == name; });
    if (axis == axes.end())
      fields.fault(at, "expected names of axes, got " + in_quotes(name));
    else if (std::find(axis->values.begin(), axis->values.end(), value) == axis->values.end())
      fields.fault(at,
                   "expected a value of the axis " + in_quotes(name) + ", got " + in_quotes(value));
  }
  return values;
}

std::vector<PublishedFigure> read_published(const ReportFields& fields,
                                            const std::vector<SweepAxis>& axes) {
  std::vector<PublishedFigure> published;
  const json* list = fields.find("/published");
  if (list == nullptr || list->is_null()) return published;
  const size_t count = fields.array("/published").size();
  for (size_t i = 0; i < count; ++i) {
    const std::string at = "/published/" + std::to_string(i);
    PublishedFigure figure;
    figure.cell = read_values(fields, at + "/cell", axes);
    figure.metric = fields.text(at + "/metric");
    if (figure.metric != "accuracy" && figure.metric != "request_ratio" &&
        figure.metric != "setup_ratio")
      fields.wrong(at + "/metric", R"("accuracy", "request_ratio" or "setup_ratio")");
    figure.value = fields.number(at + "/value");
    figure.source = fields.text(at + "/source");
    published.push_back(std::move(figure));
  }
  return published;
}

// A path that stays in the sweep's folder.
bool stays_inside(const std::string& path) {
  if (path.empty() || path.front() == '/') return false;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    if (path.substr(begin, end - begin) == "..") return false;
    begin = end + 1;
  }
  return true;
}

// Values that an axis does not list are added to it: those of the last sweep into the folder stand
// there, and it may have been a narrower one.
AxisValues read_cell_values(const ReportFields& fields, const std::string& at,
                            std::vector<SweepAxis>& axes) {
  AxisValues values = fields.texts(at);
  for (const auto& entry : values) {
    const std::string& name = entry.first;
    const auto axis =
        std::find_if(axes.begin(), axes.end(), [&](const SweepAxis& a) { return a.name == name; });
    if (axis == axes.end())
      fields.fault(at, "expected names of axes, got " + in_quotes(name));
    else if (std::find(axis->values.begin(), axis->values.end(), entry.second) ==
             axis->values.end())
      axis->values.push_back(entry.second);
  }
  return values;
}

ListedCell read_cell(const ReportFields& fields, const std::string& at,
                     std::vector<SweepAxis>& axes) {
  ListedCell cell;
  cell.run = fields.integer(at + "/run", 1);
  cell.values = read_cell_values(fields, at + "/values", axes);
  if (cell.values.size() < axes.size()) fields.fault(at + "/values", "expected one of each axis");
  cell.name = fields.text(at + "/name");
  cell.record = fields.text(at + "/record");
  if (!stays_inside(cell.record))
    fields.wrong(at + "/record", "a path inside the folder of the sweep");
  return cell;
}

}  // namespace

std::optional<SweepFile> parse_sweep(const std::string& file, std::string_view text,
                                     std::vector<std::string>& faults) {
  const std::optional<json> root = parse_report_json(file, text, kSweepFile, faults);
  if (!root) return {};
  const size_t before = faults.size();
  const ReportFields fields(*root, file, "", faults);
  if (!is_sweep(fields)) return {};
  SweepFile sweep;
  StudyInput& study = sweep.study;
  study.is_sweep = true;
  study.title = fields.text("/title");
  study.axes = read_axes(fields);
  // Before what refers to values: a sweep may list cells of more values than it ran last.
  const size_t cells = fields.array("/cells").size();
  for (size_t i = 0; i < cells; ++i)
    sweep.cells.push_back(read_cell(fields, "/cells/" + std::to_string(i), study.axes));
  const json* baseline = fields.find("/baseline");
  if (baseline != nullptr && !baseline->is_null())
    study.baseline = read_values(fields, "/baseline", study.axes);
  study.published = read_published(fields, study.axes);
  study.cells = static_cast<int64_t>(cells);
  if (faults.size() > before) return {};
  return sweep;
}

}  // namespace dbsa
