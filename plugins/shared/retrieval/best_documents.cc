#include "plugins/shared/retrieval/best_documents.h"

#include <algorithm>

namespace dbsa::retrieval {

std::vector<Hit> best_documents(const double* scores, int64_t documents, int64_t count) {
  std::vector<Hit> hits;
  if (count <= 0) return hits;
  const auto better = [](const Hit& a, const Hit& b) {
    return a.score != b.score ? a.score > b.score : a.id < b.id;
  };
  // Collects up to twice what is asked for, then keeps the better half: linear in all.
  count = std::min(count, documents);
  const size_t capacity = static_cast<size_t>(2 * count);
  double least = 0;  // to be exceeded
  for (int64_t d = 0; d < documents; ++d) {
    if (!(scores[d] > least)) continue;
    hits.push_back({d, scores[d]});
    if (hits.size() < capacity) continue;
    std::nth_element(hits.begin(), hits.begin() + count - 1, hits.end(), better);
    hits.resize(count);
    least = hits.back().score;  // an equal score further on has a higher id
  }
  if (static_cast<int64_t>(hits.size()) > count) {
    std::nth_element(hits.begin(), hits.begin() + count - 1, hits.end(), better);
    hits.resize(count);
  }
  std::sort(hits.begin(), hits.end(), better);
  return hits;
}

}  // namespace dbsa::retrieval
