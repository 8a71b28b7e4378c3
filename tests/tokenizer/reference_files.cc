#include "tests/tokenizer/reference_files.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace dbsa::testing {
namespace {

uint32_t next_u32(std::string_view bytes, size_t& pos) {
  if (bytes.size() - pos < 4) throw std::runtime_error("reference file is too short");
  uint32_t value = 0;
  for (int i = 3; i >= 0; --i)
    value = value << 8 | static_cast<unsigned char>(bytes[pos + static_cast<size_t>(i)]);
  pos += 4;
  return value;
}

uint32_t next_varint(std::string_view bytes, size_t& pos) {
  uint32_t value = 0;
  for (int shift = 0;; shift += 7) {
    if (pos >= bytes.size() || shift > 28) throw std::runtime_error("reference file is damaged");
    const auto byte = static_cast<unsigned char>(bytes[pos++]);
    value |= (byte & 0x7Fu) << shift;
    if (byte < 0x80) return value;
  }
}

}  // namespace

std::filesystem::path reference_dir() {
  return std::filesystem::path(DBSA_SOURCE_DIR) / "tests" / "tokenizer" / "reference";
}

std::unique_ptr<Tokenizer> load_reference(const std::string& kind) {
  auto tokenizer = Tokenizer::load(reference_dir() / kind);
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  return std::move(tokenizer).value();
}

std::string read_bytes(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<std::string> read_corpus() {
  const std::string bytes = read_bytes(reference_dir() / "corpus.bin");
  std::vector<std::string> lines;
  for (size_t pos = 0; pos < bytes.size();) {
    const uint32_t length = next_varint(bytes, pos);
    lines.push_back(bytes.substr(pos, length));
    pos += length;
  }
  return lines;
}

Expected read_expected(const std::string& kind, size_t lines) {
  const std::string bytes = read_bytes(reference_dir() / (kind + ".expected"));
  Expected expected;
  size_t pos = 0;
  for (size_t i = 0; i < lines; ++i) {
    ExpectedLine line;
    line.ids = next_u32(bytes, pos);
    line.plain_ids = next_u32(bytes, pos);
    line.text = next_u32(bytes, pos);
    expected.lines.push_back(line);
  }
  while (pos < bytes.size()) {
    std::vector<int32_t> ids(next_varint(bytes, pos));
    for (int32_t& id : ids) id = static_cast<int32_t>(next_varint(bytes, pos));
    expected.full.push_back(std::move(ids));
  }
  return expected;
}

uint32_t fnv(std::string_view bytes) {
  uint32_t hash = 0x811C9DC5;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x01000193;
  return hash;
}

uint32_t fnv_ids(const std::vector<int32_t>& ids) {
  std::string bytes;
  for (const int32_t id : ids)
    for (int shift = 0; shift < 32; shift += 8)
      bytes.push_back(static_cast<char>(static_cast<uint32_t>(id) >> shift & 0xFF));
  return fnv(bytes);
}

}  // namespace dbsa::testing
