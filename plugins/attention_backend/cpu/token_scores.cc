#include "token_scores.h"

#include <cmath>
#include <limits>
#include <vector>

namespace dbsa::cpu {
namespace {

// Of a row, kPartColumns logits of it.
struct PartOfRow {
  float largest;
  int32_t best;  // its token
  double sum;    // of exp(logit - largest); NaN where one of them is NaN or +inf
};

class TokenScores {
 public:
  TokenScores(const Kernels& kernels, int64_t rows, int64_t vocabulary, const TokenAsks& asks)
      : kernels_(kernels),
        asks_(asks),
        count_((vocabulary + kPartColumns - 1) / kPartColumns),
        parts_(static_cast<size_t>(rows * count_)) {}

  // Any thread.
  void take(const ProductPart& part) {
    const bool changed = asks_.factor != 1 || asks_.soft_cap != 0;
    for (int64_t r = 0; r < part.rows; ++r) {
      float* logits = part.values + r * part.stride;
      if (changed) kernels_.scale(logits, asks_.factor, asks_.soft_cap, part.columns, logits);
      take_row(part.first_row + r, logits, part.first_column, part.columns);
    }
  }

  // Once all parts of the row were taken, which are added up in their order.
  void finish(int64_t row) {
    const PartOfRow* parts = &parts_[static_cast<size_t>(row * count_)];
    const PartOfRow* best = parts;
    for (int64_t i = 1; i < count_; ++i)
      if (parts[i].largest > best->largest) best = parts + i;
    const double largest = best->largest;
    double sum = 0;
    for (int64_t i = 0; i < count_; ++i)
      sum += parts[i].sum * std::exp(double{parts[i].largest} - largest);
    const double log_sum = std::log(sum);
    for (int64_t i = asks_.first[row]; i < asks_.first[row + 1]; ++i)
      asks_.values[i] = asks_.values[i] - largest - log_sum;
    asks_.best[row] = best->best;
    asks_.best_values[row] = 0 - log_sum;
  }

 private:
  void take_row(int64_t row, const float* logits, int64_t first, int64_t count) {
    const int64_t at = kernels_.find_largest(logits, count);
    const float largest = logits[at];
    // Nothing but -inf weighs nothing.
    const bool nothing = largest == -std::numeric_limits<float>::infinity();
    parts_[static_cast<size_t>(row * count_ + first / kPartColumns)] = {
        largest, static_cast<int32_t>(first + at),
        kernels_.sum_exp(logits, count, nothing ? 0 : largest)};
    for (int64_t i = asks_.first[row]; i < asks_.first[row + 1]; ++i) {
      const int64_t column = asks_.ids[i] - first;
      if (column >= 0 && column < count) asks_.values[i] = double{logits[column]};
    }
  }

  const Kernels& kernels_;
  const TokenAsks& asks_;
  const int64_t count_;           // of a row's parts
  std::vector<PartOfRow> parts_;  // [rows, count_]
};

}  // namespace

void score_tokens(const LinearContext& context, const Rows& x, const dbsa_weight& weight,
                  const TokenAsks& asks) {
  TokenScores scores(*context.path.kernels, x.count, weight.rows, asks);
  weight.packed->multiply_in_parts(x, [&](const ProductPart& part) { scores.take(part); });
  context.host.parallel_for(x.count, row_grain(16 * (weight.rows / kPartColumns + 1)),
                            [&](int64_t begin, int64_t end) {
                              for (int64_t row = begin; row < end; ++row) scores.finish(row);
                            });
}

}  // namespace dbsa::cpu
