#include "plugins/shared/retrieval/count_index.h"

#include <charconv>

namespace dbsa::retrieval {

std::string save_count(std::string_view magic, int64_t count) {
  return std::string(magic) + std::to_string(count);
}

Result<int64_t> load_count(std::string_view magic, std::string_view bytes) {
  int64_t count = -1;
  if (bytes.starts_with(magic)) {
    const char* end = bytes.data() + bytes.size();
    const auto [stop, code] = std::from_chars(bytes.data() + magic.size(), end, count);
    if (code != std::errc() || stop != end) count = -1;
  }
  if (count < 0 || save_count(magic, count) != bytes)  // "007" and "-0" are not what is written
    return Error{ErrorCode::kCorrupt, "not an index of this retriever", ""};
  return count;
}

}  // namespace dbsa::retrieval
