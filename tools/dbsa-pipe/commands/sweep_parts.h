// Folders of the processes of a sweep, in its parts/: where each writes its record and its log.
#pragma once

#include <dbsa/sdk/result.h>

#include <string>
#include <utility>

#include "config/file_calls.h"

namespace dbsa::cli {

// One process's folder, named after its cell: removed with this object, and parts/ with the last of
// them; left behind by a sweep that is killed. Locked while this lives, so that no other sweep
// takes it for left behind.
class PartFolder {
 public:
  PartFolder() = default;
  PartFolder(PartFolder&& other) noexcept
      : path_(std::exchange(other.path_, {})), folder_(std::move(other.folder_)) {}
  PartFolder& operator=(PartFolder&& other) noexcept;
  ~PartFolder();

  // kEnvironment where it cannot be made.
  static Result<PartFolder> make(const std::string& parts, const std::string& cell_id);

  const std::string& path() const { return path_; }

 private:
  std::string path_;
  Descriptor folder_;
};

// The end of what a process said in its log: its error, where it told one.
std::string said_last(const std::string& log);

// Why a process failed: its error, and the signal that has ended it, for which `code` is 128 + n.
std::string why_ended(int code, const std::string& log);

// Removes the folders that sweeps which were killed have left, and `parts` where it is empty.
void remove_stale_parts(const std::string& parts);

}  // namespace dbsa::cli
