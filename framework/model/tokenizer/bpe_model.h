// Byte-pair encoding of one piece of text: characters become ids, then the pair with the lowest
// merge rank (leftmost first) is merged until none is left.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/tokenizer/token_table.h"

namespace dbsa {

struct BpeOptions {
  std::string unk_token;  // empty: none
  bool fuse_unk = false;
  bool byte_fallback = false;
  bool ignore_merges = false;
};

class BpeModel {
 public:
  // Working memory of encode(); one per thread, reused over calls.
  struct Scratch;

  // Errors (kEnvironment): see TokenTable; a merge of or to a token that is not in the vocabulary;
  // an unk_token that is not.
  static Result<BpeModel> build(const std::vector<std::pair<std::string, int64_t>>& vocab,
                                const std::vector<std::pair<std::string, std::string>>& merges,
                                BpeOptions options);

  // Appends the ids of `piece` (valid UTF-8). O(n log n). Error (kConfig): a character without a
  // token where there is no unk_token.
  Status encode(std::string_view piece, Scratch& scratch, std::vector<int32_t>& ids) const;

  const TokenTable& tokens() const { return tokens_; }

 private:
  struct Merge {
    uint64_t pair = ~uint64_t{0};  // left id << 32 | right id
    int32_t rank = 0;
    int32_t id = 0;
  };
  static constexpr uint64_t kNoPair = ~uint64_t{0};

  BpeModel(TokenTable tokens, BpeOptions options);
  Status add_merges(const std::vector<std::pair<std::string, std::string>>& merges);
  Merge& slot(uint64_t pair);
  const Merge* find_merge(int32_t left, int32_t right) const;
  int32_t find_character(std::string_view character) const;
  Status split(std::string_view piece, std::vector<int32_t>& symbols) const;
  bool append_bytes(std::string_view character, std::vector<int32_t>& symbols) const;
  void merge_short(Scratch& scratch) const;
  void merge_long(Scratch& scratch) const;

  TokenTable tokens_;
  BpeOptions options_;
  int32_t unk_id_ = -1;
  std::vector<int32_t> by_code_point_;  // ids of characters below kDirect, -1: none
  std::vector<int32_t> by_byte_;        // ids of <0x00> to <0xFF>, -1: none
  std::vector<Merge> merges_;
  std::vector<int32_t> made_;  // by rank: the id that the merge makes
  uint64_t mask_ = 0;
};

// At most some 20 bytes for each character of a piece.
struct BpeModel::Scratch {
  struct Candidate {
    int32_t rank;
    int32_t position;
  };
  std::vector<int32_t> symbols;
  std::vector<int32_t> previous, next;  // of each symbol that is left
  std::vector<Candidate> heap;
};

}  // namespace dbsa
