// Ctrl-C: stops cleanly, keeps what is encoded, and the next run continues from there.
#include <gmock/gmock.h>
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "tests/cli/cli_fixture.h"

namespace dbsa {
namespace {

using nlohmann::json;

class CancelTest : public CliTest {
 protected:
  static constexpr int kBlocks = 160;

  // One demonstration a block, in small chunks.
  std::string make_long_pipeline() const {
    const std::string pipeline = make_pipeline(kBlocks, 3);
    edit_pipeline("block_size = 4", "block_size = 1");
    edit_pipeline("plugin = \"dbsa\"", "plugin = \"self\"");
    return edit_pipeline("path = \"model\"", "path = \"model\"\nchunk_tokens = 32");
  }

  // Starts encoding and sends a signal as soon as something is published.
  ProcessResult interrupt_encode(const std::string& pipeline, int signal_number) const {
    // A pack is published with every block, so that the first one shows early.
    Process process(command({"encode", pipeline, "--set", "kv_store.publish_interval_s=0"}));
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!anything_published() && !process.ended() && std::chrono::steady_clock::now() < give_up)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    process.send_signal(signal_number);
    return process.wait();
  }

  bool anything_published() const {
    std::error_code absent;
    for (const auto& entry : std::filesystem::directory_iterator(path("store/packs"), absent))
      if (entry.path().filename().string().ends_with(".h5")) return true;
    return false;
  }
};

TEST_F(CancelTest, EncodeKeepsWhatIsDoneAndGoesOnFromThere) {
  for (const int signal_number : {SIGINT, SIGTERM, SIGHUP, SIGXCPU, SIGUSR1}) {
    const std::string pipeline = make_long_pipeline();
    const ProcessResult stopped = interrupt_encode(pipeline, signal_number);
    EXPECT_EQ(stopped.exit_code, 128 + signal_number) << stopped.error;
    EXPECT_EQ(stopped.out, "");
    EXPECT_THAT(stopped.error,
                testing::ContainsRegex("\nstopped: [0-9]+ of 160 blocks encoded and kept; run the "
                                       "same command again to go on from here\n$"));

    EXPECT_EQ(cli({"store", "verify", path("store")}).exit_code, 0);
    const json listed = json::parse(cli({"store", "list", path("store"), "--json"}).out);
    const auto kept = static_cast<int>(listed.at("blocks").size());
    EXPECT_GT(kept, 0);
    EXPECT_LT(kept, kBlocks);
    EXPECT_THAT(stopped.error,
                testing::HasSubstr("stopped: " + std::to_string(kept) + " of 160 blocks"));

    const json resumed = json::parse(cli({"encode", pipeline, "--json"}).out);
    EXPECT_EQ(resumed.at("blocks_encoded"), kBlocks - kept);
    EXPECT_EQ(json::parse(cli({"encode", pipeline, "--json"}).out).at("blocks_encoded"), 0);
    std::filesystem::remove_all(path("store"));
    std::filesystem::remove_all(path("model"));
  }
}

TEST_F(CancelTest, AStoppedAndResumedPoolAnswersLikeAnUndisturbedOne) {
  const std::string pipeline = make_long_pipeline();
  ASSERT_EQ(interrupt_encode(pipeline, SIGINT).exit_code, 130);
  const auto answers = [&](const Words& words) {
    EXPECT_EQ(cli(words).exit_code, 0);
    json found = only_record().at("queries");
    for (json& answer : found) answer.erase("seconds");
    std::filesystem::remove_all(path("runs"));
    return found;
  };
  const json resumed = answers({"run", pipeline, "--quiet"});
  const json undisturbed =
      answers({"run", pipeline, "--quiet", "--set", "kv_store.path=" + path("other")});
  EXPECT_EQ(resumed, undisturbed);
}

// As under nohup, and as a shell starts what is to run in the background.
TEST_F(CancelTest, SignalsThatWereIgnoredBeforeStayIgnored) {
  const std::string pipeline = make_pipeline();
  ASSERT_EQ(cli({"encode", pipeline, "--quiet"}).exit_code, 0);
  Words words = {"/bin/sh", "-c", "trap '' HUP INT; exec \"$@\"", "sh"};
  for (const std::string& word : command({"query", pipeline, "--json"})) words.push_back(word);
  Process process(words, {.environment = {{"DBSA_PLUGIN_PATH", ""}}});
  for (const int signal_number : {SIGHUP, SIGINT}) {
    process.write_input("{\"text\": \"card\"}\n");
    EXPECT_TRUE(json::accept(process.read_line()));
    process.send_signal(signal_number);
  }
  const ProcessResult result = process.wait();
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.error, "");
}

// Batch systems repeat theirs.
TEST_F(CancelTest, ASecondWarningOfABatchSystemEndsNothing) {
  const std::string pipeline = make_long_pipeline();
  for (const int signal_number : {SIGUSR2, SIGALRM}) {
    Process process(command({"encode", pipeline, "--set", "kv_store.publish_interval_s=0"}));
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!anything_published() && !process.ended() && std::chrono::steady_clock::now() < give_up)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    for (int times = 0; times < 3; ++times) process.send_signal(signal_number);
    const ProcessResult stopped = process.wait();
    EXPECT_EQ(stopped.exit_code, 128 + signal_number) << stopped.error;
    EXPECT_THAT(stopped.error, testing::HasSubstr("\nstopped: "));
    std::filesystem::remove_all(path("store"));
  }
}

TEST_F(CancelTest, QueryEndsWithItsInputOpen) {
  const std::string pipeline = make_pipeline();
  ASSERT_EQ(cli({"encode", pipeline, "--quiet"}).exit_code, 0);
  Process process(command({"query", pipeline, "--json"}));
  process.write_input("{\"text\": \"card\"}\n");
  EXPECT_TRUE(json::accept(process.read_line()));
  process.send_signal(SIGINT);
  const ProcessResult result = process.wait();
  EXPECT_EQ(result.exit_code, 130);
  EXPECT_EQ(result.error, "stopped after 1 answer\n");
}

}  // namespace
}  // namespace dbsa
