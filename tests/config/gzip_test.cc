#include "config/gzip.h"

#include <gmock/gmock.h>

#include <dbsa/sdk/random.h>

namespace dbsa {
namespace {

using testing::HasSubstr;

std::string packed(const std::string& bytes) { return pack_gzip(bytes).value(); }

std::string fault(const std::string& bytes, uint64_t max_bytes = kMaxUnpackedBytes) {
  const Result<std::string> text = unpack_gzip(bytes, "a.gz", max_bytes);
  if (text.ok()) return "no error";
  EXPECT_EQ(text.error().code, ErrorCode::kConfig);
  return text.error().message;
}

// Bytes that pack badly, longer than the parts in which they are unpacked.
std::string noise(size_t bytes) {
  Random random(5);
  std::string text;
  for (size_t i = 0; i < bytes; ++i) text += static_cast<char>(random.below(256));
  return text;
}

TEST(Gzip, GivesBackWhatWasPacked) {
  for (const std::string& text :
       {std::string(), std::string("a"), std::string("text,label\r\n"), std::string("a\0b", 3),
        std::string(1 << 20, 'x'), noise(300000)}) {
    const std::string bytes = packed(text);
    EXPECT_TRUE(is_gzip(bytes));
    EXPECT_EQ(unpack_gzip(bytes, "a.gz").value(), text);
    EXPECT_EQ(bytes, packed(text)) << "no time is in it";
  }
  EXPECT_LT(packed(std::string(1 << 20, 'x')).size(), 2000u);
}

TEST(Gzip, MembersFollowEachOtherAndZerosTheLast) {
  EXPECT_EQ(unpack_gzip(packed("one\n") + packed("") + packed("two\n"), "a.gz").value(),
            "one\ntwo\n");
  EXPECT_EQ(unpack_gzip(packed("one\n") + std::string(600, '\0'), "a.gz").value(), "one\n");
  EXPECT_EQ(fault(packed("one\n") + "more"),
            "a.gz: expected the end of the gzip file behind its last member, found other bytes; "
            "copy or pack it again");
}

TEST(Gzip, OneThatIsCutAnywhereIsAnError) {
  const std::string whole = packed(noise(2000));
  for (size_t bytes = 2; bytes < whole.size(); bytes += bytes < 40 ? 1 : 97)
    EXPECT_EQ(
        fault(whole.substr(0, bytes)),
        "a.gz: expected a whole gzip file, found one that is cut short; copy or pack it again");
  EXPECT_EQ(fault(""), "a.gz: expected a gzip file, as its name says, found an empty one");
  EXPECT_EQ(fault("text,label\n"),
            "a.gz: expected a gzip file, as its name says, found other bytes; remove .gz from the "
            "name, or pack it with gzip");
}

TEST(Gzip, AChangedByteIsAnError) {
  const std::string whole = packed("text,label\none,x\ntwo,y\n");
  std::string changed = whole;
  changed[whole.size() - 6] ^= 1;
  EXPECT_EQ(fault(changed),
            "a.gz: expected a sound gzip file, found incorrect data check; copy or pack it again");
  changed = whole;
  changed[2] = 7;
  EXPECT_EQ(fault(changed),
            "a.gz: expected a sound gzip file, found unknown compression method; copy or pack it "
            "again");
}

TEST(Gzip, WhatIsTooLargeIsAnError) {
  const std::string bomb = packed(std::string(1 << 24, '\0'));
  EXPECT_LT(bomb.size(), 20000u);
  const std::string said =
      "a.gz: expected a gzip file of at most 16777215 bytes when unpacked, found more; check that "
      "it is the right file, or unpack it and name the file in it";
  EXPECT_EQ(fault(bomb, (1 << 24) - 1), said);
  EXPECT_EQ(fault(bomb, 1 << 24), "no error");
  // Members count together.
  std::string members;
  for (int i = 0; i < 4; ++i) members += packed(std::string(1 << 22, 'a'));
  EXPECT_EQ(fault(members, (1 << 24) - 1), said);
}

TEST(Gzip, TheStartCostsNoMore) {
  const std::string bomb = packed("text,label\n" + std::string(1 << 24, '\0'));
  EXPECT_EQ(unpack_gzip_start(bomb, 10), "text,label");
  EXPECT_EQ(unpack_gzip_start(packed("one"), 10), "one");
  EXPECT_EQ(unpack_gzip_start("text", 10), "");
  EXPECT_EQ(unpack_gzip_start(packed(noise(200000)).substr(0, 150000), 100), noise(100));
}

TEST(Gzip, NamesSayWhatIsPacked) {
  EXPECT_EQ(packed_as_named("a.csv", "text").value(), "text");
  EXPECT_EQ(packed_as_named("a.csv.gz", "text").value(), packed("text"));
  EXPECT_FALSE(is_gzip_name("a.gzip"));
}

}  // namespace
}  // namespace dbsa
