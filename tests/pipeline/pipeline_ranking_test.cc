// What ranks blocks: their demonstrations one by one, embeddings by the model's own layers, and
// retrievers of retrievers.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <iostream>

#include "host/retriever.h"
#include "model/tokenizer/tokenizer.h"
#include "tests/pipeline/pipeline_fixture.h"
#include "tests/reference/oracle.h"

namespace dbsa {
namespace {

class RankingTest : public PipelineTest {
 protected:
  // The pipeline with another [retriever] and more tables.
  std::string write_pipeline(const std::string& retriever, const std::string& more = "") const {
    std::string text = workspace_.read("pipeline.toml");
    const std::string old = "plugin = \"bm25\"\n";
    text.replace(text.find(old), old.size(), retriever);
    return workspace_.write("ranking.toml", text + more);
  }

  static std::string refusal(const std::string& file) {
    const auto opened = PipelineHarness::open(file);
    if (opened.ok()) return "it was taken";
    EXPECT_EQ(opened.error().code, ErrorCode::kConfig);
    return opened.error().message;
  }

  static std::unique_ptr<PipelineHarness> open_file(
      const std::string& file, const PipelineHarness::Overrides& overrides = {}) {
    auto harness = PipelineHarness::open(file, overrides);
    if (!harness.ok()) throw std::runtime_error(harness.error().message);
    return std::move(harness).value();
  }

  static std::vector<int64_t> blocks_of(const Answer& answer) {
    std::vector<int64_t> blocks;
    for (const AnswerBlock& block : answer.blocks) blocks.push_back(block.block);
    return blocks;
  }
};

// BM25 over the demonstrations in the order of their blocks, and the naive score of each block.
std::vector<double> block_scores(const std::vector<std::string>& documents, const Pool& pool,
                                 const std::string& query, const std::string& rule) {
  host::HostServices services;
  host::PluginRegistry registry =
      host::PluginRegistry::discover(std::vector<std::string>{DBSA_PLUGIN_DIR});
  const auto plugin = registry.load(**registry.find(DBSA_KIND_RETRIEVER, "bm25"));
  auto bm25 = host::Retriever::create(*plugin, services,
                                      {{"k1", 1.2},
                                       {"b", 0.75},
                                       {"stemmer", "porter"},
                                       {"stop_words", "english"},
                                       {"character_ngrams", 0}});
  EXPECT_TRUE(bm25.ok());
  EXPECT_TRUE(bm25->index(documents).ok());
  std::vector<double> of_document(documents.size(), 0);
  const auto hits = bm25->query(query, static_cast<int64_t>(documents.size()));
  EXPECT_TRUE(hits.ok());
  for (const Hit& hit : *hits) of_document[static_cast<size_t>(hit.id)] = hit.score;
  std::vector<double> scores;
  size_t document = 0;
  for (const PoolBlock& block : pool.blocks) {
    double sum = 0, most = 0;
    for (size_t i = 0; i < block.demonstrations.size(); ++i, ++document) {
      sum += of_document[document];
      most = std::max(most, of_document[document]);
    }
    scores.push_back(rule == "max"    ? most
                     : rule == "mean" ? sum / static_cast<double>(block.demonstrations.size())
                                      : sum);
  }
  return scores;
}

TEST_F(RankingTest, SingleDemonstrationsRankTheirBlocks) {
  for (const std::string rule : {"max", "mean", "sum"}) {
    PipelineHarness::Overrides settings = settings_of({"self", 0, 0}, false);
    settings.push_back({"retriever.unit", "\"demonstration\""});
    settings.push_back({"retriever.block_score", "\"" + rule + "\""});
    settings.push_back({"selection.order", "\"high_to_low\""});
    settings.push_back({"block_grouper.block_size", "5"});  // the last block is smaller
    settings.push_back({"selection.ratio", "0.67"});
    auto harness = open(settings);
    const auto report = harness->pipeline().encode(false, {});
    ASSERT_TRUE(report.ok()) << report.error().message;
    // How scores of demonstrations become those of blocks is no matter of the index.
    EXPECT_EQ(report->index_reused, rule != "max");
    const auto pool = read_stored_pool(report->pool_location);
    ASSERT_TRUE(pool.ok());
    std::vector<std::string> documents;
    for (const PoolBlock& block : pool->blocks)
      for (const int64_t id : block.demonstrations)
        documents.push_back("query: " + texts_[static_cast<size_t>(id)] + "\nintent: topic " +
                            std::to_string(topics_[static_cast<size_t>(id)]) + "\n==\n");
    std::vector<std::vector<int64_t>> chosen;
    for (const std::string text : {"question d about topic 1", "b", "c and k"}) {
      const std::vector<double> scores =
          block_scores(documents, *pool, "query: " + text + "\nintent:", rule);
      std::vector<int64_t> order = {0, 1, 2};
      std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
        return scores[static_cast<size_t>(a)] > scores[static_cast<size_t>(b)];
      });
      const auto told = harness->pipeline().answer(text);
      ASSERT_TRUE(told.ok()) << told.error().message;
      ASSERT_EQ(told->blocks.size(), 2u);
      for (size_t i = 0; i < 2; ++i) {
        EXPECT_EQ(told->blocks[i].block, order[i]) << rule << ", " << text;
        // Sums of five, in another order.
        EXPECT_NEAR(told->blocks[i].score.value_or(0), scores[static_cast<size_t>(order[i])],
                    1e-12);
      }
      chosen.push_back(blocks_of(*told));
    }
    // The index is taken from the manifest, by another run and by a query.
    EXPECT_TRUE(encode(settings).index_reused);
    auto second = open(settings);
    ASSERT_TRUE(second->pipeline().open_pool().ok());
    size_t i = 0;
    for (const std::string text : {"question d about topic 1", "b", "c and k"})
      EXPECT_EQ(blocks_of(*second->pipeline().answer(text)), chosen[i++]);
  }
}

