#include "model/tokenizer/sentencepiece_tokenizer.h"

#include <algorithm>
#include <exception>

#include "model/tokenizer/companion_tokens.h"
#include "model/tokenizer/make_error.h"
#include "text/utf8.h"

namespace dbsa {
namespace {

std::vector<AddedToken> control_pieces(const sentencepiece::SentencePieceProcessor& processor) {
  std::vector<AddedToken> tokens;
  for (int32_t id = 0; id < processor.GetPieceSize(); ++id) {
    if (!processor.IsControl(id) && !processor.IsUnknown(id)) continue;
    AddedToken token;
    token.id = id;
    token.content = processor.IdToPiece(id);
    token.special = true;
    if (!token.content.empty()) tokens.push_back(std::move(token));
  }
  return tokens;
}

// The model has no public flag for its dummy prefix; the pieces of a letter show it.
bool adds_prefix(const sentencepiece::SentencePieceProcessor& processor) {
  std::vector<std::string> pieces;
  if (!processor.Encode("a", &pieces).ok() || pieces.empty()) return false;
  return pieces.front().starts_with("\u2581");
}

// A fragment of a sentencepiece model's protobuf: normalizer_spec { add_dummy_prefix: false }. Read
// behind the model it overrides that field, as protobuf merges messages.
constexpr std::string_view kNoDummyPrefix("\x1A\x02\x18\x00", 4);

std::vector<std::string> texts_of(const std::vector<AddedToken>& tokens) {
  std::vector<std::string> texts;
  for (const AddedToken& token : tokens) texts.push_back(token.content);
  return texts;
}

}  // namespace

SentencePieceTokenizer::SentencePieceTokenizer(std::string name, std::string_view bytes,
                                               std::unique_ptr<Processor> processor,
                                               std::vector<AddedToken> tokens)
    : Tokenizer(std::move(name), bytes),
      processor_(std::move(processor)),
      matcher_(tokens, texts_of(tokens)),
      vocab_size_(processor_->GetPieceSize()),
      starts_with_space_(adds_prefix(*processor_)) {
  for (AddedToken& token : tokens) {
    vocab_size_ = std::max(vocab_size_, token.id + 1);
    by_text_.emplace(token.content, token.id);
    const int32_t id = token.id;
    by_id_.emplace(id, std::move(token));
  }
}

Result<std::unique_ptr<SentencePieceTokenizer::Processor>> SentencePieceTokenizer::open(
    std::string_view bytes, const std::string& name) {
  const auto damaged = [&](const std::string& why) {
    return make_error(ErrorCode::kEnvironment, name + ": not a sentencepiece model (" + why +
                                                   "); copy or download it again");
  };
  try {
    auto processor = std::make_unique<Processor>();
    const auto status = processor->LoadFromSerializedProto({bytes.data(), bytes.size()});
    if (!status.ok()) return damaged(status.message());
    if (processor->GetPieceSize() == 0) return damaged("it has no pieces");
    return processor;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& e) {
    return damaged(e.what());
  }
}

Result<std::unique_ptr<Tokenizer>> SentencePieceTokenizer::read(std::string_view bytes,
                                                                std::string name,
                                                                const CompanionFiles& companions) {
  DBSA_ASSIGN_OR_RETURN(std::unique_ptr<Processor> processor, open(bytes, name));
  KnownTokens known;
  known.next_id = processor->GetPieceSize();
  known.may_rename = true;  // tokens often take the ids of unused pieces
  known.id = [&](const std::string& text) -> std::optional<int32_t> {
    const int id = processor->PieceToId(text);
    if (id < 0 || id >= processor->GetPieceSize() || processor->IdToPiece(id) != text)
      return std::nullopt;
    return id;
  };
  DBSA_ASSIGN_OR_RETURN(const std::vector<AddedToken> added,
                        resolve_companions(companions, known, name));
  // An added token counts before the control piece that it names.
  std::vector<AddedToken> tokens = added;
  for (AddedToken& piece : control_pieces(*processor)) {
    const bool named = std::any_of(added.begin(), added.end(), [&](const AddedToken& token) {
      return token.id == piece.id || token.content == piece.content;
    });
    if (!named) tokens.push_back(std::move(piece));
  }
  std::unique_ptr<SentencePieceTokenizer> tokenizer(
      new SentencePieceTokenizer(name, bytes, std::move(processor), std::move(tokens)));
  std::string identity;
  const Processor& pieces = *tokenizer->processor_;
  for (const AddedToken& token : added) {
    const bool same = token.special && !token.lstrip && !token.rstrip && !token.single_word &&
                      token.id < pieces.GetPieceSize() &&
                      (pieces.IsControl(token.id) || pieces.IsUnknown(token.id));
    if (!same) identity += added_token_json(token).dump();
  }
  if (!companions.legacy && tokenizer->starts_with_space_) {
    DBSA_ASSIGN_OR_RETURN(tokenizer->plain_,
                          open(std::string(bytes) + std::string(kNoDummyPrefix), name));
    tokenizer->starts_with_space_ = companions.add_prefix_space;
    identity += companions.add_prefix_space ? "first" : "none";
  }
  if (!identity.empty()) tokenizer->extend_fingerprint(identity);
  return std::unique_ptr<Tokenizer>(std::move(tokenizer));
}

Result<std::vector<int32_t>> SentencePieceTokenizer::encode_valid(std::string_view utf8,
                                                                  EncodeOptions options) const {
  std::vector<int32_t> ids;
  std::vector<AddedSplit> parts;
  matcher_.split(utf8, options.parse_special, parts, options.plain);
  std::vector<int> part_ids;
  std::string prefixed;
  for (const AddedSplit& part : parts) {
    if (part.id >= 0) {
      ids.push_back(part.id);
      continue;
    }
    std::string_view text = utf8.substr(part.begin, part.end - part.begin);
    if (plain_ != nullptr && starts_with_space_ && part.begin == 0) {
      prefixed = "\u2581";
      prefixed += text;
      text = prefixed;
    }
    part_ids.clear();
    const Processor& processor = plain_ == nullptr ? *processor_ : *plain_;
    const auto status = processor.Encode({text.data(), text.size()}, &part_ids);
    if (!status.ok())
      return make_error(ErrorCode::kRun, name() + ": sentencepiece: " + status.message());
    ids.insert(ids.end(), part_ids.begin(), part_ids.end());
  }
  return ids;
}

// Special and added tokens are skipped or literal, and cut the ids into parts that are decoded one
// by one.
std::string SentencePieceTokenizer::decode(std::span<const int32_t> ids,
                                           DecodeOptions options) const {
  std::string out;
  std::vector<int> part;
  const auto flush = [&] {
    std::string text;
    const Processor& processor = plain_ == nullptr || out.empty() ? *processor_ : *plain_;
    if (!part.empty() && processor.Decode(part, &text).ok()) out += text;
    part.clear();
  };
  for (const int32_t id : ids) {
    if (const auto token = by_id_.find(id); token != by_id_.end()) {
      if (token->second.special && options.skip_special) continue;
      flush();
      out += token->second.content;
    } else if (id >= 0 && id < processor_->GetPieceSize()) {
      part.push_back(id);
    }
  }
  flush();
  return utf8::to_valid(out);
}

std::optional<int32_t> SentencePieceTokenizer::token_id(std::string_view token) const {
  if (const auto added = by_text_.find(std::string(token)); added != by_text_.end())
    return added->second;
  const int id = processor_->PieceToId({token.data(), token.size()});
  if (id < 0 || id >= processor_->GetPieceSize() || processor_->IdToPiece(id) != token)
    return std::nullopt;
  return id;
}

bool SentencePieceTokenizer::is_special(int32_t id) const {
  const auto token = by_id_.find(id);
  return token != by_id_.end() && token->second.special;
}

}  // namespace dbsa
