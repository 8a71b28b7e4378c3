// Plans cut into works, followed on the host: every row meets its tokens in order, once, in the
// same parts however the work is divided.
#include "plugins/attention_backend/cuda/plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <tuple>

struct dbsa_kv {
  int64_t tokens;
};

namespace dbsa::cuda {
namespace {

constexpr int64_t kQueryHeads = 8, kKvHeads = 2, kHeadDim = 64, kKvBytes = 2, kLayers = 3;
const std::vector<float> kInvFreq(kHeadDim / 2, 0.5f);

using Token = std::tuple<uint64_t, int64_t, int64_t, int32_t>;  // address, index, shift, kind
using MapEncoder = decltype(PlanShape::encode_map);

int64_t padded(const dbsa_kv& kv) { return (kv.tokens + kChunk - 1) / kChunk * kChunk; }

using RowParts = std::vector<std::vector<Token>>;

struct Description {
  std::vector<dbsa_segment> segments;
  std::vector<dbsa_row_range> ranges;
  std::vector<int32_t> positions;

  void add_segment(const dbsa_kv* kv, int32_t kind, int64_t first, int64_t length, int64_t start) {
    segments.push_back({sizeof(dbsa_segment), kind, kv, first, length, start, 0});
  }
  void add_range(int64_t rows, int64_t position) {
    const int64_t first =
        ranges.empty() ? 0 : ranges.back().first_segment + ranges.back().segment_count;
    ranges.push_back({sizeof(dbsa_row_range), static_cast<int64_t>(positions.size()), rows, first,
                      static_cast<int64_t>(segments.size()) - first});
    for (int64_t i = 0; i < rows; ++i) positions.push_back(static_cast<int32_t>(position + i));
  }
  Result<std::unique_ptr<Plan>> plan(int64_t side_by_side, MapEncoder encode = nullptr) const {
    const dbsa_plan_description d = {sizeof(dbsa_plan_description),          0,
                                     static_cast<int64_t>(positions.size()), positions.data(),
                                     static_cast<int64_t>(ranges.size()),    ranges.data(),
                                     static_cast<int64_t>(segments.size()),  segments.data()};
    DBSA_RETURN_IF_ERROR(check_plan(d, [](const dbsa_kv* kv) { return kv->tokens; }));
    return Plan::make(d, {kQueryHeads, kKvHeads, kHeadDim, kKvBytes, kInvFreq, side_by_side,
                          [](const dbsa_kv* kv) {
                            return KvPlace{reinterpret_cast<uint64_t>(kv), padded(*kv)};
                          },
                          kLayers, encode});
  }
};

std::vector<Token> tokens_of(const DevicePlan& plan, const Part& part) {
  std::vector<Token> tokens;
  for (int32_t i = part.first_piece; i < part.first_piece + part.pieces; ++i) {
    const Piece& piece = plan.pieces[i];
    for (int64_t t = piece.begin; t < piece.end; ++t) {
      tokens.emplace_back(piece.keys, t, piece.shift, piece.kind);
    }
  }
  return tokens;
}

// What each row meets, part by part, in the order in which parts are merged.
std::vector<RowParts> follow(const Plan& made) {
  std::vector<std::byte> tables = made.tables();
  const DevicePlan plan = made.place(tables.data());
  std::vector<RowParts> rows(static_cast<size_t>(plan.rows));
  std::vector<const Part*> slot_parts(static_cast<size_t>(plan.slot_count), nullptr);
  for (int32_t w = 0; w < plan.work_count; ++w) {
    const Work& work = plan.works[w];
    EXPECT_LE(work.rows * 4, kTileRows);
    for (int32_t row = work.first_row; row < work.first_row + work.rows; ++row) {
      for (int32_t p = work.first_part; p < work.first_part + work.parts; ++p) {
        const Part& part = plan.parts[p];
        for (int32_t i = part.first_piece; i < part.first_piece + part.pieces; ++i) {
          const Piece& piece = plan.pieces[i];
          const int32_t index = plan.rotation_index[piece.rotation + row];
          EXPECT_EQ(plan.distances[index], plan.positions[row] - piece.shift);
        }
        if (work.slot < 0) {
          rows[static_cast<size_t>(row)].push_back(tokens_of(plan, part));
        } else {
          const Part*& slot = slot_parts[static_cast<size_t>(work.slot + row - work.first_row)];
          EXPECT_EQ(work.parts, 1);
          EXPECT_EQ(slot, nullptr) << "a slot is written twice";
          slot = &part;
        }
      }
    }
  }
  for (int32_t row = 0; row < plan.rows; ++row) {
    const RowSlots& slots = plan.row_slots[row];
    for (int32_t i = slots.first; i < slots.first + slots.count; ++i) {
      const Part* part = slot_parts[static_cast<size_t>(plan.slots[i] + row)];
      rows[static_cast<size_t>(row)].push_back(tokens_of(plan, *part));
    }
  }
  return rows;
}

std::vector<std::vector<Token>> expected(const Description& d) {
  std::vector<std::vector<Token>> rows(d.positions.size());
  for (const dbsa_row_range& range : d.ranges) {
    for (int64_t row = range.first_row; row < range.first_row + range.rows; ++row) {
      for (int64_t s = range.first_segment; s < range.first_segment + range.segment_count; ++s) {
        const dbsa_segment& segment = d.segments[static_cast<size_t>(s)];
        for (int64_t t = 0; t < segment.length; ++t) {
          rows[static_cast<size_t>(row)].emplace_back(
              reinterpret_cast<uint64_t>(segment.kv), segment.first_token + t,
              segment.start - segment.first_token, segment.kind);
        }
      }
    }
  }
  return rows;
}

void expect_followed(const Description& d) {
  const auto whole = d.plan(0);
  const auto split = d.plan(int64_t{1} << 40);
  ASSERT_TRUE(whole.ok() && split.ok());
  const std::vector<RowParts> parts = follow(**whole);
  EXPECT_EQ(parts, follow(**split));
  const auto tokens = expected(d);
  for (size_t row = 0; row < tokens.size(); ++row) {
    std::vector<Token> joined;
    for (const auto& part : parts[row]) joined.insert(joined.end(), part.begin(), part.end());
    ASSERT_EQ(joined, tokens[row]) << "row " << row;
  }
}

TEST(Plan, RowsMeetTheirTokensInOrder) {
  const dbsa_kv kvs[] = {{1500}, {40}, {5000}, {3000}, {700}};
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    std::mt19937_64 random(seed);
    const auto draw = [&](int64_t low, int64_t high) {
      return std::uniform_int_distribution<int64_t>(low, high)(random);
    };
    Description d;
    for (int64_t r = draw(1, 3); r > 0; --r) {
      for (int64_t s = draw(1, 4); s > 0; --s) {
        const dbsa_kv& kv = kvs[draw(0, 4)];
        const int64_t first = draw(0, kv.tokens - 1);
        d.add_segment(&kv, DBSA_SEGMENT_FULL, first, draw(1, kv.tokens - first),
                      draw(-10, 10) * 100000 + static_cast<int64_t>(d.segments.size()));
      }
      d.add_range(draw(1, 80), draw(0, 1000));
    }
    expect_followed(d);
  }
}

TEST(Plan, RangesThatBeginAlikeShareTheirWork) {
  const dbsa_kv block{1500}, other{1500}, own{100};
  Description d;
  for (int64_t label = 0; label < 20; ++label) {
    d.add_segment(&block, DBSA_SEGMENT_FULL, 0, 1500, 0);
    d.add_segment(&other, DBSA_SEGMENT_FULL, 0, 1500, 1500);
    d.add_segment(&own, DBSA_SEGMENT_FULL, 0, 50, 3000);
    d.add_segment(&own, DBSA_SEGMENT_CAUSAL, 50 + 2 * label, 2, 3050);
    d.add_range(2, 3050);
  }
  expect_followed(d);
  const auto plan = d.plan(int64_t{1} << 40);
  ASSERT_TRUE(plan.ok());
  std::vector<std::byte> tables = (*plan)->tables();
  const DevicePlan placed = (*plan)->place(tables.data());
  // 40 rows of 4 heads are 2 works for each block, and each label has one more.
  EXPECT_EQ(placed.work_count, 2 * 2 + 20);
}

TEST(Plan, PartsDoNotDependOnTheTokensAfterThem) {
  const dbsa_kv block{700}, own{6000};
  std::vector<RowParts> last;
  for (const int64_t length : {6000, 4097, 2049, 2048, 100, 1}) {
    Description d;
    d.add_segment(&block, DBSA_SEGMENT_FULL, 0, 700, 0);
    d.add_segment(&own, DBSA_SEGMENT_FULL, 0, length, 700);
    d.add_range(1, 0);
    const auto plan = d.plan(0);
    ASSERT_TRUE(plan.ok());
    EXPECT_EQ((*plan)->scratch_bytes(), 0u);
    std::vector<RowParts> rows = follow(**plan);
    if (!last.empty()) {
      ASSERT_LE(rows[0].size(), last[0].size());
      for (size_t p = 0; p + 1 < rows[0].size(); ++p) EXPECT_EQ(rows[0][p], last[0][p]);
      const auto& cut = rows[0].back();
      const auto& longer = last[0][rows[0].size() - 1];
      EXPECT_TRUE(std::equal(cut.begin(), cut.end(), longer.begin()));
    }
    last = std::move(rows);
  }
}

TEST(Plan, RefusesWhatTheChecksRefuse) {
  const dbsa_kv kv{10};
  Description d;
  d.add_segment(&kv, DBSA_SEGMENT_FULL, 5, 6, 0);
  d.add_range(1, 0);
  const auto plan = d.plan(0);
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.error().message,
            "plan: segment 0: first_token 5 with length 6 lies outside its KV of 10 tokens");
}

