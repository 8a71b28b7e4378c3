#include "model/tokenizer/json_tokenizer.h"

#include <algorithm>

#include "model/tokenizer/component_reader.h"
#include "model/tokenizer/make_error.h"
#include "model/tokenizer/tokenizer_json.h"
#include "text/utf8.h"

namespace dbsa {
namespace {

using nlohmann::json;

// Looking for added tokens takes their length at each place of a text.
constexpr size_t kMaxAddedBytes = 4096;

Status check_top_level(const json& root) {
  const ComponentReader reader(root, "tokenizer.json");
  DBSA_RETURN_IF_ERROR(
      reader.allow_only({"version", "truncation", "padding", "added_tokens", "normalizer",
                         "pre_tokenizer", "post_processor", "decoder", "model"}));
  if (reader.has("version")) {
    DBSA_ASSIGN_OR_RETURN(const std::string version, reader.string("version"));
    if (version != "1.0")
      return reader.unsupported("version \"" + version + "\" is not supported; expected \"1.0\"");
  }
  return {};
}

Result<AddedToken> read_added_token(const ComponentReader& reader) {
  DBSA_RETURN_IF_ERROR(reader.allow_only(
      {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"}));
  AddedToken token;
  DBSA_ASSIGN_OR_RETURN(token.content, reader.string("content"));
  DBSA_ASSIGN_OR_RETURN(const int64_t id, reader.integer("id"));
  if (id < 0 || id > TokenTable::kMaxId) {
    return reader.malformed("id", "the id " + std::to_string(id) + " of token \"" + token.content +
                                      "\" is out of range; ids lie between 0 and " +
                                      std::to_string(TokenTable::kMaxId));
  }
  token.id = static_cast<int32_t>(id);
  if (token.content.empty())
    return reader.malformed("content", "is empty; expected the token's text");
  DBSA_ASSIGN_OR_RETURN(token.single_word, reader.boolean("single_word"));
  DBSA_ASSIGN_OR_RETURN(token.lstrip, reader.boolean("lstrip"));
  DBSA_ASSIGN_OR_RETURN(token.rstrip, reader.boolean("rstrip"));
  DBSA_ASSIGN_OR_RETURN(token.normalized, reader.boolean("normalized"));
  DBSA_ASSIGN_OR_RETURN(token.special, reader.boolean("special"));
  return token;
}

// An added token either names an entry of the vocabulary or has an id that no entry has.
Status check_id(const ComponentReader& reader, const AddedToken& token, const TokenTable& vocab) {
  const int32_t known = vocab.find(token.content);
  if (known == token.id) return {};
  if (known >= 0) {
    return reader.malformed("id", "token \"" + token.content + "\" has id " +
                                      std::to_string(token.id) + " here and " +
                                      std::to_string(known) + " in model.vocab");
  }
  if (const auto other = vocab.text(token.id)) {
    return reader.malformed("id", "token \"" + token.content + "\" has id " +
                                      std::to_string(token.id) + ", which model.vocab gives to \"" +
                                      std::string(*other) + "\"");
  }
  return {};
}

Result<std::vector<AddedToken>> read_added_tokens(const json& root, const TokenTable& vocab) {
  std::vector<AddedToken> tokens;
  if (member(root, "added_tokens").is_null()) return tokens;
  const ComponentReader top(root, "tokenizer.json");
  DBSA_ASSIGN_OR_RETURN(const std::vector<ComponentReader> list, top.list("added_tokens"));
  std::unordered_map<std::string, int32_t> by_text;
  std::unordered_map<int32_t, std::string> by_id;
  for (const ComponentReader& reader : list) {
    DBSA_ASSIGN_OR_RETURN(AddedToken token, read_added_token(reader));
    DBSA_RETURN_IF_ERROR(check_id(reader, token, vocab));
    if (!by_text.emplace(token.content, token.id).second)
      return reader.malformed("content", "token \"" + token.content + "\" is listed twice");
    if (!by_id.emplace(token.id, token.content).second)
      return reader.malformed("id", "id " + std::to_string(token.id) + " is given to \"" +
                                        by_id[token.id] + "\" and \"" + token.content + "\"");
    tokens.push_back(std::move(token));
  }
  // Where two patterns are equal after normalisation special tokens win, as in the reference.
  std::stable_partition(tokens.begin(), tokens.end(),
                        [](const AddedToken& t) { return t.special; });
  return tokens;
}

// The template of a post_processor that puts a special token before a text: by itself or as one
// step of a Sequence, its `single` begins with one. null where there is none.
json template_with_bos(const json& processor) {
  if (!processor.is_object()) return nullptr;
  if (const json steps = member(processor, "processors"); steps.is_array()) {
    for (const json& step : steps)
      if (json found = template_with_bos(step); !found.is_null()) return found;
    return nullptr;
  }
  const json single = member(processor, "single");
  const bool begins = single.is_array() && !single.empty() && single[0].is_object() &&
                      single[0].contains("SpecialToken");
  return begins ? processor : json();
}

// Id of the token that such a template begins with, as its special_tokens have it, else as the
// vocabulary does.
std::optional<int32_t> template_bos(const json& with_bos, const Tokenizer& tokenizer) {
  const json first = member(with_bos, "single")[0]["SpecialToken"];
  const json name = first.is_object() ? member(first, "id") : json();
  if (!name.is_string()) return std::nullopt;
  const std::string& token = name.get_ref<const std::string&>();
  const json listed = member(with_bos, "special_tokens");
  const json entry = listed.is_object() ? member(listed, token.c_str()) : json();
  const json ids = entry.is_object() ? member(entry, "ids") : json();
  if (!ids.is_array() || ids.empty() || !ids[0].is_number_integer())
    return tokenizer.token_id(token);
  const int64_t id = ids[0].get<int64_t>();
  if (id < 0 || id > TokenTable::kMaxId) return std::nullopt;
  return static_cast<int32_t>(id);
}

Result<AddedTokenMatcher> make_matcher(const std::vector<AddedToken>& tokens, bool normalized,
                                       const TextNormalizer& normalizer) {
  std::vector<AddedToken> chosen;
  std::vector<std::string> patterns;
  for (const AddedToken& token : tokens) {
    if (token.normalized != normalized) continue;
    patterns.push_back(token.content);
    if (normalized) {
      DBSA_ASSIGN_OR_RETURN(patterns.back(),
                            normalizer.apply(token.content, TextBounds(token.content.size())));
    }
    if (patterns.back().size() > kMaxAddedBytes)
      return make_error(ErrorCode::kConfig, "an added token of " +
                                                std::to_string(patterns.back().size()) +
                                                " bytes is not supported; expected at most " +
                                                std::to_string(kMaxAddedBytes));
    if (patterns.back().empty())
      return make_error(ErrorCode::kConfig, "the normalizer leaves nothing of the added token \"" +
                                                token.content + "\"");
    chosen.push_back(token);
  }
  return AddedTokenMatcher(std::move(chosen), std::move(patterns));
}

}  // namespace

JsonTokenizer::JsonTokenizer(std::string name, std::string_view bytes, Parts parts,
                             AddedTokenMatcher raw, AddedTokenMatcher normalized)
    : Tokenizer(std::move(name), bytes),
      parts_(std::move(parts)),
      raw_(std::move(raw)),
      normalized_(std::move(normalized)),
      vocab_size_(parts_.model.tokens().size()) {
  for (size_t i = 0; i < parts_.added.size(); ++i) {
    added_by_id_.emplace(parts_.added[i].id, i);
    added_by_text_.emplace(parts_.added[i].content, parts_.added[i].id);
    vocab_size_ = std::max(vocab_size_, parts_.added[i].id + 1);
  }
}

Result<JsonTokenizer::Parts> JsonTokenizer::read_parts(const TokenizerJson& file,
                                                       const std::string& name) {
  // Everything below names its place in the file; the file itself goes in front here.
  const auto in_file = [&](Error error) {
    error.message = name + ": " + error.message;
    return error;
  };
  if (Status status = check_top_level(file.root); !status) return in_file(status.error());
  Result<TokenModel> model = TokenModel::read(file);
  if (!model) return in_file(model.error());
  Result<TextNormalizer> normalizer = TextNormalizer::read(member(file.root, "normalizer"));
  if (!normalizer) return in_file(normalizer.error());
  Result<PreTokenizer> pre_tokenizer = PreTokenizer::read(member(file.root, "pre_tokenizer"));
  if (!pre_tokenizer) return in_file(pre_tokenizer.error());
  Result<TokenDecoder> decoder = TokenDecoder::read(member(file.root, "decoder"));
  if (!decoder) return in_file(decoder.error());
  Result<std::vector<AddedToken>> added = read_added_tokens(file.root, model->tokens());
  if (!added) return in_file(added.error());
  return Parts{std::move(*normalizer), std::move(*pre_tokenizer), std::move(*decoder),
               std::move(*model), std::move(*added)};
}

Result<std::unique_ptr<Tokenizer>> JsonTokenizer::assemble(const TokenizerJson& file,
                                                           std::string_view bytes,
                                                           std::string name) {
  DBSA_ASSIGN_OR_RETURN(Parts parts, read_parts(file, name));
  Result<AddedTokenMatcher> raw = make_matcher(parts.added, false, parts.normalizer);
  if (!raw) return make_error(raw.error().code, name + ": " + raw.error().message);
  Result<AddedTokenMatcher> normalized = make_matcher(parts.added, true, parts.normalizer);
  if (!normalized)
    return make_error(normalized.error().code, name + ": " + normalized.error().message);
  std::unique_ptr<JsonTokenizer> tokenizer(new JsonTokenizer(
      std::move(name), bytes, std::move(parts), std::move(*raw), std::move(*normalized)));
  // One without a post_processor does not say; many that were made for this have none.
  if (const json processor = member(file.root, "post_processor"); processor.is_object()) {
    const json with_bos = template_with_bos(processor);
    tokenizer->set_template(!with_bos.is_null(),
                            with_bos.is_null() ? std::nullopt : template_bos(with_bos, *tokenizer));
  }
  return std::unique_ptr<Tokenizer>(std::move(tokenizer));
}

Result<std::vector<int32_t>> JsonTokenizer::encode_valid(std::string_view utf8,
                                                         EncodeOptions options) const {
  std::vector<int32_t> ids;
  ids.reserve(utf8.size() / 3 + 8);
  TokenModel::Scratch scratch;
  std::vector<AddedSplit> outer;
  std::vector<AddedSplit> inner;
  TextBounds normalizing(utf8.size());
  TextBounds splitting(utf8.size());
  raw_.split(utf8, options.parse_special, outer, options.plain);
  for (const AddedSplit& part : outer) {
    if (part.id >= 0) {
      ids.push_back(part.id);
      continue;
    }
    const Result<std::string> normal =
        parts_.normalizer.apply(utf8.substr(part.begin, part.end - part.begin), normalizing);
    if (!normal) return in_file(normal.error());
    const std::string& text = *normal;
    normalizing.use(text.size());
    inner.clear();
    const bool special = options.parse_special && !overlaps(options.plain, part.begin, part.end);
    normalized_.split(text, special, inner);
    for (const AddedSplit& section : inner) {
      if (section.id >= 0) {
        ids.push_back(section.id);
        continue;
      }
      const std::string_view view =
          std::string_view(text).substr(section.begin, section.end - section.begin);
      DBSA_RETURN_IF_ERROR(
          encode_text(view, part.begin == 0 && section.begin == 0, splitting, scratch, ids));
    }
  }
  return ids;
}

Error JsonTokenizer::in_file(Error error) const {
  error.message = name() + ": " + error.message;
  return error;
}

Status JsonTokenizer::encode_text(std::string_view text, bool first, TextBounds& bounds,
                                  TokenModel::Scratch& scratch, std::vector<int32_t>& ids) const {
  struct Encoder final : PieceSink {
    const TokenModel& model;
    TokenModel::Scratch& scratch;
    std::vector<int32_t>& ids;

    Encoder(const TokenModel& token_model, TokenModel::Scratch& memory, std::vector<int32_t>& out)
        : model(token_model), scratch(memory), ids(out) {}
    Status take(std::string_view piece, bool) override { return model.encode(piece, scratch, ids); }
  };
  if (text.empty()) return {};
  Encoder encoder(parts_.model, scratch, ids);
  const Result<size_t> made = parts_.pre_tokenizer.apply(text, first, &bounds, encoder);
  if (!made.ok()) return in_file(made.error());
  bounds.use(*made);
  return {};
}

std::string JsonTokenizer::decode(std::span<const int32_t> ids, DecodeOptions options) const {
  std::vector<std::string> tokens;
  for (const int32_t id : ids) {
    if (const auto it = added_by_id_.find(id); it != added_by_id_.end()) {
      const AddedToken& token = parts_.added[it->second];
      if (!token.special || !options.skip_special) tokens.push_back(token.content);
    } else if (const auto text = parts_.model.tokens().text(id)) {
      tokens.emplace_back(*text);
    }
  }
  return utf8::to_valid(parts_.decoder.decode(std::move(tokens)));
}

std::optional<int32_t> JsonTokenizer::token_id(std::string_view token) const {
  if (const auto it = added_by_text_.find(std::string(token)); it != added_by_text_.end())
    return it->second;
  const int32_t id = parts_.model.tokens().find(token);
  return id < 0 ? std::nullopt : std::optional<int32_t>(id);
}

bool JsonTokenizer::is_special(int32_t id) const {
  const auto it = added_by_id_.find(id);
  return it != added_by_id_.end() && parts_.added[it->second].special;
}

bool JsonTokenizer::starts_with_space() const {
  return parts_.normalizer.prepends_space() || parts_.pre_tokenizer.prepends_space();
}

}  // namespace dbsa
