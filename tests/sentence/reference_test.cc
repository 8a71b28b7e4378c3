// Vectors of texts against sentence-transformers: a small random model, and, where
// DBSA_SENTENCE_MODEL names its folder, all-MiniLM-L6-v2. The fixtures are made by
// tools/reference/make_sentence_reference.py, which describes them.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/sentence/sentence_harness.h"

namespace dbsa::test {
namespace {

constexpr double kBound = 1e-4;  // of any value, vectors having length 1

std::string fixture_folder(const std::string& name) {
  return std::string(DBSA_SOURCE_DIR) + "/tests/reference/fixtures/" + name;
}

void expect_ids(const std::string& model, const SentenceFixture& fixture, int64_t most) {
  const auto tokenizer = Tokenizer::load(model);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  for (size_t i = 0; i < fixture.texts.size(); ++i) {
    auto ids = (*tokenizer)->encode(fixture.texts[i]);
    ASSERT_TRUE(ids.ok()) << ids.error().message;
    ids->resize(std::min(ids->size(), static_cast<size_t>(most - 2)));
    const std::vector<int32_t>& wanted = fixture.ids[i];
    EXPECT_EQ(*ids, std::vector<int32_t>(wanted.begin() + 1, wanted.end() - 1)) << "text " << i;
  }
}

TEST(SentenceReference, SmallModelOnEveryCodePath) {
  const SentenceFixture fixture = load_sentence_fixture(small_model());
  for (const std::string& path : code_paths()) {
    Encoder encoder(small_model(), 2, path);
    EXPECT_EQ(encoder->width(), 40);
    EXPECT_EQ(encoder->max_seq_length(), 24);
    const double worst = max_difference(encoder.embed(fixture.texts), fixture.embeddings);
    EXPECT_LE(worst, kBound) << path;
    std::printf("%s: max difference to sentence-transformers %.2e\n", path.c_str(), worst);
  }
  expect_ids(small_model(), fixture, 24);
}

TEST(SentenceReference, MiniLm) {
  const char* folder = std::getenv("DBSA_SENTENCE_MODEL");
  if (folder == nullptr) GTEST_SKIP() << "DBSA_SENTENCE_MODEL names no folder of all-MiniLM-L6-v2";
  const SentenceFixture fixture = load_sentence_fixture(fixture_folder("minilm"));
  expect_ids(folder, fixture, 256);
  for (const std::string& path : code_paths()) {
    Encoder encoder(folder, 1, path);
    const std::vector<float> vectors = encoder.embed(fixture.texts);
    const double worst = max_difference(vectors, fixture.embeddings);
    EXPECT_LE(worst, kBound) << path;
    // Speed: several times over, for a pass of a usual size.
    std::vector<std::string> many;
    size_t tokens = 0;
    for (size_t i = 0; i < 6 * fixture.texts.size(); ++i) {
      many.push_back(fixture.texts[i % fixture.texts.size()]);
      tokens += fixture.ids[i % fixture.ids.size()].size();
    }
    const auto start = std::chrono::steady_clock::now();
    encoder.embed(many);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    std::printf("%s: max difference to sentence-transformers %.2e; %.0f tokens/s on one thread\n",
                path.c_str(), worst, static_cast<double>(tokens) / seconds.count());
  }
}

TEST(SentenceEncoder, ATextDoesNotDependOnTheOthersOrTheThreads) {
  const SentenceFixture fixture = load_sentence_fixture(small_model());
  std::vector<std::string> texts;
  for (size_t i = 0; i < 300; ++i) texts.push_back(fixture.texts[i * 7 % fixture.texts.size()]);
  Encoder two(small_model(), 2), one(small_model(), 1);
  const std::vector<float> together = two.embed(texts);  // 300 texts: more than one pass
  const size_t width = 40;
  for (size_t i = 0; i < texts.size(); i += 11) {
    const std::vector<float> alone = one.embed({texts[i]});
    EXPECT_EQ(std::memcmp(alone.data(), &together[i * width], width * sizeof(float)), 0) << i;
    double squares = 0;
    for (const float value : alone) squares += static_cast<double>(value) * value;
    EXPECT_NEAR(squares, 1.0, 1e-6);
  }
  EXPECT_TRUE(one.embed({}).empty());
}

TEST(SentenceEncoder, StopsBetweenPasses) {
  Encoder encoder(small_model());
  encoder.services().request_cancel();
  const auto vectors = encoder->embed(std::vector<std::string_view>{"a"});
  ASSERT_FALSE(vectors.ok());
  EXPECT_EQ(vectors.error().code, ErrorCode::kCancelled);
  EXPECT_EQ(vectors.error().message, "stopped while embedding");
}

}  // namespace
}  // namespace dbsa::test
