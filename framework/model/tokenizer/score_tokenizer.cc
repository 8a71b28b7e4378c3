#include "model/tokenizer/score_tokenizer.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "model/tokenizer/make_error.h"
#include "model/tokenizer/text_normalizer.h"
#include "text/utf8.h"

namespace dbsa {
namespace {

constexpr std::string_view kSpace = "\u2581";

std::vector<std::pair<std::string, int32_t>> tokens_to_cut(const GgmlVocabulary& vocabulary,
                                                           bool special) {
  std::vector<std::pair<std::string, int32_t>> tokens;
  for (size_t id = 0; id < vocabulary.types.size(); ++id) {
    const GgmlTokenType type = vocabulary.types[id];
    if (type == GgmlTokenType::kUserDefined ||
        (special && (type == GgmlTokenType::kControl || type == GgmlTokenType::kUnknown)))
      tokens.emplace_back(vocabulary.tokens[id], static_cast<int32_t>(id));
  }
  return tokens;
}

// Whether U+2581 stands behind another character.
bool has_inner_space(std::string_view token) {
  for (size_t at = token.find(kSpace); at != std::string_view::npos;
       at = token.find(kSpace, at + kSpace.size()))
    if (at > 0 && !token.substr(0, at).ends_with(kSpace)) return true;
  return false;
}

}  // namespace

struct ScoreTokenizer::Scratch {
  struct Symbol {
    int32_t previous, next;  // -1: none
    int32_t begin, bytes;    // in the text; 0 bytes: joined to another
  };
  struct Join {
    float score;
    int32_t left, right, bytes;
  };
  std::string text;
  std::vector<Symbol> symbols;
  std::vector<Join> heap;

  // The join that comes later.
  static bool later(const Join& a, const Join& b) {
    return a.score != b.score ? a.score < b.score : a.left > b.left;
  }
};

ScoreTokenizer::ScoreTokenizer(const GgmlVocabulary& vocabulary, const std::string& name,
                               TokenTable tokens)
    : Tokenizer(name, ggml_identity(vocabulary)),
      tokens_(std::move(tokens)),
      types_(vocabulary.types),
      scores_(vocabulary.scores),
      with_special_(tokens_to_cut(vocabulary, true)),
      without_special_(tokens_to_cut(vocabulary, false)),
      byte_of_(vocabulary.tokens.size(), -1),
      space_prefix_(vocabulary.add_space_prefix.value_or(true)) {
  types_.resize(vocabulary.tokens.size(), GgmlTokenType::kNormal);
  for (int16_t byte = 0; byte < 256; ++byte) {
    char text[8];
    std::snprintf(text, sizeof text, "<0x%02X>", static_cast<unsigned>(byte));
    const int32_t id = bytes_[static_cast<size_t>(byte)] = tokens_.find(text);
    if (id >= 0 && types_[static_cast<size_t>(id)] == GgmlTokenType::kByte)
      byte_of_[static_cast<size_t>(id)] = byte;
  }
  if (vocabulary.unknown_id && *vocabulary.unknown_id >= 0 &&
      *vocabulary.unknown_id < tokens_.size())
    unknown_id_ = static_cast<int32_t>(*vocabulary.unknown_id);
  words_ = std::none_of(vocabulary.tokens.begin(), vocabulary.tokens.end(), has_inner_space);
}

Result<std::unique_ptr<Tokenizer>> ScoreTokenizer::make(const GgmlVocabulary& vocabulary,
                                                        const std::string& name,
                                                        const CompanionFiles& settings) {
  std::vector<std::pair<std::string, int64_t>> table;
  table.reserve(vocabulary.tokens.size());
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id)
    table.emplace_back(vocabulary.tokens[id], static_cast<int64_t>(id));
  Result<TokenTable> tokens = TokenTable::build(table);
  if (!tokens.ok()) return make_error(tokens.error().code, name + ": " + tokens.error().message);
  std::unique_ptr<ScoreTokenizer> made(
      new ScoreTokenizer(vocabulary, name, std::move(tokens).value()));
  made->take_settings(settings);
  return std::unique_ptr<Tokenizer>(std::move(made));
}

Result<std::vector<int32_t>> ScoreTokenizer::encode_valid(std::string_view utf8,
                                                          EncodeOptions options) const {
  std::vector<int32_t> ids;
  Scratch scratch;
  bool behind_token = true;
  const TokenCutter& cutter = options.parse_special ? with_special_ : without_special_;
  const auto is_meant = [&](const AddedSplit& token) {
    return !overlaps(options.plain, token.begin, token.end) || without_special_.has(token.id);
  };
  for (const AddedSplit& part : cutter.cut(utf8, is_meant)) {
    if (part.id >= 0)
      ids.push_back(part.id);
    else
      DBSA_RETURN_IF_ERROR(encode_stretch(utf8.substr(part.begin, part.end - part.begin),
                                          behind_token && space_prefix_, scratch, ids));
    behind_token = part.id >= 0;
  }
  return ids;
}

Status ScoreTokenizer::encode_stretch(std::string_view text, bool spaced, Scratch& scratch,
                                      std::vector<int32_t>& ids) const {
  scratch.text = spaced ? kSpace : "";
  scratch.text += replace_all(text, " ", kSpace);
  const std::string_view all = scratch.text;
  // No join crosses the place before a space behind another character, so each word is merged by
  // itself, in little memory.
  size_t begin = 0;
  for (size_t at = words_ ? all.find(kSpace) : std::string_view::npos; at != std::string_view::npos;
       at = all.find(kSpace, at + kSpace.size())) {
    if (at == begin || all.substr(begin, at - begin).ends_with(kSpace)) continue;
    DBSA_RETURN_IF_ERROR(merge(all.substr(begin, at - begin), scratch, ids));
    begin = at;
  }
  return merge(all.substr(begin), scratch, ids);
}

