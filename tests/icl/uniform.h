#pragma once

#include <dbsa/sdk/random.h>

namespace dbsa {

// In [0, 1), in steps of 2^-53.
inline double uniform(Random& random) { return static_cast<double>(random.next() >> 11) * 0x1p-53; }

}  // namespace dbsa