// ---- embeddings by the model -------------------------------------------------------------------

std::vector<double> embedding(const reference::OracleModel& oracle, const Tokenizer& tokenizer,
                              const std::string& text, int64_t layer) {
  const auto ids = tokenizer.encode(text, {.parse_special = false});
  const auto length = static_cast<int64_t>(ids->size());
  const auto states = oracle.hidden_states(*ids, reference::plain_positions(length),
                                           reference::causal_mask(length), layer);
  std::vector<double> sums(static_cast<size_t>(oracle.hidden_size()), 0);
  for (size_t i = 0; i < states.size(); ++i) sums[i % sums.size()] += states[i];
  double square = 0;
  for (const double sum : sums) square += sum * sum;
  for (double& sum : sums) sum /= std::sqrt(square);
  return sums;
}

TEST_F(RankingTest, DenseRetrievalByHiddenStatesEqualsTheOraclesCosines) {
  const auto oracle = reference::OracleModel::load(workspace_.path("model"));
  const auto tokenizer = Tokenizer::load(workspace_.path("model"));
  ASSERT_TRUE(oracle.ok() && tokenizer.ok());
  double worst = 0;
  for (const int64_t layer : {1, 2}) {
    const std::string file =
        write_pipeline("plugin = \"faiss\"\ntext = \"text\"\n",
                       "[embedding]\nmethod = \"llm_hidden\"\nlayer = " + std::to_string(layer));
    PipelineHarness::Overrides settings = settings_of({"self", 0, 0}, false);
    settings.push_back({"selection.ratio", "1.0"});
    settings.push_back({"selection.order", "\"high_to_low\""});
    auto harness = open_file(file, settings);
    const auto report = harness->pipeline().encode(false, {});
    ASSERT_TRUE(report.ok()) << report.error().message;
    const auto pool = read_stored_pool(report->pool_location);
    const std::string query = "question d about topic 1";
    const auto told = harness->pipeline().answer(query);
    ASSERT_TRUE(told.ok()) << told.error().message;
    const std::vector<double> q = embedding(*oracle, **tokenizer, query, layer);
    double before = 2;
    for (const AnswerBlock& block : told->blocks) {
      std::string document;
      for (const int64_t id : pool->blocks[static_cast<size_t>(block.block)].demonstrations)
        document += texts_[static_cast<size_t>(id)] + "\n";
      const std::vector<double> d = embedding(*oracle, **tokenizer, document, layer);
      double cosine = 0;
      for (size_t i = 0; i < d.size(); ++i) cosine += q[i] * d[i];
      ASSERT_TRUE(block.score.has_value());
      worst = std::max(worst, std::abs(*block.score - cosine));
      EXPECT_LE(*block.score, before);
      before = *block.score;
    }
  }
  std::cout << "worst difference of a cosine " << worst << "\n";
  // Two vectors of length 1, each within the bound of the model's states.
  EXPECT_LE(worst, 2 * 1e-4);
}

