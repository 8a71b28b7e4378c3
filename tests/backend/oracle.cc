#include "tests/backend/oracle.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace dbsa::test {

std::vector<double> rotate(const float* x, double position, const std::vector<float>& inv_freq,
                           const std::vector<float>& factor) {
  const size_t half = inv_freq.size();
  std::vector<double> out(2 * half);
  for (size_t i = 0; i < half; ++i) {
    const double angle = position * static_cast<double>(inv_freq[i]);
    const double by = factor.empty() ? 1.0 : static_cast<double>(factor[i]);
    const double a = by * static_cast<double>(x[i]);
    const double b = by * static_cast<double>(x[i + half]);
    out[i] = a * std::cos(angle) - b * std::sin(angle);
    out[i + half] = b * std::cos(angle) + a * std::sin(angle);
  }
  return out;
}

namespace {

bool sees(const dbsa_segment& segment, int64_t position, int64_t token_position) {
  if (segment.kind != DBSA_SEGMENT_FULL && token_position > position) return false;
  return segment.window == 0 || position - token_position < segment.window;
}

}  // namespace

std::vector<double> attend_oracle(const Shape& shape, const dbsa_plan_description& plan,
                                  const std::vector<const PlainKv*>& kvs, const Rows& q) {
  const std::vector<float> inv_freq = shape.inv_freq();
  const int64_t d = shape.head_dim;
  const int64_t group = shape.query_heads / shape.kv_heads;
  std::vector<double> out(static_cast<size_t>(plan.rows * shape.query_width()), 0.0);
  for (int64_t r = 0; r < plan.range_count; ++r) {
    const dbsa_row_range& range = plan.ranges[r];
    for (int64_t h = 0; h < shape.kv_heads; ++h) {
      // Keys as they stand in this plan.
      std::vector<std::vector<double>> keys;
      std::vector<const float*> values;
      std::vector<std::pair<const dbsa_segment*, int64_t>> tokens;
      for (int64_t s = range.first_segment; s < range.first_segment + range.segment_count; ++s) {
        const dbsa_segment& segment = plan.segments[s];
        const PlainKv& kv = *kvs[static_cast<size_t>(s)];
        for (int64_t t = 0; t < segment.length; ++t) {
          const int64_t at = (segment.first_token + t) * shape.kv_width() + h * d;
          const int64_t by = segment.start + (kv.rotated ? -segment.first_token : t);
          keys.push_back(rotate(kv.k.data() + at, static_cast<double>(by), inv_freq,
                                kv.rotated ? std::vector<float>() : shape.factor));
          values.push_back(kv.v.data() + at);
          tokens.emplace_back(&segment, segment.start + t);
        }
      }
      for (int64_t row = range.first_row; row < range.first_row + range.rows; ++row) {
        const int64_t position = plan.positions[row];
        for (int64_t g = 0; g < group; ++g) {
          const int64_t at = row * shape.query_width() + (h * group + g) * d;
          const std::vector<double> query =
              rotate(q.data() + at, static_cast<double>(position), inv_freq, shape.factor);
          std::vector<double> scores(keys.size(), -std::numeric_limits<double>::infinity());
          double top = -std::numeric_limits<double>::infinity();
          for (size_t t = 0; t < keys.size(); ++t) {
            if (!sees(*tokens[t].first, position, tokens[t].second)) continue;
            double dot = 0;
            for (int64_t i = 0; i < d; ++i) {
              dot += query[static_cast<size_t>(i)] * keys[t][static_cast<size_t>(i)];
            }
            scores[t] = static_cast<double>(shape.scale) * dot;
            if (const double cap = shape.soft_cap; cap > 0)
              scores[t] = cap * std::tanh(scores[t] / cap);
            top = std::max(top, scores[t]);
          }
          double total = 0;
          if (!shape.sink.empty()) {
            const double sink = shape.sink[static_cast<size_t>(h * group + g)];
            top = std::max(top, sink);
            total = std::exp(sink - top);
          }
          for (size_t t = 0; t < keys.size(); ++t) {
            const double weight = std::exp(scores[t] - top);
            total += weight;
            for (int64_t i = 0; i < d; ++i) {
              out[static_cast<size_t>(at + i)] += weight * static_cast<double>(values[t][i]);
            }
          }
          for (int64_t i = 0; i < d; ++i) out[static_cast<size_t>(at + i)] /= total;
        }
      }
    }
  }
  return out;
}

double worst_row_error(const Rows& a, const std::vector<double>& b, int64_t width) {
  double worst = 0;
  for (size_t row = 0; row * static_cast<size_t>(width) < b.size(); ++row) {
    double difference = 0;
    double norm = 0;
    for (int64_t i = 0; i < width; ++i) {
      const size_t at = row * static_cast<size_t>(width) + static_cast<size_t>(i);
      const double delta = static_cast<double>(a[at]) - b[at];
      difference += delta * delta;
      norm += b[at] * b[at];
    }
    const double error = std::sqrt(difference / norm);
    if (!(error <= worst)) worst = error;  // a NaN stays
  }
  return worst;
}

}  // namespace dbsa::test
