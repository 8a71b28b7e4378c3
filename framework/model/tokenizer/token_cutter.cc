#include "model/tokenizer/token_cutter.h"

#include <functional>
#include <map>

namespace dbsa {

TokenCutter::TokenCutter(const std::vector<std::pair<std::string, int32_t>>& tokens) {
  texts_.reserve(tokens.size());  // views of them stay valid
  std::map<size_t, Length, std::greater<>> lengths;
  for (const auto& [text, id] : tokens) {
    texts_.push_back(text);
    Length& length = lengths[text.size()];
    length.bytes = text.size();
    length.starts[static_cast<unsigned char>(text.front())] = true;
    length.ids.emplace(texts_.back(), id);
    known_.insert(id);
  }
  for (auto& [bytes, length] : lengths) lengths_.push_back(std::move(length));
}

void TokenCutter::cut_part(const Length& length, std::string_view text, const AddedSplit& part,
                           const IsMeant& is_meant, std::vector<AddedSplit>& parts) {
  size_t done = part.begin;
  for (size_t at = part.begin; at + length.bytes <= part.end;) {
    const auto found = length.starts[static_cast<unsigned char>(text[at])]
                           ? length.ids.find(text.substr(at, length.bytes))
                           : length.ids.end();
    if (found == length.ids.end() || !is_meant({found->second, at, at + length.bytes})) {
      ++at;
      continue;
    }
    if (done < at) parts.push_back({-1, done, at});
    parts.push_back({found->second, at, at + length.bytes});
    done = at = at + length.bytes;
  }
  if (done < part.end) parts.push_back({-1, done, part.end});
}

std::vector<AddedSplit> TokenCutter::cut(std::string_view text, const IsMeant& is_meant) const {
  std::vector<AddedSplit> parts = {{-1, 0, text.size()}}, next;
  for (const Length& length : lengths_) {
    next.clear();
    for (const AddedSplit& part : parts) {
      if (part.id >= 0)
        next.push_back(part);
      else
        cut_part(length, text, part, is_meant, next);
    }
    parts.swap(next);
  }
  return parts;
}

}  // namespace dbsa