void ScoreTokenizer::propose(std::string_view text, int32_t left, Scratch& scratch) const {
  if (left < 0) return;
  const Scratch::Symbol& a = scratch.symbols[static_cast<size_t>(left)];
  if (a.next < 0) return;
  const int32_t bytes = a.bytes + scratch.symbols[static_cast<size_t>(a.next)].bytes;
  const int32_t id =
      tokens_.find(text.substr(static_cast<size_t>(a.begin), static_cast<size_t>(bytes)));
  if (id < 0) return;
  scratch.heap.push_back({scores_[static_cast<size_t>(id)], left, a.next, bytes});
  std::push_heap(scratch.heap.begin(), scratch.heap.end(), Scratch::later);
}

Status ScoreTokenizer::merge(std::string_view text, Scratch& scratch,
                             std::vector<int32_t>& ids) const {
  if (text.size() > static_cast<size_t>(INT32_MAX))
    return make_error(ErrorCode::kConfig, name() +
                                              ": expected stretches of text of fewer than 2^31 "
                                              "bytes, found " +
                                              std::to_string(text.size()) + "; cut the text");
  std::vector<Scratch::Symbol>& symbols = scratch.symbols;
  symbols.clear();
  scratch.heap.clear();
  for (size_t at = 0; at < text.size();) {
    const size_t bytes = utf8::length(text[at]);
    const auto index = static_cast<int32_t>(symbols.size());
    symbols.push_back({index - 1, at + bytes < text.size() ? index + 1 : -1,
                       static_cast<int32_t>(at), static_cast<int32_t>(bytes)});
    at += bytes;
  }
  for (int32_t i = 0; i + 1 < static_cast<int32_t>(symbols.size()); ++i) propose(text, i, scratch);
  while (!scratch.heap.empty()) {
    std::pop_heap(scratch.heap.begin(), scratch.heap.end(), Scratch::later);
    const Scratch::Join join = scratch.heap.back();
    scratch.heap.pop_back();
    Scratch::Symbol& left = symbols[static_cast<size_t>(join.left)];
    Scratch::Symbol& right = symbols[static_cast<size_t>(join.right)];
    // One of the two was joined to another meanwhile.
    if (left.bytes == 0 || right.bytes == 0 || left.bytes + right.bytes != join.bytes) continue;
    left.bytes = join.bytes;
    right.bytes = 0;
    left.next = right.next;
    if (right.next >= 0) symbols[static_cast<size_t>(right.next)].previous = join.left;
    propose(text, left.previous, scratch);
    propose(text, join.left, scratch);
  }
  for (const Scratch::Symbol& symbol : symbols)
    if (symbol.bytes > 0)
      DBSA_RETURN_IF_ERROR(append(
          text.substr(static_cast<size_t>(symbol.begin), static_cast<size_t>(symbol.bytes)), ids));
  return {};
}

Status ScoreTokenizer::append(std::string_view symbol, std::vector<int32_t>& ids) const {
  if (const int32_t id = tokens_.find(symbol); id >= 0) {
    ids.push_back(id);
    return {};
  }
  const bool whole = std::all_of(symbol.begin(), symbol.end(), [&](char byte) {
    return bytes_[static_cast<unsigned char>(byte)] >= 0;
  });
  if (whole) {
    for (const char byte : symbol) ids.push_back(bytes_[static_cast<unsigned char>(byte)]);
    return {};
  }
  if (unknown_id_ < 0)
    return make_error(ErrorCode::kConfig, name() + ": the vocabulary has no token for \"" +
                                              std::string(symbol) +
                                              "\" and none for unknown text; remove the character "
                                              "from the text");
  ids.push_back(unknown_id_);
  return {};
}

std::string ScoreTokenizer::decode(std::span<const int32_t> ids, DecodeOptions options) const {
  std::string out;
  bool first = true;  // of a stretch, which begins with the space that encoding put there
  for (const int32_t id : ids) {
    const auto text = tokens_.text(id);
    if (!text) continue;
    const auto index = static_cast<size_t>(id);
    if (is_special(id) || types_[index] == GgmlTokenType::kUserDefined) {
      if (is_special(id) && options.skip_special) continue;
      out += *text;
      first = true;
      continue;
    }
    if (byte_of_[index] >= 0) {
      out += static_cast<char>(byte_of_[index]);
    } else {
      std::string plain = replace_all(std::string(*text), kSpace, " ");
      if (first && space_prefix_ && plain.starts_with(' ')) plain.erase(0, 1);
      out += plain;
    }
    first = false;
  }
  return utf8::to_valid(out);
}

std::optional<int32_t> ScoreTokenizer::token_id(std::string_view token) const {
  const int32_t id = tokens_.find(token);
  return id < 0 ? std::nullopt : std::optional<int32_t>(id);
}

bool ScoreTokenizer::is_special(int32_t id) const {
  if (id < 0 || id >= tokens_.size()) return false;
  const GgmlTokenType type = types_[static_cast<size_t>(id)];
  return type == GgmlTokenType::kControl || type == GgmlTokenType::kUnknown;
}

}  // namespace dbsa
