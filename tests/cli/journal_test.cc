// A run that is stopped while it answers, and the one that continues it.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/cli/cli_fixture.h"
#include "tests/support/sanitized.h"

namespace dbsa {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class JournalTest : public CliTest {
 protected:
  // The journal in runs/, or "".
  std::string journal() const {
    std::error_code absent;
    for (const auto& entry : std::filesystem::directory_iterator(path("runs"), absent))
      if (entry.path().string().ends_with(".journal.jsonl")) return entry.path().string();
    return "";
  }

  int64_t lines_of_journal() const {
    std::ifstream file(journal());
    int64_t lines = 0;
    for (std::string line; std::getline(file, line);) ++lines;
    return lines;
  }

  // Runs until the journal has some lines, then sends the signal.
  ProcessResult interrupt(const std::string& pipeline, int signal_number,
                          int64_t lines = 20) const {
    Process process(command({"run", pipeline}), {.environment = {{"DBSA_PLUGIN_PATH", ""}}});
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (lines_of_journal() <= lines && !process.ended() &&
           std::chrono::steady_clock::now() < give_up)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    process.send_signal(signal_number);
    return process.wait();
  }

  // Without times, dates and memory; removes the record.
  json take_record() const {
    json record = only_record();
    std::filesystem::remove_all(path("runs"));
    record.erase("started_at");
    record["machine"].erase("memory_bytes");
    for (const char* key : {"setup_seconds", "encode_seconds"}) record["encode"].erase(key);
    for (const char* key : {"setup_seconds", "answer_seconds", "request_seconds", "stage_seconds",
                            "peak_memory_bytes"})
      record["totals"].erase(key);
    for (json& query : record["queries"]) query.erase("seconds");
    return record;
  }
};

// Enough for a signal to come before the last.
constexpr int kQueries = kSanitized ? 200 : 800;

TEST_F(JournalTest, AStoppedRunContinuesAndItsRecordIsTheUndisturbedOne) {
  const std::string pipeline = make_pipeline(24, kQueries);
  const std::string all = std::to_string(kQueries + 1);
  workspace_.write("queries.jsonl",
                   "{\"text\": \"\", \"label\": \"alpha\"}\n" + workspace_.read("queries.jsonl"));
  edit_pipeline("[selection]", "[decoding]\nmethod = \"trie\"\n[selection]");
  for (const std::string method : {"trie", "likelihood"}) {
    if (method == "likelihood")
      edit_pipeline("\"trie\"", "\"likelihood\"\nscorer = \"pmi\"\nabstain_below = 0.26");
    std::filesystem::remove_all(path("store"));
    ASSERT_EQ(cli({"run", pipeline, "--quiet"}).exit_code, 2);
    EXPECT_EQ(journal(), "") << "it goes with the record";
    const json undisturbed = take_record();
    for (const int signal_number : {SIGINT, SIGTERM, SIGHUP, SIGKILL}) {
      std::filesystem::remove_all(path("store"));  // what was encoded counts, too
      const ProcessResult stopped = interrupt(pipeline, signal_number);
      if (signal_number == SIGKILL) {
        EXPECT_EQ(stopped.exit_code, -SIGKILL);
      } else {
        EXPECT_EQ(stopped.exit_code, 128 + signal_number) << stopped.error;
        EXPECT_THAT(stopped.error,
                    testing::ContainsRegex("\nstopped after [0-9,]+ of " + all +
                                           " queries; the answers are kept: run the same command "
                                           "again to continue\n$"));
      }
      const int64_t kept = lines_of_journal() - 1;
      ASSERT_GE(kept, 20);
      ASSERT_LT(kept, kQueries);
      const ProcessResult resumed = cli({"run", pipeline});
      EXPECT_EQ(resumed.exit_code, 2) << "of the empty text";
      EXPECT_THAT(resumed.error, testing::ContainsRegex("continuing after [0-9,]+ of " + all +
                                                        " answers, which were kept"));
      EXPECT_EQ(journal(), "");
      EXPECT_EQ(json::diff(undisturbed, take_record()), json::array()) << signal_number << method;
    }
  }
}

TEST_F(JournalTest, ALineThatWasCutIsAnsweredAgain) {
  const std::string pipeline = make_pipeline(24, kQueries);
  ASSERT_EQ(cli({"encode", pipeline, "--quiet"}).exit_code, 0);
  ASSERT_EQ(cli({"run", pipeline, "--quiet"}).exit_code, 0);
  const json undisturbed = take_record();
  ASSERT_EQ(interrupt(pipeline, SIGKILL).exit_code, -SIGKILL);
  const std::string name = journal();
  const std::string whole =
      workspace_.read("runs/" + std::filesystem::path(name).filename().string());
  const auto resume = [&](const std::string& text) {
    std::filesystem::create_directories(path("runs"));
    std::ofstream(name, std::ios::binary) << text;
    const ProcessResult result = cli({"run", pipeline});
    EXPECT_EQ(result.exit_code, 0) << result.error;
    EXPECT_EQ(json::diff(undisturbed, take_record()), json::array());
    return result.error;
  };
  std::vector<size_t> ends;  // of lines
  for (size_t at = 0; (at = whole.find('\n', at)) != whole.npos;) ends.push_back(++at);
  EXPECT_THAT(resume(whole.substr(0, ends[11] - 1)), HasSubstr("continuing after 10 of "));
  EXPECT_THAT(resume(whole.substr(0, ends[11])), HasSubstr("continuing after 11 of "));
  std::string damaged = whole;
  damaged[ends[5] + 3] = '\0';  // as after a power failure
  EXPECT_THAT(resume(damaged), HasSubstr("continuing after 5 of "));
  for (const std::string& text : {std::string(), whole.substr(0, ends[0] - 1), whole.substr(0, 10),
                                  std::string("nonsense\n"), "{}\n" + whole.substr(ends[0])})
    EXPECT_THAT(resume(text), testing::Not(HasSubstr("continuing")));
}

TEST_F(JournalTest, WhatAnswersDependOnIsNotContinued) {
  const std::string pipeline = make_pipeline(24, kQueries);
  ASSERT_EQ(interrupt(pipeline, SIGKILL).exit_code, -SIGKILL);
  const auto continues = [&](const Words& more) {
    Words words = {"run", pipeline};
    words.insert(words.end(), more.begin(), more.end());
    const std::string kept = journal();
    std::filesystem::copy_file(kept, path("kept"),
                               std::filesystem::copy_options::overwrite_existing);
    const std::string said = cli(words).error;
    std::filesystem::copy_file(path("kept"), kept,
                               std::filesystem::copy_options::overwrite_existing);
    return said.find("continuing after") != said.npos;
  };
  EXPECT_TRUE(continues({}));
  EXPECT_TRUE(continues({"--set", "model.batch_size=4"})) << "the same answers";
  EXPECT_FALSE(continues({"--fresh"}));
  EXPECT_FALSE(continues({"--set", "selection.ratio=1.0"}));
  EXPECT_FALSE(continues({"--set", "data.query_count=100"}));
  workspace_.write("queries.jsonl", workspace_.read("queries.jsonl") + "{\"text\": \"more\"}\n");
  EXPECT_FALSE(continues({}));
}

TEST_F(JournalTest, OneThatCannotBeWrittenCostsNoAnswer) {
  const std::string pipeline = make_pipeline(24, kQueries);
  ASSERT_EQ(interrupt(pipeline, SIGKILL).exit_code, -SIGKILL);
  const std::string name = journal();
  const std::string lost =
      "; answers are kept in memory only, so a run that is stopped loses them\n";
  // As by another run of the same queries.
  const int held = ::open(name.c_str(), O_RDWR);
  ASSERT_EQ(::flock(held, LOCK_EX), 0);
  ProcessResult result = cli({"run", pipeline, "--quiet"});
  ::close(held);
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.error, HasSubstr("warning: " + name +
                                      ": another run is answering the same queries now" + lost));
  EXPECT_EQ(journal(), name) << "it is the other run's";
  // A name that is no file.
  std::filesystem::remove_all(path("runs"));
  std::filesystem::create_directories(name);
  result = cli({"run", pipeline, "--quiet"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.error, HasSubstr("warning: " + name + ": cannot open: Is a directory" + lost));
}

TEST_F(JournalTest, CollectionRemovesIt) {
  const std::string pipeline = make_pipeline(24, kQueries);
  ASSERT_EQ(interrupt(pipeline, SIGKILL).exit_code, -SIGKILL);
  ASSERT_NE(journal(), "");
  const json dry = json::parse(cli({"store", "gc", pipeline, "--dry-run", "--json"}).out);
  EXPECT_EQ(dry.at("leftovers_removed").at("files"), 1);
  EXPECT_NE(journal(), "");
  const json removed = json::parse(cli({"store", "gc", pipeline, "--json"}).out);
  EXPECT_EQ(removed.at("leftovers_removed").at("files"), 1);
  EXPECT_EQ(journal(), "");
}

}  // namespace
}  // namespace dbsa
