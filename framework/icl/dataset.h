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
#include "icl/label_names.h"
#include "icl/text_fields.h"

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
  // Where the record stands in the text that it was read from, its line end excluded.
  size_t begin = 0, bytes = 0;
};

// Reads a .jsonl file (one object a line) or a .csv or .tsv file (a header row names the columns;
// see csv_examples.h), or one of them packed by gzip (.csv.gz). UTF-8, with or without a BOM, LF or
// CRLF; empty lines are skipped. Text and label are strings, not empty; a text made of several
// fields has one that is not. A label neither begins nor ends with what is not seen (unseen.h).
// With names, labels of the file are codes, which .jsonl files may write as integers, and come as
// names. In .jsonl files the label may be an array of them, which are all right. Labels come in
// Unicode form C, so that one label in two normal forms is one; texts come as they are. delimiter:
// of .csv and .tsv files;
// '\0': by the header.
//
// kEnvironment when the file cannot be read; kConfig for one without a record, for one that is no
// UTF-8 text, no JSON Lines or has lines that end in CR only, and for a header that lacks a column.
// What is wrong with one record is its own error. Cost: O(bytes); the file is held in memory while
// it is read.
Result<std::vector<Row>> load_rows(const std::filesystem::path& path, const TextFields& text,
                                   const std::string& label_field, LabelPolicy policy,
                                   char delimiter = '\0', const LabelNames& names = {});

// The same where every record must be an example. kConfig with a line for each fault, see
// describe_faults.
Result<std::vector<Example>> load_dataset(const std::filesystem::path& path, const TextFields& text,
                                          const std::string& label_field, LabelPolicy policy,
                                          char delimiter = '\0', const LabelNames& names = {});

// How many faults of a file are told one by one.
inline constexpr size_t kMaxToldFaults = 20;
// The errors of rows, a line each, then "<name>: and N more faults"; "" for none.
std::string describe_faults(std::span<const Row> rows, const std::string& name);

// Whether the file is read as CSV, by its name: it ends in .csv or .tsv, .gz aside.
bool is_table(const std::filesystem::path& path);

// "FILE: fields are separated by a comma, by the header; columns "text"", for a log; "" for other
// files. Reads the start of the file.
std::string describe_table(const std::filesystem::path& path, const TextFields& text,
                           const std::string& label_field, char delimiter);

// Whether the answer equals a label of the example in Unicode form C; false where it has none.
bool is_right(const Example& example, std::string_view answer);

// All labels of the example, `label` first; none where it has none.
std::vector<std::string> all_labels(const Example& example);

// Reads 0-based indices into a data set of `count` examples: a JSON array of integers, or an object
// with such an array under "lines". In the order of the file. Errors as load_dataset, those of
// entries a line each.
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

// Text between double quotes, cut after some 60 bytes. Control characters and what shows nothing
// (unseen.h) are escaped, as \u00A0, so that texts that differ also look so; the space is not.
std::string quote_for_message(std::string_view text);

}  // namespace dbsa
