#include "pipeline/pool/stored_pool.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "pipeline/pool/pool_manifest.h"
#include "tests/pipeline/workspace_store.h"
#include "tests/support/workspace.h"

namespace dbsa {
namespace {

Pool small_pool() {
  Pool pool;
  pool.id = "0123456789abcdef";
  pool.identity = nlohmann::json::object();
  pool.kv = nlohmann::json::object();
  pool.made_index = nlohmann::json::object();
  pool.demonstrations = {"h0", "h1"};
  pool.demonstration_labels = {0, 0};
  pool.blocks.push_back({{1}, {5, 6, 70000}, KvKey{{1, 2, 3}}});
  pool.blocks.push_back({{0}, {9}, KvKey{{4, 5, 6}}});
  pool.labels.push_back({"card", {}});
  return pool;
}

TEST(StoredPool, IsWhatWasPutWithTheKeysOfItsBlocks) {
  const Workspace workspace;
  WorkspaceStore store(workspace, "store");
  const Pool pool = small_pool();
  ASSERT_TRUE(put_pool(*store, pool).ok());
  const auto kept = get_pool(*store, pool.id);
  ASSERT_TRUE(kept.ok()) << kept.error().message;
  ASSERT_TRUE(kept->pool.ok()) << kept->pool.error().message;
  EXPECT_EQ(encode_pool_manifest(*kept->pool), encode_pool_manifest(pool));
  EXPECT_EQ(kept->location, workspace.path("store/pools/" + pool.id + ".pool"));
  EXPECT_EQ(pool_location(*store, pool.id), kept->location);
  EXPECT_EQ(store->pool_get(pool.id)->keys, (std::vector{pool.blocks[0].key, pool.blocks[1].key}));
}

TEST(StoredPool, AnAbsentOneIsNotFound) {
  const Workspace workspace;
  WorkspaceStore store(workspace, "store");
  EXPECT_EQ(get_pool(*store, "none").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(pool_location(*store, "none"), "");
  EXPECT_TRUE(stored_pools(*store)->empty());
}

TEST(StoredPool, AnUnreadableOneIsListedWithItsFault) {
  const Workspace workspace;
  WorkspaceStore store(workspace, "store");
  ASSERT_TRUE(put_pool(*store, small_pool()).ok());
  ASSERT_TRUE(store->pool_put({"other", {1, 2, 3}, {}, 0, ""}).ok());
  const auto all = stored_pools(*store);
  ASSERT_TRUE(all.ok()) << all.error().message;
  ASSERT_EQ(all->size(), 2u);
  EXPECT_TRUE(all->front().pool.ok());
  EXPECT_EQ(all->back().pool.error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(all->back().pool.error().message,
            workspace.path("store/pools/other.pool") +
                ": not a sound pool manifest: it does not begin with DBSAPOOL; remove the file and "
                "run `dbsa-pipe encode` again (stored blocks are reused)");
}

}  // namespace
}  // namespace dbsa
