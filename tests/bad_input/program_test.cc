// What surrounds the program: options, streams and environment.
#include <chrono>
#include <csignal>
#include <filesystem>
#include <thread>

#include "tests/bad_input/bad_input.h"
#include "tests/support/sanitized.h"

namespace dbsa {
namespace {

class BadSurroundings : public BadInput {
 protected:
  // The program run by a shell, its words in "$@".
  ProcessResult in_shell(const std::string& script, const Words& words) const {
    Words all = {"/bin/sh", "-c", script, "sh"};
    const Words program = command(words);
    all.insert(all.end(), program.begin(), program.end());
    return run_process(
        all, {.environment = {{"DBSA_PLUGIN_PATH", ""}, {"XDG_CACHE_HOME", path("cache")}}});
  }
};

// The first file that is opened must not become standard output or error: notes would end in it.
TEST_F(BadSurroundings, ClosedStreamsNeverEndUpInTheStore) {
  const std::string pipeline = path("pipeline.toml");
  const ProcessResult closed =
      in_shell("\"$@\" <&- >&- 2>&-", {"encode", pipeline, "--set", "model.chunk_tokens=16"});
  EXPECT_EQ(closed.exit_code, 4);  // standard output cannot be written
  EXPECT_EQ(workspace_.read("store/lock"), "");
  EXPECT_EQ(cli({"store", "verify", path("store")}).exit_code, 0);
  const ProcessResult again = cli({"encode", pipeline, "--json"});
  EXPECT_EQ(nlohmann::json::parse(again.out).at("blocks_encoded"), 0);
}

TEST_F(BadSurroundings, ClosedOutputIsAnError) {
  const ProcessResult result = in_shell("\"$@\" >&-", {"validate", path("pipeline.toml")});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_EQ(result.error, "error: standard output: cannot be written: Bad file descriptor\n");
}

TEST_F(BadSurroundings, AFullDiskBehindStandardOutputIsAnErrorOfEveryCommand) {
  const std::string pipeline = path("pipeline.toml"), store = path("store");
  const std::string sweep = workspace_.write("sweep.toml", R"(base = "pipeline.toml"
[output]
directory = "sweep"
[[axis]]
name = "share"
key = "selection.ratio"
values = [0.5]
)");
  for (const Words& words :
       {Words{"--help"}, Words{"--version"}, Words{"run", "--help"}, Words{"encode", pipeline},
        Words{"run", pipeline}, Words{"query", pipeline, "card"}, Words{"validate", pipeline},
        Words{"explain", pipeline}, Words{"inspect"}, Words{"inspect", "bm25"},
        Words{"sweep", sweep, "--list"}, Words{"sweep", sweep},
        Words{"report", path("runs"), "--no-plots"}, Words{"store", "list", store},
        Words{"store", "pools", store}, Words{"store", "verify", store},
        Words{"store", "export", store, "--all", "--output", path("b")},
        Words{"store", "compact", store}, Words{"store", "gc", store}})
    for (const bool as_json : {false, true}) {
      if (as_json && words.front().starts_with("--")) continue;
      if (as_json && words.back() == "--help") continue;
      Words all = words;
      if (as_json) all.emplace_back("--json");
      const ProcessResult result = in_shell("exec \"$@\" >/dev/full", all);
      EXPECT_EQ(result.exit_code, 4) << testing::PrintToString(all);
      EXPECT_TRUE(result.error.ends_with(
          "error: standard output: cannot be written: No space left on device\n"))
          << testing::PrintToString(all) << result.error;
    }
}

TEST_F(BadSurroundings, AReaderThatLeavesIsAnErrorWhereItsSignalIsIgnored) {
  const ProcessResult result =
      in_shell("trap '' PIPE; (sleep 0.2; \"$@\"; echo $? >&2) | true", {"inspect", "--json"});
  EXPECT_EQ(result.error, "error: standard output: cannot be written: Broken pipe\n4\n");
}

TEST_F(BadSurroundings, ClosedInputIsAnError) {
  ASSERT_EQ(cli({"encode", path("pipeline.toml"), "--quiet"}).exit_code, 0);
  const ProcessResult result = in_shell("\"$@\" <&-", {"query", path("pipeline.toml"), "--quiet"});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_EQ(result.error, "error: standard input: cannot be read\n");
}

TEST_F(BadSurroundings, AReaderThatLeavesEndsTheProgramQuietly) {
  const ProcessResult result =
      in_shell("(\"$@\"; echo $? >&2) | true", {"run", path("pipeline.toml"), "--quiet"});
  // SIGPIPE, as with any program; or all was written before the reader left.
  EXPECT_TRUE(result.error == "141\n" || result.error == "0\n") << result.error;
}

TEST_F(BadSurroundings, WithoutAHomeNothingIsMissed) {
  for (const char* how :
       {"env -i ASAN_OPTIONS=\"$ASAN_OPTIONS\" \"$@\"", "HOME=/dev/null XDG_CACHE_HOME= \"$@\"",
        "HOME=relative XDG_CACHE_HOME=relative \"$@\""}) {
    const std::string script = "cd '" + path() + "' && " + how;
    const ProcessResult result = in_shell(script, {"run", path("pipeline.toml"), "--quiet"});
    EXPECT_EQ(result.exit_code, 0) << how;
    EXPECT_EQ(result.error, "") << how;
  }
  EXPECT_FALSE(std::filesystem::exists(path("relative")));
}

TEST_F(BadSurroundings, PathsOfAnyScript) {
  const std::string folder = path("ünï ☃\n dir");
  std::filesystem::create_directory(folder);
  for (const char* name : {"model", "pool.jsonl", "queries.jsonl", "pipeline.toml"})
    std::filesystem::copy(path(name), folder + "/" + name,
                          std::filesystem::copy_options::recursive);
  const ProcessResult result = cli({"run", folder + "/pipeline.toml", "--quiet"});
  EXPECT_EQ(result.exit_code, 0) << result.error;
  EXPECT_TRUE(std::filesystem::exists(folder + "/store/packs"));
}

TEST_F(BadSurroundings, ThreadsOutOfRange) {
  for (const char* count : {"0", "-1", "9999"})
    EXPECT_EQ(
        say("validate", {"--threads", count}),
        std::string("exit 2\nerror: --threads: must be between 1 and 4096, got ") + count + "\n");
  EXPECT_EQ(say("validate", {"--threads", "99999999999999999999"}),
            "exit 2\nerror: dbsa-pipe validate: --threads: expected an integer; see `dbsa-pipe "
            "validate --help`\n");
}

TEST_F(BadSurroundings, AFolderOfPluginsThatIsNotThere) {
  for (const char* name : {"absent", "pool.jsonl"})
    expect_refusal("exit 4\nerror: --plugin-path $W/" + std::string(name) +
                       ": no such folder; expected one with *.plugin.toml\n",
                   {"--plugin-path", path(name)});
}

TEST_F(BadSurroundings, ALimitOnFileSizesIsAnError) {
  const ProcessResult result =
      in_shell("ulimit -f 200; exec \"$@\"", {"encode", path("pipeline.toml"), "--quiet"});
  EXPECT_EQ(result.exit_code, 4);
  const std::string said = shortened(result.error);
  EXPECT_NE(said.find("\nerror: dbsa.kv_store.hdf5: $W/store: "), said.npos) << said;
  EXPECT_TRUE(
      said.ends_with(" failed: File too large; raise the limit on file sizes (ulimit -f) or "
                     "lower kv_store.pack_bytes\n"))
      << said;
}

// From what the loader cannot do with (the program itself takes 8 MiB) up to what is enough: an
// error at every step, none without its words, and no crash. Only commands that compute nothing:
// oneDNN crashes where it gets no memory.
TEST_F(BadSurroundings, TooLittleMemoryIsAnError) {
  if (kSanitized) GTEST_SKIP() << "sanitizers reserve more addresses than any limit allows";
  for (const std::string command : {"validate", "inspect"}) {
    const Words words =
        command == "inspect" ? Words{command} : Words{command, path("pipeline.toml"), "--quiet"};
    int named = 0;
    int step = 128;  // KiB; what is too little for the program may be enough for the loader
    for (int kib = 10 << 10; kib <= 80 << 10; kib += step) {
      const ProcessResult result =
          in_shell("ulimit -v " + std::to_string(kib) + "; exec \"$@\"", words);
      const std::string said = result.error;
      // A library ended it, before the program's own main.
      if (said == "terminate called without an active exception\n") continue;
      const bool enough = result.exit_code == 0 && said.empty();
      step = enough ? 1024 : 128;
      if (result.exit_code == 127 || enough) continue;
      if (result.exit_code == 3) {  // a plugin's library was refused by the loader
        EXPECT_NE(said.find(": cannot be loaded: "), said.npos) << said;
        continue;
      }
      EXPECT_EQ(result.exit_code, 4) << kib << " KiB: " << said;
      EXPECT_TRUE(said.find("out of memory") != said.npos ||
                  said.ends_with(": Cannot allocate memory\n"))  // as of a mapping
          << said;
      const std::string phase =
          command == "inspect" ? "looking at plugins" : "checking the pipeline";
      named += said == "error: out of memory while " + phase + "\n" ? 1 : 0;
    }
    EXPECT_GT(named, 0);
  }
}

TEST_F(BadSurroundings, FreeDecodingStopsAtOnce) {
  // Minutes an answer; the answer must not be waited for.
  const Words words = command({"run", path("pipeline.toml"), "--set", "decoding.method=free",
                               "--set", "decoding.max_tokens=65536"});
  Process process(words,
                  {.environment = {{"DBSA_PLUGIN_PATH", ""}, {"XDG_CACHE_HOME", path("cache")}}});
  while (!std::filesystem::exists(path("store/pools")) && !process.ended())
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  process.send_signal(SIGINT);
  const ProcessResult result = process.wait();
  EXPECT_EQ(result.exit_code, 130);
  EXPECT_TRUE(
      result.error.ends_with("\nstopped after 0 of 5 queries; no result record is written, "
                             "the encoded pool is kept\n"))
      << result.error;
}

TEST_F(BadSurroundings, AFolderForRecordsThatCannotBe) {
  EXPECT_EQ(say("run", {"--output", path("pool.jsonl")}),
            "exit 4\n"
            "error: --set output.directory: $W/pool.jsonl is no folder; name another one\n");
  EXPECT_EQ(say("run", {"--output", ""}),
            "exit 2\nerror: --output: expected the name of a folder, found an empty text\n");
  EXPECT_EQ(say("run", {"--output", "bad\xff"}),
            "exit 2\nerror: --output: expected the name of a folder, found a text that is not "
            "UTF-8\n");
  EXPECT_FALSE(std::filesystem::exists(path("store")));
}

}  // namespace
}  // namespace dbsa
