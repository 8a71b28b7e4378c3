// The pool and what it keeps on the device, on host memory that counts itself.
#include "plugins/attention_backend/cuda/device_pool.h"
#include "plugins/attention_backend/cuda/imported_block.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <numeric>
#include <set>

namespace dbsa::cuda {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr uint64_t kMiB = uint64_t{1} << 20;

// What a device of `capacity` bytes did.
struct Device {
  uint64_t capacity;
  std::map<void*, uint64_t> allocated;
  int allocations = 0;

  uint64_t in_use() const {
    return std::accumulate(allocated.begin(), allocated.end(), uint64_t{0},
                           [](uint64_t sum, const auto& entry) { return sum + entry.second; });
  }
};

class HostAllocator : public DeviceAllocator {
 public:
  explicit HostAllocator(Device& device) : device_(device) {}
  void* allocate(uint64_t bytes) override {
    if (device_.in_use() + bytes > device_.capacity) return nullptr;
    void* memory = std::aligned_alloc(256, bytes);
    device_.allocated[memory] = bytes;
    ++device_.allocations;
    return memory;
  }
  void free(void* memory) override {
    EXPECT_EQ(device_.allocated.erase(memory), 1u) << "freed what it did not give";
    std::free(memory);
  }
  std::string room() override { return "7 of 9 MiB are free"; }

 private:
  Device& device_;
};

std::shared_ptr<DevicePool> pool_on(Device& device, uint64_t limit = 0) {
  return std::make_shared<DevicePool>(std::make_unique<HostAllocator>(device), limit);
}

DeviceMemory take(const std::shared_ptr<DevicePool>& pool, uint64_t bytes) {
  Result<DeviceMemory> made = DeviceMemory::make(pool, bytes);
  EXPECT_TRUE(made.ok()) << made.error().message;
  return std::move(made).value();
}

TEST(DevicePool, HandsOutAgainWhatWasGivenBack) {
  Device device{64 * kMiB, {}};
  {
    const auto pool = pool_on(device);
    void* first = nullptr;
    {
      const DeviceMemory memory = take(pool, 3 * kMiB);
      first = memory.data();
      EXPECT_EQ(pool->used(), 3 * kMiB);
    }
    EXPECT_EQ(pool->used(), 0u);
    // Sizes that differ by less than an eighth are one size.
    const DeviceMemory again = take(pool, 3 * kMiB - 1000);
    EXPECT_EQ(again.data(), first);
    EXPECT_EQ(device.allocations, 1);
    const DeviceMemory beside = take(pool, 3 * kMiB);
    EXPECT_NE(beside.data(), first);
    EXPECT_EQ(device.allocations, 2);
  }
  EXPECT_THAT(device.allocated, IsEmpty());
}

TEST(DevicePool, ReservingGrowsOnly) {
  Device device{64 * kMiB, {}};
  const auto pool = pool_on(device);
  DeviceMemory memory;
  ASSERT_TRUE(memory.reserve(pool, 1000).ok());
  const void* first = memory.data();
  ASSERT_TRUE(memory.reserve(pool, 500).ok());
  EXPECT_EQ(memory.data(), first);
  EXPECT_EQ(memory.bytes(), 1000u);
  ASSERT_TRUE(memory.reserve(pool, 2 * kMiB).ok());
  EXPECT_EQ(memory.bytes(), 2 * kMiB);
  EXPECT_EQ(pool->used(), 2 * kMiB);
}

TEST(DevicePool, FreesWhatIsKeptWhereThereIsNoRoom) {
  Device device{10 * kMiB, {}};
  const auto pool = pool_on(device);
  { const DeviceMemory a = take(pool, 4 * kMiB), b = take(pool, 5 * kMiB); }
  EXPECT_EQ(device.in_use(), 9 * kMiB);
  const DeviceMemory c = take(pool, 8 * kMiB);
  EXPECT_EQ(device.in_use(), 8 * kMiB);
}

TEST(DevicePool, SaysWhatThereIsNoRoomFor) {
  Device device{10 * kMiB, {}};
  const auto pool = pool_on(device);
  const DeviceMemory a = take(pool, 6 * kMiB);
  const Result<DeviceMemory> b = DeviceMemory::make(pool, 5 * kMiB);
  ASSERT_FALSE(b.ok());
  EXPECT_EQ(b.error().code, ErrorCode::kEnvironment);
  EXPECT_THAT(
      b.error().message,
      HasSubstr("no room for 5 MiB more: 6 MiB are in use here, 7 of 9 MiB are free; take"));
  EXPECT_EQ(pool->used(), 6 * kMiB);
}

TEST(DevicePool, StaysBelowItsLimit) {
  Device device{64 * kMiB, {}};
  const auto pool = pool_on(device, 10 * kMiB);
  {
    const DeviceMemory a = take(pool, 6 * kMiB);
    const Result<DeviceMemory> b = DeviceMemory::make(pool, 5 * kMiB);
    ASSERT_FALSE(b.ok());
    EXPECT_THAT(b.error().message, HasSubstr("memory_gib allows 10 MiB"));
  }
  // What is kept counts, and makes room.
  const DeviceMemory b = take(pool, 5 * kMiB);
  EXPECT_EQ(device.in_use(), 5 * kMiB);
}

TEST(CachedMemory, KeepsItsContentsUntilTheRoomIsNeeded) {
  Device device{10 * kMiB, {}};
  const auto pool = pool_on(device);
  CachedMemory a(pool, 4 * kMiB), b(pool, 4 * kMiB);
  for (CachedMemory* memory : {&a, &b, &a}) {  // b is the oldest now
    memory->pin();
    ASSERT_TRUE(memory->reserve().ok());
    memory->unpin();
  }
  const DeviceMemory other = take(pool, 2 * kMiB);  // fits beside
  a.pin();
  b.pin();
  EXPECT_TRUE(a.reserve().value());
  EXPECT_TRUE(b.reserve().value());
  a.unpin();
  b.unpin();
  {
    const DeviceMemory more = take(pool, 3 * kMiB);  // a is the oldest
    a.pin();
    b.pin();
    EXPECT_EQ(a.data(), nullptr);
    EXPECT_TRUE(b.reserve().value());
    EXPECT_FALSE(a.reserve().ok()) << "b is pinned and all else is in use";
    b.unpin();
    EXPECT_FALSE(a.reserve().value()) << "b made room";
    a.unpin();
  }
  EXPECT_EQ(pool->used(), 6 * kMiB);
}

TEST(CachedMemory, PinnedTwiceStaysUntilBothAreUndone) {
  Device device{4 * kMiB, {}};
  const auto pool = pool_on(device);
  CachedMemory a(pool, 4 * kMiB);
  a.pin();
  ASSERT_TRUE(a.reserve().ok());
  a.pin();
  a.unpin();
  EXPECT_FALSE(DeviceMemory::make(pool, kMiB).ok());
  a.unpin();
  EXPECT_TRUE(DeviceMemory::make(pool, kMiB).ok());
}

TEST(CachedMemory, GivesItsMemoryBackAtItsEnd) {
  Device device{4 * kMiB, {}};
  const auto pool = pool_on(device);
  {
    CachedMemory never(pool, 4 * kMiB);
    CachedMemory a(pool, 4 * kMiB);
    a.pin();
    ASSERT_TRUE(a.reserve().ok());
    a.unpin();
  }
  EXPECT_EQ(pool->used(), 0u);
  EXPECT_EQ(take(pool, 4 * kMiB).bytes(), 4 * kMiB);
}

// Blocks of two layers on a device that holds three of them.
class ImportedBlocks : public testing::Test {
 protected:
  static constexpr int64_t kPlane = kMiB;
  static constexpr int kCount = 4;

