#include "icl/csv.h"

#include <algorithm>

#include "icl/dataset.h"

namespace dbsa {

Error CsvReader::fault(int64_t line, const std::string& what) const {
  return Error{ErrorCode::kConfig, name_ + ":" + std::to_string(line) + ": " + what, ""};
}

size_t CsvReader::line_end() const {
  if (at_ == text_.size()) return 0;
  if (text_[at_] == '\n') return 1;
  if (text_[at_] != '\r') return 0;
  constexpr size_t kMost = 8;  // so that a run of CR takes no square of its length
  const std::string_view here = text_.substr(at_, kMost);
  const size_t behind = here.find_first_not_of('\r');
  const bool ends = behind != std::string_view::npos && here[behind] == '\n';
  return ends ? behind + 1 : 0;
}

void CsvReader::skip_line_end() {
  if (at_ == text_.size()) return;
  at_ += line_end();
  ++line_;
}

std::string CsvReader::plain_field() {
  const size_t begin = at_;
  while (!at_end_of_record() && text_[at_] != delimiter_ && text_[at_] != '"') ++at_;
  return std::string(text_.substr(begin, at_ - begin));
}

Result<std::string> CsvReader::quoted_field() {
  std::string field;
  for (++at_;; ++at_) {
    if (at_ == text_.size())
      return fault(record_line_,
                   "expected a closing quote for the field that begins in this line, found "
                   "the end of the file; close it, or double a quote that is meant as text");
    if (text_[at_] == '"') {
      if (text_.substr(at_ + 1, 1) != "\"") break;
      ++at_;
    }
    if (text_[at_] == '\n') ++line_;
    field += text_[at_];
  }
  ++at_;
  return field;
}

Result<bool> CsvReader::next(std::vector<std::string>& fields) {
  while (at_ < text_.size() && at_end_of_record()) skip_line_end();
  fields.clear();
  if (at_ == text_.size()) return false;
  record_line_ = line_;
  spaced_ = 0;
  record_begin_ = at_;
  while (true) {
    if (skip_spaces_ && at_ < text_.size() && text_[at_] == ' ' && !fields.empty()) {
      at_ = std::min(text_.find_first_not_of(' ', at_), text_.size());
      ++spaced_;
    }
    if (at_ < text_.size() && text_[at_] == '"') {
      DBSA_ASSIGN_OR_RETURN(std::string field, quoted_field());
      fields.push_back(std::move(field));
      if (!at_end_of_record() && text_[at_] != delimiter_)
        return fault(
            record_line_,
            "expected " + (delimiter_ == ',' ? "a comma" : quote_for_message({&delimiter_, 1})) +
                " or the end of the line after a quoted field" +
                (line_ == record_line_ ? "" : ", which ends in line " + std::to_string(line_)) +
                ", found " + quote_for_message(text_.substr(at_, 1)) +
                "; double a quote that is meant as text");
    } else {
      fields.push_back(plain_field());
      if (!at_end_of_record() && text_[at_] == '"')
        return fault(record_line_,
                     "expected a field without quotes, found a quote inside it; put the "
                     "whole field in quotes and double the quotes in it");
    }
    if (at_ - record_begin_ > kMaxRecordBytes)
      return fault(record_line_, "expected a record of at most " + std::to_string(kMaxRecordBytes) +
                                     " bytes, found a longer one; look for a quote that is not "
                                     "closed");
    if (at_end_of_record()) break;
    ++at_;  // the delimiter
  }
  record_bytes_ = at_ - record_begin_;
  skip_line_end();
  return true;
}

void CsvReader::skip_line() {
  const size_t end = std::min(text_.find('\n', record_begin_), text_.size());
  at_ = std::min(end + 1, text_.size());
  record_bytes_ = end - record_begin_;
  while (record().ends_with('\r')) --record_bytes_;
  line_ = record_line_ + 1;
}

}  // namespace dbsa
