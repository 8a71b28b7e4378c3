// Dense retrieval: exact against double precision, saved and loaded, every error by its message.
#include <dbsa/sdk/random.h>
#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "tests/plugins/retriever_under_test.h"

namespace dbsa::testing {
namespace {

constexpr const char* kFlatIndex = R"({"index": "Flat", "search_parameters": ""})";

std::string config(const std::string& index, const std::string& parameters = "") {
  return nlohmann::json{{"index", index}, {"search_parameters", parameters}}.dump();
}

std::string random_text(Random& random) {
  std::string text;
  for (uint64_t n = 1 + random.below(30); n > 0; --n)
    text += static_cast<char>('a' + random.below(1 + random.below(26)));
  return text;
}

std::vector<std::string> random_texts(int64_t count, uint64_t seed) {
  Random random(seed);
  std::vector<std::string> texts;
  for (int64_t i = 0; i < count; ++i) texts.push_back(random_text(random));
  return texts;
}

// The embedding that the host under test makes, in double and not rounded.
std::vector<double> embedding(const std::string& text) {
  std::vector<double> row(27, 0);
  row[26] = static_cast<double>(0.1F);
  for (const char c : text) row[c - 'a'] += 1;
  double square = 0;
  for (const double x : row) square += x * x;
  for (double& x : row) x /= std::sqrt(square);
  return row;
}

double cosine(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

// Both embeddings are rounded to float, each value by the sum of up to 27 squares, a root and a
// quotient: (27 / 2 + 2) u relative, u = 2^-24; so are the 27 products and their sum. All terms are
// positive and sum to at most 1.
constexpr double kTolerance = (2 * (27.0 / 2 + 2) + 28) * 0x1p-24;

TEST(Faiss, FlatEqualsBruteForceInDouble) {
  const uint64_t seed = 20250501;
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  const std::vector<std::string> documents = random_texts(700, seed);
  std::vector<std::vector<double>> embeddings;
  for (const auto& text : documents) embeddings.push_back(embedding(text));
  RetrieverUnderTest retriever("retriever_faiss", kFlatIndex);
  ASSERT_EQ(retriever.index(documents), DBSA_OK);
  Random random(seed + 1);
  for (const int64_t asked : {0, 1, 3, 16, 100, 700, 2000}) {
    const std::string query = random_text(random);
    const std::vector<double> vector = embedding(query);
    std::vector<double> scores;
    for (const auto& e : embeddings) scores.push_back(cosine(vector, e));
    std::vector<double> sorted = scores;
    std::sort(sorted.rbegin(), sorted.rend());
    const std::vector<Hit> hits = retriever.hits(query, asked);
    ASSERT_EQ(static_cast<int64_t>(hits.size()), std::min<int64_t>(asked, 700));
    std::set<int64_t> ids;
    for (size_t i = 0; i < hits.size(); ++i) {
      ids.insert(hits[i].id);
      // The id's own score, and the score that is due at this rank: so the id is right except among
      // documents that are within the tolerance of each other.
      ASSERT_NEAR(hits[i].score, scores[hits[i].id], kTolerance) << "rank " << i;
      ASSERT_NEAR(hits[i].score, sorted[i], kTolerance) << "rank " << i;
    }
    EXPECT_EQ(ids.size(), hits.size());
  }
}

TEST(Faiss, BreaksTiesByTheLowerId) {
  RetrieverUnderTest retriever("retriever_faiss", kFlatIndex);
  std::vector<std::string> documents(300, "same");
  documents[200] = "card";
  ASSERT_EQ(retriever.index(documents), DBSA_OK);
  for (const int64_t asked : {1, 2, 7, 299, 300}) {
    const std::vector<Hit> hits = retriever.hits("card", asked);
    ASSERT_EQ(static_cast<int64_t>(hits.size()), asked);
    EXPECT_EQ(hits[0].id, 200);
    for (int64_t i = 1; i < asked; ++i) EXPECT_EQ(hits[i].id, i <= 200 ? i - 1 : i);
  }
}

// Every family of the manifest: distinct ids, falling scores, the best document mostly found, and
// the same answers from a saved index.
TEST(Faiss, AnswersWithEveryFamilyAndFromASavedIndex) {
  const std::vector<std::string> documents = random_texts(400, 7);
  for (const auto& [index, parameters] : std::vector<std::pair<std::string, std::string>>{
           {"Flat", ""},
           {"SQ8", ""},
           {"SQ6", ""},
           {"SQ4", ""},
           {"SQfp16", ""},
           {"HNSW8,SQfp16", ""},
           {"IVF7,SQfp16", "nprobe=7"},
           {"PQ9x4", ""},
           {"PQ9", ""},
           {"PQ9x4fs", ""},
           {"HNSW8", ""},
           {"HNSW8,SQ8", "efSearch=64"},
           {"HNSW8,PQ9", ""},
           {"IVF7,Flat", "nprobe=7"},
           {"IVF7,PQ9x4", "nprobe=7"},
           {"IVF7,SQ8", "nprobe=7"},
           {"IVF7,PQ9x4fs", "nprobe=7"},
           {"PCA16,Flat", ""},
           {"PCAR16,IVF4,SQ8,RFlat", "nprobe=4,k_factor_rf=4"},
           {"PQ9x4,RFlat", ""}}) {
    SCOPED_TRACE(index);
    RetrieverUnderTest retriever("retriever_faiss", config(index, parameters));
    ASSERT_EQ(retriever.index(documents), DBSA_OK) << retriever.message();
    std::string bytes;
    ASSERT_EQ(retriever.save(bytes), DBSA_OK) << retriever.message();
    RetrieverUnderTest loaded("retriever_faiss", config(index, parameters));
    ASSERT_EQ(loaded.load(bytes), DBSA_OK) << loaded.message();
    RetrieverUnderTest again("retriever_faiss", config(index, parameters));
    ASSERT_EQ(again.index(documents), DBSA_OK);
    std::string same;
    ASSERT_EQ(again.save(same), DBSA_OK);
    EXPECT_EQ(same == bytes, true) << "the same documents give the same bytes";
    ASSERT_EQ(loaded.save(same), DBSA_OK);
    EXPECT_EQ(same == bytes, true) << "and so does what was read from them";
    int found = 0;
    for (int i = 0; i < 40; ++i) {
      const std::vector<Hit> hits = retriever.hits(documents[i * 9], 10);
      EXPECT_EQ(loaded.hits(documents[i * 9], 10), hits);
      std::set<int64_t> ids;
      for (size_t h = 0; h < hits.size(); ++h) {
        ids.insert(hits[h].id);
        if (documents[hits[h].id] == documents[i * 9]) found += 1;
        if (h > 0) {
          EXPECT_LE(hits[h].score, hits[h - 1].score);
        }
      }
      EXPECT_EQ(ids.size(), hits.size());
    }
    EXPECT_GE(found, 28) << "of 40";
  }
}

TEST(Faiss, FindsFewerThanAskedForWhereOneListIsSearched) {
  RetrieverUnderTest retriever("retriever_faiss", config("IVF20,Flat"));
  ASSERT_EQ(retriever.index(random_texts(100, 3)), DBSA_OK);
  const std::vector<Hit> hits = retriever.hits("abc", 100);
  EXPECT_GE(hits.size(), 1u);
  EXPECT_LT(hits.size(), 100u);
}

TEST(Faiss, AnswersWithoutDocuments) {
  for (const char* index : {"Flat", "PQ9x4", "IVF20,Flat", "HNSW8"}) {
    RetrieverUnderTest retriever("retriever_faiss", config(index));
    ASSERT_EQ(retriever.index({}), DBSA_OK);
    EXPECT_TRUE(retriever.hits("abc", 3).empty());
    std::string bytes;
    ASSERT_EQ(retriever.save(bytes), DBSA_OK);
    ASSERT_EQ(retriever.load(bytes), DBSA_OK) << retriever.message();
    EXPECT_TRUE(retriever.hits("abc", 3).empty());
  }
}

// ---- errors ----

TEST(FaissErrors, SayWhatIsWrongWithTheIndex) {
  for (const char* index :
       {"", "Foo", "PQ0", "HNSW1", "HNSW0", "IVF0,Flat", "NSG16", "IDMap,Flat", "Flat ", "flat",
        "IVF4", "PQ8x13", "OPQ0,PQ8", "LSH", "IVF4(Flat),Flat"}) {
    const dbsa_error error = PluginUnderTest::refusal("retriever_faiss", config(index));
    EXPECT_EQ(error.code, DBSA_ERROR_CONFIG);
    EXPECT_EQ(error.message,
              "index \"" + std::string(index) +
                  "\" is none that this plugin knows; it knows Flat, SQ8, PQ16, HNSW32, IVF64,Flat "
                  "and others that its description lists");
    EXPECT_STREQ(error.config_pointer, "/index");
  }
  const dbsa_error parts = PluginUnderTest::refusal("retriever_faiss", config("PQ8"));
  EXPECT_EQ(parts.code, DBSA_ERROR_CONFIG);
  EXPECT_STREQ(
      parts.message,
      "index \"PQ8\" does not suit embeddings of 27 values: 'd % M == 0' failed: The "
      "dimension of the vector (d) should be a multiple of the number of subquantizers (M)");
  EXPECT_STREQ(parts.config_pointer, "/index");
}

TEST(FaissErrors, SayWhatIsWrongWithTheSearch) {
  const dbsa_error unknown =
      PluginUnderTest::refusal("retriever_faiss", config("Flat", "nprobe=3"));
  EXPECT_EQ(unknown.code, DBSA_ERROR_CONFIG);
  EXPECT_EQ(std::string(unknown.message)
                .rfind("search_parameters \"nprobe=3\" do not suit index \"Flat\": ", 0),
            0u)
      << unknown.message;
  EXPECT_STREQ(unknown.config_pointer, "/search_parameters");
  const dbsa_error verbose =
      PluginUnderTest::refusal("retriever_faiss", config("Flat", "verbose=1"));
  EXPECT_STREQ(
      verbose.message,
      "search_parameters \"verbose=1\" do not suit index \"Flat\": verbose is not a setting "
      "of the search");
}

TEST(FaissErrors, NeedAnEmbedding) {
  const dbsa_error error =
      PluginUnderTest::refusal("retriever_faiss", kFlatIndex, /*with_embedding=*/false);
  EXPECT_EQ(error.code, DBSA_ERROR_CONFIG);
  EXPECT_STREQ(error.message, "needs embeddings: add a table [embedding] to the pipeline file");
}

TEST(FaissErrors, NameTheFewestDocumentsToTrainWith) {
  for (const auto& [index, least] :
       std::vector<std::pair<std::string, int64_t>>{{"IVF20,Flat", 20},
                                                    {"PQ9", 256},
                                                    {"PQ9x4", 16},
                                                    {"PCA16,Flat", 16},
                                                    {"IVF30,PQ9x4,RFlat", 30},
                                                    {"HNSW8,PQ9", 256},
                                                    {"PQ9x4fs", 16}}) {
    RetrieverUnderTest retriever("retriever_faiss", config(index));
    EXPECT_EQ(retriever.index(random_texts(least - 1, 3)), DBSA_ERROR_CONFIG);
    EXPECT_EQ(retriever.message(), "index \"" + index + "\" needs at least " +
                                       std::to_string(least) + " documents to train with, got " +
                                       std::to_string(least - 1));
    EXPECT_STREQ(retriever.pointer(), "/index");
    std::vector<Hit> hits;
    EXPECT_EQ(retriever.query("abc", 1, hits), DBSA_ERROR_INVALID_ARGUMENT);
    EXPECT_EQ(retriever.message(), "there is no index to query");
    EXPECT_EQ(retriever.index(random_texts(least, 3)), DBSA_OK) << retriever.message();
  }
}

// ---- saving ----

std::string saved(const std::string& index) {
  RetrieverUnderTest retriever("retriever_faiss", config(index));
  EXPECT_EQ(retriever.index(random_texts(40, 3)), DBSA_OK) << retriever.message();
  std::string bytes;
  EXPECT_EQ(retriever.save(bytes), DBSA_OK);
  return bytes;
}

TEST(FaissSaving, RefusesEveryTruncationAndEveryFlippedBit) {
  for (const char* index : {"Flat", "IVF4,SQ8", "HNSW4"}) {
    const std::string good = saved(index);
    RetrieverUnderTest retriever("retriever_faiss", config(index));
    ASSERT_EQ(retriever.load(good), DBSA_OK);
    for (size_t size = 0; size < good.size(); ++size)
      ASSERT_EQ(retriever.load(good.substr(0, size)), DBSA_ERROR_CORRUPT) << size;
    ASSERT_EQ(retriever.load(good + '\0'), DBSA_ERROR_CORRUPT);
    for (size_t i = 0; i < good.size(); ++i) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ (1 << (i % 8)));
      ASSERT_EQ(retriever.load(bad), DBSA_ERROR_CORRUPT) << "byte " << i;
    }
    std::vector<Hit> hits;
    EXPECT_EQ(retriever.query("abc", 1, hits), DBSA_ERROR_INVALID_ARGUMENT);
    EXPECT_EQ(retriever.message(), "there is no index to query");
    std::string none;
    EXPECT_EQ(retriever.save(none), DBSA_ERROR_INVALID_ARGUMENT);
    EXPECT_EQ(retriever.message(), "there is no index to save");
  }
}

TEST(FaissSaving, RefusesRandomBytesAndRandomChanges) {
  const uint64_t seed = 20250601;
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  Random random(seed);
  const std::string good = saved("Flat");
  RetrieverUnderTest retriever("retriever_faiss", kFlatIndex);
  for (int round = 0; round < 5000; ++round) {
    std::string bad = good;
    if (round % 2 == 0) {
      for (uint64_t n = 1 + random.below(8); n > 0; --n)
        bad[random.below(bad.size())] = static_cast<char>(random.below(256));
      bad.resize(bad.size() - random.below(3));
    } else {
      bad.resize(random.below(200));
      for (char& c : bad) c = static_cast<char>(random.below(256));
      if (random.below(2) == 0) bad = good.substr(0, 8) + bad;
    }
    if (bad == good) continue;
    ASSERT_EQ(retriever.load(bad), DBSA_ERROR_CORRUPT) << "round " << round;
  }
}

TEST(FaissSaving, SaysWhatIsWrong) {
  const std::string good = saved("Flat");
  RetrieverUnderTest retriever("retriever_faiss", kFlatIndex);
  const auto message = [&](const std::string& bytes) {
    EXPECT_EQ(retriever.load(bytes), DBSA_ERROR_CORRUPT);
    return retriever.message();
  };
  const auto changed = [&](size_t at, char value) {
    std::string bad = good;
    bad[at] = value;
    return bad;
  };
  // With a right checksum: header of 48 bytes, the checksum its last 8.
  const auto signed_again = [](std::string bytes) {
    std::memset(bytes.data() + 40, 0, 8);
    const uint64_t sum =
        XXH3_64bits_withSeed(bytes.data() + 48, bytes.size() - 48, XXH3_64bits(bytes.data(), 48));
    std::memcpy(bytes.data() + 40, &sum, 8);
    return bytes;
  };
  ASSERT_EQ(signed_again(good), good) << "so the test signs as the plugin does";
  EXPECT_EQ(message("x"), "faiss index: it is shorter than its header");
  EXPECT_EQ(message(changed(0, 'x')), "faiss index: it does not begin with DBSAFAIS");
  EXPECT_EQ(message(changed(8, 9)), "faiss index: expected version 2, found 9");
  EXPECT_EQ(message(good.substr(0, good.size() - 4)),
            "faiss index: its size does not fit its counts");
  EXPECT_EQ(message(changed(good.size() - 1, 1)), "faiss index: its checksum does not match");
  EXPECT_EQ(message(signed_again(changed(16, 9))),
            "faiss index: it holds embeddings of 9 values, not 27");
  RetrieverUnderTest other("retriever_faiss", config("SQ8"));
  EXPECT_EQ(other.load(good), DBSA_ERROR_CORRUPT);
  EXPECT_EQ(other.message(), "faiss index: it was made as \"Flat\", not \"SQ8\"");
}

TEST(Faiss, AnswersManyThreadsAtOnce) {
  for (const char* index : {"Flat", "IVF7,Flat", "HNSW8"}) {
    RetrieverUnderTest retriever("retriever_faiss", config(index));
    ASSERT_EQ(retriever.index(random_texts(200, 5)), DBSA_OK);
    const std::vector<std::string> queries = random_texts(30, 6);
    std::vector<std::vector<Hit>> expected;
    for (const auto& query : queries) expected.push_back(retriever.hits(query, 10));
    std::atomic<int> wrong = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&] {
        for (int round = 0; round < 10; ++round)
          for (size_t i = 0; i < queries.size(); ++i)
            if (retriever.query_at_once(queries[i], 10) != expected[i]) ++wrong;
      });
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(wrong, 0) << index;
  }
}

}  // namespace
}  // namespace dbsa::testing
