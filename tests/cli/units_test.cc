// Numbers as people read them.
#include "tools/dbsa-pipe/terminal/units.h"

#include <gtest/gtest.h>

namespace dbsa::cli {
namespace {

TEST(UnitsTest, CountsHaveThousands) {
  EXPECT_EQ(human_count(0), "0");
  EXPECT_EQ(human_count(999), "999");
  EXPECT_EQ(human_count(1000), "1,000");
  EXPECT_EQ(human_count(1234567), "1,234,567");
  EXPECT_EQ(human_count(-1000), "-1,000");
  EXPECT_EQ(human_count(-100), "-100");
}

TEST(UnitsTest, BytesAreBinary) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(1023), "1023 B");
  EXPECT_EQ(human_bytes(1024), "1.0 KiB");
  EXPECT_EQ(human_bytes(1024 * 1024 - 1), "1.0 MiB");
  EXPECT_EQ(human_bytes(uint64_t{3} << 30), "3.0 GiB");
  EXPECT_EQ(human_bytes(UINT64_MAX), "16.0 EiB");
}

TEST(UnitsTest, SecondsChangeTheirUnit) {
  EXPECT_EQ(human_seconds(0), "0 us");
  EXPECT_EQ(human_seconds(0.000012), "12 us");
  EXPECT_EQ(human_seconds(0.0009999), "1.0 ms");
  EXPECT_EQ(human_seconds(0.0123), "12.3 ms");
  EXPECT_EQ(human_seconds(0.5), "500 ms");
  EXPECT_EQ(human_seconds(0.9999), "1.00 s");
  EXPECT_EQ(human_seconds(12.34), "12.3 s");
  EXPECT_EQ(human_seconds(125), "2 min 05 s");
  EXPECT_EQ(human_seconds(3720), "1 h 02 min");
}

TEST(UnitsTest, TimeLeftIsAClock) {
  EXPECT_EQ(clock_seconds(0.2), "0:01");
  EXPECT_EQ(clock_seconds(61), "1:01");
  EXPECT_EQ(clock_seconds(3723), "1:02:03");
}

TEST(UnitsTest, RatesAndShares) {
  EXPECT_EQ(human_rate(3.42), "3.4");
  EXPECT_EQ(human_rate(1203.4), "1,203");
  EXPECT_EQ(human_ratio(0.8521), "85.2 %");
}

TEST(UnitsTest, NounsFollowTheirCount) {
  EXPECT_EQ(counted(1, "block"), "1 block");
  EXPECT_EQ(counted(0, "block"), "0 blocks");
  EXPECT_EQ(counted(2000, "token"), "2,000 tokens");
  EXPECT_EQ(counted_queries(1), "1 query");
  EXPECT_EQ(counted_queries(2), "2 queries");
}

}  // namespace
}  // namespace dbsa::cli
