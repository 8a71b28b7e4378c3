#include "report/input.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "config/path_kind.h"
#include "config/read_file.h"
#include "pipeline/record/record.h"
#include "report/fields.h"

namespace dbsa {
namespace {

namespace fs = std::filesystem;

// The same for all paths that lead to a file.
std::string one_name(const std::string& path) {
  std::error_code failed;
  const fs::path name = fs::canonical(path, failed);
  return failed ? path : name.string();
}

// Whether there is something to read, a link that leads nowhere included.
bool is_there(const std::string& path) {
  std::error_code failed;
  return fs::symlink_status(path, failed).type() != fs::file_type::not_found;
}

// Collects studies and faults of all paths.
class Reader {
 public:
  void read(const std::string& path) {
    const Result<PathKind> kind = path_kind(path);
    if (!kind.ok()) return cannot_be_read(kind.error().message);
    if (*kind == PathKind::kNothing) {
      // Whoever wrote the path meant another one.
      missing_.push_back(
          path +
          ": expected a folder of a sweep, a folder of result records or a record, but there is "
          "nothing");
      return;
    }
    if (*kind != PathKind::kFolder) return read_loose(path, Named::kByUser);
    const Result<PathKind> sweep = path_kind((fs::path(path) / "sweep.json").string());
    if (!sweep.ok()) return cannot_be_read(sweep.error().message);
    if (*sweep == PathKind::kNothing)
      read_folder(path);
    else
      read_sweep(path);
  }

  Result<ReportInput> finish() && {
    if (!loose_.runs.empty()) {
      loose_.title = "Runs";
      loose_.path = loose_.runs.front().path;
      loose_.cells = static_cast<int64_t>(loose_.runs.size());
      studies_.push_back(std::move(loose_));
    }
    std::vector<std::string> left_out = faults_;
    left_out.insert(left_out.end(), unreadable_.begin(), unreadable_.end());
    if (missing_.empty() && not_read_.empty() && !studies_.empty())
      return ReportInput{std::move(studies_), std::move(left_out)};
    left_out.insert(left_out.end(), missing_.begin(), missing_.end());
    left_out.insert(left_out.end(), not_read_.begin(), not_read_.end());
    std::string lines;
    for (const std::string& line : left_out) lines += (lines.empty() ? "" : "\n") + line;
    return Error{faults_.empty() ? ErrorCode::kEnvironment : ErrorCode::kConfig, lines, ""};
  }

 private:
  void unreadable(std::string line) { unreadable_.push_back(std::move(line)); }
  // What the user has named is not left out.
  void cannot_be_read(std::string line) { not_read_.push_back(std::move(line)); }
  size_t fault_count() const { return faults_.size() + unreadable_.size() + not_read_.size(); }

  enum class Named { kByUser, kByFolder };

  std::optional<std::string> contents(const std::string& path, Named named) {
    Result<FileText> file = read_file(path, kMaxRecordFileBytes);
    if (file.ok()) return std::move(file->text);
    if (named == Named::kByUser)
      cannot_be_read(file.error().message);
    else
      unreadable(file.error().message);
    return {};
  }

  std::optional<ReportRun> record(const std::string& path, Named named) {
    const std::optional<std::string> text = contents(path, named);
    return text ? parse_record(path, *text, faults_) : std::nullopt;
  }

  // A record that two paths lead to counts once.
  void read_loose(const std::string& path, Named named) {
    if (!seen_.insert(one_name(path)).second) return;
    if (std::optional<ReportRun> run = record(path, named)) loose_.runs.push_back(*std::move(run));
  }

  void read_folder(const std::string& path) {
    std::vector<std::string> files;
    std::error_code failed;
    for (fs::directory_iterator entry(path, failed), end; !failed && entry != end;
         entry.increment(failed)) {
      std::error_code not_followed;  // a link that leads nowhere: reading it says so
      if (entry->path().extension() == ".json" && !entry->is_directory(not_followed))
        files.push_back(entry->path().string());
    }
    if (failed) return cannot_be_read(path + ": cannot be read: " + failed.message());
    if (files.empty())
      return unreadable(path +
                        ": expected a sweep.json or result records (*.json), the folder has none");
    std::sort(files.begin(), files.end());
    for (const std::string& file : files) read_loose(file, Named::kByFolder);
  }

  void read_sweep(const std::string& path) {
    if (!seen_.insert(one_name(path)).second) return;
    const std::string file = (fs::path(path) / "sweep.json").string();
    const std::optional<std::string> text = contents(file, Named::kByUser);
    if (!text) return;
    std::optional<SweepFile> sweep = parse_sweep(file, *text, faults_);
    if (!sweep) return;
    StudyInput& study = sweep->study;
    study.path = path;
    const size_t before = fault_count();
    for (const ListedCell& cell : sweep->cells) read_cell(path, cell, study);
    if (!study.runs.empty()) return studies_.push_back(std::move(study));
    if (fault_count() == before)
      unreadable(path +
                 ": expected the record of at least one cell in records/, but none has ended well "
                 "yet");
  }

  void read_cell(const std::string& folder, const ListedCell& cell, StudyInput& study) {
    const std::string path = (fs::path(folder) / cell.record).string();
    if (!is_there(path)) {
      study.lost.push_back(lost_cell(folder, cell));
      return;
    }
    const size_t before = unreadable_.size();
    std::optional<ReportRun> run = record(path, Named::kByFolder);
    if (!run) {
      const bool unread = unreadable_.size() > before;
      study.lost.push_back({cell.name,
                            cell.run,
                            {},
                            unread ? "its record cannot be read" : "its record is damaged"});
      return;
    }
    run->values = cell.values;
    study.runs.push_back(*std::move(run));
  }

  LostCell lost_cell(const std::string& folder, const ListedCell& cell) {
    LostCell lost{cell.name, cell.run, {}, ""};
    const fs::path name = fs::path(cell.record).filename();
    const std::string path = (fs::path(folder) / "failures" / name).string();
    if (!is_there(path)) return lost;
    lost.message = "what happened was noted, but the note is damaged";
    const std::optional<std::string> text = contents(path, Named::kByFolder);
    if (!text) return lost;
    const auto root =
        parse_report_json(path, *text, "a failure that `dbsa-pipe sweep` noted", faults_);
    if (!root) return lost;
    const size_t before = faults_.size();
    const ReportFields fields(*root, path, "", faults_);
    const int64_t exit_code = fields.integer("/exit_code", INT32_MIN);
    const std::string message = fields.text("/message");
    if (faults_.size() > before) return lost;
    return {cell.name, cell.run, exit_code, message};
  }

  std::vector<StudyInput> studies_;
  StudyInput loose_;
  std::set<std::string> seen_;
  std::vector<std::string> missing_, faults_, unreadable_, not_read_;
};

}  // namespace

Result<ReportInput> read_report_input(std::span<const std::string> paths) {
  Reader reader;
  for (const std::string& path : paths) reader.read(path);
  return std::move(reader).finish();
}

}  // namespace dbsa
