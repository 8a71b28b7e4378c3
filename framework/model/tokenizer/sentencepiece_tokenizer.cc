#include "model/tokenizer/sentencepiece_tokenizer.h"

#include <exception>

#include "model/tokenizer/make_error.h"
#include "model/tokenizer/utf8.h"

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

}  // namespace

SentencePieceTokenizer::SentencePieceTokenizer(std::string name, std::string_view bytes,
                                               std::unique_ptr<Processor> processor,
                                               AddedTokenMatcher control, bool starts_with_space)
    : Tokenizer(std::move(name), bytes),
      processor_(std::move(processor)),
      control_(std::move(control)),
      starts_with_space_(starts_with_space) {}

Result<std::unique_ptr<Tokenizer>> SentencePieceTokenizer::read(std::string_view bytes,
                                                                std::string name) {
  const auto damaged = [&](const std::string& why) {
    return make_error(ErrorCode::kEnvironment, name + ": not a sentencepiece model (" + why +
                                                   "); copy or download it again");
  };
  try {
    auto processor = std::make_unique<Processor>();
    const auto status = processor->LoadFromSerializedProto({bytes.data(), bytes.size()});
    if (!status.ok()) return damaged(status.message());
    if (processor->GetPieceSize() == 0) return damaged("it has no pieces");
    std::vector<AddedToken> control = control_pieces(*processor);
    std::vector<std::string> patterns;
    for (const AddedToken& token : control) patterns.push_back(token.content);
    const bool prefix = adds_prefix(*processor);
    return std::unique_ptr<Tokenizer>(new SentencePieceTokenizer(
        std::move(name), bytes, std::move(processor),
        AddedTokenMatcher(std::move(control), std::move(patterns)), prefix));
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& e) {
    return damaged(e.what());
  }
}

Result<std::vector<int32_t>> SentencePieceTokenizer::encode_valid(std::string_view utf8,
                                                                  EncodeOptions options) const {
  std::vector<int32_t> ids;
  std::vector<AddedSplit> parts;
  control_.split(utf8, options.parse_special, parts);
  std::vector<int> part_ids;
  for (const AddedSplit& part : parts) {
    if (part.id >= 0) {
      ids.push_back(part.id);
      continue;
    }
    part_ids.clear();
    const auto status =
        processor_->Encode({utf8.data() + part.begin, part.end - part.begin}, &part_ids);
    if (!status.ok())
      return make_error(ErrorCode::kRun, name() + ": sentencepiece: " + status.message());
    ids.insert(ids.end(), part_ids.begin(), part_ids.end());
  }
  return ids;
}

// Special tokens are skipped, or cut the ids into parts that are decoded one by one.
std::string SentencePieceTokenizer::decode(std::span<const int32_t> ids,
                                           DecodeOptions options) const {
  std::string out;
  std::vector<int> part;
  const auto flush = [&] {
    std::string text;
    if (!part.empty() && processor_->Decode(part, &text).ok()) out += text;
    part.clear();
  };
  for (const int32_t id : ids) {
    if (id < 0 || id >= vocab_size()) continue;
    if (!is_special(id)) {
      part.push_back(id);
    } else if (!options.skip_special) {
      flush();
      out += processor_->IdToPiece(id);
    }
  }
  flush();
  return utf8::to_valid(out);
}

std::optional<int32_t> SentencePieceTokenizer::token_id(std::string_view token) const {
  const int id = processor_->PieceToId({token.data(), token.size()});
  if (id < 0 || id >= vocab_size() || processor_->IdToPiece(id) != token) return std::nullopt;
  return id;
}

bool SentencePieceTokenizer::is_special(int32_t id) const {
  if (id < 0 || id >= vocab_size()) return false;
  return processor_->IsControl(id) || processor_->IsUnknown(id);
}

}  // namespace dbsa
