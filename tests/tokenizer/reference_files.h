// Readers of the files tools/reference/make_tokenizer_reference.py makes, which describes them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "model/tokenizer/tokenizer.h"

namespace dbsa::testing {

std::filesystem::path reference_dir();
// The tokenizer of one of its folders; a failure is the test's.
std::unique_ptr<Tokenizer> load_reference(const std::string& kind);

// The lines of corpus.bin.
std::vector<std::string> read_corpus();

struct ExpectedLine {
  uint32_t ids = 0;        // hashes
  uint32_t plain_ids = 0;  // special tokens read as text
  uint32_t text = 0;       // of the first ids decoded
};

struct Expected {
  std::vector<ExpectedLine> lines;
  std::vector<std::vector<int32_t>> full;  // ids of the first lines
};

Expected read_expected(const std::string& kind, size_t lines);

std::string read_bytes(const std::filesystem::path& path);

uint32_t fnv(std::string_view bytes);
uint32_t fnv_ids(const std::vector<int32_t>& ids);

}  // namespace dbsa::testing