TEST_F(RankingTest, AnotherLayerOrModelIsAnotherIndex) {
  const auto indexed = [&](const char* layer) {
    const std::string file =
        write_pipeline("plugin = \"faiss\"\n",
                       std::string("[embedding]\nmethod = \"llm_hidden\"\nlayer = ") + layer);
    const auto report = open_file(file)->pipeline().encode(false, {});
    if (!report.ok()) throw std::runtime_error(report.error().message);
    return std::pair(
        report->index_reused,
        read_stored_pool(report->pool_location)->made_index.at("embedder").get<std::string>());
  };
  const auto [fresh, one] = indexed("1");
  EXPECT_FALSE(fresh);
  EXPECT_EQ(one.find("llm_hidden layer 1 of "), 0u) << one;
  EXPECT_TRUE(indexed("1").first);
  const auto [other, two] = indexed("2");
  EXPECT_FALSE(other);
  EXPECT_NE(one, two);
  EXPECT_TRUE(indexed("1").first);
  make_model("model", /*seed=*/2);
  const auto [changed, of_other_model] = indexed("1");
  EXPECT_FALSE(changed);
  EXPECT_NE(one, of_other_model);
}

TEST_F(RankingTest, BlocksAreFormedByHiddenStates) {
  std::string text = workspace_.read("pipeline.toml");
  text.replace(text.find("plugin = \"random\""), 17, "plugin = \"embedding_kmeans\"");
  const std::string file =
      workspace_.write("kmeans.toml", text + "[embedding]\nmethod = \"llm_hidden\"\n");
  std::vector<std::vector<std::vector<int64_t>>> assignments;
  for (const char* store : {"\"first\"", "\"second\""}) {
    auto harness = open_file(file, {{"kv_store.path", store}});
    const auto report = harness->pipeline().encode(false, {});
    ASSERT_TRUE(report.ok()) << report.error().message;
    ASSERT_EQ(report->assignment.size(), static_cast<size_t>(kBlocks));
    for (const auto& block : report->assignment) EXPECT_EQ(block.size(), 2u);
    assignments.push_back(report->assignment);
    EXPECT_TRUE(harness->pipeline().answer("topic 1").ok());
  }
  EXPECT_EQ(assignments[0], assignments[1]);
}

TEST_F(RankingTest, WithoutAnEmbeddingItIsSaidWhereOneIsNeeded) {
  const std::string file = write_pipeline("plugin = \"faiss\"\n");
  EXPECT_EQ(refusal(file),
            file +
                ":15:1: retriever.plugin: dbsa.retriever.faiss: needs embeddings: add a table "
                "[embedding] to the pipeline file");
  std::string text = workspace_.read("pipeline.toml");
  text.replace(text.find("plugin = \"random\""), 17, "plugin = \"embedding_kmeans\"");
  const std::string kmeans = workspace_.write("kmeans.toml", text);
  EXPECT_EQ(refusal(kmeans),
            kmeans +
                ":10:1: block_grouper.plugin: dbsa.block_grouper.embedding_kmeans: needs "
                "embeddings: add a table [embedding] to the pipeline file");
  const std::string layer =
      write_pipeline("plugin = \"faiss\"\n", "[embedding]\nmethod = \"llm_hidden\"\nlayer = 9\n");
  EXPECT_EQ(refusal(layer), layer +
                                ":25:1: embedding.layer: expected 1 to 2, the model's layers, "
                                "or 0 for the last, found 9");
}

// To embed texts takes the longest of all: a fault that their number shows comes first.
TEST_F(RankingTest, AnIndexThatCannotBeIsRefusedBeforeAnyTextIsEmbedded) {
  const auto encode = [&](const std::string& grouper, const std::string& unit,
                          const std::string& index) {
    std::string text = workspace_.read("pipeline.toml");
    text.replace(text.find("plugin = \"random\""), 17, "plugin = \"" + grouper + "\"");
    text.replace(text.find("plugin = \"bm25\""), 15,
                 "plugin = \"faiss\"\nunit = \"" + unit + "\"\nindex = \"" + index + "\"");
    auto harness =
        open_file(workspace_.write("faiss.toml", text + "[embedding]\nmethod = \"llm_hidden\"\n"));
    harness->services().request_cancel();  // which an embedder sees first of all
    const auto report = harness->pipeline().encode(false, {});
    if (report.ok()) throw std::runtime_error("an index was made");
    return report.error().config_pointer + ": " + report.error().message;
  };
  for (const char* grouper : {"random", "embedding_kmeans"}) {
    SCOPED_TRACE(grouper);
    EXPECT_EQ(encode(grouper, "block", "IVF7,Flat"),
              "/retriever/index: index \"IVF7,Flat\" needs at least 7 "
              "documents to train with, got 6");
    EXPECT_EQ(encode(grouper, "demonstration", "IVF13,Flat"),
              "/retriever/index: index \"IVF13,Flat\" needs at least 13 "
              "documents to train with, got 12");
    for (const char* unit : {"block", "demonstration"})
      EXPECT_THAT(encode(grouper, unit, "IVF6,Flat"),
                  testing::HasSubstr("stopped while embedding"));
  }
}

