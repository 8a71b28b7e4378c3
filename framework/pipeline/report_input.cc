#include "pipeline/report_input.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "config/path_kind.h"
#include "config/read_file.h"
#include "pipeline/record.h"
#include "pipeline/report_fields.h"

namespace dbsa {
namespace {

namespace fs = std::filesystem;

// Collects studies and faults of all paths.
class Reader {
 public:
  void read(const std::string& path) {
    const Result<PathKind> kind = path_kind(path);
    if (!kind.ok() || *kind == PathKind::kNothing)
      return unreadable(
          path + ": expected a folder of a sweep, a folder of result records or a record, " +
          (kind.ok() ? "but there is nothing" : "got an error: " + kind.error().message));
    if (*kind != PathKind::kFolder) return read_loose(path);
    const Result<PathKind> sweep = path_kind((fs::path(path) / "sweep.json").string());
    if (!sweep.ok()) return unreadable(sweep.error().message);
    if (*sweep == PathKind::kNothing)
      read_folder(path);
    else
      read_sweep(path);
  }

  Result<std::vector<StudyInput>> finish() && {
    if (!faults_.empty() || !unreadable_.empty()) {
      std::string lines;
      for (const auto* list : {&faults_, &unreadable_})
        for (const std::string& line : *list) lines += (lines.empty() ? "" : "\n") + line;
      return Error{faults_.empty() ? ErrorCode::kEnvironment : ErrorCode::kConfig, lines, ""};
    }
    if (!loose_.runs.empty()) {
      loose_.title = "Runs";
      loose_.path = loose_.runs.front().path;
      loose_.cells = static_cast<int64_t>(loose_.runs.size());
      studies_.push_back(std::move(loose_));
    }
    return std::move(studies_);
  }

 private:
  void unreadable(std::string line) { unreadable_.push_back(std::move(line)); }

  std::optional<std::string> contents(const std::string& path) {
    Result<FileText> file = read_file(path, kMaxRecordFileBytes);
    if (file.ok()) return std::move(file->text);
    unreadable(file.error().message);
    return {};
  }

  std::optional<ReportRun> record(const std::string& path) {
    const std::optional<std::string> text = contents(path);
    return text ? parse_record(path, *text, faults_) : std::nullopt;
  }

  // A record that two paths lead to counts once.
  void read_loose(const std::string& path) {
    std::error_code failed;
    if (!seen_.insert(fs::canonical(path, failed).string()).second) return;
    if (std::optional<ReportRun> run = record(path)) loose_.runs.push_back(*std::move(run));
  }

  void read_folder(const std::string& path) {
    std::vector<std::string> files;
    std::error_code failed;
    for (fs::directory_iterator entry(path, failed), end; !failed && entry != end;
         entry.increment(failed))
      if (entry->path().extension() == ".json" && !entry->is_directory())
        files.push_back(entry->path().string());
    if (failed) return unreadable(path + ": cannot be read: " + failed.message());
    if (files.empty())
      return unreadable(path +
                        ": expected a sweep.json or result records (*.json), the folder has none");
    std::sort(files.begin(), files.end());
    for (const std::string& file : files) read_loose(file);
  }

  void read_sweep(const std::string& path) {
    std::error_code failed;
    if (!seen_.insert(fs::canonical(path, failed).string()).second) return;
    const std::string file = (fs::path(path) / "sweep.json").string();
    const std::optional<std::string> text = contents(file);
    if (!text) return;
    std::optional<SweepFile> sweep = parse_sweep(file, *text, faults_);
    if (!sweep) return;
    StudyInput& study = sweep->study;
    study.path = path;
    const size_t before = faults_.size() + unreadable_.size();
    for (const ListedCell& cell : sweep->cells) read_cell(path, cell, study);
    if (study.runs.empty() && faults_.size() + unreadable_.size() == before)
      return unreadable(path +
                        ": expected the record of at least one cell in records/, but none "
                        "has ended well yet");
    studies_.push_back(std::move(study));
  }

  void read_cell(const std::string& folder, const ListedCell& cell, StudyInput& study) {
    const std::string path = (fs::path(folder) / cell.record).string();
    if (const Result<PathKind> kind = path_kind(path); !kind.ok()) {
      unreadable(kind.error().message);
      return;
    } else if (*kind == PathKind::kNothing) {
      study.lost.push_back(lost_cell(folder, cell));
      return;
    }
    std::optional<ReportRun> run = record(path);
    if (!run) return;
    run->values = cell.values;
    study.runs.push_back(*std::move(run));
  }

  LostCell lost_cell(const std::string& folder, const ListedCell& cell) {
    LostCell lost{cell.name, cell.run, {}, ""};
    const fs::path name = fs::path(cell.record).filename();
    const std::string path = (fs::path(folder) / "failures" / name).string();
    if (const Result<PathKind> kind = path_kind(path); !kind.ok()) {
      unreadable(kind.error().message);
      return lost;
    } else if (*kind == PathKind::kNothing) {
      return lost;
    }
    const std::optional<std::string> text = contents(path);
    if (!text) return lost;
    const auto root =
        parse_report_json(path, *text, "a failure that `dbsa-pipe sweep` noted", faults_);
    if (!root) return lost;
    const ReportFields fields(*root, path, "", faults_);
    lost.exit_code = fields.integer("/exit_code", INT32_MIN);
    lost.message = fields.text("/message");
    return lost;
  }

  std::vector<StudyInput> studies_;
  StudyInput loose_;
  std::set<std::string> seen_;
  std::vector<std::string> faults_, unreadable_;
};

}  // namespace

Result<std::vector<StudyInput>> read_report_input(std::span<const std::string> paths) {
  Reader reader;
  for (const std::string& path : paths) reader.read(path);
  return std::move(reader).finish();
}

}  // namespace dbsa
