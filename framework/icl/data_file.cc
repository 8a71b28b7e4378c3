#include "icl/data_file.h"

#include <algorithm>
#include <fstream>

#include "config/file_kind.h"
#include "config/gzip.h"
#include "config/read_file.h"
#include "icl/csv_examples.h"
#include "icl/jsonl_examples.h"
#include "text/unicode.h"

namespace dbsa {
namespace {

constexpr std::string_view kBom = "\xEF\xBB\xBF";

// The first bytes of a file as it is; "" where it cannot be read.
std::string file_start(const std::filesystem::path& path, size_t bytes) {
  std::error_code failed;
  if (!std::filesystem::is_regular_file(path, failed)) return "";
  std::string start(bytes, '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(start.data(), static_cast<std::streamsize>(start.size()));
  start.resize(static_cast<size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  return start;
}

// Of a file whose name is none of ours. What it is, if that shows: to rename an archive helps
// nobody.
Error wrong_name(const std::filesystem::path& path) {
  if (const std::string fault = foreign_kind_fault(file_start(path, kKindBytes)); !fault.empty())
    return data_fault(path.string(), 1, fault);
  return Error{ErrorCode::kConfig,
               path.string() +
                   ": expected a name that ends in .jsonl, .csv or .tsv, or in one of them and "
                   ".gz, found " +
                   quote_for_message(path.extension().string()) + "; convert or rename the file",
               ""};
}

Result<DataText> without_bom(std::string text, const std::string& name) {
  DataText data = {std::move(text), false};
  data.bom = data.text.starts_with(kBom);
  if (data.bom) data.text.erase(0, kBom.size());
  if (const std::string fault = foreign_kind_fault(data.text); !fault.empty())
    return data_fault(name, 1, fault);
  return data;
}

}  // namespace

std::string data_extension(const std::filesystem::path& path) {
  return (is_gzip_name(path.string()) ? path.stem() : path).extension().string();
}

Result<DataText> read_data_bytes(const std::filesystem::path& path) {
  const std::string name = path.string();
  Result<FileText> file = read_file(name, kMaxDataBytes);
  if (!file.ok()) return Error{ErrorCode::kEnvironment, file.error().message, ""};
  if (!is_gzip_name(name)) return without_bom(std::move(file->text), name);
  DBSA_ASSIGN_OR_RETURN(std::string text, unpack_gzip(file->text, name));
  return without_bom(std::move(text), name);
}

Result<DataText> read_data_file(const std::filesystem::path& path) {
  if (data_extension(path) != ".jsonl" && !is_table(path)) return wrong_name(path);
  return read_data_bytes(path);
}

Result<DataText> to_data_text(std::string bytes, const std::string& name) {
  if (!is_gzip(bytes)) return without_bom(std::move(bytes), name);
  DBSA_ASSIGN_OR_RETURN(std::string text, unpack_gzip(bytes, name));
  return without_bom(std::move(text), name);
}

std::string read_data_start(const std::filesystem::path& path, size_t bytes) {
  std::string start = file_start(path, bytes);
  if (is_gzip_name(path.string())) start = unpack_gzip_start(start, bytes);
  if (start.starts_with(kBom)) start.erase(0, kBom.size());
  return start;
}

Result<std::vector<Row>> parse_rows(std::string_view text, bool table, const RowFormat& format,
                                    char delimiter) {
  std::vector<Row> rows;
  if (table) {
    DBSA_ASSIGN_OR_RETURN(rows, read_csv_rows(text, format, delimiter));
  } else {
    DBSA_ASSIGN_OR_RETURN(rows, read_jsonl_rows(text, format));
  }
  if (rows.empty())
    return Error{ErrorCode::kConfig,
                 format.name +
                     ": expected at least one example, found none; add examples or name another "
                     "file",
                 ""};
  for (Row& row : rows) {
    row.example.label = to_nfc(row.example.label);
    for (std::string& label : row.example.more_labels) label = to_nfc(label);
  }
  return rows;
}

}  // namespace dbsa
