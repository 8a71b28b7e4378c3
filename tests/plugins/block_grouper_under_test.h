// A block grouper plugin with the call of its kind, pools for it, and what every grouping must be.
#pragma once

#include <dbsa/sdk/block_grouper.h>
#include <dbsa/sdk/random.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "tests/plugins/plugin_under_test.h"

namespace dbsa::testing {

// The configurations of groupers that may balance the token counts of blocks.
inline constexpr const char* kBalanced = R"({"balanced_lengths": true})";
inline constexpr const char* kUnbalanced = R"({"balanced_lengths": false})";

struct Pool {
  std::vector<std::string> texts;
  std::vector<std::string> labels;
  std::vector<int64_t> tokens;

  void add(const std::string& text, const std::string& label, int64_t token_count) {
    texts.push_back(text);
    labels.push_back(label);
    tokens.push_back(token_count);
  }
  int64_t size() const { return static_cast<int64_t>(texts.size()); }
};

inline Blocks group(const PluginUnderTest& plugin, const Pool& pool, int64_t block_size,
                    uint64_t seed) {
  const CTexts texts(pool.texts);
  const CTexts labels(pool.labels);
  const dbsa_demonstrations demonstrations = {sizeof(dbsa_demonstrations), pool.size(), texts.get(),
                                              labels.get(), pool.tokens.data()};
  std::vector<int64_t> order(pool.texts.size());
  std::vector<int64_t> ends(pool.texts.size());
  dbsa_grouping grouping = {sizeof(dbsa_grouping), 0, order.data(), ends.data()};
  dbsa_error error = {};
  error.struct_size = sizeof error;
  EXPECT_EQ(plugin.vtable<dbsa_block_grouper_vtable>().group(plugin.instance(), &demonstrations,
                                                             block_size, seed, &grouping, &error),
            DBSA_OK)
      << error.message;
  Blocks blocks;
  int64_t begin = 0;
  for (int64_t b = 0; b < grouping.block_count; ++b) {
    blocks.emplace_back(order.begin() + begin, order.begin() + ends[b]);
    begin = ends[b];
  }
  return blocks;
}

inline Blocks group(const std::string& file, const std::string& config, const Pool& pool,
                    int64_t block_size, uint64_t seed) {
  return group(PluginUnderTest(file, config), pool, block_size, seed);
}

// Every demonstration once, in blocks of block_size; only the last one may be smaller.
inline void expect_valid(const Blocks& blocks, int64_t count, int64_t block_size) {
  ASSERT_EQ(static_cast<int64_t>(blocks.size()), (count + block_size - 1) / block_size);
  std::set<int64_t> seen;
  for (size_t b = 0; b < blocks.size(); ++b) {
    const int64_t left = count - block_size * static_cast<int64_t>(b);
    EXPECT_EQ(static_cast<int64_t>(blocks[b].size()), std::min(block_size, left))
        << "block " << b << " of " << count << " in blocks of " << block_size;
    seen.insert(blocks[b].begin(), blocks[b].end());
  }
  ASSERT_EQ(static_cast<int64_t>(seen.size()), count);
  EXPECT_EQ(*seen.begin(), 0);
  EXPECT_EQ(*seen.rbegin(), count - 1);
}

// Largest minus smallest token count of the full blocks.
inline int64_t spread(const Blocks& blocks, const std::vector<int64_t>& tokens, size_t block_size) {
  int64_t low = INT64_MAX;
  int64_t high = 0;
  for (const auto& block : blocks) {
    if (block.size() != block_size) continue;
    int64_t sum = 0;
    for (const int64_t i : block) sum += tokens[i];
    low = std::min(low, sum);
    high = std::max(high, sum);
  }
  return high - low;
}

// Texts of `topics` topics, in random order: each with its own letters and words, and a few of all.
inline Pool topical_pool(int64_t count, int64_t topics, uint64_t seed) {
  Random random(seed);
  Pool pool;
  for (int64_t i = 0; i < count; ++i) {
    const auto topic = static_cast<int64_t>(random.below(topics));
    std::string text;
    for (int64_t w = 0; w < 8; ++w) {
      const bool common = random.below(4) == 0;
      const char letter = static_cast<char>('a' + (common ? random.below(26) : topic % 26));
      text += std::string(2, letter) + static_cast<char>('a' + random.below(3)) + " ";
    }
    pool.add(text, "label" + std::to_string(topic), 10 + static_cast<int64_t>(random.below(9)));
  }
  return pool;
}

inline std::string banking77_path() {
  const char* folder = std::getenv("DBSA_DATA");
  return std::string(folder != nullptr ? folder : DBSA_SOURCE_DIR "/../shared") +
         "/data/banking77/train.jsonl";
}

// `count` demonstrations of banking77, evenly spaced so that they hold all labels; empty where the
// data are absent.
inline Pool banking77(int64_t count) {
  std::ifstream file(banking77_path());
  Pool all;
  for (std::string line; std::getline(file, line);) {
    const auto row = nlohmann::json::parse(line);
    all.add(row.at("text"), row.at("label"), 20);
  }
  Pool pool;
  for (int64_t i = 0; i < std::min(count, all.size()); ++i) {
    const int64_t at = i * all.size() / count;
    pool.add(all.texts[at], all.labels[at], all.tokens[at]);
  }
  return pool;
}

}  // namespace dbsa::testing
