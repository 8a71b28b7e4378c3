// The attention plan in double precision, token by token, as dbsa/attention_backend.h states it.
#pragma once

#include <vector>

#include "tests/backend/shapes.h"

namespace dbsa::test {

// A head's key or query, [head_dim], rotated by `position`.
std::vector<double> rotate(const float* x, double position, const std::vector<float>& inv_freq,
                           const std::vector<float>& factor = {});

// kvs[i] is what segments[i].kv holds.
std::vector<double> attend_oracle(const Shape& shape, const dbsa_plan_description& plan,
                                  const std::vector<const PlainKv*>& kvs, const Rows& q);

// ||a - b||2 / ||b||2 of the worst row.
double worst_row_error(const Rows& a, const std::vector<double>& b, int64_t width);

}  // namespace dbsa::test
