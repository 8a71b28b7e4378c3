#include "report/mask_picture.h"

#include <gmock/gmock.h>

#include "tests/support/text.h"

namespace dbsa {
namespace {

using testing::HasSubstr;
using testing::Not;

Visible full(int64_t block, int64_t length) { return {block, 0, length, DBSA_SEGMENT_FULL, 0}; }
Visible own(int64_t block, int64_t length) { return {block, 0, length, DBSA_SEGMENT_CAUSAL, 0}; }

TEST(MaskPicture, LengthsAreInProportion) {
  // 600 pixels for 60 tokens, from (62, 44) on. Block 2 sees the anchor and block 1.
  const MaskPicture picture{
      {10, 20, 30},
      {{own(0, 10)}, {full(0, 10), own(1, 20)}, {full(0, 10), full(1, 20), own(2, 30)}},
      1,
      {}};
  const std::string svg = mask_svg(picture);
  EXPECT_THAT(svg, HasSubstr("<polygon points=\"62,44 162,144 62,144\" fill=\"#D55E00\"/>"));
  EXPECT_THAT(svg, HasSubstr("<rect x=\"62\" y=\"144\" width=\"100\" height=\"200\" "
                             "fill=\"#0072B2\"/>"));
  EXPECT_THAT(svg, HasSubstr("<rect x=\"162\" y=\"344\" width=\"200\" height=\"300\" "
                             "fill=\"#56B4E9\"/>"));
  EXPECT_THAT(svg, HasSubstr("<polygon points=\"362,344 662,644 362,644\" fill=\"#D55E00\"/>"));
  for (const char* text :
       {">0<", ">1<", ">2<", ">60 tokens<", "anchor blocks", "previous blocks", "own tokens"})
    EXPECT_THAT(svg, text == std::string(">60 tokens<") ? HasSubstr("keys by block, 60 tokens")
                                                        : HasSubstr(text));
  EXPECT_THAT(svg, HasSubstr("prefers-color-scheme: dark"));
  EXPECT_THAT(svg, HasSubstr("[fill=\"#D55E00\"] { fill: #F08040 }"));
  EXPECT_THAT(svg, Not(HasSubstr(">window<")));
  EXPECT_THAT(svg, Not(HasSubstr("query")));
}

TEST(MaskPicture, WindowsFollowTheDiagonal) {
  // Two blocks of 10; rows of block 1 see what is nearer than 5 tokens in packed positions.
  const MaskPicture picture{
      {10, 10},
      {{own(0, 10)}, {{0, 0, 10, DBSA_SEGMENT_WINDOW, 5}, {1, 0, 10, DBSA_SEGMENT_WINDOW, 5}}},
      0,
      {}};
  const std::string svg = mask_svg(picture);
  // 30 pixels a token: of block 0 a triangle of its last 5 tokens; of block 1 a band.
  EXPECT_THAT(svg, HasSubstr("<polygon points=\"212,344 362,344 362,494\" fill=\"#009E73\"/>"));
  EXPECT_THAT(svg, HasSubstr("<polygon points=\"362,344 662,644 512,644 362,494\" "
                             "fill=\"#009E73\"/>"));
  EXPECT_THAT(svg, HasSubstr(">window<"));
}

TEST(MaskPicture, NeighboursOfOneKindAreOneShape) {
  MaskPicture dense;
  for (int64_t block = 0; block < 200; ++block) {
    dense.block_lengths.push_back(5);
    dense.visible.emplace_back();
    for (int64_t seen = 0; seen < block; ++seen) dense.visible.back().push_back(full(seen, 5));
    dense.visible.back().push_back(own(block, 5));
  }
  const std::string svg = mask_svg(dense);
  EXPECT_EQ(count_of(svg, "<polygon"), 201u);
  EXPECT_EQ(count_of(svg, "<rect"), 199u + 2);  // and the legend's
  EXPECT_LT(count_of(svg, "<text"), 80u);       // not every one of so many is numbered
}

TEST(MaskPicture, AQuerySeesTheChosenBlocks) {
  const std::string svg = mask_svg({{10, 20, 30},
                                    {{own(0, 10)}, {own(1, 20)}, {own(2, 30)}},
                                    0,
                                    MaskPicture::Answer{{0, 2, 9}, 1}});
  EXPECT_EQ(count_of(svg, "height=\"22\" fill=\"#882255\""), 2u);
  EXPECT_THAT(svg, HasSubstr("<rect x=\"362\" y=\"660\" width=\"300\" height=\"22\" "
                             "fill=\"#882255\"/>"));
  EXPECT_THAT(svg, HasSubstr(">query<"));
  EXPECT_THAT(svg, HasSubstr("selected for the query"));
}

TEST(MaskPicture, NonsenseIsLeftOut) {
  EXPECT_THAT(mask_svg({}), HasSubstr("<svg"));
  const std::string svg = mask_svg({{10},
                                    {{full(-1, 10),
                                      full(3, 10),
                                      {0, 5, 10, DBSA_SEGMENT_FULL, 0},
                                      {0, 0, INT64_MAX, DBSA_SEGMENT_FULL, 0}},
                                     {own(1, 10)}},
                                    0,
                                    MaskPicture::Answer{{-1, 7}, -5}});
  EXPECT_EQ(count_of(svg, "\" fill=\"#56B4E9\""), 0u);
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
}

}  // namespace
}  // namespace dbsa
