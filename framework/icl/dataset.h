// Demonstrations and queries: read from files, checked, drawn.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "icl/item_error.h"

namespace dbsa {

inline constexpr size_t kMaxRecordBytes = size_t{4} << 20;  // of one example in a file
inline constexpr size_t kMaxDataBytes = size_t{4} << 30;    // of a file

struct Example {
  std::string text;
  std::string label;                          // "" where a query has none
  int64_t line = 0;                           // of the file, 1-based; of a record's first line
  std::vector<std::string> more_labels = {};  // as right as `label`, where the file gives several
  bool operator==(const Example&) const = default;
};

enum class LabelPolicy {
  kRequired,  // demonstrations
  kOptional,  // queries: a label may be absent, null or empty
};

// A record of a data file.
struct Row {
  Example example;                 // with an error: what could be read of it, the line always
  std::optional<ItemError> error;  // why it is no example; the message begins with file:line
};

// Reads a .jsonl file (one object a line) or a .csv file (a header row names the columns). UTF-8,
// with or without a BOM, LF or CRLF; empty lines are skipped. Text and label are strings, not
// empty; a label neither begins nor ends with white space. In .jsonl files the label may be an
// array of them, which are all right.
//
// kEnvironment when the file cannot be read; kConfig for one without a record, and for a header
// that lacks a column. What is wrong with one record is its own error. Cost: O(bytes); the file is
// held in memory while it is read.
Result<std::vector<Row>> load_rows(const std::filesystem::path& path, const std::string& text_field,
                                   const std::string& label_field, LabelPolicy policy);

// The same where every record must be an example. kConfig with a line for each fault, see
// describe_faults.
Result<std::vector<Example>> load_dataset(const std::filesystem::path& path,
                                          const std::string& text_field,
                                          const std::string& label_field, LabelPolicy policy);

// How many faults of a file are told one by one.
inline constexpr size_t kMaxToldFaults = 20;
// The errors of rows, a line each, then "<name>: and N more faults"; "" for none.
std::string describe_faults(std::span<const Row> rows, const std::string& name);

// Whether the answer is, byte for byte, a label of the example; false where it has none.
bool is_right(const Example& example, std::string_view answer);

// All labels of the example, `label` first; none where it has none.
std::vector<std::string> all_labels(const Example& example);

// Reads 0-based indices into a data set of `count` examples: a JSON array of integers, or an object
// with such an array under "lines". In the order of the file. Errors as load_dataset.
Result<std::vector<int64_t>> load_indices(const std::filesystem::path& path, int64_t count);

// The examples at those indices, which must be in range.
std::vector<Example> pick(std::span<const Example> examples, std::span<const int64_t> indices);

// `count` of the numbers 0 ... available - 1, at most all, drawn without replacement, the same on
// every machine, in ascending order. A larger count draws the same ones and more.
std::vector<int64_t> draw_indices(int64_t available, int64_t count, uint64_t seed);

// `count` examples drawn so; all of them for count = 0. kConfig (at /data/demonstration_count) for
// more than there are.
Result<std::vector<Example>> draw(std::span<const Example> examples, int64_t count, uint64_t seed);

// The distinct labels in byte order. A label's index in this table is its number everywhere.
std::vector<std::string> label_table(std::span<const Example> demonstrations);

// Text between double quotes with control characters escaped, cut after some 60 bytes.
std::string quote_for_message(std::string_view text);

}  // namespace dbsa
