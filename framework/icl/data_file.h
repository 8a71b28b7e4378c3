// The text of data files, packed or not, and the records in it.
#pragma once

#include <dbsa/sdk/result.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "icl/dataset.h"
#include "icl/example_check.h"

namespace dbsa {

// ".csv" of a.csv and of a.csv.gz.
std::string data_extension(const std::filesystem::path& path);

struct DataText {
  std::string text;  // unpacked, without a BOM
  bool bom = false;  // there was one
};

// A file of any name. kEnvironment when it cannot be read, kConfig when it is of another kind, is
// packed by its name (.gz) and cannot be unpacked, or is too large; see kMaxDataBytes and
// kMaxUnpackedBytes.
Result<DataText> read_data_bytes(const std::filesystem::path& path);
// The same of one whose name must end in .jsonl, .csv or .tsv, .gz aside.
Result<DataText> read_data_file(const std::filesystem::path& path);
// The same of bytes that are here already, packed where they begin as gzip does. name: for
// messages.
Result<DataText> to_data_text(std::string bytes, const std::string& name);

// The first `bytes` of the text of a file; "" where it cannot be read.
std::string read_data_start(const std::filesystem::path& path, size_t bytes);

// The records of a text, as load_rows has them. table: it is CSV, else JSON Lines.
Result<std::vector<Row>> parse_rows(std::string_view text, bool table, const RowFormat& format,
                                    char delimiter);

}  // namespace dbsa
