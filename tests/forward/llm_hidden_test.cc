// Embeddings from the model's hidden states against the oracle, and what they must not depend on.
#include "model/decoder/llm_hidden.h"

#include <cmath>
#include <iostream>

#include "tests/forward/forward_harness.h"
#include "tests/reference/oracle.h"
#include "tests/support/workspace.h"
#include "tools/make_checkpoint/checkpoint_writer.h"

namespace dbsa {
namespace {

using Vector = std::vector<double>;

// Length 1 vectors: an element is off only by the states' error, 1e-4 of their length at most
// (kFloat32Bound); the mean makes that no larger.
constexpr double kTolerance = reference::kFloat32Bound;

class LlmHiddenTest : public ::testing::Test {
 protected:
  void SetUp() override {
    tools::CheckpointPlan plan;
    plan.config = *tools::preset_config("tiny");
    plan.bf16 = false;
    plan.seed = 5;
    ASSERT_TRUE(tools::write_checkpoint(workspace_.path("model"), plan).ok());
    tokenizer_ = *Tokenizer::load(workspace_.path("model"));
    harness_ = std::make_unique<ForwardHarness>(workspace_.path("model"), HarnessOptions{});
    scheduler_ = std::make_unique<Scheduler>(harness_->model(), 512);
  }

  std::unique_ptr<LlmHidden> open(int64_t layer) {
    auto made = LlmHidden::create(*scheduler_, harness_->model(), harness_->backend(), *tokenizer_,
                                  services_, layer, "f00d");
    if (!made.ok()) throw std::runtime_error(made.error().message);
    return std::move(made).value();
  }

  static std::vector<float> embed(LlmHidden& embedder, const std::vector<std::string>& texts) {
    const std::vector<std::string_view> views(texts.begin(), texts.end());
    auto rows = embedder.embed(views);
    if (!rows.ok()) throw std::runtime_error(rows.error().message);
    return std::move(rows).value();
  }

  std::string long_text(size_t bytes, char first) const {
    std::string text;
    for (size_t i = 0; i < bytes; ++i)
      text += static_cast<char>('a' + (static_cast<size_t>(first - 'a') + i * i) % 26);
    return text;
  }

