// Whether a pool's blocks fit the bound of its store, told before they are encoded.
#pragma once

#include <dbsa/sdk/result.h>

#include "commands/findings.h"
#include "session.h"

namespace dbsa::cli {

// kConfig where the bound of the store is less than the blocks take, and the store does not hold
// more than that already, which may be them. Nothing is said of a pool that is not made, or whose
// blocks are not stored. Opens the store where the pipeline bounds it.
Status check_store_room(Session& session, const Findings& found);

}  // namespace dbsa::cli
