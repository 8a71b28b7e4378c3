#include "model/tokenizer/vocab_txt.h"

#include <algorithm>
#include <utility>

#include "model/tokenizer/bert_settings.h"
#include "model/tokenizer/companion_tokens.h"
#include "model/tokenizer/component_reader.h"
#include "model/tokenizer/make_error.h"
#include "model/tokenizer/token_table.h"
#include "text/utf8.h"

namespace dbsa {
namespace {

using nlohmann::json;

constexpr std::pair<const char*, const char*> kSpecial[] = {{"pad_token", "[PAD]"},
                                                            {"unk_token", "[UNK]"},
                                                            {"cls_token", "[CLS]"},
                                                            {"sep_token", "[SEP]"},
                                                            {"mask_token", "[MASK]"}};

using Vocab = std::vector<std::pair<std::string, int64_t>>;

Result<Vocab> read_lines(std::string_view bytes, const std::string& name) {
  if (const auto bad = utf8::find_invalid(bytes)) {
    return make_error(ErrorCode::kEnvironment, name + ": byte " + std::to_string(*bad) +
                                                   " is not valid UTF-8; fetch the file again");
  }
  Vocab vocab;
  for (size_t pos = 0; pos < bytes.size();) {
    const size_t end = std::min(bytes.find('\n', pos), bytes.size());
    std::string_view line = bytes.substr(pos, end - pos);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (vocab.size() > static_cast<size_t>(TokenTable::kMaxId))
      return make_error(ErrorCode::kEnvironment, name + ": has more than " +
                                                     std::to_string(TokenTable::kMaxId + 1) +
                                                     " lines; expected one token a line");
    vocab.emplace_back(line, static_cast<int64_t>(vocab.size()));
    pos = end + 1;
  }
  if (vocab.empty())
    return make_error(ErrorCode::kEnvironment, name + ": is empty; expected one token a line");
  return vocab;
}

// A special token is given as its text or as {"content": text, ...}.
Status check_special(const ComponentReader& reader, const json& config) {
  for (const auto& [key, expected] : kSpecial) {
    json value = member(config, key);
    if (value.is_object()) value = member(value, "content");
    if (value.is_null() || value == expected) continue;
    return reader.unsupported(std::string("\"") + key +
                              "\" = " + value.dump(-1, ' ', true, json::error_handler_t::replace) +
                              " is not supported beside vocab.txt; expected \"" + expected + "\"");
  }
  return {};
}

}  // namespace

Result<TokenizerJson> read_vocab_txt(std::string_view vocab, const std::string& vocab_name,
                                     const CompanionFiles& companions) {
  TokenizerJson out;
  out.has_vocab = true;
  DBSA_ASSIGN_OR_RETURN(out.vocab, read_lines(vocab, vocab_name));
  out.root = {{"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
              {"decoder", {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}},
              {"model",
               {{"type", "WordPiece"},
                {"unk_token", "[UNK]"},
                {"continuing_subword_prefix", "##"},
                {"max_input_chars_per_word", 100}}}};
  DBSA_ASSIGN_OR_RETURN(const json config, tokenizer_config(companions));
  DBSA_RETURN_IF_ERROR(check_special(ComponentReader(config, companions.config_file), config));
  DBSA_ASSIGN_OR_RETURN(out.root["normalizer"], bert_normalizer(companions));
  json added = json::array();
  for (const auto& entry : out.vocab) {
    const bool special =
        std::any_of(std::begin(kSpecial), std::end(kSpecial),
                    [&](const auto& known) { return entry.first == known.second; });
    if (!special) continue;
    AddedToken token;
    token.id = static_cast<int32_t>(entry.second);
    token.content = entry.first;
    token.special = true;
    added.push_back(added_token_json(token));
  }
  out.root["added_tokens"] = std::move(added);
  return out;
}

}  // namespace dbsa
