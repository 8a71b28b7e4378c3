#include "plugins/shared/grouping/exchange.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace dbsa::grouping {
namespace {

// How many members each block gives. None may give more than all others together.
std::vector<size_t> shares(const Blocks& blocks, double fraction) {
  std::vector<size_t> counts;
  for (const auto& block : blocks)
    counts.push_back(
        static_cast<size_t>(std::llround(fraction * static_cast<double>(block.size()))));
  if (counts.empty()) return counts;
  const auto largest = std::max_element(counts.begin(), counts.end());
  const size_t all = std::accumulate(counts.begin(), counts.end(), size_t{0});
  *largest = std::min(*largest, all - *largest);
  return counts;
}

struct Place {
  size_t block;
  size_t member;
};

}  // namespace

void exchange(Blocks& blocks, double fraction, Random& random) {
  const std::vector<size_t> counts = shares(blocks, fraction);
  std::vector<Place> places;
  for (size_t b = 0; b < blocks.size(); ++b) {
    random.shuffle(std::span(blocks[b]));
    for (size_t m = 0; m < counts[b]; ++m) places.push_back({b, m});
  }
  std::vector<Place> dealt = places;  // dealt[i] goes to places[i]
  random.shuffle(std::span(dealt));
  // What was dealt to its own block is swapped with what neither comes from that block nor was
  // dealt to it. That exists: a block that gives n has n places and n members in at most 2 n - 1 of
  // the pairs once one of them is both, and all others together give n or more.
  const auto at_home = [&](size_t i, size_t j) { return dealt[i].block == places[j].block; };
  for (size_t i = 0; i < dealt.size(); ++i) {
    if (!at_home(i, i)) continue;
    size_t j = random.below(dealt.size());
    while (at_home(i, j) || at_home(j, i)) j = (j + 1) % dealt.size();
    std::swap(dealt[i], dealt[j]);
  }
  std::vector<int64_t> moved;
  for (const Place& from : dealt) moved.push_back(blocks[from.block][from.member]);
  for (size_t i = 0; i < places.size(); ++i) blocks[places[i].block][places[i].member] = moved[i];
}

}  // namespace dbsa::grouping
