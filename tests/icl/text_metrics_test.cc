#include "icl/text_metrics.h"

#include <dbsa/sdk/random.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

namespace dbsa::testing {
namespace {

using Texts = std::vector<std::string>;

// ---- Slow and obvious versions, for texts of ASCII ----

Texts slow_tokens(const std::string& text) {
  std::string spaced;
  for (const char c : text)
    spaced += std::isalnum(static_cast<unsigned char>(c)) != 0
                  ? static_cast<char>(std::tolower(static_cast<unsigned char>(c)))
                  : ' ';
  std::istringstream words(spaced);
  Texts tokens;
  for (std::string word; words >> word;) tokens.push_back(word);
  return tokens;
}

bool is_subsequence(const Texts& part, const Texts& whole) {
  size_t at = 0;
  for (const std::string& token : whole)
    if (at < part.size() && part[at] == token) ++at;
  return at == part.size();
}

// The longest of all subsets of a's tokens that is a subsequence of b.
size_t slow_common_subsequence(const Texts& a, const Texts& b) {
  size_t longest = 0;
  for (uint32_t subset = 0; subset < uint32_t{1} << a.size(); ++subset) {
    Texts part;
    for (size_t i = 0; i < a.size(); ++i)
      if ((subset >> i & 1) != 0) part.push_back(a[i]);
    if (is_subsequence(part, b)) longest = std::max(longest, part.size());
  }
  return longest;
}

double slow_rouge_l(const std::string& text, const std::string& reference) {
  const Texts a = slow_tokens(text), b = slow_tokens(reference);
  if (a.empty() || b.empty()) return 0;
  const auto common = static_cast<double>(slow_common_subsequence(a, b));
  const double precision = common / static_cast<double>(a.size());
  const double recall = common / static_cast<double>(b.size());
  return common == 0 ? 0 : 2 * precision * recall / (precision + recall);
}

std::map<std::string, int> slow_grams(std::string text, size_t order) {
  std::erase_if(text, [](unsigned char c) { return std::isspace(c) != 0; });
  std::map<std::string, int> grams;
  for (size_t i = 0; i + order <= text.size(); ++i) ++grams[text.substr(i, order)];
  return grams;
}

double slow_chrf(const std::string& text, const std::string& reference) {
  double precision = 0, recall = 0, orders = 0;
  for (size_t order = 1; order <= 6; ++order) {
    const auto a = slow_grams(text, order), b = slow_grams(reference, order);
    double in_a = 0, in_b = 0, in_both = 0;
    for (const auto& [gram, n] : a) in_a += n;
    for (const auto& [gram, n] : b) in_b += n;
    for (const auto& [gram, n] : a) in_both += b.contains(gram) ? std::min(n, b.at(gram)) : 0;
    if (in_a == 0 || in_b == 0) continue;
    precision += in_both / in_a;
    recall += in_both / in_b;
    ++orders;
  }
  if (precision + recall == 0) return 0;
  precision /= orders;
  recall /= orders;
  return 5 * precision * recall / (4 * precision + recall);
}

std::string random_text(Random& random) {
  static const Texts kPieces = {"ab", "A", "b", " ", "  ", "\n", "ba", "1", ".", "-", "Ab "};
  std::string text;
  for (uint64_t n = random.below(12); n > 0; --n) text += kPieces[random.below(kPieces.size())];
  return text;
}

TEST(TextMetrics, EqualTheSlowVersions) {
  constexpr uint64_t kSeed = 7;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  Random random(kSeed);
  for (int i = 0; i < 2000; ++i) {
    const std::string text = random_text(random);
    const Texts references = {random_text(random), random_text(random)};
    SCOPED_TRACE(nlohmann::json({text, references}).dump());
    EXPECT_NEAR(rouge_l(text, references),
                std::max(slow_rouge_l(text, references[0]), slow_rouge_l(text, references[1])),
                1e-14);
    EXPECT_NEAR(chrf_counts(text, references).score(),
                std::max(slow_chrf(text, references[0]), slow_chrf(text, references[1])), 1e-14);
  }
}

TEST(TextMetrics, EqualTheReferencePrograms) {
  std::ifstream file(DBSA_SOURCE_DIR "/tests/icl/text_metrics_reference.json");
  const nlohmann::json reference = nlohmann::json::parse(file);
  CorpusTextScores corpus;
  double rouge_sum = 0;
  for (const nlohmann::json& row : reference.at("cases")) {
    SCOPED_TRACE(row.dump());
    const std::string text = row.at("text");
    const Texts references = row.at("references");
    const TextScores scores = score_text(text, references);
    EXPECT_NEAR(scores.rouge_l, row.at("rouge_l").get<double>(), 1e-12);
    EXPECT_NEAR(scores.chrf, row.at("chrf").get<double>(), 1e-12);
    corpus.add(text, references);
    rouge_sum += row.at("rouge_l").get<double>();
  }
  ASSERT_EQ(corpus.count(), 83);
  EXPECT_NEAR(corpus.scores().chrf, reference.at("corpus_chrf").get<double>(), 1e-12);
  EXPECT_NEAR(corpus.scores().rouge_l, rouge_sum / 83, 1e-12);
}

TEST(TextMetrics, ExactMatchLooksThroughWhiteSpaceAlone) {
  EXPECT_TRUE(exact_match(" a  b\n", Texts{"x", "a b"}));
  EXPECT_TRUE(exact_match("a\xC2\xA0\xE2\x80\x83z", Texts{"a z"}));
  EXPECT_TRUE(exact_match("", Texts{"\t"}));
  EXPECT_FALSE(exact_match("ab", Texts{"a b"}));
  EXPECT_FALSE(exact_match("A b", Texts{"a b"}));
  EXPECT_FALSE(exact_match("a b.", Texts{"a b"}));
  EXPECT_FALSE(exact_match("", Texts{}));
}

TEST(TextMetrics, TakeBytesThatAreNoUtf8) {
  const Texts same = {
      "a\xEF\xBF\xBD"
      "b"};  // U+FFFD
  EXPECT_TRUE(
      exact_match("a\xFF"
                  "b",
                  same));
  EXPECT_EQ(score_text("a\xC3"
                       "b",
                       same)
                .chrf,
            1);
  EXPECT_EQ(score_text("\xF0\x9F\x98", Texts{"x"}).chrf, 0);
}

TEST(TextMetrics, CorpusScoresAreMeansAndChrfOfAll) {
  CorpusTextScores corpus;
  EXPECT_EQ(corpus.scores().chrf, 0);
  corpus.add("same words", Texts{"same words"});
  corpus.add("no", Texts{"other"});
  EXPECT_EQ(corpus.count(), 2);
  EXPECT_EQ(corpus.scores().exact_match, 0.5);
  EXPECT_EQ(corpus.scores().rouge_l, 0.5);
  ChrfCounts counts = chrf_counts("same words", Texts{"same words"});
  counts += chrf_counts("no", Texts{"other"});
  EXPECT_EQ(counts.text[0], 11);
  EXPECT_EQ(counts.common[0], 10);  // o counts, n does not
  EXPECT_EQ(corpus.scores().chrf, counts.score());
}

}  // namespace
}  // namespace dbsa::testing
