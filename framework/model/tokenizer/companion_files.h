// What stands beside tokenizer.json, tokenizer.model or vocab.txt and changes ids or text:
// tokenizer_config.json, special_tokens_map.json and added_tokens.json, with the meaning they have
// to transformers.
//
// Tokens with ids come from `added_tokens_decoder` of tokenizer_config.json, then from
// added_tokens.json. Special tokens that are named only by their text (bos_token, pad_token,
// additional_special_tokens, ...) come from tokenizer_config.json, then from
// special_tokens_map.json. Read past on purpose: `chat_template` (see
// model/chat), `add_eos_token` (a prompt continues after its end),
// lengths and padding.
#pragma once

#include <dbsa/sdk/result.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "model/tokenizer/added_tokens.h"

namespace dbsa {

struct CompanionToken {
  AddedToken token;        // id -1: an id is not given
  std::string file;        // that names it, for messages
  bool has_flags = false;  // whether the file gives them, as added_tokens_decoder does
};

struct CompanionFiles {
  std::string config;                   // tokenizer_config.json, "" where it is not there or empty
  std::string config_file;              // its name, for messages
  std::vector<CompanionToken> added;    // with ids
  std::vector<CompanionToken> special;  // named by their text; in the order of transformers
  std::optional<bool> add_bos_token;
  std::string bos_token, eos_token;  // "": none is named
  // LlamaTokenizer: whether sentencepiece puts a space before every stretch of text between special
  // tokens (true), or before the first only, and there only with add_prefix_space.
  bool legacy = true;
  bool add_prefix_space = true;
  bool clean_up_tokenization_spaces = false;  // of decoded answers
};

// Reads those of the three files that are there. kEnvironment for one that cannot be read or whose
// tokens are malformed: "FILE: key: expected ..., found ...".
Result<CompanionFiles> read_companion_files(const std::filesystem::path& folder);

}  // namespace dbsa
