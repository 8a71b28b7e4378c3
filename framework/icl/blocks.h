// Blocks: demonstrations that are written, tokenised and encoded together.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/hash128.h"
#include "icl/dataset.h"
#include "icl/prompt.h"
#include "icl/tokenization.h"

namespace dbsa {

// Of text and label, not of the line.
Hash128 hash_example(const Example& example);

struct Block {
  std::vector<int64_t> demonstrations;  // indices, in prompt order; none in a prefix block
  std::string text;                     // what was tokenised; without a BOS
  std::vector<int32_t> tokens;
};

// Tokens of each demonstration on its own, separator included; what a grouper balances.
// Cost: tokenises every demonstration once.
Result<std::vector<int64_t>> count_tokens(std::span<const Example> demonstrations,
                                          const PromptFormat& format, const Tokenize& tokenize);

// One block per group of demonstration indices (each in range): the demonstrations' texts joined,
// tokenised in one call, apart from all other blocks. `bos` is put before the first block.
// A sentencepiece dummy prefix, where a tokenizer has one, stands at the start of every block.
Result<std::vector<Block>> build_blocks(std::span<const Example> demonstrations,
                                        std::span<const std::vector<int64_t>> groups,
                                        const PromptFormat& format, const Tokenize& tokenize,
                                        std::optional<int32_t> bos);

// The prompt head as a separate block: BOS, then `head` with special tokens recognised, then
// `instruction` and the separator. Each may be absent. kConfig (at /prompt/anchor) when all are.
Result<Block> build_prefix_block(std::optional<int32_t> bos, const PromptText& head,
                                 const std::string& instruction, const PromptFormat& format,
                                 const Tokenize& tokenize, const Tokenize& tokenize_with_special);

}  // namespace dbsa
