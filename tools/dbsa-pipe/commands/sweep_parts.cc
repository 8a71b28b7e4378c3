#include "commands/sweep_parts.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <utility>
#include <vector>

#include "config/exit_code.h"
#include "config/read_file.h"

namespace dbsa::cli {
namespace {

namespace fs = std::filesystem;

Descriptor open_folder(const std::string& path) {
  return Descriptor(uninterrupted(
      [&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC); }));
}

}  // namespace

PartFolder& PartFolder::operator=(PartFolder&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(folder_, other.folder_);
  return *this;
}

PartFolder::~PartFolder() {
  if (!folder_.valid()) return;
  std::error_code failed;
  fs::remove_all(path_, failed);
  fs::remove(fs::path(path_).parent_path(), failed);  // where it is empty
}

Result<PartFolder> PartFolder::make(const std::string& parts, const std::string& cell_id) {
  // Another sweep may remove `parts`, or the new folder before it is locked: then again.
  int code = ENOENT;
  for (int attempt = 0; attempt < 100 && (code == ENOENT || code == EEXIST); ++attempt) {
    DBSA_RETURN_IF_ERROR(make_folders(parts));
    const std::string path = parts + "/" + cell_id + "-" + random_letters(6);
    code = ::mkdir(path.c_str(), 0777) == 0 ? 0 : errno;
    if (code != 0) continue;
    PartFolder part;
    part.path_ = path;
    part.folder_ = open_folder(path);
    code = part.folder_.valid() ? 0 : errno;
    if (code != 0) continue;
    // On a file system without locks nothing is ever taken for left behind.
    lock_file(part.folder_.get(), LOCK_EX);
    if (has_name(part.folder_.get(), path)) return part;
    code = ENOENT;
  }
  return file_error(parts, "make a folder there", code);
}

namespace {

// What a process says last. error: it told one.
struct LastWords {
  std::string text;
  bool error = false;
};

LastWords last_words(const std::string& path) {
  constexpr size_t kMost = 2000;
  Result<std::string> end = read_file_end(path, kMost + 2);
  if (!end.ok()) return {"it failed, and its log is lost: " + end.error().message, false};
  std::string text = std::move(end).value();
  while (!text.empty() && text.back() == '\n') text.pop_back();
  if (text.size() > kMost) text.erase(0, text.find('\n') + 1);
  // A process that was at its end has written results before.
  constexpr std::string_view kError = "error: ";
  size_t error = text.find("\nerror: ");
  error = text.starts_with(kError) ? 0 : error == text.npos ? error : error + 1;
  if (error != text.npos) return {text.substr(error + kError.size()), true};
  if (text.empty()) text = "its log says nothing: " + path;
  return {std::move(text), false};
}

}  // namespace

std::string said_last(const std::string& path) { return last_words(path).text; }

std::string why_ended(int code, const std::string& path) {
  LastWords said = last_words(path);
  if (code == signal_exit_code(SIGKILL))
    return "killed by SIGKILL: probably out of memory; run fewer cells at once (--jobs), or give "
           "them more memory; " +
           said.text;
  const char* const signal_name = code > 128 ? ::sigabbrev_np(code - 128) : nullptr;
  // What crashes says so itself.
  if (signal_name == nullptr || said.error) return std::move(said.text);
  return std::string("killed by SIG") + signal_name + "; " + said.text;
}

void remove_stale_parts(const std::string& parts) {
  std::error_code failed;
  std::vector<std::string> found;
  for (fs::directory_iterator entry(parts, failed), end; !failed && entry != end;
       entry.increment(failed))
    found.push_back(entry->path().string());
  for (const std::string& part : found) {
    const Descriptor folder = open_folder(part);
    if (folder.valid() && lock_file(folder.get(), LOCK_EX | LOCK_NB) == 0)
      fs::remove_all(part, failed);
  }
  fs::remove(parts, failed);  // where it is empty
}

}  // namespace dbsa::cli
