// Mask patterns against the formula, key by key: what the segments show is exactly what the dense
// mask would, and they are what dbsa/mask_pattern.h promises.
#include <dbsa/sdk/mask_pattern.h>
#include <dbsa/sdk/random.h>

#include <functional>

#include "tests/plugins/plugin_under_test.h"

namespace dbsa::testing {
namespace {

std::vector<Visible> visible(const PluginUnderTest& plugin, const std::vector<int64_t>& lengths,
                             int64_t block) {
  std::vector<Visible> segments;
  const dbsa_visible_sink sink = {sizeof(dbsa_visible_sink), &segments,
                                  [](void* context, const dbsa_visible* s) -> int32_t {
                                    static_cast<std::vector<Visible>*>(context)->push_back(
                                        {s->block, s->first_token, s->length, s->kind, s->window});
                                    return DBSA_OK;
                                  }};
  dbsa_error error = {};
  EXPECT_EQ(plugin.vtable<dbsa_mask_pattern_vtable>().visible(plugin.instance(), lengths.data(),
                                                              static_cast<int64_t>(lengths.size()),
                                                              block, &sink, &error),
            DBSA_OK)
      << error.message;
  return segments;
}

// Whether any row of block q sees keys of block k that come before it in the pool.
using BlockRule = std::function<bool(int64_t q, int64_t k)>;

void compare_with_dense(const PluginUnderTest& plugin, const std::vector<int64_t>& lengths,
                        const BlockRule& rule) {
  for (int64_t q = 0; q < static_cast<int64_t>(lengths.size()); ++q) {
    const std::vector<Visible> segments = visible(plugin, lengths, q);
    // [block][token]: how often the segments show a key, and to which rows.
    std::vector<std::vector<int>> full(lengths.size());
    std::vector<std::vector<int>> causal(lengths.size());
    for (size_t k = 0; k < lengths.size(); ++k) {
      full[k].resize(lengths[k]);
      causal[k].resize(lengths[k]);
    }
    for (size_t i = 0; i < segments.size(); ++i) {
      const Visible& s = segments[i];
      ASSERT_GE(s.length, 1);
      ASSERT_LE(s.first_token + s.length, lengths[s.block]);
      EXPECT_EQ(s.window, 0);
      if (i > 0) {
        EXPECT_GT(s.block, segments[i - 1].block) << "ascending";
      }
      auto& shown = s.kind == DBSA_SEGMENT_FULL ? full : causal;
      for (int64_t t = s.first_token; t < s.first_token + s.length; ++t) ++shown[s.block][t];
    }
    ASSERT_FALSE(segments.empty());
    EXPECT_EQ(segments.back().block, q) << "own tokens last";
    // The dense mask, row by row: key (k, t) and row (q, r).
    for (int64_t k = 0; k < static_cast<int64_t>(lengths.size()); ++k) {
      for (int64_t t = 0; t < lengths[k]; ++t) {
        for (int64_t r = 0; r < lengths[q]; ++r) {
          const bool before = k < q || (k == q && t <= r);
          const bool expected = before && (k == q || rule(q, k));
          const int shown = full[k][t] + (causal[k][t] > 0 && (k < q || t <= r) ? causal[k][t] : 0);
          ASSERT_EQ(shown, expected ? 1 : 0)
              << "row " << r << " of block " << q << ", key " << t << " of block " << k;
        }
      }
    }
  }
}

std::vector<int64_t> random_lengths(Random& random) {
  std::vector<int64_t> lengths(1 + random.below(12));
  for (int64_t& length : lengths) length = 1 + static_cast<int64_t>(random.below(5));
  return lengths;
}

TEST(MaskPattern, CausalIsTheDenseMask) {
  Random random(1);
  PluginUnderTest plugin("mask_pattern_causal", "{}");
  for (int i = 0; i < 20; ++i)
    compare_with_dense(plugin, random_lengths(random), [](int64_t, int64_t) { return true; });
}

TEST(MaskPattern, SelfSeesNothingElse) {
  Random random(2);
  PluginUnderTest plugin("mask_pattern_self", "{}");
  for (int i = 0; i < 20; ++i)
    compare_with_dense(plugin, random_lengths(random), [](int64_t, int64_t) { return false; });
}

TEST(MaskPattern, DbsaIsItsFormulaForEveryAnchorAndPrevious) {
  Random random(3);
  for (int64_t anchors = 0; anchors <= 4; ++anchors) {
    for (int64_t previous = 0; previous <= 5; ++previous) {
      PluginUnderTest plugin("mask_pattern_dbsa",
                             "{\"anchor_blocks\": " + std::to_string(anchors) +
                                 ", \"previous_blocks\": " + std::to_string(previous) + "}");
      for (int i = 0; i < 8; ++i)
        compare_with_dense(plugin, random_lengths(random),
                           [&](int64_t q, int64_t k) { return k < anchors || k >= q - previous; });
    }
  }
}

TEST(MaskPattern, AnchorSelfIsItsFormula) {
  Random random(4);
  for (int64_t anchors = 0; anchors <= 4; ++anchors) {
    PluginUnderTest plugin("mask_pattern_anchor_self",
                           "{\"anchor_blocks\": " + std::to_string(anchors) + "}");
    for (int i = 0; i < 8; ++i)
      compare_with_dense(plugin, random_lengths(random),
                         [&](int64_t, int64_t k) { return k < anchors; });
  }
}

// How often the segments show token t of block k to row r of block q, all places counted in the
// pool.
int times_shown(const std::vector<Visible>& segments, const std::vector<int64_t>& starts, int64_t q,
                int64_t r, int64_t k, int64_t t) {
  const int64_t row = starts[q] + r, token = starts[k] + t;
  int shown = 0;
  for (const Visible& s : segments) {
    if (s.block != k || t < s.first_token || t >= s.first_token + s.length) continue;
    if (s.kind == DBSA_SEGMENT_FULL) ++shown;
    if (s.kind == DBSA_SEGMENT_CAUSAL) shown += token <= row;
    if (s.kind == DBSA_SEGMENT_WINDOW) shown += token <= row && row - token < s.window;
  }
  return shown;
}

TEST(MaskPattern, StreamingIsItsFormulaForEverySinkAndWindow) {
  Random random(5);
  for (const int64_t sink : {0, 1, 3, 9}) {
    for (const int64_t window : {1, 2, 5, 30}) {
      PluginUnderTest plugin("mask_pattern_streaming",
                             "{\"sink_tokens\": " + std::to_string(sink) +
                                 ", \"window_tokens\": " + std::to_string(window) + "}");
      const std::vector<int64_t> lengths = random_lengths(random);
      std::vector<int64_t> starts(lengths.size(), 0);
      for (size_t b = 1; b < lengths.size(); ++b) starts[b] = starts[b - 1] + lengths[b - 1];
      for (int64_t q = 0; q < static_cast<int64_t>(lengths.size()); ++q) {
        const std::vector<Visible> segments = visible(plugin, lengths, q);
        for (int64_t k = 0; k <= q; ++k)
          for (int64_t t = 0; t < lengths[k]; ++t)
            for (int64_t r = 0; r < lengths[q]; ++r) {
              const int64_t row = starts[q] + r, token = starts[k] + t;
              const bool expected = token <= row && (token < sink || row - token < window);
              ASSERT_EQ(times_shown(segments, starts, q, r, k, t), expected ? 1 : 0)
                  << "sink " << sink << ", window " << window << ": row " << row << ", key "
                  << token;
            }
      }
    }
  }
}

TEST(MaskPattern, StreamingTakesTheLargestNumbers) {
  PluginUnderTest plugin(
      "mask_pattern_streaming",
      R"({"sink_tokens": 9223372036854775807, "window_tokens": 9223372036854775807})");
  EXPECT_EQ(visible(plugin, {1, 2, 3}, 2).size(), 3u);
}

TEST(MaskPattern, DbsaCostsAConstantPerBlock) {
  PluginUnderTest plugin("mask_pattern_dbsa", R"({"anchor_blocks": 1, "previous_blocks": 2})");
  const std::vector<int64_t> lengths(10000, 7);
  const std::vector<Visible> expected = {{0, 0, 7, DBSA_SEGMENT_FULL, 0},
                                         {9997, 0, 7, DBSA_SEGMENT_FULL, 0},
                                         {9998, 0, 7, DBSA_SEGMENT_FULL, 0},
                                         {9999, 0, 7, DBSA_SEGMENT_CAUSAL, 0}};
  EXPECT_EQ(visible(plugin, lengths, 9999), expected);
}

TEST(MaskPattern, SaysHowManyBlocksEveryQueryIsGiven) {
  const auto anchors = [](const char* file, const char* config) {
    PluginUnderTest plugin(file, config);
    const auto function = plugin.vtable<dbsa_mask_pattern_vtable>().anchor_blocks;
    return function == nullptr ? -1 : function(plugin.instance());
  };
  EXPECT_EQ(anchors("mask_pattern_dbsa", R"({"anchor_blocks": 3, "previous_blocks": 2})"), 3);
  EXPECT_EQ(anchors("mask_pattern_anchor_self", R"({"anchor_blocks": 2})"), 2);
  EXPECT_EQ(anchors("mask_pattern_self", "{}"), 0);
}

TEST(MaskPattern, DbsaTakesTheLargestNumbers) {
  PluginUnderTest plugin(
      "mask_pattern_dbsa",
      R"({"anchor_blocks": 9223372036854775807, "previous_blocks": 9223372036854775807})");
  EXPECT_EQ(visible(plugin, {1, 2, 3}, 2).size(), 3u);
}

}  // namespace
}  // namespace dbsa::testing
