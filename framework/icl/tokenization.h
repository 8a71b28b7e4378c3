// What this folder needs of a tokenizer.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dbsa {

// Token ids of a text, nothing added, special tokens not recognised.
using Tokenize = std::function<Result<std::vector<int32_t>>(std::string_view)>;

// Text of token ids. It may drop one space at the start and write U+FFFD for half a character.
using Detokenize = std::function<std::string(std::span<const int32_t>)>;

}  // namespace dbsa
