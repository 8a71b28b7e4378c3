// The groupers that cluster: exact sizes, like with like, the same for a seed, the stated exchange.
#include <cmath>
#include <map>
#include <thread>

#include "tests/plugins/block_grouper_under_test.h"

namespace dbsa::testing {
namespace {

struct Grouper {
  const char* file;
  std::string keys;  // except the common ones
  std::string config(double swap_fraction, int64_t iterations = 20) const {
    return "{" + keys + R"("iterations": )" + std::to_string(iterations) +
           R"(, "swap_fraction": )" + std::to_string(swap_fraction) + "}";
  }
};

const Grouper kGroupers[] = {
    {"block_grouper_bm25_kmeans",
     R"("k1": 1.2, "b": 0.75, "stemmer": "porter", "stop_words": "english", "character_ngrams": 0, )"},
    {"block_grouper_embedding_kmeans", ""},
};

// A text's words, counted, at length 1: near to what both groupers compare, and of neither.
std::map<std::string, double> word_vector(const std::string& text) {
  std::map<std::string, double> words;
  std::string word;
  for (const char c : text + " ") {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else if (!word.empty()) {
      ++words[word];
      word.clear();
    }
  }
  double square = 0;
  for (const auto& [w, n] : words) square += n * n;
  for (auto& [w, n] : words) n /= std::sqrt(square);
  return words;
}

// Of letters, as the embedding of the host under test is.
std::map<std::string, double> letter_vector(const std::string& text) {
  std::string spaced;
  for (const char c : text) spaced += std::string(1, c) + " ";
  return word_vector(spaced);
}

// Mean squared distance of a member from its block's mean.
double scatter(const Pool& pool, const Blocks& blocks, bool letters) {
  double sum = 0;
  for (const auto& block : blocks) {
    std::map<std::string, double> mean;
    double squares = 0;
    const double size = static_cast<double>(block.size());
    for (const int64_t i : block)
      for (const auto& [w, x] :
           letters ? letter_vector(pool.texts[i]) : word_vector(pool.texts[i])) {
        mean[w] += x / size;
        squares += x * x;
      }
    double mean_square = 0;
    for (const auto& [w, x] : mean) mean_square += x * x;
    sum += squares - size * mean_square;
  }
  return sum / static_cast<double>(pool.size());
}

void expect_closer_than_random(const Pool& pool, int64_t block_size) {
  const Blocks random =
      group("block_grouper_random", R"({"balanced_lengths": false})", pool, block_size, 1);
  for (const Grouper& grouper : kGroupers) {
    const bool letters = grouper.file == kGroupers[1].file;
    const Blocks blocks = group(grouper.file, grouper.config(0), pool, block_size, 1);
    expect_valid(blocks, pool.size(), block_size);
    const double clustered = scatter(pool, blocks, letters);
    const double at_random = scatter(pool, random, letters);
    const double mixed =
        scatter(pool, group(grouper.file, grouper.config(0.1), pool, block_size, 1), letters);
    std::printf(
        "%s: mean squared distance %.4f clustered, %.4f with a tenth swapped, %.4f random\n",
        grouper.file, clustered, mixed, at_random);
    EXPECT_LT(clustered, mixed);
    EXPECT_LT(mixed, at_random);
    EXPECT_LT(clustered, 0.95 * at_random);
  }
}

TEST(KmeansGroupers, EveryDemonstrationOnceAndOnlyTheLastBlockSmaller) {
  for (const Grouper& grouper : kGroupers)
    for (const double swap : {0.0, 0.1, 1.0})
      for (const int64_t count : {1, 2, 3, 49, 50, 51, 101, 230})
        for (const int64_t size : {1, 2, 7, 50, 1000})
          expect_valid(
              group(grouper.file, grouper.config(swap), topical_pool(count, 9, 3), size, 5), count,
              size);
}

TEST(KmeansGroupers, PutLikeWithLike) { expect_closer_than_random(topical_pool(430, 12, 4), 50); }

TEST(KmeansGroupers, PutLikeWithLikeOnRealText) {
  const Pool pool = banking77(1000);
  if (pool.size() == 0)
    GTEST_SKIP() << banking77_path() << " is absent; set DBSA_DATA to the folder that holds data/";
  expect_closer_than_random(pool, 50);
}

// Topics of exactly a block's size, without a letter or a word in common, are found exactly.
TEST(KmeansGroupers, FindSeparateTopicsExactly) {
  Pool pool;
  for (int i = 0; i < 60; ++i) {
    const std::string word(3, static_cast<char>('b' + i * 7 % 6));
    pool.add(word + " " + word, "x", 1);
  }
  for (const Grouper& grouper : kGroupers)
    for (const uint64_t seed : {1, 2, 3, 4, 5}) {
      for (const auto& block : group(grouper.file, grouper.config(0), pool, 10, seed))
        for (const int64_t i : block)
          EXPECT_EQ(pool.texts[i], pool.texts[block[0]]) << grouper.file << ", seed " << seed;
    }
}

TEST(KmeansGroupers, AreTheSameForASeedAndAnotherForAnother) {
  const Pool pool = topical_pool(330, 9, 8);
  for (const Grouper& grouper : kGroupers) {
    const PluginUnderTest plugin(grouper.file, grouper.config(0.1));
    const Blocks first = group(plugin, pool, 50, 11);
    EXPECT_EQ(group(plugin, pool, 50, 11), first);
    EXPECT_EQ(group(grouper.file, grouper.config(0.1), pool, 50, 11), first);
    EXPECT_NE(group(plugin, pool, 50, 12), first);
    std::thread([&] {
      EXPECT_EQ(group(plugin, pool, 50, 11), first) << "on another thread";
    }).join();
  }
}

// Values that any machine must reproduce, with any number of OpenMP threads.
TEST(KmeansGroupers, AreTheSameOnEveryMachine) {
  const Pool pool = topical_pool(14, 3, 2);
  EXPECT_EQ(group(kGroupers[0].file, kGroupers[0].config(0.2), pool, 5, 7),
            (Blocks{{12, 4, 5, 6, 13}, {3, 2, 1, 7, 0}, {9, 10, 8, 11}}));
  EXPECT_EQ(group(kGroupers[1].file, kGroupers[1].config(0.2), pool, 5, 7),
            (Blocks{{11, 4, 5, 6, 13}, {3, 2, 1, 7, 0}, {10, 12, 9, 8}}));
}

// Without a swap the blocks are topics; with one, that share of each is of another topic.
TEST(KmeansGroupers, ExchangeTheStatedShare) {
  Pool pool;
  for (int i = 0; i < 200; ++i) pool.add(std::string(3, static_cast<char>('b' + i % 4)), "x", 1);
  for (const Grouper& grouper : kGroupers)
    for (const auto& [swap, own] : {std::pair{0.0, 50}, {0.1, 45}, {0.3, 35}}) {
      const Blocks blocks = group(grouper.file, grouper.config(swap), pool, 50, 3);
      std::vector<int> most;
      for (const auto& block : blocks) {
        int counts[4] = {};
        for (const int64_t i : block) ++counts[i % 4];
        most.push_back(*std::max_element(counts, counts + 4));
      }
      EXPECT_EQ(most, std::vector<int>(4, own)) << grouper.file << " " << swap;
    }
}

TEST(KmeansGroupers, TakeTextsThatAreAllTheSameOrEmpty) {
  Pool pool;
  for (int i = 0; i < 70; ++i) pool.add(i < 35 ? "" : "the of and", "x", 1);
  for (int i = 0; i < 70; ++i) pool.add("card lost", "x", 1);
  for (const Grouper& grouper : kGroupers)
    expect_valid(group(grouper.file, grouper.config(0.1), pool, 20, 5), 140, 20);
}

TEST(KmeansGroupers, SayWhatTheyNeed) {
  const dbsa_error error = PluginUnderTest::refusal(kGroupers[1].file, kGroupers[1].config(0),
                                                    /*with_embedding=*/false);
  EXPECT_EQ(error.code, DBSA_ERROR_CONFIG);
  EXPECT_STREQ(error.message, "needs embeddings: add a table [embedding] to the pipeline file");
  for (const Grouper& grouper : kGroupers) {
    const dbsa_error missing =
        PluginUnderTest::refusal(grouper.file, "{" + grouper.keys + R"("iterations": 20})");
    EXPECT_STREQ(missing.message, "swap_fraction is missing");
    EXPECT_STREQ(missing.config_pointer, "/swap_fraction");
    const PluginUnderTest plugin(grouper.file, grouper.config(0));
    const Pool pool = topical_pool(3, 2, 1);
    const CTexts texts(pool.texts);
    const dbsa_demonstrations demonstrations = {sizeof(dbsa_demonstrations), 3, texts.get(),
                                                texts.get(), pool.tokens.data()};
    int64_t order[3];
    int64_t ends[3];
    dbsa_grouping grouping = {sizeof(dbsa_grouping), 0, order, ends};
    dbsa_error size = {};
    EXPECT_EQ(plugin.vtable<dbsa_block_grouper_vtable>().group(plugin.instance(), &demonstrations,
                                                               0, 1, &grouping, &size),
              DBSA_ERROR_INVALID_ARGUMENT);
    EXPECT_STREQ(size.message, "block_size must be >= 1, got 0");
  }
}

}  // namespace
}  // namespace dbsa::testing
