#include "model/tokenizer/bpe_model.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <limits>

#include "model/tokenizer/make_error.h"
#include "text/utf8.h"

namespace dbsa {
namespace {

constexpr char32_t kDirect = 0x800;
// Up to here a scan of all pairs per merge is faster than a heap.
constexpr size_t kShort = 40;
constexpr int32_t kNoRank = std::numeric_limits<int32_t>::max();

uint64_t mix(uint64_t x) {
  x ^= x >> 32;
  x *= 0xd6e8feb86659fd93u;
  x ^= x >> 32;
  return x;
}

}  // namespace

BpeModel::BpeModel(TokenTable tokens, BpeOptions options)
    : tokens_(std::move(tokens)), options_(std::move(options)), by_code_point_(kDirect, -1) {
  std::string character;
  for (char32_t c = 0; c < kDirect; ++c) {
    character.clear();
    utf8::append(character, c);
    by_code_point_[c] = tokens_.find(character);
  }
  for (int byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", static_cast<unsigned>(byte));
    by_byte_.push_back(options_.byte_fallback ? tokens_.find(name) : -1);
  }
}

Result<BpeModel> BpeModel::build(const std::vector<std::pair<std::string, int64_t>>& vocab,
                                 const std::vector<std::pair<std::string, std::string>>& merges,
                                 BpeOptions options) {
  DBSA_ASSIGN_OR_RETURN(TokenTable tokens, TokenTable::build(vocab));
  BpeModel model(std::move(tokens), std::move(options));
  if (!model.options_.unk_token.empty()) {
    model.unk_id_ = model.tokens_.find(model.options_.unk_token);
    if (model.unk_id_ < 0) {
      return make_error(
          ErrorCode::kEnvironment,
          "model.unk_token is \"" + model.options_.unk_token + "\", which is not in model.vocab");
    }
  }
  DBSA_RETURN_IF_ERROR(model.add_merges(merges));
  return model;
}

Status BpeModel::add_merges(const std::vector<std::pair<std::string, std::string>>& merges) {
  merges_.assign(std::bit_ceil(merges.size() * 2 + 1), Merge{});
  mask_ = merges_.size() - 1;
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const auto& [left, right] = merges[rank];
    const int32_t ids[3] = {tokens_.find(left), tokens_.find(right), tokens_.find(left + right)};
    const std::string* names[2] = {&left, &right};
    for (int i = 0; i < 3; ++i) {
      if (ids[i] >= 0) continue;
      return make_error(ErrorCode::kEnvironment, "merge " + std::to_string(rank) + " (\"" + left +
                                                     "\" + \"" + right + "\") needs the token \"" +
                                                     (i < 2 ? *names[i] : left + right) +
                                                     "\", which is not in model.vocab");
    }
    // A pair listed twice keeps its later rank, as in the reference.
    const uint64_t pair = uint64_t(ids[0]) << 32 | uint64_t(ids[1]);
    slot(pair) = {pair, static_cast<int32_t>(rank), ids[2]};
    made_.push_back(ids[2]);
  }
  return {};
}

BpeModel::Merge& BpeModel::slot(uint64_t pair) {
  uint64_t i = mix(pair) & mask_;
  while (merges_[i].pair != kNoPair && merges_[i].pair != pair) i = (i + 1) & mask_;
  return merges_[i];
}

const BpeModel::Merge* BpeModel::find_merge(int32_t left, int32_t right) const {
  const uint64_t pair = uint64_t(left) << 32 | uint64_t(right);
  for (uint64_t i = mix(pair) & mask_;; i = (i + 1) & mask_) {
    if (merges_[i].pair == pair) return &merges_[i];
    if (merges_[i].pair == kNoPair) return nullptr;
  }
}

int32_t BpeModel::find_character(std::string_view character) const {
  if (character.size() > 2) return tokens_.find(character);
  size_t pos = 0;
  return by_code_point_[utf8::next(character, pos)];
}

bool BpeModel::append_bytes(std::string_view character, std::vector<int32_t>& symbols) const {
  const size_t before = symbols.size();
  for (const char c : character) {
    const int32_t id = by_byte_[static_cast<unsigned char>(c)];
    if (id < 0) {
      symbols.resize(before);
      return false;
    }
    symbols.push_back(id);
  }
  return true;
}

// An unknown character is held back until the next known one, so that a run can be fused; bytes
// that stand in for a character in between come before it, as in the reference.
Status BpeModel::split(std::string_view piece, std::vector<int32_t>& symbols) const {
  bool unknown = false;
  for (size_t pos = 0; pos < piece.size();) {
    const std::string_view character = piece.substr(pos, utf8::length(piece[pos]));
    pos += character.size();
    const int32_t id = find_character(character);
    if (id >= 0) {
      if (unknown) symbols.push_back(unk_id_);
      unknown = false;
      symbols.push_back(id);
    } else if (!options_.byte_fallback || !append_bytes(character, symbols)) {
      if (unk_id_ < 0) {
        size_t at = 0;
        char code[16];
        std::snprintf(code, sizeof code, "U+%04X",
                      static_cast<unsigned>(utf8::next(character, at)));
        return make_error(ErrorCode::kConfig,
                          "the vocabulary has no token for \"" + std::string(character) + "\" (" +
                              code + ") and no unk_token; remove the character from the text");
      }
      if (unknown && !options_.fuse_unk) symbols.push_back(unk_id_);
      unknown = true;
    }
  }
  if (unknown) symbols.push_back(unk_id_);
  return {};
}

