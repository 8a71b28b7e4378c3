#include "pipeline/pool/stored_pool.h"

#include <string_view>
#include <utility>

#include "pipeline/pool/pool_manifest.h"

namespace dbsa {
namespace {

Result<Pool> read(const host::KvStore& store, const std::string& id) {
  DBSA_ASSIGN_OR_RETURN(const KvPool kept, store.pool_get(id));
  const std::string_view document(reinterpret_cast<const char*>(kept.document.data()),
                                  kept.document.size());
  return decode_pool_manifest(document, kept.location);
}

StoredPool read(const host::KvStore& store, KvPool listed) {
  Result<Pool> pool = read(store, listed.id);
  return {std::move(listed.id), std::move(listed.location), listed.changed_unix_s, std::move(pool)};
}

}  // namespace

Status put_pool(host::KvStore& store, const Pool& pool) {
  KvPool out;
  out.id = pool.id;
  const std::string document = encode_pool_manifest(pool);
  out.document.assign(document.begin(), document.end());
  out.keys = pool.keys();
  return store.pool_put(out);
}

Result<StoredPool> get_pool(const host::KvStore& store, const std::string& id) {
  DBSA_ASSIGN_OR_RETURN(std::vector<KvPool> pools, store.pool_list());
  for (KvPool& one : pools)
    if (one.id == id) return read(store, std::move(one));
  return Error{ErrorCode::kNotFound, "no pool " + id, ""};
}

Result<std::vector<StoredPool>> stored_pools(const host::KvStore& store) {
  DBSA_ASSIGN_OR_RETURN(std::vector<KvPool> pools, store.pool_list());
  std::vector<StoredPool> all;
  for (KvPool& one : pools) all.push_back(read(store, std::move(one)));
  return all;
}

std::string pool_location(const host::KvStore& store, const std::string& id) {
  const Result<std::vector<KvPool>> pools = store.pool_list();
  if (pools.ok())
    for (const KvPool& one : *pools)
      if (one.id == id) return one.location;
  return "";
}

}  // namespace dbsa
