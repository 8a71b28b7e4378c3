#include "plugins/shared/grouping/blocks.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <numeric>
#include <set>
#include <utility>

namespace dbsa::grouping {

Status check_block_size(int64_t block_size) {
  if (block_size < 1)
    return Error{ErrorCode::kInvalidArgument,
                 "block_size must be >= 1, got " + std::to_string(block_size), ""};
  return {};
}

std::vector<int64_t> shuffled(int64_t count, Random& random) {
  std::vector<int64_t> order(count);
  std::iota(order.begin(), order.end(), int64_t{0});
  random.shuffle(std::span(order));
  return order;
}

Blocks cut(const std::vector<int64_t>& order, int64_t block_size) {
  Blocks blocks;
  const int64_t count = static_cast<int64_t>(order.size());
  for (int64_t begin = 0; begin < count; begin += std::min(block_size, count - begin)) {
    const int64_t size = std::min(block_size, count - begin);
    blocks.emplace_back(order.begin() + begin, order.begin() + begin + size);
  }
  return blocks;
}

std::vector<int64_t> number_labels(Texts labels) {
  std::map<std::string_view, int64_t> numbers;
  for (int64_t i = 0; i < labels.size(); ++i) numbers.try_emplace(labels[i], 0);
  int64_t next = 0;
  for (auto& [label, number] : numbers) number = next++;
  std::vector<int64_t> result(labels.size());
  for (int64_t i = 0; i < labels.size(); ++i) result[i] = numbers.at(labels[i]);
  return result;
}

namespace {

// Swaps the pair of demonstrations of one class, one of each block, that brings the two token
// counts closest. Returns by how much `longer` shrank; 0, and nothing swapped, when no pair helps.
int64_t swap_best(std::vector<int64_t>& longer, std::vector<int64_t>& shorter, int64_t gap,
                  std::span<const int64_t> tokens, std::span<const int64_t> classes) {
  const auto class_of = [&](int64_t i) { return classes.empty() ? 0 : classes[i]; };
  const auto before = [&](int64_t a, int64_t b) {
    return class_of(a) != class_of(b) ? class_of(a) < class_of(b) : tokens[a] > tokens[b];
  };
  std::stable_sort(longer.begin(), longer.end(), before);
  std::stable_sort(shorter.begin(), shorter.end(), before);
  // Moving d = tokens[a] - tokens[b] leaves |gap - 2 d|. For each a, the best b is next to the
  // first of its class that is more than gap / 2 shorter, and that one only moves on as a gets
  // shorter.
  int64_t left = gap;
  std::pair<size_t, size_t> best = {0, 0};
  size_t begin = 0;  // of the class in `shorter`
  size_t j = 0;
  for (size_t i = 0; i < longer.size(); ++i) {
    const int64_t here = class_of(longer[i]);
    if (i > 0 && class_of(longer[i - 1]) != here) begin = j;
    while (begin < shorter.size() && class_of(shorter[begin]) < here) ++begin;
    j = std::max(j, begin);
    const auto fits = [&](size_t candidate) {
      return candidate >= begin && candidate < shorter.size() &&
             class_of(shorter[candidate]) == here;
    };
    while (fits(j) && 2 * (tokens[longer[i]] - tokens[shorter[j]]) < gap) ++j;
    for (const size_t candidate : {j, j - 1}) {  // j - 1 wraps past the end for j = 0
      if (!fits(candidate)) continue;
      const int64_t d = tokens[longer[i]] - tokens[shorter[candidate]];
      if (const int64_t now = std::abs(gap - 2 * d); now < left) {
        left = now;
        best = {i, candidate};
      }
    }
  }
  if (left == gap) return 0;
  const int64_t moved = tokens[longer[best.first]] - tokens[shorter[best.second]];
  std::swap(longer[best.first], shorter[best.second]);
  return moved;
}

}  // namespace

// Every swap lowers the sum of the token counts' squares, so it ends; the limit only bounds the
// time.
void even_out(std::span<std::vector<int64_t>> blocks, std::span<const int64_t> tokens,
              std::span<const int64_t> classes) {
  std::set<std::pair<int64_t, size_t>> by_tokens;
  for (size_t b = 0; b < blocks.size(); ++b) {
    int64_t sum = 0;
    for (const int64_t i : blocks[b]) sum += tokens[i];
    by_tokens.insert({sum, b});
  }
  for (size_t swaps = 0; by_tokens.size() > 1 && swaps < 16 * blocks.size(); ++swaps) {
    const auto [low, shorter] = *by_tokens.begin();
    const auto [high, longer] = *by_tokens.rbegin();
    const int64_t moved = swap_best(blocks[longer], blocks[shorter], high - low, tokens, classes);
    if (moved == 0) return;
    by_tokens.erase(by_tokens.begin());
    by_tokens.erase(std::prev(by_tokens.end()));
    by_tokens.insert({low + moved, shorter});
    by_tokens.insert({high - moved, longer});
  }
}

void shuffle_blocks(Blocks& blocks, int64_t block_size, Random& random) {
  size_t full = 0;
  for (auto& block : blocks) {
    random.shuffle(std::span(block));
    full += static_cast<int64_t>(block.size()) == block_size ? 1 : 0;
  }
  random.shuffle(std::span(blocks).first(full));
}

}  // namespace dbsa::grouping
