#include "plugins/shared/retrieval/counted_retriever.h"

#include <charconv>

#include "plugins/shared/retrieval/document_limit.h"

namespace dbsa::retrieval {

Status CountedRetriever::index(Texts documents) {
  count_.reset();
  DBSA_RETURN_IF_ERROR(check_document_count(documents.size()));
  count_ = documents.size();
  return {};
}

Result<std::string> CountedRetriever::save() const {
  if (!count_) return Error{ErrorCode::kInvalidArgument, "there is no index to save", ""};
  return std::string(magic_) + std::to_string(*count_);
}

Status CountedRetriever::load(std::string_view bytes) {
  count_.reset();
  int64_t count = -1;
  if (bytes.starts_with(magic_)) {
    const char* end = bytes.data() + bytes.size();
    const auto [stop, code] = std::from_chars(bytes.data() + magic_.size(), end, count);
    if (code != std::errc() || stop != end) count = -1;
  }
  // "007" and "-0" are not what is written.
  if (count < 0 || std::string(magic_) + std::to_string(count) != bytes)
    return Error{ErrorCode::kCorrupt, "not an index of this retriever", ""};
  DBSA_RETURN_IF_ERROR(check_saved_count(count));
  count_ = count;
  return {};
}

Result<int64_t> CountedRetriever::count() const {
  if (!count_) return Error{ErrorCode::kInvalidArgument, "there is no index to query", ""};
  return *count_;
}

}  // namespace dbsa::retrieval
