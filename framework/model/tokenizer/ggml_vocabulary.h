// The tokenizer of a GGUF file: its vocabulary and the few settings beside it, and the tokenizers
// made of them.
//
// gpt2    byte-level BPE by merges. `pre` names how a text is split before, as llama.cpp does it;
//         gpt-4o is the models' own. No normalisation.
// llama   BPE by the scores of the joined pieces, see score_tokenizer.h.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/tokenizer/tokenizer.h"

namespace dbsa {

// What a token is, as ggml numbers it.
enum class GgmlTokenType : int32_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

struct GgmlVocabulary {
  std::string kind;                      // tokenizer.ggml.model
  std::string pre;                       // tokenizer.ggml.pre; "": absent
  std::vector<std::string_view> tokens;  // by id
  std::vector<GgmlTokenType> types;      // as many; empty: all normal
  std::vector<float> scores;             // as many, for llama
  std::vector<std::string_view> merges;  // "a b", for gpt2
  std::optional<bool> add_bos;           // absent: as the kind and `pre` have it
  std::optional<bool> add_space_prefix;  // absent: true for llama
  std::optional<int64_t> eos_id, unknown_id;
};

// Fails with kConfig for a kind or `pre` that is not known, kEnvironment for a damaged vocabulary.
// name: of the file, for messages. The views need not outlive the call.
Result<std::unique_ptr<Tokenizer>> make_ggml_tokenizer(const GgmlVocabulary& vocabulary,
                                                       const std::string& name);

// Everything that decides ids and text, as bytes.
std::string ggml_identity(const GgmlVocabulary& vocabulary);

}  // namespace dbsa
