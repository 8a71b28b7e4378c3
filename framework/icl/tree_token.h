// TreeToken: a token behind the query, in a tree of tokens.
#pragma once

#include <cstdint>

namespace dbsa {

struct TreeToken {
  int32_t token = 0;
  int32_t parent = -1;  // row of the token before it; -1: the query's last token
  int32_t depth = 0;    // rows above it
};

}  // namespace dbsa
