// Damage to a pack: every single byte changed, every length cut. Nothing goes unnoticed and nothing
// that is sound is lost.
#include "plugins/kv_store/hdf5/pack_reader.h"
#include "store_fixture.h"

namespace dbsa::store_test {
namespace {

// In place: to rewrite a whole file costs a disk's answer on some file systems.
void write_byte(const std::filesystem::path& path, uint64_t at, uint8_t value) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(at)).put(static_cast<char>(value));
}

class Hdf5Damage : public testing::Test {
 protected:
  // A pack of two blocks and, after it, one with a third block.
  void SetUp() override {
    const auto store = open();
    ASSERT_EQ(store->put(first_).message, "");
    ASSERT_EQ(store->put(second_).message, "");
    ASSERT_EQ(store->publish().message, "");
    ASSERT_EQ(store->put(third_).message, "");
    ASSERT_EQ(store->publish().message, "");
    original_ = read_file(pack_);
    ASSERT_GE(original_.size(), kv_pack::kHeaderBytes);
  }

  std::unique_ptr<Store> open() { return std::make_unique<Store>("hdf5", hdf5_config(root_)); }
  std::string damaged(const std::string& what) const { return pack_.string() + ": " + what; }

  TemporaryFolder folder_;
  std::filesystem::path root_ = folder_.path() / "store";
  std::filesystem::path pack_ = root_ / "packs" / "pack-00000001.h5";
  TestBlock first_ = make_block(1, 2, 700), second_ = make_block(2, 3, 130);
  TestBlock third_ = make_block(3, 1, 64);
  Bytes original_;
};

// Where byte `at` of the pack belongs.
enum class Place { kHeader, kIndex, kPlane, kRest };

struct Located {
  Place place = Place::kRest;
  std::string key;  // for a plane
  uint32_t layer = 0;
};

Located locate(const kv_pack::PackView& view, uint64_t at) {
  if (at < kv_pack::kHeaderBytes) return {Place::kHeader, "", 0};
  const auto in = [&](uint64_t begin, uint64_t bytes) { return at >= begin && at - begin < bytes; };
  if (in(view.header().rows_offset, view.rows().size_bytes()) ||
      in(view.header().checksums_offset, view.checksums().size_bytes()))
    return {Place::kIndex, "", 0};
  for (const kv_pack::PackRow& row : view.rows())
    for (uint32_t layer = 0; layer < row.layers; ++layer)
      if (in(row.plane_offset + layer * row.plane_stride, row.plane_bytes))
        return {Place::kPlane, KvKey::from(row.key).hex(), layer};
  return {};
}

TEST_F(Hdf5Damage, EveryFlippedByteIsNoticed) {
  const auto view = kv_pack::PackView::parse(original_);
  ASSERT_TRUE(view.ok());
  int counts[4] = {};
  for (uint64_t at = 0; at < original_.size(); ++at) {
    if (at > 0) write_byte(pack_, at - 1, original_[at - 1]);
    write_byte(pack_, at, original_[at] ^ static_cast<uint8_t>(1u << at % 8));
    const Located located = locate(*view, at);
    ++counts[static_cast<int>(located.place)];
    const auto store = open();
    const std::vector<Fault> faults = store->check();
    ASSERT_EQ(faults.size(), 1u) << "byte " << at << " goes unnoticed by check";
    ASSERT_EQ(faults[0].key, located.key) << "byte " << at;
    ASSERT_EQ(faults[0].location, "pack-00000001.h5");
    ASSERT_TRUE(store->holds(third_)) << "byte " << at << " hides another pack";
    const bool unreadable = located.place == Place::kHeader || located.place == Place::kIndex;
    for (const TestBlock* block : {&first_, &second_}) {
      ASSERT_EQ(store->contains(block->key), !unreadable) << "byte " << at;
      if (unreadable) continue;
      const auto sound_view = store->get(block->key);
      for (uint32_t layer = 0; layer < block->format.layers; ++layer) {
        uint64_t read = 0;
        const bool hit = located.place == Place::kPlane && located.key == block->key.hex() &&
                         located.layer == layer;
        ASSERT_EQ(sound_view->verify(layer, &read).code, hit ? DBSA_ERROR_CORRUPT : DBSA_OK)
            << "byte " << at << " in use";
      }
    }
  }
  std::printf("%zu bytes: %d header, %d index, %d planes, %d rest; none unnoticed\n",
              original_.size(), counts[0], counts[1], counts[2], counts[3]);
  EXPECT_EQ(counts[0], static_cast<int>(kv_pack::kHeaderBytes));
  EXPECT_EQ(counts[1], static_cast<int>(2 * sizeof(kv_pack::PackRow) + 5 * sizeof(uint64_t)));
  EXPECT_EQ(counts[2], 2 * 700 + 3 * 130);
}

