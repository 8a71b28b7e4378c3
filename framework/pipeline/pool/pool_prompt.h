// How the texts of a pool and its queries are written, and its labels with their tokens.
#pragma once

#include <dbsa/sdk/result.h>

#include <span>
#include <string>
#include <vector>

#include "icl/prompt.h"
#include "icl/tokenization.h"
#include "pipeline/pool/pool.h"
#include "pipeline/pool/pool_parts.h"

namespace dbsa {

// How demonstrations and queries are written.
PromptFormat prompt_format(const PromptSettings& prompt);
// What labels are written behind: the output prefix, or the chat template's tail where there is
// one.
PromptFormat label_format(const PromptSettings& prompt);

// Token ids of a prompt's texts. special: the text of special tokens counts outside data.
Tokenize tokenize_with(const Tokenizer& tokenizer, bool special);

// The labels to choose from with their tokens, where the decoding needs them. kConfig for labels
// that cannot be told apart.
Result<std::vector<PoolLabel>> pool_labels(const PoolParts& parts,
                                           std::span<const std::string> table);

}  // namespace dbsa
