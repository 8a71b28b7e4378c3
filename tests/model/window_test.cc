// Which layers see stored tokens, at the edges of windows.
#include "model/decoder/window.h"

#include <gtest/gtest.h>

namespace dbsa {
namespace {

// Whether any row first_row.. sees any of the tokens up to last_token, pair by pair.
bool sees_any(int64_t window, int64_t first_row, int64_t rows, int64_t last_token, int64_t tokens) {
  for (int64_t i = first_row; i < first_row + rows; ++i)
    for (int64_t j = last_token - tokens + 1; j <= last_token; ++j)
      if (0 <= i - j && i - j < window) return true;
  return false;
}

TEST(Window, AKeyIsSeenIffItsDistanceIsBelowTheWindow) {
  for (const int64_t window : {1, 2, 512}) {
    EXPECT_TRUE(window_reaches(window, 7000, 7000)) << "itself";
    EXPECT_TRUE(window_reaches(window, 7000, 7000 - window + 1));
    EXPECT_FALSE(window_reaches(window, 7000, 7000 - window));
    EXPECT_FALSE(window_reaches(window, 7000, -100000));
  }
  EXPECT_TRUE(window_reaches(0, 1 << 20, -(1 << 20))) << "no window";
}

TEST(Window, EqualsACountOfPairs) {
  int64_t seen = 0, unseen = 0;
  for (const int64_t window : {1, 3, 8})
    for (const int64_t tokens : {1, 2, 9})
      for (const int64_t rows : {1, 4})
        for (int64_t last = -3; last < 20; ++last) {
          const bool reaches = window_reaches(window, 20, last);
          EXPECT_EQ(reaches, sees_any(window, 20, rows, last, tokens))
              << window << " " << tokens << " " << rows << " " << last;
          ++(reaches ? seen : unseen);
        }
  EXPECT_GT(seen, 0);
  EXPECT_GT(unseen, 0);
}

ModelConfig config_of(int64_t layers) {
  ModelConfig config;
  config.hidden_size = 24;
  config.intermediate_size = 40;
  config.layers = layers;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 8;
  config.vocab_size = 50;
  config.max_positions = 32768;
  return config;
}

TEST(Window, LayersWithoutOneSeeAllBlocks) {
  ModelConfig config = config_of(6);
  EXPECT_EQ(layers_reaching(make_model_spec(config), 9000, 3), LayerSet(6, true));
  config.sliding_window = 512;
  config.window_layers = {true, true, true, true, true, false};
  const ModelSpec spec = make_model_spec(config);
  EXPECT_EQ(layers_reaching(spec, 9000, 9000 - 511), LayerSet(6, true));
  EXPECT_EQ(layers_reaching(spec, 9000, 9000 - 512),
            (LayerSet{false, false, false, false, false, true}));
  config.window_layers.clear();
  EXPECT_EQ(layers_reaching(make_model_spec(config), 9000, 9000 - 512), LayerSet(6, false));
}

}  // namespace
}  // namespace dbsa
