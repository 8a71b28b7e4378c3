// Why blocks are to be encoded although a pool of these settings is there: what an edit costs, said
// before it is paid.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <utility>

#include "pipeline/pool/pool_builder.h"

namespace dbsa {

// Each block counts once, for the first of these that it is. Their sum is the blocks to encode.
struct EncodeReasons {
  int64_t dealt = 0;      // of a pool that keeps no blocks: there was none, or they are dealt again
  int64_t otherwise = 0;  // what is stored was computed in another way, see kv_identity
  int64_t missing = 0;    // as it was, and not in the store any more
  int64_t added = 0;      // holds new demonstrations only
  int64_t behind = 0;     // holds what it held, behind a block that is encoded again or moved
  int64_t changed = 0;    // holds an edited demonstration, or lacks one that was removed
  bool operator==(const EncodeReasons&) const = default;
};

// Each count by its name in records.
inline std::array<std::pair<const char*, int64_t*>, 6> named_counts(EncodeReasons& reasons) {
  return {{{"dealt", &reasons.dealt},
           {"computed_differently", &reasons.otherwise},
           {"missing", &reasons.missing},
           {"added", &reasons.added},
           {"behind", &reasons.behind},
           {"changed", &reasons.changed}}};
}

// previous: the pool that `built` has kept blocks of, or nullptr. to_encode: indices into
// built.blocks.
EncodeReasons reasons_of(const BuiltPool& built, const Pool* previous,
                         std::span<const int64_t> to_encode);

}  // namespace dbsa