// Two pipelines on the same services, each with its own embedder.
TEST_F(RankingTest, PipelinesDoNotShareTheirEmbedders) {
  host::PluginRegistry registry =
      host::PluginRegistry::discover(std::vector<std::string>{DBSA_PLUGIN_DIR});
  host::HostServices services({.threads = 2, .log_level = host::LogLevel::kWarning});
  const auto open_layer = [&](const std::string& layer) {
    const std::string file = write_pipeline(
        "plugin = \"faiss\"\n", "[embedding]\nmethod = \"llm_hidden\"\nlayer = " + layer + "\n");
    const auto resolved = host::resolve_pipeline(*TomlDocument::load(file), registry);
    auto opened = Pipeline::open(*resolved, registry, services);
    if (!opened.ok()) throw std::runtime_error(opened.error().message);
    if (auto encoded = (*opened)->encode(false, {}); !encoded.ok())
      throw std::runtime_error(encoded.error().message);
    return std::move(opened).value();
  };
  auto one = open_layer("1");
  const Told expected = ask(*one);
  auto two = open_layer("2");
  EXPECT_EQ(services.embedder(), nullptr) << "it is the pipelines' own";
  EXPECT_EQ(ask(*one), expected);
  two.reset();
  EXPECT_EQ(ask(*one), expected);
}

// ---- retrievers of retrievers ------------------------------------------------------------------

constexpr const char* kBoth = "plugin = \"hybrid\"\n[retriever.first]\nplugin = \"bm25\"\n";

TEST_F(RankingTest, AHybridOfWordsAndMeaningsAnswers) {
  const std::string file =
      write_pipeline(std::string(kBoth) + "[retriever.second]\nplugin = \"faiss\"\n",
                     "[embedding]\nmethod = \"llm_hidden\"\nlayer = 1\n");
  auto harness = open_file(file);
  const auto report = harness->pipeline().encode(false, {});
  ASSERT_TRUE(report.ok()) << report.error().message;
  const Told expected = ask(harness->pipeline());
  const auto pool = read_stored_pool(report->pool_location);
  const nlohmann::json& made = pool->made_index;
  EXPECT_EQ(made.at("retriever").at("plugin"), "dbsa.retriever.hybrid");
  EXPECT_EQ(made.at("retriever").at("first").at("plugin"), "dbsa.retriever.bm25");
  EXPECT_EQ(made.at("retriever").at("second").at("plugin"), "dbsa.retriever.faiss");
  EXPECT_EQ(made.at("retriever").at("second").at("revision"), 2);
  EXPECT_TRUE(made.at("embedder").get<std::string>().starts_with("llm_hidden layer 1 of "));
  EXPECT_EQ(made.at("library").get<std::string>().size(), 3 * 32 + 2) << "three libraries";
  auto second = open_file(file);
  ASSERT_TRUE(second->pipeline().open_pool().ok());
  EXPECT_TRUE(ask(second->pipeline()) == expected);
  EXPECT_TRUE(open_file(file)->pipeline().encode(false, {})->index_reused);
}

TEST_F(RankingTest, AFaultOfAnInnerRetrieverIsShownWhereItStands) {
  const std::string embedding = "[embedding]\nmethod = \"llm_hidden\"\n";
  const auto with = [&](const std::string& second, const std::string& more) {
    return write_pipeline(std::string(kBoth) + "[retriever.second]\n" + second, more);
  };
  // check_config: the factory is none that is known.
  std::string file = with("plugin = \"faiss\"\nindex = \"Foo\"\n", embedding);
  EXPECT_EQ(refusal(file), file +
                               ":20:1: retriever.second.index: \"Foo\" is none that this plugin "
                               "knows; it knows Flat, SQ8, PQ16, HNSW32, IVF64,Flat and others "
                               "that its description lists");
  // create: it does not suit 64 values.
  file = with("plugin = \"faiss\"\nindex = \"PQ9\"\n", embedding);
  EXPECT_EQ(refusal(file).find(file + ":20:1: retriever.second.index: \"PQ9\" does not suit "
                                      "embeddings of 64 values: "),
            0u)
      << refusal(file);
  // create, of no key: there are no embeddings at all.
  file = with("plugin = \"faiss\"\n", "");
  EXPECT_EQ(refusal(file), file +
                               ":18:12: retriever.second: dbsa.retriever.faiss: needs "
                               "embeddings: add a table [embedding] to the pipeline file");
}

}  // namespace
}  // namespace dbsa
