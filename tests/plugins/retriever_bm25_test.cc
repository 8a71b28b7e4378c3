// BM25 against a slow reference that shares no code with it, and each part on its own.
#include <dbsa/sdk/random.h>

#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "plugins/shared/text/stop_words.h"
#include "tests/plugins/bm25_reference.h"

namespace dbsa::testing {
namespace {

constexpr const char* kDefaults =
    R"({"k1": 1.2, "b": 0.75, "stemmer": "porter", "stop_words": "english", "character_ngrams": 0})";
constexpr const char* kPlain =
    R"({"k1": 1.2, "b": 0.75, "stemmer": "none", "stop_words": "none", "character_ngrams": 0})";

std::vector<std::string> words_of(const std::string& text) {
  return terms_of(text, {"none", "none"});
}

TEST(Bm25, EqualsTheReferenceOnAThousandDocuments) {
  const uint64_t seed = 20240607;
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  for (const auto& [k1, b] : {std::pair{1.2, 0.75}, {0.0, 0.75}, {2.5, 0.0}, {0.9, 1.0}}) {
    Random random(seed);
    std::vector<Words> documents;
    std::vector<std::string> texts;
    for (int d = 0; d < 1000; ++d) {
      documents.push_back(random_words(random, static_cast<int64_t>(random.below(60)), 3000));
      texts.push_back(join(documents.back()));
    }
    const nlohmann::json config = {
        {"k1", k1}, {"b", b}, {"stemmer", "none"}, {"stop_words", "none"}, {"character_ngrams", 0}};
    RetrieverUnderTest retriever("retriever_bm25", config.dump());
    ASSERT_EQ(retriever.index(texts), DBSA_OK);
    const Reference reference(documents, k1, b);
    for (const int64_t asked : {1, 3, 16, 300, 1000, 2000}) {
      Words query = random_words(random, 12, 3000);
      query.push_back(query[0]);   // a term that occurs twice counts twice
      query.push_back("unheard");  // and one that no document has, not at all
      compare(reference, query, retriever.hits(join(query), asked), asked);
    }
  }
}

TEST(Bm25, EqualsTheReferenceOnRealText) {
  const char* folder = std::getenv("DBSA_DATA");
  const std::filesystem::path path =
      std::filesystem::path(folder != nullptr ? folder : DBSA_SOURCE_DIR "/../shared") /
      "data/banking77/train.jsonl";
  std::ifstream file(path);
  if (!file) GTEST_SKIP() << path << " is absent; set DBSA_DATA to the folder that holds data/";
  std::vector<std::string> texts;
  for (std::string line; std::getline(file, line) && texts.size() < 1020;)
    texts.push_back(nlohmann::json::parse(line)["text"]);
  const std::vector<std::string> queries(texts.end() - 20, texts.end());
  texts.resize(1000);
  std::vector<Words> documents;
  for (const auto& text : texts) documents.push_back(terms_of(text, {}));
  RetrieverUnderTest retriever("retriever_bm25", kDefaults);
  ASSERT_EQ(retriever.index(texts), DBSA_OK);
  const Reference reference(documents, 1.2, 0.75);
  for (const auto& query : queries)
    compare(reference, terms_of(query, {}), retriever.hits(query, 50), 50);
}

// English as far as stop words, endings and punctuation go, with the plugin's defaults.
TEST(Bm25, EqualsTheReferenceOnWordsThatAreStemmedAndStopped) {
  const uint64_t seed = 20240608;
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  Random random(seed);
  const auto text = [&](int64_t words) {
    static constexpr const char* kEndings[] = {"", "s", "ed", "ing", "ation", "'s"};
    static constexpr const char* kOthers[] = {"the ", "Is ", "of, ", "don't ", "?! "};
    std::string made;
    for (int64_t i = 0; i < words; ++i) {
      const uint64_t stem = random.below(1 + random.below(400));
      made += std::string(stem % 3 == 0 ? "Card" : "limit") + static_cast<char>('a' + stem % 26) +
              static_cast<char>('a' + stem / 26) + kEndings[random.below(6)] + " ";
      if (random.below(3) == 0) made += kOthers[random.below(5)];
    }
    return made;
  };
  std::vector<std::string> texts;
  std::vector<Words> documents;
  for (int d = 0; d < 1000; ++d) {
    texts.push_back(text(static_cast<int64_t>(random.below(60))));
    documents.push_back(terms_of(texts.back(), {}));
  }
  RetrieverUnderTest retriever("retriever_bm25", kDefaults);
  ASSERT_EQ(retriever.index(texts), DBSA_OK);
  const Reference reference(documents, 1.2, 0.75);
  for (const int64_t asked : {1, 16, 300, 1000}) {
    const std::string query = text(12);
    compare(reference, terms_of(query, {}), retriever.hits(query, asked), asked);
  }
}

// The words are those of the reference's maps, and their scores add up to the hit's bit for bit.
TEST(Bm25, NamesTheWordsThatAScoreComesOf) {
  const uint64_t seed = 20251129;
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  Random random(seed);
  std::vector<Words> documents;
  std::vector<std::string> texts;
  for (int d = 0; d < 60; ++d) {
    documents.push_back(random_words(random, static_cast<int64_t>(random.below(40)), 200));
    texts.push_back(join(documents.back()));
  }
  Words query = random_words(random, 12, 200);
  query.push_back(query[0]);
  query.push_back("unheard");
  RetrieverUnderTest retriever("retriever_bm25", kPlain);
  ASSERT_EQ(retriever.index(texts), DBSA_OK);
  std::map<int64_t, double> scores;
  for (const Hit& hit : retriever.hits(join(query), 60)) scores[hit.id] = hit.score;
  ASSERT_GT(scores.size(), 10u);
  for (size_t d = 0; d < documents.size(); ++d) {
    std::vector<SharedWord> words;
    ASSERT_EQ(retriever.shared_words(join(query), static_cast<int64_t>(d), words), DBSA_OK);
    std::map<std::string, std::pair<int64_t, int64_t>> expected, found;
    for (const std::string& word : query)
      if (const auto count = std::count(documents[d].begin(), documents[d].end(), word); count > 0)
        expected[word] = {std::count(query.begin(), query.end(), word), count};
    double sum = 0;
    for (const SharedWord& word : words) {
      EXPECT_TRUE(found.empty() || found.rbegin()->first < word.word) << "byte order";
      found[word.word] = {word.in_query, word.in_document};
      sum += word.score;
    }
    EXPECT_EQ(found, expected) << "document " << d;
    EXPECT_EQ(sum, scores[static_cast<int64_t>(d)]) << "document " << d;
  }
}

TEST(Bm25, SharedWordsAreStemsOfDocumentsThatAreThere) {
  RetrieverUnderTest retriever("retriever_bm25", kDefaults);
  std::vector<SharedWord> words;
  EXPECT_EQ(retriever.shared_words("cards", 0, words), DBSA_ERROR_INVALID_ARGUMENT);
  ASSERT_EQ(retriever.index({"The cards were lost", "a pin"}), DBSA_OK);
  ASSERT_EQ(retriever.shared_words("is the card losing its card?", 0, words), DBSA_OK);
  ASSERT_EQ(words.size(), 1u);
  EXPECT_EQ(words[0].word, "card");
  EXPECT_EQ(words[0].in_query, 2);
  EXPECT_EQ(words[0].in_document, 1);
  EXPECT_EQ(retriever.shared_words("card", 2, words), DBSA_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(retriever.message(), "there is no document 2 in an index");
}

TEST(Bm25, ScoresOneSmallCaseByHand) {
  RetrieverUnderTest retriever("retriever_bm25", kPlain);
  ASSERT_EQ(retriever.index({"red green", "red red blue blue", "grey grey grey"}), DBSA_OK);
  const std::vector<Hit> hits = retriever.hits("red", 3);
  ASSERT_EQ(hits.size(), 2u);
  const double idf = std::log(1 + 1.5 / 2.5);  // N = 3, df = 2
  EXPECT_EQ(hits[0].id, 1);
  EXPECT_NEAR(hits[0].score, idf * 2 / (2 + 1.2 * (0.25 + 0.75 * 4 / 3)), 1e-15);
  EXPECT_EQ(hits[1].id, 0);
  EXPECT_NEAR(hits[1].score, idf * 1 / (1 + 1.2 * (0.25 + 0.75 * 2 / 3)), 1e-15);
}

TEST(Bm25, BreaksTiesByTheLowerId) {
  RetrieverUnderTest retriever("retriever_bm25", kPlain);
  ASSERT_EQ(retriever.index(std::vector<std::string>(100, "same words")), DBSA_OK);
  for (const int64_t asked : {1, 7, 99}) {
    const std::vector<Hit> hits = retriever.hits("words", asked);
    ASSERT_EQ(static_cast<int64_t>(hits.size()), asked);
    for (int64_t i = 0; i < asked; ++i) EXPECT_EQ(hits[i].id, i);
  }
}

TEST(Bm25, AnswersWithoutDocumentsWordsOrMatches) {
  RetrieverUnderTest retriever("retriever_bm25", kDefaults);
  ASSERT_EQ(retriever.index({}), DBSA_OK);
  EXPECT_TRUE(retriever.hits("card", 5).empty());
  ASSERT_EQ(retriever.index({"", "the of and", "?!"}), DBSA_OK);
  EXPECT_TRUE(retriever.hits("card", 5).empty());
  EXPECT_TRUE(retriever.hits("", 5).empty());
  ASSERT_EQ(retriever.index({"a card", "", "the"}), DBSA_OK);
  EXPECT_EQ(retriever.hits("Cards?", 5).size(), 1u);
  EXPECT_TRUE(retriever.hits("card", 0).empty());
}

// ---- words ----

TEST(Bm25Analyzer, SplitsAtWhatIsNeitherLetterMarkNorDigit) {
  EXPECT_EQ(words_of("Top-up: $10.50 (USD)\tfailed!\n"),
            (Words{"top", "up", "10", "50", "usd", "failed"}));
  EXPECT_EQ(words_of("snake_case a/b c\xC2\xA0"
                     "d"),
            (Words{"snake", "case", "a", "b", "c", "d"}));
}

TEST(Bm25Analyzer, WhatShowsNothingPartsNoWords) {
  EXPECT_EQ(words_of("co\u00adoperate \u0645\u06cc\u200c\u0634\u0648\u062f"),
            (Words{"cooperate", "\u0645\u06cc\u0634\u0648\u062f"}));
  EXPECT_EQ(words_of("a\u200db\u2060c\ufeffd\u200ee"), (Words{"abcde"}));
  EXPECT_EQ(words_of("don\u2019\u200dt \u2764\ufe0f card"), (Words{"dont", "card"}))
      << "a variation selector is no word";
  EXPECT_EQ(words_of("a\u200bb"), (Words{"a", "b"})) << "an invisible space is one";
}

TEST(Bm25Analyzer, DropsApostrophesInsideWordsOnly) {
  EXPECT_EQ(words_of("don't card\xE2\x80\x99s 'quoted' rock 'n' roll' '"),
            (Words{"dont", "cards", "quoted", "rock", "n", "roll"}));
}

TEST(Bm25Analyzer, LowersLatinGreekAndCyrillic) {
  EXPECT_EQ(words_of("\xC3\x84RGER \xCE\x91\xCE\x92 \xD0\x96\xD0\xAF"),
            (Words{"\xC3\xA4rger", "\xCE\xB1\xCE\xB2", "\xD0\xB6\xD1\x8F"}));
  EXPECT_EQ(words_of("e\xCC\x81t\xC3\xA9"), (Words{"\xC3\xA9t\xC3\xA9"}))
      << "decomposed letters are composed";
}

TEST(Bm25Analyzer, TakesBytesThatAreNotUtf8AsSeparators) {
  EXPECT_EQ(words_of("a\xFF"
                     "b\xC3"),
            (Words{"a", "b"}));
}

TEST(Bm25Analyzer, RemovesStopWordsBeforeStemming) {
  EXPECT_EQ(terms_of("Why doesn't THE card work?", {}), (Words{"card", "work"}));
  EXPECT_TRUE(text::find_stop_words("english")->contains("themselves"));
  EXPECT_FALSE(text::find_stop_words("english")->contains("card"));
  EXPECT_FALSE(text::find_stop_words("english")->contains(""));
}

TEST(Bm25Analyzer, ComposedAndDecomposedLettersAreOne) {
  const Words cafe = {"caf\xC3\xA9"};
  EXPECT_EQ(words_of("CAF\xC3\x89"), cafe);
  EXPECT_EQ(words_of("CAFE\xCC\x81"), cafe);
  EXPECT_EQ(words_of("\xC4\xB0stanbul"), words_of("I\xCC\x87stanbul")) << "a dotted capital I";
  EXPECT_EQ(words_of("\xE2\x84\xAB"), words_of("A\xCC\x8A")) << "the sign of the angstrom";
  EXPECT_EQ(words_of("a\xCC\xA3\xCC\x88"), words_of("a\xCC\x88\xCC\xA3")) << "order of marks";
}

TEST(Bm25Analyzer, KnowsOtherLanguages) {
  const auto terms = [](const std::string& text, const std::string& language) {
    return terms_of(text, {language, language});
  };
  EXPECT_EQ(terms("Die Karten sind nicht angekommen", "german"), (Words{"kart", "angekomm"}));
  EXPECT_EQ(terms("L\xE2\x80\x99heure des op\xC3\xA9rations, aujourd'hui", "french"),
            (Words{"heur", "oper", "aujourd", "hui"}))
      << "an elision is no part of a word";
  EXPECT_EQ(terms("\xD0\xBA\xD0\xB0\xD1\x80\xD1\x82\xD1\x8B \xD0\xB8 "
                  "\xD0\xBA\xD0\xB0\xD1\x80\xD1\x82\xD0\xB0",
                  "russian"),
            (Words{"\xD0\xBA\xD0\xB0\xD1\x80\xD1\x82", "\xD0\xBA\xD0\xB0\xD1\x80\xD1\x82"}));
  EXPECT_EQ(terms_of("running runs", {"english", "none"}), (Words{"run", "run"}));
  EXPECT_EQ(terms_of("the card", {"none", "english"}), Words{"card"});
}

// Every value that the manifest offers works, and every list holds words as the analyser makes
// them.
TEST(Bm25Analyzer, EveryLanguageOfTheManifestWorks) {
  for (const char* stemmer :
       {"arabic",  "basque",     "catalan", "danish",    "dutch",     "english",    "finnish",
        "french",  "german",     "greek",   "hindi",     "hungarian", "indonesian", "irish",
        "italian", "lithuanian", "nepali",  "norwegian", "porter",    "portuguese", "romanian",
        "russian", "serbian",    "spanish", "swedish",   "tamil",     "turkish",    "yiddish"})
    EXPECT_EQ(terms_of("word", {stemmer, "none"}).size(), 1u) << stemmer;
  for (const char* language :
       {"arabic",     "catalan",  "danish",  "dutch",     "english",    "finnish", "french",
        "german",     "greek",    "hindi",   "hungarian", "indonesian", "italian", "norwegian",
        "portuguese", "romanian", "russian", "spanish",   "swedish",    "turkish"}) {
    const text::StopWords* list = text::find_stop_words(language);
    ASSERT_NE(list, nullptr) << language;
    EXPECT_GT(list->words.size(), 80u) << language;
    for (const std::string_view word : list->words)
      EXPECT_TRUE(terms_of(std::string(word), {"none", language}).empty()) << language << word;
  }
  EXPECT_EQ(text::find_stop_words("klingon"), nullptr);
}

TEST(Bm25Analyzer, CutsScriptsWithoutSpacesIntoNgrams) {
  const auto terms = [](const std::string& text, int64_t ngrams) {
    return terms_of(text, {"none", "none", ngrams});
  };
  const std::string card = "\xE9\x93\xB6\xE8\xA1\x8C\xE5\x8D\xA1";  // three characters
  const std::string bank = card.substr(0, 6), line = card.substr(3);
  EXPECT_EQ(terms(card, 0), Words{card});
  EXPECT_EQ(terms(card, 1), (Words{card.substr(0, 3), card.substr(3, 3), card.substr(6)}));
  EXPECT_EQ(terms(card, 2), (Words{bank, line}));
  EXPECT_EQ(terms(card, 3), Words{card});
  EXPECT_EQ(terms(card, 8), Words{card}) << "shorter than that";
  EXPECT_EQ(terms("My " + card + "2 lost, " + bank, 2),
            (Words{"my", bank, line, "2", "lost", bank}));
  EXPECT_EQ(terms("\xE0\xB8\x9A\xE0\xB8\xB1\xE0\xB8\x95\xE0\xB8\xA3", 2).size(), 3u) << "Thai";
  EXPECT_EQ(terms("\xED\x95\x9C\xEA\xB8\x80", 1).size(), 1u) << "Korean has spaces";
}

TEST(Bm25, AdvisesNgramsForScriptsWithoutSpaces) {
  const std::string sentence = "\xE6\x88\x91\xE7\x9A\x84\xE5\x8D\xA1\xE4\xB8\xA2\xE4\xBA\x86";
  const text::AnalyzerOptions none, two = {"porter", "english", 2};
  text::ScriptCounts counts;
  counts.add("query: " + sentence + "\nintent: lost card");
  EXPECT_EQ(counts.letters, 24);
  EXPECT_EQ(counts.unspaced, 5);
  EXPECT_EQ(
      text::script_warning(counts, none),
      "20 % of the letters are of scripts that write no spaces between words (Chinese, "
      "Japanese, Thai, ...), so whole sentences count as single words and hardly any is found "
      "again; set character_ngrams = 2 beside this plugin, or compare embeddings");
  EXPECT_EQ(text::script_warning(counts, two), "");
  for (int i = 0; i < 10; ++i) counts.add("query: where is my card?\nintent: lost card");
  EXPECT_EQ(text::script_warning(counts, none), "") << "a few words";
  EXPECT_EQ(text::script_warning({}, none), "");

  // What the query shares is found again.
  RetrieverUnderTest retriever(
      "retriever_bm25",
      R"({"k1": 1.2, "b": 0.75, "stemmer": "none", "stop_words": "none", "character_ngrams": 2})");
  ASSERT_EQ(retriever.index({"\xE6\x88\x91\xE6\x83\xB3\xE4\xBB\x98\xE6\xAC\xBE", sentence}),
            DBSA_OK);
  const std::vector<Hit> hits = retriever.hits("\xE5\x8D\xA1\xE4\xB8\xA2\xE4\xBA\x86", 2);
  ASSERT_EQ(hits.size(), 1u);
  EXPECT_EQ(hits[0].id, 1);
}

// Words and stems as printed in M. F. Porter, "An algorithm for suffix stripping", 1980.
TEST(Bm25Analyzer, StemsAsPorterPublished) {
  const std::pair<const char*, const char*> kPairs[] = {
      {"caresses", "caress"},
      {"ponies", "poni"},
      {"ties", "ti"},
      {"cats", "cat"},
      {"feed", "feed"},
      {"plastered", "plaster"},
      {"bled", "bled"},
      {"motoring", "motor"},
      {"sing", "sing"},
      {"hopping", "hop"},
      {"tanned", "tan"},
      {"falling", "fall"},
      {"hissing", "hiss"},
      {"fizzed", "fizz"},
      {"failing", "fail"},
      {"filing", "file"},
      {"happy", "happi"},
      {"sky", "sky"},
      {"relational", "relat"},
      {"conditional", "condit"},
      {"rational", "ration"},
      {"digitizer", "digit"},
      {"vietnamization", "vietnam"},
      {"predication", "predic"},
      {"operator", "oper"},
      {"feudalism", "feudal"},
      {"decisiveness", "decis"},
      {"hopefulness", "hope"},
      {"callousness", "callous"},
      {"formality", "formal"},
      {"sensitivity", "sensit"},
      {"sensibility", "sensibl"},
      {"triplicate", "triplic"},
      {"formalize", "formal"},
      {"electricity", "electr"},
      {"electrical", "electr"},
      {"goodness", "good"},
      {"revival", "reviv"},
      {"allowance", "allow"},
      {"inference", "infer"},
      {"airliner", "airlin"},
      {"gyroscopic", "gyroscop"},
      {"adjustable", "adjust"},
      {"defensible", "defens"},
      {"irritant", "irrit"},
      {"replacement", "replac"},
      {"adjustment", "adjust"},
      {"dependent", "depend"},
      {"adoption", "adopt"},
      {"communism", "commun"},
      {"activate", "activ"},
      {"homologous", "homolog"},
      {"effective", "effect"},
      {"bowdlerize", "bowdler"},
      {"probate", "probat"},
      {"rate", "rate"},
      {"cease", "ceas"},
      {"roll", "roll"},
      {"generalizations", "gener"},
      {"oscillators", "oscil"},
  };
  for (const auto& [word, stem] : kPairs)
    EXPECT_EQ(terms_of(word, {"porter", "none"}), Words{stem});
}

// ---- saving ----

std::vector<std::string> some_documents() {
  Random random(3);
  std::vector<std::string> texts;
  for (int d = 0; d < 40; ++d) texts.push_back(join(random_words(random, 12, 60)));
  texts.push_back("");
  return texts;
}

TEST(Bm25Saving, GivesTheSameAnswersForAnyWeights) {
  RetrieverUnderTest made("retriever_bm25", kDefaults);
  ASSERT_EQ(made.index(some_documents()), DBSA_OK);
  std::string bytes;
  ASSERT_EQ(made.save(bytes), DBSA_OK);
  RetrieverUnderTest loaded("retriever_bm25", kDefaults);
  ASSERT_EQ(loaded.load(bytes), DBSA_OK) << loaded.message();
  EXPECT_EQ(loaded.hits("w3 w5 w11", 41), made.hits("w3 w5 w11", 41));
  std::string again;
  ASSERT_EQ(loaded.save(again), DBSA_OK);
  EXPECT_EQ(again, bytes);

  const char* other =
      R"({"k1": 2.0, "b": 0.1, "stemmer": "porter", "stop_words": "english", "character_ngrams": 0})";
  RetrieverUnderTest weighed("retriever_bm25", other);
  ASSERT_EQ(weighed.load(bytes), DBSA_OK);
  RetrieverUnderTest direct("retriever_bm25", other);
  ASSERT_EQ(direct.index(some_documents()), DBSA_OK);
  EXPECT_EQ(weighed.hits("w3 w5 w11", 41), direct.hits("w3 w5 w11", 41));
}

TEST(Bm25Saving, RefusesEveryTruncationAndEveryFlippedBit) {
  RetrieverUnderTest retriever("retriever_bm25", kDefaults);
  ASSERT_EQ(retriever.index(some_documents()), DBSA_OK);
  std::string good;
  ASSERT_EQ(retriever.save(good), DBSA_OK);
  for (size_t size = 0; size < good.size(); ++size)
    ASSERT_EQ(retriever.load(good.substr(0, size)), DBSA_ERROR_CORRUPT) << size;
  ASSERT_EQ(retriever.load(good + '\0'), DBSA_ERROR_CORRUPT);
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ (1 << (i % 8)));
    ASSERT_EQ(retriever.load(bad), DBSA_ERROR_CORRUPT) << "byte " << i;
  }
  std::vector<Hit> hits;
  EXPECT_EQ(retriever.query("card", 1, hits), DBSA_ERROR_INVALID_ARGUMENT)
      << "without an index after a failed load";
  EXPECT_EQ(retriever.message(), "there is no index to query");
}

TEST(Bm25Saving, SaysWhatIsWrong) {
  RetrieverUnderTest retriever("retriever_bm25", kDefaults);
  ASSERT_EQ(retriever.index(some_documents()), DBSA_OK);
  std::string good;
  ASSERT_EQ(retriever.save(good), DBSA_OK);
  const auto message = [&](const std::string& bytes) {
    EXPECT_EQ(retriever.load(bytes), DBSA_ERROR_CORRUPT);
    return retriever.message();
  };
  const auto changed = [&](size_t at, char value) {
    std::string bad = good;
    bad[at] = value;
    return bad;
  };
  EXPECT_EQ(message("x"), "BM25 index: it is shorter than its header");
  EXPECT_EQ(message(changed(0, 'x')), "BM25 index: it does not begin with DBSABM25");
  EXPECT_EQ(message(changed(8, 9)), "BM25 index: expected version 2, found 9");
  EXPECT_EQ(message(good.substr(0, good.size() - 4)),
            "BM25 index: its size does not fit its counts");
  EXPECT_EQ(message(changed(good.size() - 1, 1)), "BM25 index: its checksum does not match");
  RetrieverUnderTest other("retriever_bm25", kPlain);
  EXPECT_EQ(other.load(good), DBSA_ERROR_CORRUPT);
  EXPECT_EQ(other.message(),
            "BM25 index: it was made with another stemmer, other stop words or other n-grams");
}

// A checksum guards against accidents. Bytes made on purpose, with a right one, are refused as
// well: every number an answer relies on is checked.
TEST(Bm25Saving, RefusesForgedBytes) {
  RetrieverUnderTest retriever("retriever_bm25", kPlain);
  ASSERT_EQ(retriever.index({"b a a", "c b"}), DBSA_OK);
  std::string good;
  ASSERT_EQ(retriever.save(good), DBSA_OK);
  // Header of 64 bytes; terms "abc"; term_ends [4] and posting_ends [4] of 8 bytes; documents [4],
  // frequencies [4] and lengths [2] of 4 bytes.
  const size_t text = 64;
  const size_t term_ends = text + 3;
  const size_t posting_ends = term_ends + 32;
  const size_t documents = posting_ends + 32;
  const size_t frequencies = documents + 16;
  const size_t lengths = frequencies + 16;
  ASSERT_EQ(good.size(), lengths + 8);
  const auto load_signed = [&](std::string bytes) {
    std::memset(bytes.data() + 56, 0, 8);
    const uint64_t seed = XXH3_64bits(bytes.data(), 64);
    const uint64_t sum = XXH3_64bits_withSeed(bytes.data() + 64, bytes.size() - 64, seed);
    std::memcpy(bytes.data() + 56, &sum, 8);
    return retriever.load(bytes);
  };
  const auto with = [&](size_t at, char value) {
    std::string bytes = good;
    bytes[at] = value;
    return bytes;
  };
  ASSERT_EQ(load_signed(good), DBSA_OK) << "so the test signs as the plugin does";
  const struct {
    std::string bytes;
    const char* message;
  } kCases[] = {
      {with(text + 1, 'a'), "BM25 index: its terms are not sorted"},
      {with(term_ends, 1), "BM25 index: its offsets are not ascending"},
      {with(term_ends + 8, 3), "BM25 index: its offsets are not ascending"},
      {with(term_ends + 24, 9), "BM25 index: its offsets are not ascending"},
      {with(posting_ends + 24, 3), "BM25 index: its offsets are not ascending"},
      {with(posting_ends + 8, 0), "BM25 index: a term has no document"},
      {with(documents, 2), "BM25 index: its postings are not valid"},
      {with(documents + 8, 0), "BM25 index: its postings are not valid"},
      {with(frequencies, 0), "BM25 index: its postings are not valid"},
      {with(lengths, 9), "BM25 index: its document lengths do not fit its postings"},
      {with(31, '\x7F'), "BM25 index: its size does not fit its counts"},
      {with(39, '\x7F'), "BM25 index: its size does not fit its counts"},
      {with(47, '\x7F'), "BM25 index: its size does not fit its counts"},
      {with(55, '\x7F'), "BM25 index: its size does not fit its counts"},
  };
  for (const auto& c : kCases) {
    EXPECT_EQ(load_signed(c.bytes), DBSA_ERROR_CORRUPT) << c.message;
    EXPECT_EQ(retriever.message(), c.message);
  }
}

TEST(Bm25, AnswersManyThreadsAtOnce) {
  RetrieverUnderTest retriever("retriever_bm25", kDefaults);
  ASSERT_EQ(retriever.index(some_documents()), DBSA_OK);
  std::vector<std::string> queries;
  std::vector<std::vector<Hit>> expected;
  for (int i = 0; i < 40; ++i) {
    queries.push_back("w" + std::to_string(i) + " w" + std::to_string(i / 2));
    expected.push_back(retriever.hits(queries.back(), 10));
  }
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int round = 0; round < 20; ++round)
        for (size_t i = 0; i < queries.size(); ++i)
          if (retriever.query_at_once(queries[i], 10) != expected[i]) ++wrong;
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace dbsa::testing