TEST_F(Hdf5Damage, EveryOtherLengthIsNoticed) {
  const auto length_fault = [&](uint64_t length) {
    const std::string is = "is " + std::to_string(length) + " bytes long, ";
    const std::string whole = std::to_string(original_.size());
    if (length == 0) return damaged("is empty");
    if (length < 4096) return damaged(is + "shorter than the header of a pack (4096): truncated");
    return damaged(is + "its header says " + whole +
                   (length < original_.size() ? ": truncated" : ": something was appended"));
  };
  Bytes longer = original_;
  longer.resize(original_.size() + 10);
  write_file(pack_, longer);
  for (uint64_t length = longer.size(); length-- > 0;) {
    std::filesystem::resize_file(pack_, length);
    if (length == original_.size()) continue;
    const auto store = open();
    const std::vector<Fault> faults = store->check();
    ASSERT_EQ(faults.size(), 1u) << length;
    ASSERT_EQ(faults[0].message, length_fault(length));
    ASSERT_FALSE(store->contains(first_.key));
    ASSERT_TRUE(store->holds(third_));
    ASSERT_EQ(store->host().logs(),
              std::vector<std::string>{length_fault(length) + "; its blocks count as missing"});
  }
}

TEST_F(Hdf5Damage, AWrongPlaneIsReplacedByANewCopy) {
  const auto view = kv_pack::PackView::parse(original_);
  const kv_pack::PackRow& row = view->rows()[0];
  Bytes bytes = original_;
  bytes[row.plane_offset + row.plane_stride + 5] ^= 0x10;
  write_file(pack_, bytes);

  const auto store = open();
  Outcome noticed;
  {
    const auto bad = store->get(first_.key);
    noticed = bad->verify();
    EXPECT_EQ(bad->verify().code, DBSA_ERROR_CORRUPT);  // it stays wrong
  }
  EXPECT_EQ(noticed.code, DBSA_ERROR_CORRUPT);
  const std::string expected_begin =
      damaged("block " + first_.key.hex() + ": plane 1 does not match its checksum: expected ");
  EXPECT_EQ(noticed.message.substr(0, expected_begin.size()), expected_begin);
  EXPECT_EQ(noticed.message.size(), expected_begin.size() + 16 + 8 + 16);

  ASSERT_EQ(store->discard(first_.key).message, "");
  EXPECT_FALSE(store->contains(first_.key));
  ASSERT_EQ(store->put(first_).message, "");
  ASSERT_EQ(store->publish().message, "");
  EXPECT_TRUE(store->holds(first_));
  EXPECT_TRUE(open()->holds(first_));  // for others, too
  const auto faults = open()->check();
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_TRUE(faults[0].message.ends_with(
      " (replaced by a newer copy; `dbsa-pipe store compact` removes it)"))
      << faults[0].message;

  uint64_t freed = 0;
  ASSERT_EQ(store->compact(&freed).message, "");
  EXPECT_TRUE(open()->check().empty());
  for (const TestBlock& block : {first_, second_, third_}) EXPECT_TRUE(open()->holds(block));
}

