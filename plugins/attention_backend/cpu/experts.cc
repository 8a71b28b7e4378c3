#include "experts.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace dbsa::cpu {
namespace {

// The experts of the largest scores, of equals the least, into chosen[used], largest first.
void choose(const float* scores, int64_t count, int64_t used, int64_t* chosen) {
  int64_t filled = 0;
  for (int64_t e = 0; e < count; ++e) {
    int64_t at = filled;
    if (filled < used)
      ++filled;
    else if (scores[e] > scores[chosen[used - 1]])
      at = used - 1;
    else
      continue;
    for (; at > 0 && scores[e] > scores[chosen[at - 1]]; --at) chosen[at] = chosen[at - 1];
    chosen[at] = e;
  }
}

// Their parts in the softmax of all scores; NaN where a score is NaN or +inf.
void share(const float* scores, int64_t count, const int64_t* chosen, int64_t used, bool normalised,
           double* shares) {
  const double largest = double{scores[chosen[0]]};
  double all = 0, sum = 0;
  for (int64_t e = 0; e < count; ++e) all += std::exp(double{scores[e]} - largest);
  for (int64_t i = 0; i < used; ++i) {
    shares[i] = std::exp(double{scores[chosen[i]]} - largest) / all;
    sum += shares[i];
  }
  for (int64_t i = 0; normalised && i < used; ++i) shares[i] /= sum;
}

}  // namespace

void Experts::run(const Rows& x, const dbsa_expert_weights& weights, const float* residual,
                  float* out) {
  const Kernels& kernels = *context_.path.kernels;
  const int64_t k = weights.router->width, n = weights.experts[0].down->rows;
  route(x, weights);
  const auto bytes = static_cast<uint64_t>(x.count * n) * sizeof(float);
  if (residual == nullptr)
    std::memset(out, 0, bytes);
  else if (residual != out)
    std::memcpy(out, residual, bytes);
  for (int64_t e = 0; e < weights.count; ++e) {
    const std::vector<Share>& of = shares_[static_cast<size_t>(e)];
    if (of.empty()) continue;
    const Rows rows = gather(x, k, of);
    auto* products = static_cast<float*>(
        products_.reserve(static_cast<uint64_t>(rows.count * n) * sizeof(float)));
    gated_mlp_.run(rows, weights.experts[e], nullptr, products);
    context_.host.parallel_for(rows.count, row_grain(n), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const auto [row, part] = of[static_cast<size_t>(i)];
        kernels.add_scaled(out + row * n, products + i * n, part, n, out + row * n);
      }
    });
  }
}

// Fills shares_.
void Experts::route(const Rows& x, const dbsa_expert_weights& weights) {
  const int64_t count = weights.count, used = weights.used;
  auto* scores =
      static_cast<float*>(scores_.reserve(static_cast<uint64_t>(x.count * count) * sizeof(float)));
  weights.router->packed->multiply(x, nullptr, nullptr, scores);
  shares_.resize(static_cast<size_t>(count));
  for (std::vector<Share>& of : shares_) of.clear();
  std::vector<int64_t> chosen(static_cast<size_t>(x.count * used));
  std::vector<double> parts(chosen.size());
  context_.host.parallel_for(x.count, row_grain(8 * count), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      int64_t* const own = chosen.data() + row * used;
      choose(scores + row * count, count, used, own);
      share(scores + row * count, count, own, used, weights.normalised != 0,
            parts.data() + row * used);
    }
  });
  for (size_t i = 0; i < chosen.size(); ++i)
    shares_[static_cast<size_t>(chosen[i])].push_back(
        {static_cast<int64_t>(i) / used, static_cast<float>(parts[i])});
}

// The rows of an expert, one behind the other; x itself where it has all of them.
Rows Experts::gather(const Rows& x, int64_t width, const std::vector<Share>& of) {
  const auto count = static_cast<int64_t>(of.size());
  if (count == x.count) return x;
  auto* to =
      static_cast<float*>(gathered_.reserve(static_cast<uint64_t>(count * width) * sizeof(float)));
  context_.host.parallel_for(count, row_grain(width), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      std::memcpy(to + i * width, x.data + of[static_cast<size_t>(i)].row * width,
                  static_cast<size_t>(width) * sizeof(float));
  });
  return {to, count, ++content_};
}

}  // namespace dbsa::cpu
