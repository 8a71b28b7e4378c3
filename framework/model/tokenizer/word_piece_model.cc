#include "model/tokenizer/word_piece_model.h"

#include <algorithm>

#include "model/tokenizer/make_error.h"

namespace dbsa {
namespace {

bool is_boundary(std::string_view text, size_t pos) {
  return pos == text.size() || (static_cast<unsigned char>(text[pos]) & 0xC0) != 0x80;
}

}  // namespace

Result<WordPieceModel> WordPieceModel::build(
    const std::vector<std::pair<std::string, int64_t>>& vocab, WordPieceOptions options) {
  DBSA_ASSIGN_OR_RETURN(TokenTable tokens, TokenTable::build(vocab));
  WordPieceModel model(std::move(tokens), std::move(options));
  model.unk_id_ = model.tokens_.find(model.options_.unk_token);
  if (model.unk_id_ < 0) {
    return make_error(ErrorCode::kEnvironment, "model.unk_token is \"" + model.options_.unk_token +
                                                   "\", which is not in model.vocab");
  }
  for (const auto& [token, id] : vocab) model.longest_ = std::max(model.longest_, token.size());
  return model;
}

void WordPieceModel::encode(std::string_view word, std::vector<int32_t>& ids) const {
  const size_t before = ids.size();
  const auto unknown = [&] {
    ids.resize(before);
    ids.push_back(unk_id_);
  };
  int64_t characters = 0;
  for (size_t i = 0; i < word.size(); ++i) characters += is_boundary(word, i) ? 1 : 0;
  if (characters > options_.max_input_chars_per_word) return unknown();

  std::string candidate;
  for (size_t begin = 0; begin < word.size();) {
    candidate = begin == 0 ? "" : options_.continuing_subword_prefix;
    const size_t prefix = candidate.size();
    if (prefix >= longest_) return unknown();
    size_t end = begin + std::min(word.size() - begin, longest_ - prefix);
    while (!is_boundary(word, end)) --end;
    candidate += word.substr(begin, end - begin);
    int32_t id = -1;
    for (; end > begin && (id = tokens_.find(candidate)) < 0;) {
      do {
        --end;
      } while (!is_boundary(word, end));
      candidate.resize(prefix + end - begin);
    }
    if (id < 0) return unknown();
    ids.push_back(id);
    begin = end;
  }
}

}  // namespace dbsa
