// The rules of attention plans (dbsa/attention_backend.h), which every backend checks alike.
#pragma once

#include <dbsa/attention_backend.h>
#include <dbsa/sdk/result.h>

#include <cstdint>

namespace dbsa::attention_plan {

// Half-open range of tokens, or of distances.
struct Interval {
  int64_t begin;
  int64_t end;
};

// Tokens that a row sees of a segment, as indices in the KV object; begin >= end: none.
Interval visible_tokens(const dbsa_segment& segment, int64_t position);

// The distance at which the segment's KV index 0 lies from position 0: a row at position p is
// rotated for p - shift(segment).
inline int64_t shift(const dbsa_segment& segment) { return segment.start - segment.first_token; }

// Tokens of a KV object; each backend defines it for its own type.
using KvTokens = int64_t (*)(const dbsa_kv* kv);

// kInvalidArgument with what is wrong where. Cost: rows and segments of each range.
Status check_plan(const dbsa_plan_description& description, KvTokens kv_tokens);

}  // namespace dbsa::attention_plan
