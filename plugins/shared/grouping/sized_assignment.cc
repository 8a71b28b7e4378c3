#include "plugins/shared/grouping/sized_assignment.h"

#include <algorithm>
#include <utility>

namespace dbsa::grouping {
namespace {

class Assignment {
 public:
  Assignment(std::span<const int64_t> costs, std::span<const int64_t> sizes)
      : costs_(costs),
        sizes_(sizes),
        clusters_(static_cast<int32_t>(sizes.size())),
        members_(sizes.size()),
        cheapest_(sizes.size() * sizes.size(), -1),
        potentials_(sizes.size(), 0) {}

  std::vector<int32_t> solve() {
    const auto items = static_cast<int32_t>(costs_.size() / sizes_.size());
    cluster_of_.resize(items);
    for (int32_t item = 0; item < items; ++item) {
      const auto row = costs_.subspan(int64_t{item} * clusters_, clusters_);
      add(item, static_cast<int32_t>(std::min_element(row.begin(), row.end()) - row.begin()));
    }
    for (int32_t source = 0; source < clusters_; ++source)
      while (surplus(source) > 0) move_along(shortest_path(source));
    return std::move(cluster_of_);
  }

 private:
  int64_t cost(int32_t item, int32_t cluster) const {
    return costs_[int64_t{item} * clusters_ + cluster];
  }
  int64_t surplus(int32_t cluster) const {
    return static_cast<int64_t>(members_[cluster].size()) - sizes_[cluster];
  }
  int32_t& cheapest(int32_t from, int32_t to) { return cheapest_[int64_t{from} * clusters_ + to]; }
  // What moving an item from its cluster costs.
  int64_t step(int32_t item, int32_t to) const {
    return cost(item, to) - cost(item, cluster_of_[item]);
  }

  // Makes the item the one to move wherever it is cheapest, the lower one among equals.
  void offer(int32_t item, int32_t to) {
    int32_t& best = cheapest(cluster_of_[item], to);
    if (best < 0 || std::pair(step(item, to), item) < std::pair(step(best, to), best)) best = item;
  }

  void add(int32_t item, int32_t cluster) {
    cluster_of_[item] = cluster;
    members_[cluster].push_back(item);
    for (int32_t to = 0; to < clusters_; ++to) offer(item, to);
  }

  void remove(int32_t item) {
    const int32_t from = cluster_of_[item];
    auto& members = members_[from];
    *std::find(members.begin(), members.end(), item) = members.back();
    members.pop_back();
    for (int32_t to = 0; to < clusters_; ++to) {
      if (cheapest(from, to) != item) continue;
      cheapest(from, to) = -1;
      for (const int32_t other : members) offer(other, to);
    }
  }

  // The moves, each an item and where it goes, of the cheapest way to take one item out of `source`
  // and put one into a cluster that lacks some. Dijkstra's algorithm on lengths that the potentials
  // keep from being negative; it ends at the first such cluster, which there always is: the sizes
  // sum to the number of items.
  std::vector<std::pair<int32_t, int32_t>> shortest_path(int32_t source) {
    constexpr int64_t kFar = INT64_MAX;
    std::vector<int64_t> distances(clusters_, kFar);
    std::vector<int32_t> parents(clusters_, -1);
    std::vector<int32_t> open(clusters_);
    for (int32_t c = 0; c < clusters_; ++c) open[c] = c;
    std::vector<int32_t> settled;
    distances[source] = 0;
    int32_t at = source;
    while (true) {
      size_t next = 0;
      for (size_t i = 1; i < open.size(); ++i)
        if (std::pair(distances[open[i]], open[i]) < std::pair(distances[open[next]], open[next]))
          next = i;
      at = open[next];
      open[next] = open.back();
      open.pop_back();
      if (surplus(at) < 0) break;
      settled.push_back(at);
      for (const int32_t to : open) {
        const int32_t item = cheapest(at, to);
        if (item < 0) continue;
        const int64_t length = distances[at] + step(item, to) + potentials_[at] - potentials_[to];
        if (length < distances[to]) {
          distances[to] = length;
          parents[to] = at;
        }
      }
    }
    for (const int32_t c : settled) potentials_[c] += distances[c] - distances[at];
    std::vector<std::pair<int32_t, int32_t>> moves;
    for (; at != source; at = parents[at]) moves.emplace_back(cheapest(parents[at], at), at);
    return moves;
  }

  // Each item leaves another cluster, so all of them are known before the first one moves.
  void move_along(const std::vector<std::pair<int32_t, int32_t>>& moves) {
    for (const auto& [item, to] : moves) {
      remove(item);
      add(item, to);
    }
  }

  std::span<const int64_t> costs_;
  std::span<const int64_t> sizes_;
  int32_t clusters_;
  std::vector<int32_t> cluster_of_;            // [items]
  std::vector<std::vector<int32_t>> members_;  // [clusters]
  std::vector<int32_t> cheapest_;  // [from, to] the item of `from` that is cheapest to move, or -1
  std::vector<int64_t> potentials_;  // [clusters]
};

}  // namespace

std::vector<int32_t> assign_to_sizes(std::span<const int64_t> costs,
                                     std::span<const int64_t> sizes) {
  if (costs.empty()) return {};
  return Assignment(costs, sizes).solve();
}

}  // namespace dbsa::grouping
