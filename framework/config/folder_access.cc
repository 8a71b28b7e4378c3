#include "config/folder_access.h"

#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

namespace dbsa {

std::string folder_fault(const std::string& folder) {
  namespace fs = std::filesystem;
  fs::path nearest = folder;
  std::error_code failed;
  while (!nearest.empty() && !fs::exists(nearest, failed) && !failed && nearest.has_relative_path())
    nearest = nearest.parent_path();
  if (nearest.empty()) nearest = ".";
  std::string why = "is no folder; name another one";
  if (fs::is_directory(nearest, failed)) {
    if (::access(nearest.c_str(), W_OK | X_OK) == 0) return "";
    why = "cannot be written to: " + std::generic_category().message(errno) +
          "; make it writable or name another folder";
  } else if (failed) {
    why = "cannot be looked at: " + failed.message();
  }
  return (nearest == folder ? "" : "cannot make " + folder + ": ") + nearest.string() + " " + why;
}

}  // namespace dbsa
