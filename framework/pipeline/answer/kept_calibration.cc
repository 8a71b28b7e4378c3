#include "pipeline/answer/kept_calibration.h"

#include <algorithm>
#include <utility>

#include "pipeline/pool/stored_pool.h"

namespace dbsa {
namespace {

// Settings under which a pool is answered; more are rare, and the ones made first go.
constexpr size_t kMostCalibrations = 64;

void add(Pool& pool, PoolCalibration calibration) {
  std::erase_if(pool.calibrations, [&](const PoolCalibration& other) {
    return other.identity == calibration.identity;
  });
  pool.calibrations.push_back(std::move(calibration));
  if (pool.calibrations.size() > kMostCalibrations)
    pool.calibrations.erase(pool.calibrations.begin());
}

}  // namespace

Result<Calibration> find_calibration(const Pool& pool, const std::string& name,
                                     const std::string& identity) {
  for (const PoolCalibration& kept : pool.calibrations)
    if (kept.identity == identity)
      return parse_calibration(kept.document, name, identity, pool.labels.size());
  return Error{ErrorCode::kNotFound, name + " has no calibration " + identity, ""};
}

Status keep_calibration(host::KvStore& store, Pool pool, const Calibration& calibration,
                        const std::string& identity) {
  Result<StoredPool> stored = get_pool(store, pool.id);
  if (stored.ok() && stored->pool.ok()) pool.calibrations = std::move(stored->pool->calibrations);
  add(pool, {identity, calibration_text(calibration, identity)});
  return put_pool(store, pool);
}

}  // namespace dbsa
