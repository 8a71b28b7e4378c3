#include "config/lfs_pointer.h"

#include <algorithm>

namespace dbsa {

std::string lfs_pointer_fault(std::string_view start) {
  constexpr std::string_view kStart = "version https://git-lfs.github.com/spec/";
  constexpr std::string_view kSize = "\nsize ";
  if (!start.starts_with(kStart)) return "";
  std::string size;
  if (const size_t at = start.find(kSize); at != std::string_view::npos) {
    const std::string_view rest = start.substr(at + kSize.size(), 20);
    size = rest.substr(0, std::min(rest.find_first_not_of("0123456789"), rest.size()));
  }
  return "is a Git LFS pointer, which stands for a file" +
         (size.empty() ? std::string() : " of " + size + " bytes") +
         " that was not fetched; run `git lfs pull` in its folder, or fetch the file itself";
}

}  // namespace dbsa
