#include "config/absolute_path.h"

#include <new>
#include <system_error>

namespace dbsa {

std::string absolute_path(const std::filesystem::path& path) {
  std::error_code failed;
  const std::filesystem::path absolute = std::filesystem::absolute(path, failed);
  if (failed == std::errc::not_enough_memory) throw std::bad_alloc();
  return (failed ? path : absolute).lexically_normal().string();
}

}  // namespace dbsa