  void SetUp() override {
    for (int i = 0; i < kCount; ++i) {
      for (int layer = 0; layer < 2; ++layer)
        host_[i][layer].assign(kPlane, static_cast<char>(10 * i + layer));
      blocks_[i] = std::make_shared<ImportedBlock>(
          pool_, std::vector<const void*>{host_[i][0].data(), host_[i][1].data()}, kPlane);
    }
  }

  auto copy_to(int64_t layer, std::vector<int>& sent) {
    return [this, layer, &sent](const void* from, uint64_t bytes, void* to) -> Status {
      std::memcpy(to, from, bytes);
      for (int i = 0; i < kCount; ++i)
        if (from == host_[i][layer].data()) sent.push_back(i);
      return {};
    };
  }

  // Reads these blocks as a plan would, layer by layer: which were sent for each layer.
  std::vector<std::vector<int>> read(const std::vector<int>& which) {
    PinnedBlocks pinned;
    for (const int i : which) pinned.add(blocks_[i]);
    const Status reserved = pinned.reserve();
    EXPECT_TRUE(reserved.ok()) << reserved.error().message;
    std::vector<std::vector<int>> all;
    for (int64_t layer = 0; layer < 2; ++layer) {
      std::vector<int> sent;
      const Result<bool> any = pinned.send(layer, copy_to(layer, sent));
      EXPECT_TRUE(any.ok());
      EXPECT_EQ(any.value(), !sent.empty());
      for (const int i : which)
        EXPECT_EQ(std::memcmp(blocks_[i]->device_plane(layer), host_[i][layer].data(), kPlane), 0)
            << "block " << i << ", layer " << layer;
      all.push_back(sent);
    }
    return all;
  }

