// A reader of CSV as RFC 4180 describes it: fields may stand in double quotes, a quote inside is
// doubled, quoted fields may hold delimiters and line ends. Line ends are LF or CRLF; CR CR LF,
// which some exports write, counts as one. The delimiter is a comma or another character.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dbsa {

class CsvReader {
 public:
  // `text` must outlive the reader. `name` is the file's, for messages.
  CsvReader(std::string_view text, std::string name, char delimiter = ',')
      : text_(text), name_(std::move(name)), delimiter_(delimiter) {}

  // Reads the next record that is not an empty line; false at the end. kConfig with file and line
  // for a stray quote, an open quote at the end, or a record longer than kMaxRecordBytes.
  Result<bool> next(std::vector<std::string>& fields);

  // From now on spaces behind a delimiter are not part of a field: "text, label". `spaced` counts
  // the fields of the record read last that had some.
  void skip_spaces(bool skip) { skip_spaces_ = skip; }
  bool skips_spaces() const { return skip_spaces_; }
  int64_t spaced() const { return spaced_; }

  char delimiter() const { return delimiter_; }

  // Where the record that `next` read, or failed at, begins, 1-based.
  int64_t line() const { return record_line_; }
  // Its bytes, without the line end; after skip_line those of the line that was skipped.
  std::string_view record() const { return text_.substr(record_begin_, record_bytes_); }
  // After a fault: reads on behind the first line of the record, so that a quote that is not closed
  // costs only its own line.
  void skip_line();

 private:
  Result<std::string> quoted_field();
  std::string plain_field();
  Error fault(int64_t line, const std::string& what) const;
  // Bytes of the line end here; 0 where there is none.
  size_t line_end() const;
  bool at_end_of_record() const { return at_ == text_.size() || line_end() > 0; }
  void skip_line_end();

  std::string_view text_;
  std::string name_;
  char delimiter_;
  bool skip_spaces_ = false;
  int64_t spaced_ = 0;
  size_t at_ = 0;
  int64_t line_ = 1;
  int64_t record_line_ = 0;
  size_t record_begin_ = 0, record_bytes_ = 0;
};

}  // namespace dbsa