TEST_F(Hdf5Damage, MaintenanceNeverGivesRotAFreshChecksum) {
  const auto view = kv_pack::PackView::parse(original_);
  Bytes bytes = original_;
  bytes[view->rows()[0].plane_offset] ^= 1;
  write_file(pack_, bytes);
  const auto store = open();
  uint64_t freed = 0;
  ASSERT_EQ(store->compact(&freed).message, "");
  EXPECT_FALSE(store->contains(first_.key));
  EXPECT_TRUE(store->holds(second_));
  ASSERT_EQ(store->host().logs().size(), 1u);
  EXPECT_EQ(store->host().logs()[0],
            root_.string() + ": dropped block " + first_.key.hex() +
                " of pack-00000001.h5: plane 0 does not match its checksum: expected " +
                store->host().logs()[0].substr(store->host().logs()[0].size() - 16 - 8 - 16));
}

TEST_F(Hdf5Damage, AnUnreadablePackGoesWithTheNextCollect) {
  Bytes bytes = original_;
  bytes[100] ^= 1;
  write_file(pack_, bytes);
  const auto store = open();
  ASSERT_EQ(store->put(first_).message, "");
  ASSERT_EQ(store->publish().message, "");
  EXPECT_TRUE(store->holds(first_));
  EXPECT_EQ(store->check().size(), 1u);
  uint64_t freed = 0;
  ASSERT_EQ(store->collect({first_.key, third_.key}, 0, &freed).message, "");
  EXPECT_TRUE(store->check().empty());
  EXPECT_TRUE(store->holds(first_));
  EXPECT_TRUE(store->holds(third_));
  EXPECT_EQ(freed, original_.size());
}

TEST_F(Hdf5Damage, APackOfALaterVersionIsLeftAlone) {
  Bytes bytes = original_;
  auto& header = *reinterpret_cast<kv_pack::PackHeader*>(bytes.data());
  header.version = 2;
  header.header_xxh3 =
      kv_pack::checksum({bytes.data(), offsetof(kv_pack::PackHeader, header_xxh3)});
  write_file(pack_, bytes);
  const auto store = open();
  const auto faults = store->check();
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_EQ(faults[0].message, damaged("has pack version 2, this program reads version 1; use the "
                                       "program that wrote it"));
  uint64_t freed = 0;
  ASSERT_EQ(store->collect({}, 0, &freed).message, "");
  EXPECT_EQ(read_file(pack_), bytes);
}

// What another program cuts off while it is in use is reported, not a crash.
TEST_F(Hdf5Damage, ATruncatedPackInUseIsNoticed) {
  const auto store = open();
  const auto in_use = store->get(second_.key);
  std::filesystem::resize_file(pack_, 4096);
  const Outcome outcome = in_use->verify();
  EXPECT_EQ(outcome.code, DBSA_ERROR_CORRUPT);
  EXPECT_EQ(outcome.message,
            damaged("block " + second_.key.hex() +
                    ": plane 0 is lost: the file was cut short while it was in use"));
  // Known lost, it is left out of what maintenance copies.
  uint64_t freed = 0;
  ASSERT_EQ(store->compact(&freed).message, "");
  EXPECT_TRUE(open()->check().empty());
}

// The bytes cannot be had, and nothing says that they are gone: a disk's bad moment. Here another
// file has the pack's name, so that the one in use, which is too short, is not known to be.
TEST_F(Hdf5Damage, WhatCannotBeReadNowIsKept) {
  const auto store = open();
  const auto in_use = store->get(second_.key);
  ASSERT_TRUE(in_use.has_value());
  const std::filesystem::path aside = root_ / "aside";
  std::filesystem::rename(pack_, aside);
  write_file(pack_, original_);
  std::filesystem::resize_file(aside, 4096);
  const Outcome outcome = in_use->verify();
  EXPECT_EQ(outcome.code, DBSA_ERROR_ENVIRONMENT);
  EXPECT_EQ(outcome.message,
            damaged("block " + second_.key.hex() +
                    ": plane 0 cannot be read now: Bad address; try again, and if it stays so "
                    "check the disk, then remove the file and run `dbsa-pipe encode`"));
}

}  // namespace
}  // namespace dbsa::store_test
