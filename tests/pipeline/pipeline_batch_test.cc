// Queries answered together: the same bits as one by one, for any number of queries, decoding,
// store and threads.
#include <cstring>

#include "tests/pipeline/pipeline_fixture.h"

namespace dbsa {
namespace {

std::vector<std::string> texts_of(size_t count) {
  std::vector<std::string> texts;
  for (size_t i = 0; i < count; ++i)
    texts.push_back("question " + std::string(1 + i % 3, static_cast<char>('a' + i)) +
                    " about topic " + std::to_string(i % 3));
  return texts;
}

bool same_bits(double a, double b) { return std::memcmp(&a, &b, sizeof a) == 0; }

void expect_equal(const Answer& got, const Answer& expected, const std::string& where) {
  EXPECT_EQ(got.label.text, expected.label.text) << where;
  EXPECT_TRUE(same_bits(got.label.log_probability, expected.label.log_probability)) << where;
  ASSERT_EQ(got.runner_up.has_value(), expected.runner_up.has_value()) << where;
  if (expected.runner_up) {
    EXPECT_EQ(got.runner_up->text, expected.runner_up->text) << where;
    EXPECT_TRUE(same_bits(got.runner_up->log_probability, expected.runner_up->log_probability))
        << where;
  }
  EXPECT_EQ(got.label_log_probabilities, expected.label_log_probabilities) << where;
  EXPECT_EQ(got.query_tokens, expected.query_tokens) << where;
  ASSERT_EQ(got.blocks.size(), expected.blocks.size()) << where;
  for (size_t i = 0; i < got.blocks.size(); ++i)
    EXPECT_EQ(got.blocks[i].block, expected.blocks[i].block) << where;
  EXPECT_GT(got.seconds.total(), 0) << where;
}

TEST_F(PipelineTest, TogetherIsBitIdenticalToOneByOne) {
  const std::vector<std::string> texts = texts_of(9);
  struct Case {
    const char* name;
    PipelineHarness::Overrides overrides;
  };
  const Case cases[] = {
      {"trie", {}},
      {"trie of many labels", {{"data.labels", "\"labels.jsonl\""}}},
      {"greedy trie", {{"decoding.method", "\"greedy_trie\""}}},
      {"likelihood", {{"decoding.method", "\"likelihood\""}}},
      {"free", {{"decoding.method", "\"free\""}, {"decoding.max_tokens", "5"}}},
      {"vote", {{"decoding.method", "\"vote\""}}},
      {"read again", {{"selection.recompute", "true"}}},
      {"small chunks", {{"model.chunk_tokens", "16"}}},
      {"bfloat16", {{"model.dtype", "\"bf16\""}}},
      {"int8", {{"model.kv_dtype", "\"int8\""}}},
      {"in memory", {}},
  };
  std::string labels;
  for (int i = 0; i < 300; ++i)
    labels += nlohmann::json{{"label", "topic " + std::to_string(i * i)}}.dump() + "\n";
  workspace_.write("labels.jsonl", labels);
  std::string in_memory = workspace_.read("pipeline.toml");
  const std::string on_disk = "plugin = \"hdf5\"\npath = \"store\"";
  ASSERT_NE(in_memory.find(on_disk), in_memory.npos);
  in_memory.replace(in_memory.find(on_disk), on_disk.size(), "plugin = \"memory\"");
  workspace_.write("memory.toml", in_memory);
  for (const Case& c : cases) {
    std::vector<Answer> expected;
    for (const int threads : {1, 2}) {
      for (const size_t together : {size_t{1}, size_t{2}, size_t{8}, size_t{9}}) {
        const std::string where = std::string(c.name) + ", " + std::to_string(threads) +
                                  " threads, " + std::to_string(together) + " together";
        PipelineHarness::Overrides overrides = c.overrides;
        if (std::string(c.name) != "in memory")
          overrides.push_back({"kv_store.path", "\"store-" + std::string(c.name) + "\""});
        const std::string file =
            std::string(c.name) == "in memory" ? "memory.toml" : "pipeline.toml";
        auto harness = PipelineHarness::open(workspace_.path(file), overrides, threads);
        ASSERT_TRUE(harness.ok()) << harness.error().message;
        Pipeline& pipeline = (*harness)->pipeline();
        ASSERT_TRUE(pipeline.encode(false, {}).ok()) << where;
        if (expected.empty()) {
          for (const std::string& text : texts) {
            Result<Answer> answer = pipeline.answer(text);
            ASSERT_TRUE(answer.ok()) << answer.error().message;
            expected.push_back(std::move(answer).value());
          }
        }
        for (size_t first = 0; first < texts.size(); first += together) {
          const size_t count = std::min(together, texts.size() - first);
          const auto answers = pipeline.answer_together(std::span(texts).subspan(first, count));
          ASSERT_EQ(answers.size(), count);
          for (size_t i = 0; i < count; ++i) {
            ASSERT_TRUE(answers[i].ok()) << where << ": " << answers[i].error().message;
            ASSERT_TRUE(std::holds_alternative<Answer>(*answers[i])) << where;
            expect_equal(std::get<Answer>(*answers[i]), expected[first + i], where);
          }
        }
      }
    }
  }
}

TEST_F(PipelineTest, AQueryThatFailsLeavesTheOthersTheirAnswers) {
  auto harness = open({});
  Pipeline& pipeline = harness->pipeline();
  ASSERT_TRUE(pipeline.encode(false, {}).ok());
  const std::vector<std::string> texts = {"question a", "not UTF-8: \xff", "question b"};
  const auto answers = pipeline.answer_together(texts);
  ASSERT_FALSE(pipeline.answer(texts[1]).ok());
  ASSERT_TRUE(answers[1].ok()) << answers[1].error().message;
  const ItemError* error = std::get_if<ItemError>(&*answers[1]);
  ASSERT_NE(error, nullptr);
  EXPECT_EQ(error->fault, ItemFault::kNotTokenizable);
  EXPECT_EQ(error->message, pipeline.answer(texts[1]).error().message);
  for (const size_t i : {size_t{0}, size_t{2}}) {
    ASSERT_TRUE(answers[i].ok()) << answers[i].error().message;
    expect_equal(std::get<Answer>(*answers[i]), *pipeline.answer(texts[i]), texts[i]);
  }
}

TEST_F(PipelineTest, NoQueriesTogetherAreNoAnswers) {
  auto harness = open({});
  ASSERT_TRUE(harness->pipeline().encode(false, {}).ok());
  EXPECT_TRUE(harness->pipeline().answer_together({}).empty());
}

TEST_F(PipelineTest, BatchSizeIsChosenWhereTheFileSaysZero) {
  EXPECT_EQ(open({})->pipeline().batch_size(), 1);
  EXPECT_EQ(open({{"model.batch_size", "3"}})->pipeline().batch_size(), 3);
  EXPECT_EQ(open({{"model.batch_size", "0"}})->pipeline().batch_size(), 8);
  EXPECT_EQ(
      open({{"model.batch_size", "0"}, {"selection.recompute", "true"}})->pipeline().batch_size(),
      1);
}

}  // namespace
}  // namespace dbsa
