// What this folder needs of a tokenizer.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace dbsa {

// Token ids of a text, nothing added, special tokens not recognised.
using Tokenize = std::function<Result<std::vector<int32_t>>(std::string_view)>;

// The bytes one token stands for inside a text: " card" for the token shown as "Ġcard" or "▁card".
using TokenBytes = std::function<std::string(int32_t)>;

}  // namespace dbsa
