// Under mask self a block's stored bytes are the block's own, in any pool.
#include <map>

#include "tests/pipeline/pipeline_fixture.h"
#include "tests/pipeline/workspace_store.h"

namespace dbsa {
namespace {

class SelfMaskTest : public PipelineTest {
 protected:
  // The planes of every block in a store, by the block's tokens as bytes.
  std::map<std::string, std::string> planes(const std::string& store_path,
                                            const EncodeReport& report) const {
    WorkspaceStore store(workspace_, store_path);
    const auto pool = read_stored_pool(report.pool_location);
    std::map<std::string, std::string> found;
    for (const PoolBlock& block : pool->blocks) {
      const auto lease = store->get(block.key);
      if (!lease.ok()) throw std::runtime_error(lease.error().message);
      const std::string ids(reinterpret_cast<const char*>(block.token_ids.data()),
                            block.token_ids.size() * sizeof(int32_t));
      std::string& bytes = found[ids];
      for (uint32_t layer = 0; layer < lease->format().layers; ++layer)
        bytes.append(static_cast<const char*>(lease->plane(layer)), lease->format().plane_bytes);
    }
    return found;
  }

  PipelineHarness::Overrides in_store(const std::string& name,
                                      PipelineHarness::Overrides more = {}) const {
    for (const auto& setting : settings_of({"self", 0, 0}, false)) more.push_back(setting);
    more.push_back({"block_grouper.block_size", "1"});
    more.push_back({"kv_store.path", "\"" + name + "\""});
    return more;
  }
};

TEST_F(SelfMaskTest, StoredPlanesAreBitIdenticalWhateverTheNeighboursOrderAndPool) {
  const auto whole = planes("whole", encode(in_store("whole")));
  ASSERT_EQ(whole.size(), texts_.size());
  const auto expect_part = [&](const char* what, const std::map<std::string, std::string>& part,
                               size_t shared) {
    size_t same = 0;
    for (const auto& [ids, bytes] : part) {
      const auto found = whole.find(ids);
      if (found == whole.end()) continue;
      ++same;
      EXPECT_TRUE(bytes == found->second) << what;
    }
    EXPECT_EQ(same, shared) << what;
  };
  expect_part("another order",
              planes("order", encode(in_store("order", {{"block_grouper.seed", "7"}}))), 12);
  expect_part("a smaller pool",
              planes("few", encode(in_store("few", {{"data.demonstration_count", "5"}}))), 5);
  expect_part("small chunks",
              planes("chunks", encode(in_store("chunks", {{"model.chunk_tokens", "7"}}))), 12);
  add_demonstration(0, "a much longer text that now stands before all the others of the pool", 2);
  add_demonstration(6, "and another", 0);
  write_demonstrations();
  expect_part("new neighbours", planes("grown", encode(in_store("grown"))), 12);
  expect_part("places in the pool",
              planes("global",
                     encode(in_store("global", {{"mask_pattern.encode_positions", "\"global\""}}))),
              12);
}

}  // namespace
}  // namespace dbsa
