// A tokenizer.json for models without a trained vocabulary: one token a byte.
#pragma once

#include <cstdint>
#include <string>

namespace dbsa::tools {

inline constexpr int64_t kByteTokens = 256;
inline constexpr int64_t kBeginToken = 256;  // <|begin_of_text|>
inline constexpr int64_t kEndToken = 257;    // <|end_of_text|>
inline constexpr int64_t kByteVocabulary = 258;

// Byte-level BPE in the form of Hugging Face's tokenizers, without merges: token b is byte b.
std::string byte_tokenizer_json();

}  // namespace dbsa::tools
