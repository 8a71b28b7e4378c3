#include "tools/make_checkpoint/byte_tokenizer.h"

#include <nlohmann/json.hpp>

namespace dbsa::tools {
namespace {

std::string utf8(uint32_t code) {
  if (code < 0x80) return std::string(1, static_cast<char>(code));
  return {static_cast<char>(0xc0 | code >> 6), static_cast<char>(0x80 | (code & 0x3f))};
}

// Byte-level BPE writes bytes as printable characters: those of Latin-1 that are printable stand
// for themselves, the others are numbered from 256 on.
bool is_printable(uint32_t byte) {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte != 0xad);
}

nlohmann::json special(int64_t id, const char* content) {
  return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", true}};
}

}  // namespace

std::string byte_tokenizer_json() {
  nlohmann::json vocabulary;
  uint32_t next = 256;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    vocabulary[utf8(is_printable(byte) ? byte : next++)] = byte;
  }
  const nlohmann::json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}};
  nlohmann::json splitter = byte_level, decoder = byte_level;
  splitter["use_regex"] = true;
  decoder["use_regex"] = true;
  const nlohmann::json model = {{"type", "BPE"},
                                {"dropout", nullptr},
                                {"unk_token", nullptr},
                                {"continuing_subword_prefix", nullptr},
                                {"end_of_word_suffix", nullptr},
                                {"fuse_unk", false},
                                {"byte_fallback", false},
                                {"ignore_merges", false},
                                {"vocab", vocabulary},
                                {"merges", nlohmann::json::array()}};
  const nlohmann::json all = {
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens",
       {special(kBeginToken, "<|begin_of_text|>"), special(kEndToken, "<|end_of_text|>")}},
      {"normalizer", nullptr},
      {"pre_tokenizer", splitter},
      {"post_processor", nullptr},
      {"decoder", decoder},
      {"model", model}};
  return all.dump(1) + "\n";
}

}  // namespace dbsa::tools
