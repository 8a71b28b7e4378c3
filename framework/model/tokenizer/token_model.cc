#include "model/tokenizer/token_model.h"

#include "model/tokenizer/component_reader.h"

namespace dbsa {
namespace {

using nlohmann::json;

// A setting that would change ids unless it has one of its neutral values.
Status require_neutral(const ComponentReader& reader, const json& model, const char* key) {
  const json value = member(model, key);
  if (value.is_null() || (value.is_string() && value.get_ref<const std::string&>().empty()) ||
      (value.is_number() && value.get<double>() == 0.0))
    return {};
  return reader.unsupported(std::string("\"") + key + "\" = " + value.dump() + " is not supported");
}

Error no_vocab(const ComponentReader& reader) {
  return reader.malformed("vocab", "missing; expected an object of tokens and ids");
}

Result<BpeModel> read_bpe(const ComponentReader& reader, const json& model,
                          const TokenizerJson& file) {
  DBSA_RETURN_IF_ERROR(
      reader.allow_only({"dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
                         "fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges"}));
  for (const char* key : {"dropout", "continuing_subword_prefix", "end_of_word_suffix"})
    DBSA_RETURN_IF_ERROR(require_neutral(reader, model, key));
  if (!file.has_vocab) return no_vocab(reader);
  if (!file.has_merges) return reader.malformed("merges", "missing; expected a list of pairs");
  BpeOptions options;
  if (!reader.is_null("unk_token")) {
    DBSA_ASSIGN_OR_RETURN(options.unk_token, reader.string("unk_token"));
  }
  DBSA_ASSIGN_OR_RETURN(options.fuse_unk, reader.boolean("fuse_unk", false));
  DBSA_ASSIGN_OR_RETURN(options.byte_fallback, reader.boolean("byte_fallback", false));
  DBSA_ASSIGN_OR_RETURN(options.ignore_merges, reader.boolean("ignore_merges", false));
  return BpeModel::build(file.vocab, file.merges, std::move(options));
}

Result<WordPieceModel> read_word_piece(const ComponentReader& reader, const TokenizerJson& file) {
  DBSA_RETURN_IF_ERROR(reader.allow_only(
      {"unk_token", "continuing_subword_prefix", "max_input_chars_per_word", "vocab"}));
  if (!file.has_vocab) return no_vocab(reader);
  WordPieceOptions options;
  DBSA_ASSIGN_OR_RETURN(options.unk_token, reader.string("unk_token"));
  DBSA_ASSIGN_OR_RETURN(options.continuing_subword_prefix,
                        reader.string("continuing_subword_prefix"));
  DBSA_ASSIGN_OR_RETURN(options.max_input_chars_per_word,
                        reader.integer("max_input_chars_per_word"));
  if (options.max_input_chars_per_word < 0)
    return reader.malformed("max_input_chars_per_word", "is below 0");
  // Splitting a word takes the cube of its characters.
  constexpr int64_t kMostCharacters = 1000;
  if (options.max_input_chars_per_word > kMostCharacters)
    return reader.unsupported(
        "\"max_input_chars_per_word\" = " + std::to_string(options.max_input_chars_per_word) +
        " is not supported; expected at most " + std::to_string(kMostCharacters));
  return WordPieceModel::build(file.vocab, std::move(options));
}

}  // namespace

Result<TokenModel> TokenModel::read(const TokenizerJson& file) {
  const json model = member(file.root, "model");
  const ComponentReader reader(model, "model");
  if (!model.is_object()) return reader.malformed("", "missing; expected an object");
  std::string type = "BPE";
  if (reader.has("type")) {
    DBSA_ASSIGN_OR_RETURN(type, reader.string("type"));
  }
  if (type == "BPE") {
    DBSA_ASSIGN_OR_RETURN(BpeModel bpe, read_bpe(reader, model, file));
    return TokenModel(std::move(bpe));
  }
  if (type == "WordPiece") {
    DBSA_ASSIGN_OR_RETURN(WordPieceModel words, read_word_piece(reader, file));
    return TokenModel(std::move(words));
  }
  return reader.unsupported("the model type \"" + type +
                            "\" is not supported; known: BPE, WordPiece");
}

Status TokenModel::encode(std::string_view piece, Scratch& scratch,
                          std::vector<int32_t>& ids) const {
  if (const auto* bpe = std::get_if<BpeModel>(&model_)) return bpe->encode(piece, scratch, ids);
  std::get<WordPieceModel>(model_).encode(piece, ids);
  return {};
}

const TokenTable& TokenModel::tokens() const {
  return std::visit([](const auto& model) -> const TokenTable& { return model.tokens(); }, model_);
}

}  // namespace dbsa
