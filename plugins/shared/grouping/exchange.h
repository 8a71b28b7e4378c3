// Exchanging a share of every block's members with other blocks.
#pragma once

#include <dbsa/sdk/block_grouper.h>
#include <dbsa/sdk/random.h>

namespace dbsa::grouping {

// Takes `fraction` of each block's members, rounded to the nearest whole number and drawn at
// random, and deals them at random so that none returns to its block; sizes stay. Where one block
// would have more to give than all others together (two blocks of different sizes), it gives only
// as many.
void exchange(Blocks& blocks, double fraction, Random& random);

}  // namespace dbsa::grouping