TEST(Plan, RefusesMoreTokensThanKernelsCount) {
  const dbsa_kv most{(int64_t{1} << 31) - 1}, more{int64_t{1} << 31};
  for (const dbsa_kv* kv : {&most, &more}) {
    Description d;
    d.add_segment(&most, DBSA_SEGMENT_FULL, 0, 1, 0);
    d.add_segment(kv, DBSA_SEGMENT_FULL, kv->tokens - 1, 1, 1);
    d.add_range(1, 0);
    const auto plan = d.plan(0);
    ASSERT_EQ(plan.ok(), kv == &most);
    if (plan.ok()) continue;
    EXPECT_EQ(plan.error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(
        plan.error().message,
        "plan: segment 1: the tokens of its KV are 2147483648, and the cuda backend counts to "
        "2147483647");
  }
}

// Where a kernel finds the keys and values of a piece, as KvPlace lays them out.
TEST(Plan, PiecesSayWhereTheirKvLies) {
  const dbsa_kv block{1000}, own{65};
  Description d;
  d.add_segment(&block, DBSA_SEGMENT_FULL, 0, 1000, 0);
  d.segments.push_back({sizeof(dbsa_segment), DBSA_SEGMENT_WINDOW, &own, 0, 65, 1000, 32});
  d.add_range(65, 1000);
  const auto plan = d.plan(0);
  ASSERT_TRUE(plan.ok());
  std::vector<std::byte> tables = (*plan)->tables();
  const DevicePlan placed = (*plan)->place(tables.data());
  for (const auto& [index, kv, kind, window] :
       {std::tuple{0, &block, DBSA_SEGMENT_FULL, 0}, {1, &own, DBSA_SEGMENT_WINDOW, 32}}) {
    const Piece& piece = placed.pieces[index];
    EXPECT_EQ(piece.keys, reinterpret_cast<uint64_t>(kv));
    EXPECT_EQ(piece.head_bytes, padded(*kv) * kHeadDim * kKvBytes);
    EXPECT_EQ(piece.values_bytes, kKvHeads * piece.head_bytes);
    EXPECT_EQ(piece.layer_bytes, 2 * kKvHeads * piece.head_bytes);
    EXPECT_EQ(piece.kind, kind);
    EXPECT_EQ(piece.window, window);
  }
}

// One map for each KV object, of the rows of all its layers; every piece names its KV object's.
TEST(Plan, MapsAreMadeOncePerKv) {
  const dbsa_kv block{1500}, own{100};
  Description d;
  for (int64_t range = 0; range < 3; ++range) {
    d.add_segment(&block, DBSA_SEGMENT_FULL, 0, 700, 0);
    d.add_segment(&block, DBSA_SEGMENT_FULL, 700, 800, 5000);
    d.add_segment(&own, DBSA_SEGMENT_FULL, 0, 100, 1500);
    d.add_range(10, 1500);
  }
  static int made;
  made = 0;
  const auto plan =
      d.plan(0, [](const KvPlace& place, int64_t rows, int64_t head_dim, TensorMap* map) {
        EXPECT_EQ(rows, kLayers * 2 * kKvHeads * place.padded_tokens);
        EXPECT_EQ(head_dim, kHeadDim);
        std::memcpy(map, &place.address, sizeof place.address);
        ++made;
        return true;
      });
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(made, 2);
  std::vector<std::byte> tables = (*plan)->tables();
  const DevicePlan placed = (*plan)->place(tables.data());
  for (int32_t w = 0; w < placed.work_count; ++w) {
    const Work& work = placed.works[w];
    for (int32_t p = work.first_part; p < work.first_part + work.parts; ++p) {
      const Part& part = placed.parts[p];
      for (int32_t i = part.first_piece; i < part.first_piece + part.pieces; ++i) {
        uint64_t address = 0;
        std::memcpy(&address, placed.maps + placed.pieces[i].map, sizeof address);
        EXPECT_EQ(address, placed.pieces[i].keys);
      }
    }
  }

  const auto refused =
      d.plan(0, [](const KvPlace&, int64_t, int64_t, TensorMap*) { return false; });
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kRun);
  EXPECT_EQ(refused.error().message, "plan: the device takes no map of a KV object");
}

// What kernels take for a window: they know no row before a token of it.
TEST(Plan, FullSegmentsWithAWindowBecomeWindows) {
  const dbsa_kv kv{100};
  Description description;
  description.add_segment(&kv, DBSA_SEGMENT_FULL, 0, 100, 0);
  description.segments.back().window = 20;
  description.add_range(4, 100);
  auto plan = description.plan(0);
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  std::vector<std::byte> memory = (*plan)->tables();
  const DevicePlan placed = (*plan)->place(memory.data());
  EXPECT_EQ(placed.pieces[0].kind, kWindowSegment);
  EXPECT_EQ(placed.pieces[0].window, 20);

  description.positions[0] = 98;  // before the last token
  plan = description.plan(0);
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(plan.error().message,
            "plan: segment 0: the cuda backend computes FULL segments with a window only where "
            "their tokens stand before the rows; use the cpu backend");
}

}  // namespace
}  // namespace dbsa::cuda