  Workspace workspace_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::unique_ptr<ForwardHarness> harness_;
  host::HostServices services_;
  std::unique_ptr<Scheduler> scheduler_;  // of the harness's model
};

Vector oracle_embedding(const reference::OracleModel& oracle, const std::vector<int32_t>& ids,
                        int64_t layer) {
  const auto length = static_cast<int64_t>(ids.size());
  const auto states = oracle.hidden_states(ids, reference::plain_positions(length),
                                           reference::causal_mask(length), layer);
  Vector mean(static_cast<size_t>(oracle.hidden_size()), 0);
  for (size_t i = 0; i < states.size(); ++i)
    mean[i % mean.size()] += states[i] / static_cast<double>(length);
  double square = 0;
  for (const double value : mean) square += value * value;
  for (double& value : mean) value /= std::sqrt(square);
  return mean;
}

TEST_F(LlmHiddenTest, IsTheOraclesMeanStateAfterTheLayer) {
  const auto oracle = reference::OracleModel::load(workspace_.path("model"));
  ASSERT_TRUE(oracle.ok());
  const std::vector<std::string> texts = {"a", "question b about topic 1", long_text(150, 'c'),
                                          "caf\xC3\xA9 <s> </s>"};
  double worst = 0;
  for (const int64_t layer : {1, 2, 0}) {
    const auto embedder = open(layer);
    ASSERT_EQ(embedder->width(), oracle->hidden_size());
    const std::vector<float> rows = embed(*embedder, texts);
    for (size_t i = 0; i < texts.size(); ++i) {
      const auto ids = tokenizer_->encode(texts[i], {.parse_special = false});
      const Vector expected =
          oracle_embedding(*oracle, *ids, layer == 0 ? oracle->layers() : layer);
      for (size_t j = 0; j < expected.size(); ++j)
        worst = std::max(worst, std::abs(rows[i * expected.size() + j] - expected[j]));
    }
  }
  std::cout << "worst element " << worst << "\n";
  EXPECT_LE(worst, kTolerance);
}

// 2048 tokens are a pass. Here some texts fill a whole one, some share one, some end at its edge.
TEST_F(LlmHiddenTest, ARowIsBitIdenticalWhateverTextsAreAroundIt) {
  const std::vector<std::string> texts = {
      long_text(30, 'a'),   long_text(2048, 'b'), "",
      long_text(2500, 'd'), long_text(1000, 'e'), long_text(1048, 'f'),
      long_text(1, 'g'),    long_text(777, 'h'),  long_text(65, 'i')};
  const auto embedder = open(0);
  const auto width = static_cast<size_t>(embedder->width());
  const std::vector<float> all = embed(*embedder, texts);
  ASSERT_EQ(all.size(), texts.size() * width);
  std::vector<std::string> reversed(texts.rbegin(), texts.rend());
  const std::vector<float> backwards = embed(*embedder, reversed);
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto row = [&](const std::vector<float>& rows, size_t at) {
      const auto first = rows.begin() + static_cast<std::ptrdiff_t>(at * width);
      return std::vector<float>(first, first + static_cast<std::ptrdiff_t>(width));
    };
    const std::vector<float> alone = embed(*embedder, {texts[i]});
    EXPECT_EQ(row(all, i), alone) << "text " << i;
    EXPECT_EQ(row(backwards, texts.size() - 1 - i), alone) << "text " << i;
  }
}

TEST_F(LlmHiddenTest, RowsHaveLengthOneAndNoTextsAreNoRows) {
  const auto embedder = open(1);
  const auto width = static_cast<size_t>(embedder->width());
  const std::vector<float> rows = embed(*embedder, {"", "x", long_text(90, 'q')});
  for (size_t i = 0; i < 3; ++i) {
    double square = 0;
    for (size_t j = 0; j < width; ++j)
      square += static_cast<double>(rows[i * width + j]) * rows[i * width + j];
    EXPECT_NEAR(square, 1, 1e-5) << i;
  }
  EXPECT_EQ(rows[0], 1.0F) << "a text without tokens gets the first unit vector";
  EXPECT_TRUE(embed(*embedder, {}).empty());
  EXPECT_EQ(embed(*embedder, {""}).size(), width);
}

TEST_F(LlmHiddenTest, ItsIdentityNamesTheLayerAndTheModel) {
  EXPECT_EQ(open(1)->identity(), "llm_hidden layer 1 of f00d");
  EXPECT_EQ(open(0)->identity(), open(2)->identity()) << "0 is the last";
}

TEST_F(LlmHiddenTest, SaysWhatIsWrong) {
  for (const int64_t layer : {-1, 3}) {
    const auto made = LlmHidden::create(*scheduler_, harness_->model(), harness_->backend(),
                                        *tokenizer_, services_, layer, "f00d");
    ASSERT_FALSE(made.ok());
    EXPECT_EQ(made.error().message,
              "embedding.layer: expected 1 to 2, the model's layers, or 0 for the last, found " +
                  std::to_string(layer));
    EXPECT_EQ(made.error().config_pointer, "/embedding/layer");
  }
  const auto embedder = open(0);
  const std::string broken = "a\xFF";
  EXPECT_FALSE(embedder->embed(std::vector<std::string_view>{broken}).ok());
  services_.request_cancel();
  const auto stopped = embedder->embed(std::vector<std::string_view>{"a"});
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.error().code, ErrorCode::kCancelled);
}

// A window is no limit: it hides what lies beyond it.
TEST_F(LlmHiddenTest, ATextLongerThanTheModelReadsIsRefused) {
  HarnessOptions options;
  options.change = [](ModelConfig& config) {
    config.max_positions = 20;
    config.sliding_window = 5;
  };
  ForwardHarness small(workspace_.path("model"), options);
  Scheduler scheduler(small.model(), 512);
  const auto embedder = LlmHidden::create(scheduler, small.model(), small.backend(), *tokenizer_,
                                          services_, 0, "f00d");
  ASSERT_TRUE(embedder.ok());
  const std::string fits = long_text(20, 'a'), long_one = long_text(21, 'a');
  EXPECT_TRUE((*embedder)->embed(std::vector<std::string_view>{fits}).ok());
  const auto refused = (*embedder)->embed(std::vector<std::string_view>{fits, long_one});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kConfig);
  EXPECT_EQ(refused.error().message,
            "a text of 21 tokens cannot be embedded: the model reads 20; shorten a query "
            "(data.truncate does not cut what is embedded), or rank single demonstrations "
            "(retriever.unit = \"demonstration\")");
}

}  // namespace
}  // namespace dbsa
