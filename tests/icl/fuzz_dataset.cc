// Feeds any bytes to the reader of data sets. The first byte chooses the format; the rest is the
// file. What is read must be what the rules promise: UTF-8, no empty text.

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "icl/dataset.h"
#include "text/utf8.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  // The format is told by the name, so the file needs a matching one.
  static const std::string folder = [] {
    std::string name = "/tmp/dbsa-fuzz-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    return name;
  }();
  const std::string path = folder + ((data[0] & 1) != 0 ? "/data.csv" : "/data.jsonl");
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr) std::abort();
  std::fwrite(data + 1, 1, size - 1, file);
  std::fclose(file);
  const auto policy =
      (data[0] & 2) != 0 ? dbsa::LabelPolicy::kRequired : dbsa::LabelPolicy::kOptional;
  const char delimiter = (data[0] & 4) != 0 ? ';' : '\0';
  const auto examples = dbsa::load_dataset(path, "text", "label", policy, delimiter);
  if (examples.ok())
    for (const dbsa::Example& example : *examples)
      if (example.text.empty() || example.line < 1) std::abort();
  // Each record is an example or an error with its place.
  const auto rows = dbsa::load_rows(path, "text", "label", policy, delimiter);
  if (examples.ok() && (!rows.ok() || rows->size() != examples->size())) std::abort();
  if (rows.ok())
    for (const dbsa::Row& row : *rows) {
      if (row.example.line < 1 || (!row.error && row.example.text.empty())) std::abort();
      if (dbsa::utf8::find_invalid(row.example.text + row.example.label)) std::abort();
      if (row.error && !row.error->message.starts_with(path + ":")) std::abort();
    }
  const auto indices = dbsa::load_indices(path, 10);
  if (indices.ok())
    for (const int64_t index : *indices)
      if (index < 0 || index >= 10) std::abort();
  return 0;
}
