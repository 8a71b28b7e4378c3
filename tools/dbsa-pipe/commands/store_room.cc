#include "commands/store_room.h"

#include <algorithm>
#include <string>

#include "commands/explain_cost.h"
#include "host/kv_store.h"
#include "host/make_plugin.h"
#include "host/store_keys.h"

namespace dbsa::cli {

Status check_store_room(Session& session, const Findings& found) {
  const host::ResolvedPipeline& resolved = session.resolved();
  const std::string bound = host::store_keys(resolved).bound_pointer;
  if (bound.empty() || resolved.json.at(nlohmann::json::json_pointer(bound)) == 0 || !found.pool ||
      !uses_stored_kv(found.settings))
    return {};
  DBSA_ASSIGN_OR_RETURN(const auto store,
                        host::make_plugin<host::KvStore>(resolved, DBSA_KIND_KV_STORE,
                                                         session.registry(), session.services()));
  DBSA_ASSIGN_OR_RETURN(const dbsa_kv_stats stats, store.stats());
  const uint64_t needed = needed_store_bytes(session, found);
  if (stats.max_bytes == 0 || needed <= std::max(stats.max_bytes, stats.stored_bytes)) return {};
  return Error{ErrorCode::kConfig,
               "must be 0 (no bound) or at least " + std::to_string(needed) +
                   ", which the pool's blocks need, got " + std::to_string(stats.max_bytes),
               bound};
}

}  // namespace dbsa::cli