Status BpeModel::encode(std::string_view piece, Scratch& scratch, std::vector<int32_t>& ids) const {
  if (options_.ignore_merges) {
    if (const int32_t id = tokens_.find(piece); id >= 0) {
      ids.push_back(id);
      return {};
    }
  }
  scratch.symbols.clear();
  scratch.symbols.reserve(piece.size());  // what is not written takes no memory
  DBSA_RETURN_IF_ERROR(split(piece, scratch.symbols));
  if (scratch.symbols.size() <= kShort) {
    merge_short(scratch);
  } else {
    merge_long(scratch);
  }
  ids.insert(ids.end(), scratch.symbols.begin(), scratch.symbols.end());
  return {};
}

void BpeModel::merge_short(Scratch& scratch) const {
  std::vector<int32_t>& symbols = scratch.symbols;
  if (symbols.size() < 2) return;
  int32_t ranks[kShort];
  int32_t merged[kShort];
  const auto look_up = [&](size_t i) {
    const Merge* merge = find_merge(symbols[i], symbols[i + 1]);
    ranks[i] = merge == nullptr ? kNoRank : merge->rank;
    merged[i] = merge == nullptr ? -1 : merge->id;
  };
  size_t pairs = symbols.size() - 1;
  for (size_t i = 0; i < pairs; ++i) look_up(i);
  while (pairs > 0) {
    const size_t best = static_cast<size_t>(std::min_element(ranks, ranks + pairs) - ranks);
    if (ranks[best] == kNoRank) break;
    symbols[best] = merged[best];
    symbols.erase(symbols.begin() + static_cast<ptrdiff_t>(best) + 1);
    std::move(ranks + best + 1, ranks + pairs, ranks + best);
    std::move(merged + best + 1, merged + pairs, merged + best);
    --pairs;
    if (best < pairs) look_up(best);
    if (best > 0) look_up(best - 1);
  }
}

// The same order of merges with a doubly linked list and a heap; entries whose pair has changed
// since they were pushed are recognised by the id they would make.
void BpeModel::merge_long(Scratch& scratch) const {
  using Candidate = Scratch::Candidate;
  std::vector<int32_t>& ids = scratch.symbols;
  std::vector<int32_t>& previous = scratch.previous;
  std::vector<int32_t>& next = scratch.next;
  std::vector<Candidate>& heap = scratch.heap;
  const auto later = [](const Candidate& a, const Candidate& b) {
    return a.rank != b.rank ? a.rank > b.rank : a.position > b.position;
  };
  const size_t n = ids.size();
  previous.resize(n);
  next.resize(n);
  heap.clear();
  heap.reserve(n);
  for (size_t i = 0; i < n; ++i) {
    previous[i] = static_cast<int32_t>(i) - 1;
    next[i] = i + 1 < n ? static_cast<int32_t>(i) + 1 : -1;
  }
  const auto find = [&](int32_t i) {
    const auto left = static_cast<size_t>(i);
    return find_merge(ids[left], ids[static_cast<size_t>(next[left])]);
  };
  const auto candidate = [&](int32_t i) {
    const Merge* merge = find(i);
    if (merge == nullptr) return false;
    heap.push_back({merge->rank, i});
    return true;
  };
  for (size_t i = 0; i + 1 < n; ++i) candidate(static_cast<int32_t>(i));
  std::make_heap(heap.begin(), heap.end(), later);
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), later);
    const Candidate top = heap.back();
    heap.pop_back();
    const auto left = static_cast<size_t>(top.position);
    if (ids[left] < 0 || next[left] < 0) continue;
    const auto right = static_cast<size_t>(next[left]);
    const int32_t made = made_[static_cast<size_t>(top.rank)];
    const Merge* merge = find(top.position);
    if (merge == nullptr || merge->id != made) continue;
    ids[left] = made;
    ids[right] = -1;
    next[left] = next[right];
    if (next[right] >= 0) previous[static_cast<size_t>(next[right])] = top.position;
    if (previous[left] >= 0 && candidate(previous[left]))
      std::push_heap(heap.begin(), heap.end(), later);
    if (next[left] >= 0 && candidate(top.position)) std::push_heap(heap.begin(), heap.end(), later);
  }
  size_t left = 0;
  for (int32_t i = 0; i >= 0; i = next[static_cast<size_t>(i)])
    ids[left++] = ids[static_cast<size_t>(i)];
  ids.resize(left);
}

}  // namespace dbsa
