// What a store and its pools survive, seen from outside: killed and competing processes, full
// disks.
#include <sys/statvfs.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <random>
#include <thread>

#include <dbsa/sdk/random.h>

#include "host/host_services.h"
#include "host/kv_store.h"
#include "host/plugin_registry.h"
#include "tests/cli/cli_fixture.h"
#include "tests/store/child_process.h"
#include "tests/support/sanitized.h"

namespace dbsa {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr int kKills = kSanitized ? 10 : 50;
constexpr int kDemonstrations = 240;  // in 60 blocks; 6 MiB of KV
constexpr int kQueries = 5;

uint64_t test_seed() {
  const char* given = std::getenv("DBSA_TEST_SEED");
  const uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  std::printf("DBSA_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

// The planes of every block, by key.
using Planes = std::map<std::string, std::vector<std::string>>;

class CrashTest : public CliTest {
 protected:
  // A pack as soon as the store allows one, so that an encode publishes several.
  std::string make_large_pipeline() const {
    make_pipeline(kDemonstrations, kQueries);
    return edit_pipeline("path = \"store\"", "path = \"store\"\npack_bytes = 1048576");
  }

  // What an encode reports; fails the test unless it completes.
  json encode(const std::string& pipeline, const Words& more = {}) const {
    Words words = {"encode", pipeline, "--json", "--quiet"};
    words.insert(words.end(), more.begin(), more.end());
    const ProcessResult result = cli(words);
    EXPECT_EQ(result.exit_code, 0) << result.error;
    return json::parse(result.out, nullptr, false);
  }

  // Labels, log-probabilities and chosen blocks of all queries, without times.
  std::vector<json> answers(const std::string& pipeline, const Words& more = {}) const {
    Words words = {"query", pipeline, "--json", "--quiet"};
    words.insert(words.end(), more.begin(), more.end());
    const ProcessResult result = cli(words, {.input = workspace_.read("queries.jsonl")});
    EXPECT_EQ(result.exit_code, 0) << result.error;
    return without_times(result.out);
  }

  static std::vector<json> without_times(const std::string& lines) {
    std::vector<json> values = json_lines(lines);
    for (json& value : values) {
      value.erase("seconds");
      EXPECT_TRUE(value.contains("log_probability")) << value.dump();
    }
    return values;
  }

  // Every stored plane, through the store plugin itself.
  Planes stored_planes(const std::string& store) const {
    host::HostServices services({.threads = 1});
    const std::string folder = DBSA_PLUGIN_DIR;
    host::PluginRegistry registry = host::PluginRegistry::discover({&folder, 1});
    const auto manifest = registry.find(DBSA_KIND_KV_STORE, "hdf5");
    const auto plugin = registry.load(**manifest);
    const json config = {
        {"path", store}, {"max_bytes", 0}, {"pack_bytes", 1 << 20}, {"publish_interval_s", 10.0}};
    const auto opened = host::KvStore::create(*plugin, services, config);
    EXPECT_TRUE(opened.ok()) << opened.error().message;
    Planes planes;
    const Status listed = opened->list([&](const KvEntry& entry) {
      const auto block = opened->get(entry.key);
      EXPECT_TRUE(block.ok()) << block.error().message;
      for (uint32_t layer = 0; block.ok() && layer < block->format().layers; ++layer)
        planes[entry.key.hex()].emplace_back(static_cast<const char*>(block->plane(layer)),
                                             block->format().plane_bytes);
      return true;
    });
    EXPECT_TRUE(listed.ok());
    return planes;
  }
};

TEST_F(CrashTest, KilledAtAnyInstantAnEncodeLeavesAStoreThatGoesOn) {
  Random random(test_seed());
  const std::string pipeline = make_large_pipeline();
  const auto begin = Clock::now();
  const json whole = encode(pipeline);
  auto duration = Clock::now() - begin;
  const std::vector<json> expected = answers(pipeline);
  ASSERT_EQ(expected.size(), static_cast<size_t>(kQueries));
  const Planes planes = stored_planes(path("store"));
  ASSERT_EQ(planes.size(), whole.at("blocks_encoded").get<size_t>());
  int packs = 0;
  for ([[maybe_unused]] const auto& pack : std::filesystem::directory_iterator(path("store/packs")))
    ++packs;
  ASSERT_GE(packs, 4);

  int killed = 0, partial = 0;
  for (int i = 0; killed < kKills && i < 4 * kKills && !HasFailure(); ++i) {
    std::filesystem::remove_all(path("store"));
    Process process(command({"encode", pipeline, "--quiet"}),
                    {.environment = {{"DBSA_PLUGIN_PATH", ""}, {"XDG_CACHE_HOME", path("cache")}}});
    std::this_thread::sleep_for(duration * random.below(1000) / 1000);
    process.send_signal(SIGKILL);
    if (process.wait().exit_code != -SIGKILL) {  // it ended before, so it takes less than thought
      duration = duration * 9 / 10;
      continue;
    }
    ++killed;
    if (std::filesystem::exists(path("store/packs"))) {
      const ProcessResult verified = cli({"store", "verify", path("store")});
      ASSERT_EQ(verified.exit_code, 0) << "kill " << i << ": " << verified.out << verified.error;
    }
    const auto left = encode(pipeline).at("blocks_encoded").get<size_t>();
    if (left > 0 && left < planes.size()) ++partial;
    ASSERT_EQ(answers(pipeline), expected) << "kill " << i;
    ASSERT_TRUE(stored_planes(path("store")) == planes) << "kill " << i;
    ASSERT_EQ(cli({"store", "verify", path("store")}).exit_code, 0) << "kill " << i;
  }
  std::printf("%d encodes killed, %d of them after some packs; %d packs a whole encode\n", killed,
              partial, packs);
  EXPECT_EQ(killed, kKills);
  EXPECT_GT(partial, 0);
}

TEST_F(CrashTest, TwoProcessesQueryAPoolWhileAThirdEncodesAnother) {
  const std::string pipeline = make_large_pipeline();
  const Words small = {"--set", "data.demonstration_count=40"};
  encode(pipeline, small);
  const std::vector<json> expected = answers(pipeline, small);
  ProcessOptions options = {
      .environment = {{"DBSA_PLUGIN_PATH", ""}, {"XDG_CACHE_HOME", path("cache")}}};
  int rounds = 0;
  Process encoder(command({"encode", pipeline, "--quiet", "--set", "model.chunk_tokens=64"}),
                  options);
  options.input = workspace_.read("queries.jsonl");
  do {
    const Words words = command({"query", pipeline, "--json", "--quiet", small[0], small[1]});
    Process first(words, options), second(words, options);
    for (Process* process : {&first, &second}) {
      const ProcessResult result = process->wait();
      ASSERT_EQ(result.exit_code, 0) << result.error;
      EXPECT_EQ(without_times(result.out), expected);
    }
    ++rounds;
  } while (!encoder.ended());
  const ProcessResult encoded = encoder.wait();
  EXPECT_EQ(encoded.exit_code, 0) << encoded.error;
  std::printf("%d rounds of two queries while the third encoded\n", rounds);
  EXPECT_EQ(answers(pipeline, small), expected);
  EXPECT_EQ(cli({"store", "verify", path("store")}).exit_code, 0);
  EXPECT_EQ(encode(pipeline).at("blocks_encoded"), 0);
}

// ---- full disks --------------------------------------------------------------------------------

class FullDiskTest : public CrashTest {
 protected:
  // These run in a child with its own mounts: faults come back as text.
  std::string small_pool_is_sound(const std::string& pipeline,
                                  const std::vector<json>& expected) const {
    const ProcessResult verified = cli({"store", "verify", path("disk/store")});
    if (verified.exit_code != 0) return "verify: " + verified.out + verified.error;
    if (answers(pipeline, kSmall) != expected) return "other answers from the old pool";
    return "";
  }

  uint64_t free_bytes() const {
    struct statvfs disk = {};
    ::statvfs(path("disk").c_str(), &disk);
    return static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize;
  }

  // A store on a tiny disk with a small pool in it, then an encode that does not fit. `room` is
  // what is free before it. Returns what the failed encode said, or begins with "SKIP" or "fault".
  std::string encode_without_room(const std::string& pipeline, uint64_t disk, uint64_t room) const {
    const std::filesystem::path at = path("disk");
    if (const std::string skip = store_test::mount_tmpfs(at, disk); !skip.empty()) return skip;
    std::string said = "fault: ";
    encode(pipeline, kSmall);
    const std::vector<json> expected = answers(pipeline, kSmall);
    if (free_bytes() < room) {
      said += "the disk is too small";
    } else {
      std::filesystem::resize_file(workspace_.write("disk/filler", ""), 0);
      // tmpfs counts only pages that are written.
      workspace_.write("disk/filler", std::string(free_bytes() - room, 'x'));
      const ProcessResult failed = cli({"encode", pipeline, "--quiet"});
      const std::string fault = small_pool_is_sound(pipeline, expected);
      if (failed.exit_code != 4)
        said += "exit code " + std::to_string(failed.exit_code);
      else if (!fault.empty())
        said += fault + " after " + failed.error;
      else
        said = failed.error;
      // With room again, the same command completes.
      std::filesystem::remove(path("disk/filler"));
      if (encode(pipeline).at("blocks_encoded") == 0) said = "fault: nothing was left to encode";
      if (HasFailure()) said = "fault: see above";
    }
    ::umount(at.c_str());
    return said;
  }

  const Words kSmall = {"--set", "data.demonstration_count=12"};
  static constexpr uint64_t kDisk = 16 << 20;
};

TEST_F(FullDiskTest, WhatCannotFitIsRefusedBeforeAnythingIsComputed) {
  make_large_pipeline();
  const std::string pipeline = edit_pipeline("\"store\"", "\"disk/store\"");
  std::filesystem::create_directory(path("disk"));
  const uint64_t bytes =
      encode(pipeline, {"--set", "kv_store.path=" + path("whole")}).at("bytes_stored");
  DBSA_EXPECT_CHILD([&]() -> std::string {
    if (const std::string skip = store_test::private_mounts(); !skip.empty()) return skip;
    const std::string said = encode_without_room(pipeline, kDisk, 1 << 20);
    const std::string expected = "error: the store needs " + std::to_string(bytes) +
                                 " more bytes and 1048576 are free; free some, choose another "
                                 "kv_store.path, or use fewer demonstrations\n";
    return said == expected ? "" : said;
  });
}

TEST_F(FullDiskTest, ADiskThatFillsUpOnTheWayLeavesTheOldState) {
  make_large_pipeline();
  const std::string pipeline = edit_pipeline("\"store\"", "\"disk/store\"");
  std::filesystem::create_directory(path("disk"));
  const uint64_t bytes =
      encode(pipeline, {"--set", "kv_store.path=" + path("whole")}).at("bytes_stored");
  DBSA_EXPECT_CHILD([&]() -> std::string {
    if (const std::string skip = store_test::private_mounts(); !skip.empty()) return skip;
    // Room for the planes only; indexes and what lies between planes come on top.
    const std::string said = encode_without_room(pipeline, kDisk, (bytes + 4095) / 4096 * 4096);
    const std::string begin = "error: dbsa.kv_store.hdf5: " + path("disk/store") + ": ";
    const std::string end =
        " bytes are free; free some (`dbsa-pipe store gc` drops unused blocks) or set "
        "kv_store.path to a folder on another disk\n";
    const bool named = said.starts_with(begin) && said.ends_with(end) &&
                       said.find(" failed: No space left on device, ") != said.npos;
    return named ? "" : said;
  });
}

}  // namespace
}  // namespace dbsa
