#include "config/faults.h"

#include <algorithm>
#include <tuple>

#include "config/json_pointer.h"
#include "config/nearest_name.h"
#include "config/schema_check.h"

namespace dbsa {
namespace {

std::string line_of(const TomlDocument& document, std::string_view pointer, std::string_view label,
                    std::string_view message) {
  const std::string where = document.where(pointer);
  std::string line = where + ": ";
  const std::string name = dotted_name(label);
  if (!name.empty() && where != "--set " + name) line += name + ": ";
  return line.append(message);
}

}  // namespace

void Faults::add(std::string pointer, std::string message, ErrorCode code) {
  Fault fault = {pointer, std::move(message), code, pointer};
  faults_.push_back(std::move(fault));
}

void Faults::add_unknown_key(std::string_view table, std::string_view key,
                             const std::vector<std::string>& valid) {
  faults_.push_back({append_pointer(table, key),
                     "unknown key " + in_quotes(key) + did_you_mean(key, valid), ErrorCode::kConfig,
                     std::string(table)});
}

void Faults::note_unknown_key(std::string_view table, std::string_view key, std::string_view note) {
  for (Fault& fault : faults_)
    if (fault.label_pointer == table && fault.pointer == append_pointer(table, key))
      fault.message += note;
}

void Faults::append(const Faults& others) {
  faults_.insert(faults_.end(), others.faults_.begin(), others.faults_.end());
}

std::vector<std::string> Faults::lines(const TomlDocument& document) const {
  struct Entry {
    Place place;
    std::string line;
  };
  std::vector<Entry> entries;
  for (const Fault& fault : faults_)
    entries.push_back({document.place(fault.pointer),
                       line_of(document, fault.pointer, fault.label_pointer, fault.message)});
  // Those of the command line come after the file's.
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.place.option, a.place.file, a.place.line, a.place.column) <
           std::tie(b.place.option, b.place.file, b.place.line, b.place.column);
  });
  std::vector<std::string> lines;
  for (Entry& entry : entries)
    if (lines.empty() || lines.back() != entry.line) lines.push_back(std::move(entry.line));
  return lines;
}

Status Faults::status(const TomlDocument& document) const {
  if (faults_.empty()) return {};
  Error error = {faults_.front().code, "", faults_.front().pointer};
  for (const Fault& fault : faults_)
    if (fault.code == ErrorCode::kConfig) error.code = ErrorCode::kConfig;
  for (const std::string& line : lines(document)) {
    if (!error.message.empty()) error.message += '\n';
    error.message += line;
  }
  return error;
}

std::string fault_line(const TomlDocument& document, std::string_view pointer,
                       std::string_view message) {
  return line_of(document, pointer, pointer, message);
}

}  // namespace dbsa
