#include "config/path_kind.h"

#include <filesystem>
#include <system_error>

namespace dbsa {

Result<PathKind> path_kind(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code failed;
  switch (fs::status(path, failed).type()) {
    case fs::file_type::not_found:
      return PathKind::kNothing;
    case fs::file_type::none:
      return Error{ErrorCode::kEnvironment, path + ": cannot be examined: " + failed.message(), ""};
    case fs::file_type::regular:
      return PathKind::kFile;
    case fs::file_type::directory:
      return PathKind::kFolder;
    default:
      return PathKind::kOther;
  }
}

}  // namespace dbsa
