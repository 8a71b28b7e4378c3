// PackView on packs made by hand: what it reads, and every reason to refuse one. The checksums of
// the changed packs are right, as those of a faulty writer would be.
#include <gtest/gtest.h>

#include <functional>

#include "small_pack.h"

namespace dbsa::store_test {
namespace {

using kv_pack::PackHeader;
using kv_pack::PackRow;
using kv_pack::PackView;

struct Parts {
  PackHeader& header;
  PackRow* rows;
};

// What parse says of a small pack that `change` has spoilt.
std::string refusal(const std::function<void(Parts)>& change) {
  std::vector<uint8_t> file = small_pack();
  change({*reinterpret_cast<PackHeader*>(file.data()),
          reinterpret_cast<PackRow*>(file.data() + kSmallRows)});
  seal(file);
  const auto view = PackView::parse(file);
  if (view.ok()) return "accepted";
  EXPECT_EQ(view.error().code, ErrorCode::kCorrupt);
  return view.error().message;
}

TEST(PackReader, ReadsAPackMadeByHand) {
  const std::vector<uint8_t> file = small_pack();
  const auto view = PackView::parse(file);
  ASSERT_TRUE(view.ok()) << view.error().message;
  ASSERT_EQ(view->rows().size(), 2u);
  EXPECT_EQ(view->checksums().size(), 3u);
  EXPECT_EQ(view->rows()[1].key[0], 0x22);
  const auto plane = view->plane(view->rows()[0], 1);
  EXPECT_EQ(plane.size(), 100u);
  EXPECT_EQ(plane.data(), file.data() + kSmallPlanes + 128);
  EXPECT_TRUE(view->rest_matches());
  EXPECT_EQ(refusal([](Parts) {}), "accepted");
}

// XXH3's own test vector: the checksum of nothing with seed 0.
TEST(PackReader, ChecksumIsXxh3) {
  EXPECT_EQ(kv_pack::checksum(std::span<const uint8_t>()), 0x2d06800538d394c2u);
  std::vector<uint8_t> bytes(5000);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * i);
  const std::span<const uint8_t> all(bytes);
  EXPECT_EQ(kv_pack::checksum(all.first(1234), all.subspan(1234)), kv_pack::checksum(all));
  const std::pair<uint64_t, uint64_t> holes[] = {{100, 200}, {200, 1000}};
  EXPECT_EQ(kv_pack::checksum_without(all, 50, holes),
            kv_pack::checksum(all.subspan(50, 50), all.subspan(1000)));
}

TEST(PackReader, RefusesOtherFiles) {
  std::vector<uint8_t> file = small_pack();
  file[0] = 'd';
  EXPECT_EQ(PackView::parse(file).error().message, "does not begin as a pack does");
  file = small_pack();
  file[200] = 1;
  EXPECT_EQ(PackView::parse(file).error().message, "the header does not match its checksum");
  file = small_pack();
  file[kSmallRows] ^= 1;
  EXPECT_EQ(PackView::parse(file).error().message, "the index does not match its checksum");
}

TEST(PackReader, RefusesAnIndexOutsideTheFile) {
  const std::string outside = "the index lies outside the file";
  EXPECT_EQ(refusal([](Parts p) { p.header.rows_offset = 4088; }), outside);
  EXPECT_EQ(refusal([](Parts p) { p.header.rows_offset = kSmallRows + 4; }), outside);
  EXPECT_EQ(refusal([](Parts p) { p.header.rows_offset = ~uint64_t{0} - 7; }), outside);
  EXPECT_EQ(refusal([](Parts p) { p.header.block_count = ~uint64_t{0} / 96 + 2; }), outside);
  EXPECT_EQ(refusal([](Parts p) { p.header.block_count = 7; }), outside);
  EXPECT_EQ(refusal([](Parts p) { p.header.checksums_offset = kSmallBytes - 16; }), outside);
  EXPECT_EQ(refusal([](Parts p) { p.header.plane_count = uint64_t{1} << 61; }), outside);
}

TEST(PackReader, RefusesRowsThatPointElsewhere) {
  const auto row0 = [](const std::string& what) { return "row 0 of the index " + what; };
  EXPECT_EQ(refusal([](Parts p) { p.rows[0].layers = 0; }), row0("has 0 layers of 100 bytes"));
  EXPECT_EQ(refusal([](Parts p) { p.rows[0].layers = 4097; }),
            row0("has 4097 layers of 100 bytes"));
  EXPECT_EQ(refusal([](Parts p) { p.rows[0].plane_bytes = 0; }), row0("has 2 layers of 0 bytes"));
  EXPECT_EQ(refusal([](Parts p) { p.rows[0].tokens = 0; }),
            row0("has 0 tokens of 1 heads of 8 numbers"));
  EXPECT_EQ(refusal([](Parts p) { p.rows[0].kv_heads = 0; }),
            row0("has 2 tokens of 0 heads of 8 numbers"));
  EXPECT_EQ(refusal([](Parts p) { p.rows[0].head_dim = 0; }),
            row0("has 2 tokens of 1 heads of 0 numbers"));
  EXPECT_EQ(refusal([](Parts p) { p.rows[0].plane_bytes = 129; }),
            row0("has planes that are not aligned"));
  EXPECT_EQ(refusal([](Parts p) { p.rows[0].plane_offset += 8; }),
            row0("has planes that are not aligned"));
  EXPECT_EQ(refusal([](Parts p) { p.rows[0].plane_stride = 160; }),
            row0("has planes that are not aligned"));
  EXPECT_EQ(refusal([](Parts p) { p.rows[0].plane_stride = uint64_t{1} << 63; }),
            row0("has planes outside the file"));
  EXPECT_EQ(refusal([](Parts p) { p.rows[0].plane_offset = ~uint64_t{63}; }),
            row0("has planes outside the file"));
  EXPECT_EQ(refusal([](Parts p) { p.rows[0].plane_offset = 0; }),
            row0("has planes outside the file"));
  EXPECT_EQ(refusal([](Parts p) { p.rows[0].first_checksum = 1; }),
            row0("has other checksums than its own"));
  EXPECT_EQ(refusal([](Parts p) { p.rows[1].first_checksum = 1; }),
            "row 1 of the index has other checksums than its own");
  EXPECT_EQ(refusal([](Parts p) { p.header.plane_count = 4; }),
            "row 1 of the index has other checksums than its own");
}

TEST(PackReader, RefusesOverlaps) {
  EXPECT_EQ(refusal([](Parts p) { p.rows[1].plane_offset -= 64; }),
            "planes overlap at byte " + std::to_string(kSmallPlanes + 192));
  EXPECT_EQ(refusal([](Parts p) { p.rows[0].plane_offset = kSmallChecksums / 64 * 64; }),
            "planes overlap at byte " + std::to_string(kSmallChecksums));
}

}  // namespace
}  // namespace dbsa::store_test
