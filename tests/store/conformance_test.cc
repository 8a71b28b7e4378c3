// What dbsa/kv_store.h promises, for every store.
#include <ctime>
#include <set>
#include <thread>

#include "store_fixture.h"

namespace dbsa::store_test {
namespace {

class StoreConformance : public testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<Store> open(uint64_t max_bytes = 0) {
    nlohmann::json config = {{"max_bytes", max_bytes}};
    if (GetParam() == "hdf5") {
      config = hdf5_config(folder_.path() / "store");
      config["max_bytes"] = max_bytes;
    }
    return std::make_unique<Store>(GetParam(), config);
  }

  TemporaryFolder folder_;
};

TEST_P(StoreConformance, TableFitsTheBoundary) {
  const dbsa_plugin_table* table = load_plugin(GetParam());
  ASSERT_NE(table, nullptr);
  EXPECT_EQ(table->struct_size, sizeof(dbsa_plugin_table));
  EXPECT_EQ(table->magic, DBSA_ABI_MAGIC);
  EXPECT_EQ(table->abi_major, static_cast<uint32_t>(DBSA_ABI_MAJOR));
  EXPECT_EQ(table->abi_minor, static_cast<uint32_t>(DBSA_ABI_MINOR));
  EXPECT_EQ(table->kind, static_cast<uint32_t>(DBSA_KIND_KV_STORE));
  EXPECT_EQ(static_cast<const dbsa_kv_store_vtable*>(table->vtable)->struct_size,
            sizeof(dbsa_kv_store_vtable));
}

TEST_P(StoreConformance, EmptyStoreHasNothing) {
  const auto store = open();
  const TestBlock block = make_block(1);
  EXPECT_FALSE(store->contains(block.key));
  Outcome outcome;
  EXPECT_FALSE(store->get(block.key, &outcome));
  EXPECT_EQ(outcome.code, DBSA_ERROR_NOT_FOUND);
  EXPECT_TRUE(store->list().empty());
  EXPECT_TRUE(store->check().empty());
  EXPECT_EQ(store->stats().blocks, 0u);
  EXPECT_EQ(store->stats().stored_bytes, 0u);
  EXPECT_TRUE(store->publish().ok());
  EXPECT_TRUE(store->discard(block.key).ok());
  uint64_t freed = 1;
  EXPECT_TRUE(store->collect({}, 0, &freed).ok());
  EXPECT_EQ(freed, 0u);
  EXPECT_TRUE(store->compact(&freed).ok());
  EXPECT_EQ(freed, 0u);
}

TEST_P(StoreConformance, ReturnsWhatWasPutBeforeAndAfterPublish) {
  const auto store = open();
  // sizes around alignment, page and one-byte edges
  std::vector<TestBlock> blocks;
  for (const uint64_t bytes : {1, 63, 64, 65, 4095, 4096, 4097, 100000})
    blocks.push_back(make_block(100 + bytes, bytes % 5 + 1, bytes));
  for (const TestBlock& block : blocks) {
    ASSERT_EQ(store->put(block).message, "");
    EXPECT_TRUE(store->contains(block.key));
    EXPECT_TRUE(store->holds(block)) << block.format.plane_bytes;
  }
  for (const TestBlock& block : blocks) EXPECT_TRUE(store->holds(block));
  ASSERT_EQ(store->publish().message, "");
  for (const TestBlock& block : blocks) EXPECT_TRUE(store->holds(block));
  EXPECT_EQ(store->list().size(), blocks.size());
  EXPECT_EQ(store->stats().blocks, blocks.size());
  EXPECT_TRUE(store->check().empty());
}

TEST_P(StoreConformance, KeepsFirstBlockOfAKey) {
  const auto store = open();
  const TestBlock first = make_block(1);
  TestBlock second = make_block(2);
  second.key = first.key;
  ASSERT_EQ(store->put(first).message, "");
  ASSERT_EQ(store->put(second).message, "");
  EXPECT_TRUE(store->holds(first));
  ASSERT_EQ(store->publish().message, "");
  ASSERT_EQ(store->put(second).message, "");
  ASSERT_EQ(store->publish().message, "");
  EXPECT_TRUE(store->holds(first));
  EXPECT_EQ(store->stats().blocks, 1u);
}

TEST_P(StoreConformance, ViewsOutliveEverything) {
  const auto store = open();
  const TestBlock block = make_block(5, 4, 50000);
  ASSERT_EQ(store->put(block).message, "");
  const auto early = store->get(block.key);
  ASSERT_EQ(store->publish().message, "");
  const auto late = store->get(block.key);
  ASSERT_EQ(store->discard(block.key).message, "");
  uint64_t freed = 0;
  ASSERT_EQ(store->collect({}, 0, &freed).message, "");
  EXPECT_FALSE(store->contains(block.key));
  EXPECT_EQ(store->stats().stored_bytes, 0u);
  EXPECT_TRUE(early->equals(block));
  EXPECT_TRUE(late->equals(block));
  EXPECT_TRUE(early->verify().ok());
  EXPECT_TRUE(late->verify().ok());
}

TEST_P(StoreConformance, VerifiesAPlaneOnceAProcess) {
  const auto store = open();
  const TestBlock block = make_block(5, 4, 5000);
  ASSERT_EQ(store->put(block).message, "");
  ASSERT_EQ(store->publish().message, "");
  const uint64_t first_time = GetParam() == "memory" ? 0 : 5000;
  for (int round = 0; round < 2; ++round) {
    const auto view = store->get(block.key);
    for (uint32_t plane = 0; plane < 4; ++plane) {
      for (const uint32_t ahead : {plane, plane + 1}) view->fetch(ahead);  // one there is not, too
      uint64_t bytes = 77;
      ASSERT_TRUE(view->verify(plane, &bytes).ok());
      EXPECT_EQ(bytes, round == 0 ? first_time : 0);
    }
    uint64_t bytes = 0;
    const Outcome outside = view->verify(4, &bytes);
    EXPECT_EQ(outside.code, DBSA_ERROR_INVALID_ARGUMENT);
    EXPECT_EQ(outside.message, "plane 4 of a block that has 4");
  }
}

TEST_P(StoreConformance, DiscardedBlockCanBeStoredAnew) {
  const auto store = open();
  const TestBlock wrong = make_block(1);
  TestBlock right = make_block(2);
  right.key = wrong.key;
  for (const bool published : {false, true}) {
    ASSERT_EQ(store->put(wrong).message, "");
    if (published) {
      ASSERT_EQ(store->publish().message, "");
    }
    ASSERT_EQ(store->discard(wrong.key).message, "");
    EXPECT_FALSE(store->contains(wrong.key));
    EXPECT_EQ(store->stats().blocks, 0u);
    ASSERT_EQ(store->put(right).message, "");
    EXPECT_TRUE(store->holds(right));
    ASSERT_EQ(store->publish().message, "");
    EXPECT_TRUE(store->holds(right));
    EXPECT_EQ(store->stats().blocks, 1u);
    ASSERT_EQ(store->discard(wrong.key).message, "");
  }
}

TEST_P(StoreConformance, CollectsAllThatIsNoRoot) {
  const auto store = open();
  std::vector<TestBlock> blocks;
  for (uint64_t i = 0; i < 12; ++i) {
    blocks.push_back(make_block(i, 2, 4096));
    ASSERT_EQ(store->put(blocks.back()).message, "");
    if (i % 4 == 3) {
      ASSERT_EQ(store->publish().message, "");
    }
  }
  // one whole pack, one half, one not at all
  std::vector<KvKey> roots;
  for (const int i : {0, 1, 2, 3, 5, 6}) roots.push_back(blocks[static_cast<size_t>(i)].key);
  const uint64_t before = store->stats().stored_bytes;
  uint64_t freed = 0;
  ASSERT_EQ(store->collect(roots, 0, &freed).message, "");
  EXPECT_EQ(store->stats().stored_bytes, before - freed);
  EXPECT_GE(freed, 4u * 2 * 4096);
  for (const TestBlock& block : blocks) {
    const bool rooted = std::find(roots.begin(), roots.end(), block.key) != roots.end();
    EXPECT_EQ(store->contains(block.key), rooted);
    if (rooted) {
      EXPECT_TRUE(store->holds(block));
    }
  }
  EXPECT_TRUE(store->check().empty());
}

TEST_P(StoreConformance, CollectsOldestFirstDownToABound) {
  const auto store = open();
  std::vector<TestBlock> blocks;
  for (uint64_t i = 0; i < 10; ++i) {
    blocks.push_back(make_block(i, 2, 1 << 16));
    ASSERT_EQ(store->put(blocks.back()).message, "");
    if (i % 5 == 4) {
      ASSERT_EQ(store->publish().message, "");
    }
  }
  const uint64_t bound = 6 * 2 * (1 << 16) + 100000;  // six blocks and what packs cost
  uint64_t freed = 0;
  ASSERT_EQ(store->collect({blocks[0].key}, bound, &freed).message, "");
  EXPECT_LE(store->stats().stored_bytes, bound);
  for (size_t i = 0; i < 10; ++i) EXPECT_EQ(store->contains(blocks[i].key), i == 0 || i >= 5) << i;
  // within the bound nothing goes
  ASSERT_EQ(store->collect({}, bound, &freed).message, "");
  EXPECT_EQ(freed, 0u);
}

TEST_P(StoreConformance, ADryRunTellsWhatWouldGoAndDropsNothing) {
  const auto store = open();
  std::vector<TestBlock> blocks;
  for (uint64_t i = 0; i < 6; ++i) {
    blocks.push_back(make_block(i, 2, 4096));
    ASSERT_EQ(store->put(blocks.back()).message, "");
  }
  ASSERT_EQ(store->publish().message, "");
  const std::vector<KvKey> roots = {blocks[1].key, blocks[4].key};
  for (const uint64_t bound : {uint64_t{0}, uint64_t{4 * 2 * 4096 + 20000}}) {
    uint64_t would_free = 0, freed = 0;
    std::vector<KvKey> would, told;
    ASSERT_EQ(store->collect(roots, bound, &would_free, true, &would).message, "");
    EXPECT_EQ(store->stats().blocks, blocks.size());
    if (bound != 0) continue;
    ASSERT_EQ(store->collect(roots, bound, &freed, false, &told).message, "");
    EXPECT_EQ(std::set(would.begin(), would.end()), std::set(told.begin(), told.end()));
    EXPECT_EQ(told.size(), 4u);
    EXPECT_EQ(store->stats().blocks, 2u);
    blocks.erase(std::remove_if(blocks.begin(), blocks.end(),
                                [&](const TestBlock& b) {
                                  return std::find(roots.begin(), roots.end(), b.key) ==
                                         roots.end();
                                }),
                 blocks.end());
  }
}

TEST_P(StoreConformance, KeepsPools) {
  const auto store = open();
  EXPECT_TRUE(store->pool_list().empty());
  Outcome outcome;
  EXPECT_FALSE(store->pool_get("none", &outcome));
  EXPECT_EQ(outcome.code, DBSA_ERROR_NOT_FOUND);
  EXPECT_EQ(store->pool_drop("none").code, DBSA_ERROR_NOT_FOUND);

  std::vector<uint8_t> all_bytes(256 * 300);
  for (size_t i = 0; i < all_bytes.size(); ++i) all_bytes[i] = static_cast<uint8_t>(i);
  const std::vector<KvPool> pools = {
      {"0a-b_c", {}, {}, 0, ""},
      {std::string(DBSA_KV_POOL_ID_MAX, 'z'), all_bytes, {make_block(1).key}, 0, ""},
      {"5", {0}, {make_block(1).key, make_block(2).key, make_block(1).key}, 0, ""}};
  const int64_t before = std::time(nullptr);
  for (const KvPool& pool : pools) ASSERT_EQ(store->pool_put(pool).message, "");
  EXPECT_EQ(store->pool_list().size(), pools.size());
  for (const KvPool& pool : pools) {
    const auto kept = store->pool_get(pool.id);
    ASSERT_TRUE(kept);
    EXPECT_EQ(kept->id, pool.id);
    EXPECT_EQ(kept->document, pool.document);
    EXPECT_EQ(kept->keys, pool.keys);
    EXPECT_GE(kept->changed_unix_s, before - 1);
    EXPECT_FALSE(kept->location.empty());
  }
  KvPool other = pools[2];
  other.document = {9, 9};
  other.keys = {make_block(7).key};
  ASSERT_EQ(store->pool_put(other).message, "");
  EXPECT_EQ(store->pool_get(other.id)->document, other.document);
  EXPECT_EQ(store->pool_get(other.id)->keys, other.keys);
  EXPECT_EQ(store->pool_list().size(), pools.size());
  EXPECT_EQ(store->pool_drop(other.id).message, "");
  EXPECT_FALSE(store->pool_get(other.id));
  EXPECT_EQ(store->pool_list().size(), pools.size() - 1);
}

TEST_P(StoreConformance, KeepsTheBlocksOfAllPools) {
  const auto store = open();
  std::vector<TestBlock> blocks;
  for (uint64_t i = 0; i < 5; ++i) {
    blocks.push_back(make_block(i));
    ASSERT_EQ(store->put(blocks.back()).message, "");
  }
  ASSERT_EQ(store->publish().message, "");
  ASSERT_EQ(store->pool_put({"a", {}, {blocks[0].key, blocks[1].key}, 0, ""}).message, "");
  ASSERT_EQ(store->pool_put({"b", {}, {blocks[1].key, blocks[2].key}, 0, ""}).message, "");
  uint64_t freed = 0;
  ASSERT_EQ(store->collect_unneeded(0, &freed).message, "");
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(store->contains(blocks[i].key), i < 3) << i;
  ASSERT_EQ(store->pool_drop("a").message, "");
  ASSERT_EQ(store->collect_unneeded(0, &freed).message, "");
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(store->contains(blocks[i].key), i > 0) << i;
}

TEST_P(StoreConformance, CompactsWithoutLosingAnything) {
  const auto store = open();
  std::vector<TestBlock> blocks;
  for (uint64_t i = 0; i < 9; ++i) {
    blocks.push_back(make_block(i, 2, 3000));
    ASSERT_EQ(store->put(blocks.back()).message, "");
    ASSERT_EQ(store->publish().message, "");
  }
  const uint64_t before = store->stats().stored_bytes;
  uint64_t freed = 0;
  ASSERT_EQ(store->compact(&freed).message, "");
  EXPECT_EQ(store->stats().stored_bytes, before - freed);
  for (const TestBlock& block : blocks) EXPECT_TRUE(store->holds(block));
  EXPECT_EQ(store->stats().blocks, 9u);
  EXPECT_TRUE(store->check().empty());
  // done already
  ASSERT_EQ(store->compact(&freed).message, "");
  EXPECT_EQ(freed, 0u);
}

TEST_P(StoreConformance, RefusesWhatDoesNotFitMaxBytes) {
  const auto store = open(100000);
  const TestBlock small = make_block(1, 2, 20032), large = make_block(2, 2, 45000);
  ASSERT_EQ(store->put(small).message, "");
  const Outcome refused = store->put(large);
  EXPECT_EQ(refused.code, DBSA_ERROR_ENVIRONMENT);
  const uint64_t used = store->stats().stored_bytes;
  const std::string numbers =
      " bytes, " + std::to_string(used) + " of 100000 allowed bytes are used; ";
  EXPECT_EQ(refused.message,
            GetParam() == "memory"
                ? "memory: block " + large.key.hex() + " needs 90112" + numbers +
                      "raise kv_store.max_bytes (0: no bound)"
                : (folder_.path() / "store").string() + ": block " + large.key.hex() +
                      " needs 90000" + numbers +
                      "drop unused blocks with `dbsa-pipe store gc` or raise kv_store.max_bytes");
  // the old state stands
  EXPECT_TRUE(store->holds(small));
  EXPECT_FALSE(store->contains(large.key));
  ASSERT_EQ(store->publish().message, "");
  EXPECT_TRUE(store->holds(small));
  EXPECT_EQ(store->stats().max_bytes, 100000u);
}

TEST_P(StoreConformance, RefusesAFormatWithoutBytes) {
  const auto store = open();
  TestBlock block = make_block(1);
  block.format.plane_bytes = 0;
  Outcome outcome = store->put(block);
  EXPECT_EQ(outcome.code, DBSA_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(outcome.message, "block " + block.key.hex() + " has 3 layers of 0 bytes");
  block.format.plane_bytes = ~uint64_t{0} / 2;
  outcome = store->put(block);
  EXPECT_EQ(outcome.code, DBSA_ERROR_INVALID_ARGUMENT);
}

TEST_P(StoreConformance, ListsSizesFormatsAndTimes) {
  const auto store = open();
  for (uint64_t i = 0; i < 5; ++i) ASSERT_EQ(store->put(make_block(i)).message, "");
  ASSERT_EQ(store->publish().message, "");
  const auto entries = store->list();
  ASSERT_EQ(entries.size(), 5u);
  uint64_t total = 0;
  const TestBlock expected = make_block(3);
  const KvEntry& entry = entries.at(expected.key.hex());
  EXPECT_EQ(entry.format.tokens, expected.format.tokens);
  EXPECT_EQ(entry.format.layout, expected.format.layout);
  EXPECT_NEAR(static_cast<double>(entry.created_unix_s), static_cast<double>(std::time(nullptr)),
              60);
  for (const auto& [key, one] : entries) total += one.stored_bytes;
  EXPECT_LE(total, store->stats().stored_bytes);
  EXPECT_GE(total + 5, store->stats().stored_bytes);
}

// Readers see a whole block or none while one thread puts, publishes and discards.
TEST_P(StoreConformance, ReadersRunWhileOneThreadWrites) {
  const auto store = open();
  std::vector<TestBlock> blocks;
  for (uint64_t i = 0; i < 60; ++i) blocks.push_back(make_block(i, 3, 2000 + i));
  std::atomic<bool> done = false;
  std::atomic<int> wrong = 0, seen = 0;
  std::vector<std::thread> readers;
  for (uint64_t r = 0; r < 3; ++r)
    readers.emplace_back([&, r] {
      std::mt19937_64 random(r);
      while (!done) {
        const TestBlock& block = blocks[random() % blocks.size()];
        store->contains(block.key);
        if (const auto view = store->get(block.key)) {
          ++seen;
          if (!view->equals(block) || !view->verify().ok()) ++wrong;
        }
        store->stats();
      }
    });
  for (int round = 0; round < 3 || seen < 200; ++round) {  // until readers had their share
    for (size_t i = 0; i < blocks.size(); ++i) {
      EXPECT_EQ(store->put(blocks[i]).message, "");
      if (i % 7 == 0) {
        EXPECT_EQ(store->publish().message, "");
      }
    }
    for (const TestBlock& block : blocks) EXPECT_TRUE(store->holds(block));
    for (size_t i = 0; i < blocks.size(); i += 2)
      EXPECT_EQ(store->discard(blocks[i].key).message, "");
    uint64_t freed = 0;
    EXPECT_EQ(store->compact(&freed).message, "");
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0);
}

INSTANTIATE_TEST_SUITE_P(Stores, StoreConformance, testing::Values("memory", "hdf5"),
                         [](const auto& one) { return one.param; });

}  // namespace
}  // namespace dbsa::store_test
