#include "config/file_kind.h"

#include <algorithm>

namespace dbsa {
namespace {

using namespace std::string_view_literals;

struct Kind {
  std::string_view start, name, advice;
};

constexpr std::string_view kToUtf8 = "convert the file to UTF-8";
constexpr std::string_view kExport = "export it as .csv in UTF-8, or as .jsonl";
constexpr std::string_view kUnpack = "unpack it and name the file in it";
constexpr std::string_view kOther = "name a file of text";

// A longer start comes before one that it begins with.
constexpr Kind kKinds[] = {
    {"\xFF\xFE\0\0"sv, "UTF-32", kToUtf8},
    {"\0\0\xFE\xFF"sv, "UTF-32", kToUtf8},
    {"\xFF\xFE"sv, "UTF-16", kToUtf8},
    {"\xFE\xFF"sv, "UTF-16", kToUtf8},
    {"\x1F\x8B"sv, "a gzip archive", "unpack it, e.g. with gunzip"},
    {"BZh"sv, "a bzip2 archive", "unpack it, e.g. with bunzip2"},
    {"\xFD"
     "7zXZ"sv,
     "an xz archive", "unpack it, e.g. with unxz"},
    {"\x28\xB5\x2F\xFD"sv, "a zstd archive", "unpack it, e.g. with unzstd"},
    {"7z\xBC\xAF\x27\x1C"sv, "a 7z archive", kUnpack},
    {"Rar!\x1A"sv, "a RAR archive", kUnpack},
    {"PAR1"sv, "a Parquet file", kExport},
    {"ARROW1"sv, "an Arrow file", kExport},
    {"FEA1"sv, "a Feather file", kExport},
    {"Obj\x01"sv, "an Avro file", kExport},
    {"\x89HDF"sv, "an HDF5 file", kExport},
    {"SQLite format 3"sv, "an SQLite database", kExport},
    {"\x93NUMPY"sv, "a NumPy array", kExport},
    {"\xD0\xCF\x11\xE0"sv, "an Office document (.xls, .doc)", kExport},
    {"\x89PNG"sv, "a PNG picture", kOther},
    {"\xFF\xD8\xFF"sv, "a JPEG picture", kOther},
    {"GIF8"sv, "a GIF picture", kOther},
    {"%PDF-"sv, "a PDF document", kOther},
    {"GGUF"sv, "a GGUF model", kOther},
    {"\x7F"
     "ELF"sv,
     "a program or library", kOther},
};

// Without a byte order mark: every other byte of the first characters is zero, as in ASCII.
bool is_bare_utf16(std::string_view start, size_t zeros_at) {
  constexpr size_t kLooked = 16;
  const size_t bytes = std::min(start.size() / 2 * 2, kLooked);
  if (bytes < 4) return false;
  for (size_t i = 0; i < bytes; ++i)
    if ((start[i] == '\0') != (i % 2 == zeros_at)) return false;
  return true;
}

// Whether there is a byte that a text in ASCII has not: a table's header may begin like an archive.
bool is_binary(std::string_view start) {
  return std::any_of(start.begin(), start.end(), [](char c) {
    return static_cast<unsigned char>(c) >= 0x7F || (c >= 0 && c < 0x20 && (c < '\t' || c > '\r'));
  });
}

std::string lower_start(std::string_view text) {
  const size_t begin = std::min(text.find_first_not_of(" \t\r\n"), text.size());
  std::string start(text.substr(begin, 14));
  for (char& c : start)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  return start;
}

std::string fault(std::string_view name, std::string_view advice) {
  const bool encoding = name.starts_with("UTF-");
  return std::string(encoding ? "expected UTF-8, found " : "expected UTF-8 text, found ")
      .append(name)
      .append("; ")
      .append(advice);
}

}  // namespace

std::string foreign_kind_fault(std::string_view start) {
  start = start.substr(0, kKindBytes);
  if (is_binary(start)) {
    for (const Kind& kind : kKinds)
      if (start.starts_with(kind.start)) return fault(kind.name, kind.advice);
    if (start.starts_with("PK\x03\x04")) {
      const bool office =
          start.find("xl/") != start.npos || start.find("[Content_Types].xml") != start.npos;
      return office ? fault("an Office document, such as .xlsx", kExport)
                    : fault("a ZIP archive", kUnpack);
    }
    if (start.size() > 262 && start.substr(257, 5) == "ustar")
      return fault("a tar archive", kUnpack);
  }
  if (is_bare_utf16(start, 1) || is_bare_utf16(start, 0)) return fault("UTF-16", kToUtf8);
  const std::string first = lower_start(start);
  if (first.starts_with("<!doctype html") || first.starts_with("<html"))
    return fault("a page of HTML", "fetch the file itself, not the page that shows it");
  return "";
}

}  // namespace dbsa
