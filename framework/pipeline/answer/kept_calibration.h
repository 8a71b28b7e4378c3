// Calibrations in the manifest of their pool: any store that keeps pools keeps them.
#pragma once

#include <dbsa/sdk/result.h>

#include <string>

#include "host/kv_store.h"
#include "pipeline/answer/calibration.h"
#include "pipeline/pool/pool.h"

namespace dbsa {

// kNotFound where the pool has none of this identity; kCorrupt where what it has is none. name: of
// the pool, for messages.
Result<Calibration> find_calibration(const Pool& pool, const std::string& name,
                                     const std::string& identity);

// Puts the pool into the store again, with this calibration and those that other processes have
// added meanwhile. The error of put_pool.
Status keep_calibration(host::KvStore& store, Pool pool, const Calibration& calibration,
                        const std::string& identity);

}  // namespace dbsa