  Device device_{6 * kMiB, {}};
  std::shared_ptr<DevicePool> pool_ = pool_on(device_);
  std::vector<char> host_[kCount][2];
  std::shared_ptr<ImportedBlock> blocks_[kCount];
};

TEST_F(ImportedBlocks, AreSentOnce) {
  EXPECT_THAT(read({0, 1}), ElementsAre(ElementsAre(0, 1), ElementsAre(0, 1)));
  EXPECT_THAT(read({1, 2}), ElementsAre(ElementsAre(2), ElementsAre(2)));
  EXPECT_THAT(read({0, 1, 2}), ElementsAre(IsEmpty(), IsEmpty()));
}

TEST_F(ImportedBlocks, ThoseUsedLongestAgoMakeRoom) {
  read({0, 1, 2});
  read({0});
  EXPECT_THAT(read({3}), ElementsAre(ElementsAre(3), ElementsAre(3)));  // for 1
  EXPECT_THAT(read({0, 2, 3}), ElementsAre(IsEmpty(), IsEmpty()));
  EXPECT_THAT(read({1}), ElementsAre(ElementsAre(1), ElementsAre(1)));  // for 0
}

// A block still to be loaded replaces none that this plan reads, in any order.
TEST_F(ImportedBlocks, NoneOfAPlanMakesRoomForAnother) {
  read({2, 1, 0});
  EXPECT_THAT(read({3, 2, 0}), ElementsAre(ElementsAre(3), ElementsAre(3)));
}

TEST_F(ImportedBlocks, MoreThanTheDeviceHoldsIsAnErrorThatLeavesTheRestUsable) {
  {
    PinnedBlocks pinned;
    for (const auto& block : blocks_) pinned.add(block);
    const Status reserved = pinned.reserve();
    ASSERT_FALSE(reserved.ok());
    EXPECT_EQ(reserved.error().code, ErrorCode::kEnvironment);
  }
  EXPECT_THAT(read({3, 0}), ElementsAre(ElementsAre(3, 0), ElementsAre(3, 0)));
}

TEST_F(ImportedBlocks, APlaneWhoseCopyFailedIsSentAgain) {
  {
    PinnedBlocks pinned;
    pinned.add(blocks_[0]);
    ASSERT_TRUE(pinned.reserve().ok());
    const Result<bool> sent = pinned.send(0, [](const void*, uint64_t, void*) {
      return Status(Error{ErrorCode::kRun, "lost", ""});
    });
    ASSERT_FALSE(sent.ok());
    EXPECT_EQ(sent.error().message, "lost");
  }
  EXPECT_THAT(read({0}), ElementsAre(ElementsAre(0), ElementsAre(0)));
}

// What came before it in the same layer is there, and what came after it is not.
TEST_F(ImportedBlocks, ACopyThatFailsLeavesThoseBeforeItSent) {
  {
    PinnedBlocks pinned;
    for (const int i : {0, 1, 2}) pinned.add(blocks_[i]);
    ASSERT_TRUE(pinned.reserve().ok());
    const Result<bool> sent = pinned.send(0, [&](const void* from, uint64_t bytes, void* to) {
      if (from == host_[1][0].data()) return Status(Error{ErrorCode::kRun, "lost", ""});
      std::memcpy(to, from, bytes);
      return Status();
    });
    ASSERT_FALSE(sent.ok());
  }
  EXPECT_THAT(read({0, 1, 2}), ElementsAre(ElementsAre(1, 2), ElementsAre(0, 1, 2)));
}

// A plan that was given up after its first layer.
TEST_F(ImportedBlocks, OnlyWhatIsMissingIsSentLater) {
  {
    PinnedBlocks pinned;
    pinned.add(blocks_[0]);
    ASSERT_TRUE(pinned.reserve().ok());
    std::vector<int> sent;
    ASSERT_TRUE(pinned.send(0, copy_to(0, sent)).ok());
    EXPECT_THAT(sent, ElementsAre(0));
  }
  EXPECT_THAT(read({0}), ElementsAre(IsEmpty(), ElementsAre(0)));
}

TEST_F(ImportedBlocks, ABlockOutlivesItsImportWhileAPlanNamesIt) {
  PinnedBlocks pinned;
  pinned.add(blocks_[0]);
  ASSERT_TRUE(pinned.reserve().ok());
  blocks_[0] = nullptr;
  EXPECT_EQ(pool_->used(), 2 * kMiB);
}

}  // namespace
}  // namespace dbsa::cuda
