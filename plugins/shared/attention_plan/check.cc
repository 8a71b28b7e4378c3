#include "plugins/shared/attention_plan/check.h"

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

namespace dbsa::attention_plan {
namespace {

// Starts, windows and counts up to this can be added and subtracted without overflow.
constexpr int64_t kFar = int64_t{1} << 40;

Error fault(const std::string& message) {
  return Error{ErrorCode::kInvalidArgument, "plan: " + message, ""};
}

std::string number(int64_t value) { return std::to_string(value); }

Status check_segment(const dbsa_segment& s, int64_t index, KvTokens kv_tokens) {
  const auto where = [&] { return "segment " + number(index) + ": "; };
  if (s.kv == nullptr) return fault(where() + "kv is null");
  if (s.kind != DBSA_SEGMENT_FULL && s.kind != DBSA_SEGMENT_CAUSAL &&
      s.kind != DBSA_SEGMENT_WINDOW) {
    return fault(where() + "kind must be FULL (0), CAUSAL (1) or WINDOW (2), got " +
                 number(s.kind));
  }
  if (s.length < 1) return fault(where() + "length must be >= 1, got " + number(s.length));
  if (s.first_token < 0 || s.first_token > kv_tokens(s.kv) ||
      s.length > kv_tokens(s.kv) - s.first_token) {
    return fault(where() + "first_token " + number(s.first_token) + " with length " +
                 number(s.length) + " lies outside its KV of " + number(kv_tokens(s.kv)) +
                 " tokens");
  }
  if (s.start < -kFar || s.start > kFar) {
    return fault(where() + "start " + number(s.start) + " is out of range");
  }
  if (s.kind == DBSA_SEGMENT_WINDOW && s.window < 1) {
    return fault(where() + "window must be >= 1, got " + number(s.window));
  }
  if (s.kind == DBSA_SEGMENT_FULL && s.window < 0) {
    return fault(where() + "window must be >= 0, got " + number(s.window));
  }
  if (s.kind == DBSA_SEGMENT_CAUSAL && s.window != 0) {
    return fault(where() + "window of a CAUSAL segment must be 0, got " + number(s.window));
  }
  return {};
}

Status check_range(const dbsa_plan_description& d, int64_t index, int64_t next_row) {
  const dbsa_row_range& r = d.ranges[index];
  const auto where = [&] { return "range " + number(index) + ": "; };
  if (r.first_row != next_row) {
    return fault(where() + "first_row must be " + number(next_row) + ", got " +
                 number(r.first_row));
  }
  if (r.rows < 1 || r.rows > d.rows - next_row) {
    return fault(where() + "rows must be 1.." + number(d.rows - next_row) + ", got " +
                 number(r.rows));
  }
  if (r.segment_count < 1) {
    return fault(where() + "segment_count must be >= 1, got " + number(r.segment_count));
  }
  if (r.first_segment < 0 || r.first_segment > d.segment_count ||
      r.segment_count > d.segment_count - r.first_segment) {
    return fault(where() + "segments " + number(r.first_segment) + " and the " +
                 number(r.segment_count - 1) + " after it are not among the plan's " +
                 number(d.segment_count));
  }
  return {};
}

// A stored block may stand twice in a plan, at two places; the same tokens at the same place may
// not: they would count double.
Status check_disjoint(const dbsa_segment* segments, int64_t count, int64_t first, int64_t range) {
  const auto shift_of = [&](int64_t i) { return shift(segments[i]); };
  std::vector<int64_t> order(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) order[static_cast<size_t>(i)] = i;
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    if (segments[a].kv != segments[b].kv) return std::less<>()(segments[a].kv, segments[b].kv);
    if (shift_of(a) != shift_of(b)) return shift_of(a) < shift_of(b);
    return segments[a].first_token < segments[b].first_token;
  });
  for (size_t i = 1; i < order.size(); ++i) {
    const dbsa_segment& a = segments[order[i - 1]];
    const dbsa_segment& b = segments[order[i]];
    if (a.kv == b.kv && shift_of(order[i - 1]) == shift_of(order[i]) &&
        b.first_token < a.first_token + a.length) {
      const auto [low, high] = std::minmax(order[i - 1], order[i]);
      return fault("range " + number(range) + ": segments " + number(first + low) + " and " +
                   number(first + high) + " overlap");
    }
  }
  return {};
}

Status check_rows_see(const dbsa_plan_description& d, const dbsa_row_range& r, int64_t index) {
  for (int64_t row = r.first_row; row < r.first_row + r.rows; ++row) {
    bool sees = false;
    for (int64_t s = 0; s < r.segment_count && !sees; ++s) {
      const Interval tokens = visible_tokens(d.segments[r.first_segment + s], d.positions[row]);
      sees = tokens.begin < tokens.end;
    }
    if (!sees) {
      return fault("range " + number(index) + ": row " + number(row) + " at position " +
                   number(d.positions[row]) + " sees no token");
    }
  }
  return {};
}

}  // namespace

Interval visible_tokens(const dbsa_segment& s, int64_t position) {
  const int64_t end = s.first_token + s.length;
  const int64_t own = position - s.start + s.first_token;  // the index that stands at `position`
  Interval tokens{s.first_token, s.kind == DBSA_SEGMENT_FULL ? end : std::min(end, own + 1)};
  if (s.window > 0 && s.window <= own - s.first_token) {
    tokens.begin = own - s.window + 1;
  }
  return tokens;
}

Status check_plan(const dbsa_plan_description& d, KvTokens kv_tokens) {
  if (d.rows < 1 || d.rows > kFar) return fault("rows must be >= 1, got " + number(d.rows));
  if (d.positions == nullptr) return fault("positions is null");
  if (d.range_count < 1) return fault("range_count must be >= 1, got " + number(d.range_count));
  if (d.ranges == nullptr) return fault("ranges is null");
  if (d.segment_count < 1) {
    return fault("segment_count must be >= 1, got " + number(d.segment_count));
  }
  if (d.segments == nullptr) return fault("segments is null");
  for (int64_t i = 0; i < d.segment_count; ++i) {
    DBSA_RETURN_IF_ERROR(check_segment(d.segments[i], i, kv_tokens));
  }
  int64_t next_row = 0;
  for (int64_t i = 0; i < d.range_count; ++i) {
    DBSA_RETURN_IF_ERROR(check_range(d, i, next_row));
    const dbsa_row_range& r = d.ranges[i];
    DBSA_RETURN_IF_ERROR(
        check_disjoint(d.segments + r.first_segment, r.segment_count, r.first_segment, i));
    DBSA_RETURN_IF_ERROR(check_rows_see(d, r, i));
    next_row += r.rows;
  }
  if (next_row != d.rows) {
    return fault("the ranges cover rows 0.." + number(next_row - 1) + " of " + number(d.rows));
  }
  return {};
}

}  // namespace dbsa::attention_plan
