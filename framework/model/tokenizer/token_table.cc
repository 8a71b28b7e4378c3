#include "model/tokenizer/token_table.h"

#include <algorithm>
#include <bit>

#include "model/tokenizer/make_error.h"
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace dbsa {
Result<TokenTable> TokenTable::build(const std::vector<std::pair<std::string, int64_t>>& vocab) {
  TokenTable table;
  int64_t largest = -1;
  size_t bytes = 0;
  for (const auto& [token, id] : vocab) {
    if (id < 0 || id > kMaxId) {
      return make_error(ErrorCode::kEnvironment,
                        "model.vocab gives token \"" + token + "\" the id " + std::to_string(id) +
                            "; ids lie between 0 and " + std::to_string(kMaxId));
    }
    largest = std::max(largest, id);
    bytes += token.size();
  }
  table.entries_.resize(static_cast<size_t>(largest + 1));
  table.arena_.reserve(bytes);
  table.slots_.assign(std::bit_ceil(vocab.size() * 2 + 1), -1);
  table.mask_ = table.slots_.size() - 1;
  for (const auto& [token, id] : vocab) {
    Entry& entry = table.entries_[static_cast<size_t>(id)];
    if (entry.used) {
      return make_error(ErrorCode::kEnvironment,
                        "model.vocab gives the id " + std::to_string(id) + " to two tokens, \"" +
                            std::string(table.view(entry)) + "\" and \"" + token + "\"");
    }
    if (table.find(token) >= 0)
      return make_error(ErrorCode::kEnvironment, "model.vocab lists token \"" + token + "\" twice");
    entry = {table.arena_.size(), static_cast<uint32_t>(token.size()), true};
    table.arena_ += token;
    uint64_t i = XXH3_64bits(token.data(), token.size()) & table.mask_;
    while (table.slots_[i] >= 0) i = (i + 1) & table.mask_;
    table.slots_[i] = static_cast<int32_t>(id);
  }
  return table;
}

int32_t TokenTable::find(std::string_view token) const {
  if (slots_.empty()) return -1;
  for (uint64_t i = XXH3_64bits(token.data(), token.size()) & mask_;; i = (i + 1) & mask_) {
    const int32_t id = slots_[i];
    if (id < 0 || view(entries_[static_cast<size_t>(id)]) == token) return id;
  }
}

std::optional<std::string_view> TokenTable::text(int32_t id) const {
  if (id < 0 || id >= size() || !entries_[static_cast<size_t>(id)].used) return std::nullopt;
  return view(entries_[static_cast<size_t>(id)]);
}

}  // namespace dbsa
