// Plugins that cannot be loaded, throw, or return nonsense, in a pipeline. Every other fault of a
// plugin is in tests/bad_plugins.
#include <filesystem>

#include "tests/bad_input/bad_input.h"
#include "tests/support/sanitized.h"

namespace dbsa {
namespace {

using BadPlugin = BadInput;

// Plugins that end the program.
class BadEnd : public BadInput {
 protected:
  std::string said_of(const std::string& command, const std::string& fault) const;
};

std::string grouper(const std::string& name) {
  return "block_grouper.plugin=test.block_grouper." + name;
}

TEST_F(BadPlugin, AWrongAbi) {
  expect_refusal(
      "exit 3\n"
      "error: plugin test.block_grouper.wrong_major ($B/wrong_major.so): built for plugin "
      "interface 1.2, this dbsa-pipe has 0.2; install a newer dbsa-pipe, or rebuild the plugin "
      "with this version's headers\n",
      with_bad_plugins({grouper("wrong_major")}));
}

TEST_F(BadPlugin, AMissingLibrary) {
  expect_refusal(
      "exit 3\n"
      "error: plugin test.block_grouper.missing_library ($B/missing_library.so): cannot be loaded: "
      "libdbsa_absent.so: cannot open shared object file: No such file or directory; install "
      "libdbsa_absent.so or add its folder to LD_LIBRARY_PATH\n",
      with_bad_plugins({grouper("missing_library")}));
}

TEST_F(BadPlugin, WithoutTheSymbol) {
  expect_refusal(
      "exit 3\n"
      "error: plugin test.block_grouper.no_symbol ($B/no_symbol.so): has no symbol dbsa_plugin; "
      "its source must end with DBSA_PLUGIN(Class)\n",
      with_bad_plugins({grouper("no_symbol")}));
}

// Not a page that looks sound: `inspect` of one plugin loads and checks it as `run` does.
TEST_F(BadPlugin, InspectRefusesWhatRunRefuses) {
  const auto inspected = [&](const std::string& name, const std::string& option) {
    Words words = {"inspect", "test.block_grouper." + name, "--plugin-path", DBSA_BAD_PLUGIN_DIR};
    if (!option.empty()) words.push_back(option);
    const ProcessResult result = cli(words);
    if (option == "--json")
      EXPECT_TRUE(result.out.starts_with("{\"schema\":\"error\"")) << name << result.out;
    else
      EXPECT_EQ(result.out, "") << name;
    return "exit " + std::to_string(result.exit_code) + "\n" + shortened(result.error);
  };
  const auto refused = [](const std::string& name, const std::string& cause) {
    return "exit 3\nerror: plugin test.block_grouper." + name + " ($B/" + name + ".so): " + cause +
           "\n";
  };
  for (const char* option : {"", "--json", "--config"})
    EXPECT_EQ(inspected("wrong_major", option),
              refused("wrong_major",
                      "built for plugin interface 1.2, this dbsa-pipe has 0.2; install a newer "
                      "dbsa-pipe, or rebuild the plugin "
                      "with this version's headers"));
  EXPECT_EQ(
      inspected("wrong_revision", ""),
      refused("wrong_revision",
              "the library has revision 1, its manifest says 2; install both from one build"));
  EXPECT_EQ(
      inspected("wrong_kind", ""),
      refused("wrong_kind", "the library is of kind retriever, its manifest says block_grouper"));
  EXPECT_EQ(inspected("null_function", ""), refused("null_function", "its function group is null"));
  EXPECT_EQ(inspected("no_symbol", ""),
            refused("no_symbol",
                    "has no symbol dbsa_plugin; its source must end with DBSA_PLUGIN(Class)"));
  EXPECT_EQ(inspected("exits_on_load", ""),
            refused("exits_on_load",
                    "loading: called exit() while looking at plugins; it must return an error "
                    "instead: use another one, or tell its author"));
  if (!kSanitized) {
    EXPECT_EQ(inspected("exits_at_once_on_load", ""),
              refused("exits_at_once_on_load", "loading: ended with exit code 0"));
  }
  EXPECT_EQ(inspected("aborts_on_load", ""),
            refused("aborts_on_load",
                    "loading: the program crashed while looking at plugins: aborted (SIGABRT)"));
}

TEST_F(BadPlugin, InspectFailedOutlivesThemAll) {
  const ProcessResult result =
      cli({"inspect", "--failed", "--kind", "block_grouper", "--plugin-path", DBSA_BAD_PLUGIN_DIR});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.error, "");
  for (const char* name : {"wrong_major", "wrong_revision", "no_symbol", "undefined_symbol",
                           "missing_library", "exits_on_load", "aborts_on_load"})
    EXPECT_NE(shortened(result.out).find("$B/" + std::string(name) + ".plugin.toml\n"),
              std::string::npos)
        << name;
  EXPECT_EQ(result.out.find("/good.plugin.toml"), std::string::npos);
}

TEST_F(BadPlugin, AsksForAKeyThatItsManifestDoesNotDeclare) {
  expect_refusal(
      "exit 3\n"
      "error: plugin test.kv_store.nonsense_store ($B/nonsense_store.so): check_config: asks for "
      "the "
      "key \"host\", which its manifest does not declare; the plugin's author must add "
      "[config.host] to the manifest (it says: host is missing)\n",
      with_bad_plugins(
          {"kv_store.plugin=test.kv_store.nonsense_store", "kv_store.fault=undeclared_in_check"}));
  EXPECT_EQ(say("run", with_bad_plugins({"retriever.plugin=test.retriever.nonsense_retriever",
                                         "retriever.fault=undeclared"})),
            "exit 3\n"
            "error: plugin test.retriever.nonsense_retriever ($B/nonsense_retriever.so): create: "
            "asks for the key \"limit\", which its manifest does not declare; the plugin's author "
            "must add [config.limit] to the manifest (it says: limit is missing)\n");
}

TEST_F(BadPlugin, ARoleIsOfAKeyOfAnotherType) {
  std::filesystem::create_directories(path("plugins"));
  workspace_.write("plugins/odd.plugin.toml",
                   "id = \"test.kv_store.odd\"\nkind = \"kv_store\"\nrevision = 1\n"
                   "version = \"1\"\nsummary = \"s\"\nlicence = \"MIT\"\nabi = \"0.2\"\n"
                   "[config.place]\ntype = \"integer\"\ndefault = 2\nrole = \"location\"\n"
                   "description = \"d\"\n");
  Words words = set({"kv_store.plugin=odd"});
  words.insert(words.end(), {"--plugin-path", path("plugins")});
  const std::string said = say("run", words);
  EXPECT_TRUE(
      said.starts_with("exit 3\nerror: --set kv_store.plugin: no kv_store plugin "
                       "\"odd\""))
      << said;
  EXPECT_NE(said.find("refused: $W/plugins/odd.plugin.toml:11:1: config.place.role: is for "
                      "strings, the key is an integer"),
            std::string::npos)
      << said;
}

TEST_F(BadPlugin, AnIndexThatCannotBeLoadedIsMadeAgainAndSaid) {
  Words words = {"encode", path("pipeline.toml"), "--json"};
  const Words more = with_bad_plugins(
      {"retriever.plugin=test.retriever.nonsense_retriever", "retriever.fault=no_load"});
  words.insert(words.end(), more.begin(), more.end());
  const ProcessResult first = cli(words);
  EXPECT_EQ(first.exit_code, 0);
  EXPECT_EQ(first.error.find("warning:"), std::string::npos) << first.error;
  const ProcessResult second = cli(words);
  EXPECT_EQ(second.exit_code, 0);
  EXPECT_NE(second.error.find("warning: the stored retriever index cannot be loaded: "
                              "test.retriever.nonsense_retriever: not an index; the index is made "
                              "again\n"),
            std::string::npos)
      << second.error;
  EXPECT_EQ(nlohmann::json::parse(second.out).at("index_reused"), false);
}

TEST_F(BadPlugin, Throws) {
  expect_refusal(
      "exit 3\n"
      "error: plugin test.block_grouper.nonsense_grouper ($B/nonsense_grouper.so): group: let an "
      "exception out: boom\n",
      with_bad_plugins({grouper("nonsense_grouper"), "block_grouper.fault=throw"}));
}

constexpr const char* kGroup =
    "error: plugin test.block_grouper.nonsense_grouper ($B/nonsense_grouper.so): group: ";

// What `command` says of a grouper that ends the program, one line of standard error.
std::string BadEnd::said_of(const std::string& command, const std::string& fault) const {
  return say(command,
             with_bad_plugins({grouper("nonsense_grouper"), "block_grouper.fault=" + fault}));
}

TEST_F(BadEnd, AnExitIsAnErrorOfEveryCommand) {
  const std::string why =
      "; it must return an error instead: use another one, or tell its author\n";
  for (const auto& [command, phase] : {std::pair{"validate", "checking the pipeline"},
                                       {"explain", "laying out the pool"},
                                       {"encode", "encoding the pool"},
                                       {"run", "encoding the pool"}})
    for (const char* fault : {"exit", "quick_exit"})
      EXPECT_EQ(said_of(command, fault),
                std::string("exit 4\n") + kGroup + "called exit() while " + phase + why);
  // A thread of the plugin's own is in no call.
  EXPECT_EQ(said_of("run", "exit_of_a_thread"),
            "exit 4\nerror: a plugin or a library called exit() while encoding the pool" + why);
  EXPECT_FALSE(std::filesystem::exists(path("runs")) && !std::filesystem::is_empty(path("runs")));
  const Words words = with_bad_plugins(
      {"retriever.plugin=test.retriever.nonsense_retriever", "retriever.fault=exit"});
  Words encode = {"encode", path("pipeline.toml"), "--quiet"};
  encode.insert(encode.end(), words.begin(), words.end());
  ASSERT_EQ(cli(encode).exit_code, 0);
  Words query = {"query", path("pipeline.toml"), "card"};
  query.insert(query.end(), words.begin(), words.end());
  const ProcessResult result = cli(query);
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_EQ(shortened(result.error),
            "error: plugin test.retriever.nonsense_retriever ($B/nonsense_retriever.so): query: "
            "called exit() while answering" +
                why);
}

TEST_F(BadEnd, AnExitWithoutHandlersIsAnErrorToo) {
  if (kSanitized) GTEST_SKIP() << "sanitizers have an _exit of their own";
  EXPECT_EQ(said_of("run", "exit_at_once"),
            std::string("exit 4\n") + kGroup +
                "called _exit() while encoding the pool; it must return an error instead: use "
                "another one, or tell its author\n");
}

TEST_F(BadEnd, AnExceptionInAThreadNamesTheLibrary) {
  const std::string said = said_of("run", "throw_in_a_thread");
  EXPECT_NE(said.find("error: unexpected error while encoding the pool: lost its server; it comes "
                      "from $B/nonsense_grouper.so\n"),
            std::string::npos)
      << said;
}

TEST_F(BadEnd, ACrashAtTheEndSaysThatTheRecordIsComplete) {
  if (kSanitized) GTEST_SKIP() << "sanitizers report it first";
  Words words = {"run", path("pipeline.toml"), "--quiet"};
  const Words plugins =
      with_bad_plugins({grouper("nonsense_grouper"), "block_grouper.fault=crash_at_the_end"});
  words.insert(words.end(), plugins.begin(), plugins.end());
  const std::string said = shortened(cli(words).error);
  EXPECT_NE(said.find("error: the program crashed while ending, in $B/nonsense_grouper.so: "
                      "segmentation fault (SIGSEGV); the result record is complete: $W/runs/"),
            std::string::npos)
      << said;
}

TEST_F(BadEnd, ACellThatTheKernelKillsIsExplained) {
  workspace_.write("sweep.toml",
                   "base = \"pipeline.toml\"\noutput.directory = \"sweep\"\n"
                   "[[axis]]\nname = \"share\"\nkey = \"selection.ratio\"\nvalues = [0.5]\n");
  Words words = {"sweep", path("sweep.toml"), "--quiet"};
  const Words plugins =
      with_bad_plugins({grouper("nonsense_grouper"), "block_grouper.fault=killed"});
  words.insert(words.end(), plugins.begin(), plugins.end());
  const ProcessResult result = cli(words);
  EXPECT_EQ(result.exit_code, 5);
  EXPECT_NE(result.error.find("exit code 137: killed by SIGKILL: probably out of memory; run fewer "
                              "cells at once (--jobs), or give them more memory; its log says "
                              "nothing: "),
            std::string::npos)
      << result.error;
}

// The user may have meant it to stand before a plugin of the program's.
TEST_F(BadPlugin, AManifestThatCannotBeUsedIsAWarning) {
  std::filesystem::create_directories(path("plugins"));
  workspace_.write("plugins/mine.plugin.toml", "revision == 1\n");
  for (const bool in_environment : {false, true}) {
    Words words = {"validate", path("pipeline.toml")};
    if (!in_environment) words.insert(words.end(), {"--plugin-path", path("plugins")});
    const ProcessResult result =
        run_process(command(words),
                    {.environment = {{"DBSA_PLUGIN_PATH", in_environment ? path("plugins") : ""}}});
    EXPECT_EQ(result.exit_code, 0);
    EXPECT_NE(
        shortened(result.error).find("warning: plugin not used: $W/plugins/mine.plugin.toml:1"),
        std::string::npos)
        << result.error;
  }
}

TEST_F(BadEnd, WhatCannotBeCaughtIsNamed) {
  EXPECT_EQ(said_of("run", "no_memory"),
            std::string("exit 4\n") + kGroup + "out of memory while encoding the pool\n");
  EXPECT_EQ(said_of("run", "no_thread"),
            std::string("exit 4\n") + kGroup +
                "no thread can be started while encoding the pool: Resource temporarily "
                "unavailable; take fewer with --threads, or raise the limits on processes (ulimit "
                "-u) and on memory (ulimit -v)\n");
  EXPECT_EQ(said_of("run", "odd_exception"),
            "exit -6\n" + std::string(kGroup) +
                "unexpected error while encoding the pool: an exception of an unknown type\n");
}

TEST_F(BadEnd, ACrashNamesThePluginAndItsCall) {
  const std::string aborted =
      std::string(kGroup) + "the program crashed while encoding the pool: aborted (SIGABRT)\n";
  const std::string crashed = std::string(kGroup) +
                              "the program crashed while encoding the pool: segmentation fault "
                              "(SIGSEGV)\n";
  // Sanitizers report after that, with their own exit codes.
  const auto after_code = [](const std::string& said) { return said.substr(said.find('\n') + 1); };
  if (kSanitized) {
    EXPECT_TRUE(after_code(said_of("run", "crash")).starts_with(crashed));
    EXPECT_TRUE(after_code(said_of("run", "abort")).starts_with(aborted));
  } else {
    EXPECT_EQ(said_of("run", "crash"), "exit -11\n" + crashed);
    EXPECT_EQ(said_of("run", "abort"), "exit -6\n" + aborted);
  }
}

// Where the call is another plugin's, or no plugin's, the library that crashed is named.
TEST_F(BadEnd, ACrashOutsideOfTheCalledPluginNamesTheLibrary) {
  if (kSanitized) GTEST_SKIP() << "sanitizers report it first";
  const std::string crashed = ": segmentation fault (SIGSEGV)\n";
  EXPECT_EQ(
      said_of("run", "write_nowhere"),
      "exit -11\n" + std::string(kGroup) + "the program crashed while encoding the pool" + crashed);
  EXPECT_EQ(said_of("run", "write_nowhere_in_a_thread"),
            "exit -11\nerror: the program crashed while encoding the pool, in "
            "$B/nonsense_grouper.so" +
                crashed);
  edit_pipeline("[selection]",
                "[retriever]\nplugin = \"hybrid\"\n[retriever.first]\nplugin = \"all\"\n"
                "[retriever.second]\nplugin = \"test.retriever.nonsense_retriever\"\n"
                "fault = \"write_nowhere\"\n[selection]");
  EXPECT_EQ(
      say("run", with_bad_plugins({})),
      "exit -11\nerror: plugin dbsa.retriever.hybrid ($P/dbsa_retriever_hybrid.so): query: the "
      "program crashed while answering queries, in $B/nonsense_retriever.so" +
          crashed);
}

TEST_F(BadPlugin, TwoOfOneId) {
  for (const char* name : {"one", "two"}) {
    std::filesystem::create_directories(path("plugins"));
    std::filesystem::copy_file(std::string(DBSA_BAD_PLUGIN_DIR) + "/good.plugin.toml",
                               path(std::string("plugins/") + name + ".plugin.toml"));
  }
  Words words = set({grouper("good")});
  words.insert(words.end(), {"--plugin-path", path("plugins")});
  expect_refusal(
      "exit 3\n"
      "error: --set block_grouper.plugin: more than one plugin has the id test.block_grouper.good: "
      "$W/plugins/one.plugin.toml and $W/plugins/two.plugin.toml; remove all but one\n",
      words);
}

TEST_F(BadPlugin, AGrouperWithNonsenseSizes) {
  expect_refusal(
      "exit 3\n"
      "error: plugin test.block_grouper.nonsense_grouper ($B/nonsense_grouper.so): group: returned "
      "block 1 from 4 to 25 of 24 demonstrations\n",
      with_bad_plugins({grouper("nonsense_grouper"), "block_grouper.fault=past_the_end"}));
}

TEST_F(BadPlugin, AMaskWithNonsenseSizes) {
  expect_refusal(
      "exit 3\n"
      "error: plugin test.mask_pattern.nonsense_mask ($B/nonsense_mask.so): visible: returned "
      "tokens 0 to 202 of block 0, which has 201\n",
      with_bad_plugins({"mask_pattern.plugin=test.mask_pattern.nonsense_mask",
                        "mask_pattern.fault=past_the_end"}));
}

TEST_F(BadPlugin, ARetrieverWithNonsenseSizes) {
  EXPECT_EQ(say("run", with_bad_plugins({"retriever.plugin=test.retriever.nonsense_retriever",
                                         "retriever.fault=too_many"})),
            "exit 3\n"
            "error: $W/queries.jsonl:1: plugin test.retriever.nonsense_retriever "
            "($B/nonsense_retriever.so): query: returned 4 hits, asked for 3\n");
  EXPECT_FALSE(std::filesystem::exists(path("runs")) && !std::filesystem::is_empty(path("runs")));
}

// What fails for one query is that query's error; what fails for all is the run's (above).
TEST_F(BadPlugin, ARetrieverThatFailsForOneQuery) {
  workspace_.write("queries.jsonl", "{\"text\": \"boom\"}\n" + workspace_.read("queries.jsonl"));
  Words words = {"run", path("pipeline.toml"), "--quiet"};
  const Words plugin = with_bad_plugins(
      {"retriever.plugin=test.retriever.nonsense_retriever", "retriever.fault=one_text"});
  words.insert(words.end(), plugin.begin(), plugin.end());
  ProcessResult result = cli(words);
  EXPECT_EQ(result.exit_code, 2);
  const std::string why = "test.retriever.nonsense_retriever: cannot rank for this text";
  EXPECT_EQ(shortened(result.error),
            "error: $W/queries.jsonl:1: " + why + "\nerror: 1 of 6 queries was not answered\n");
  const nlohmann::json query = only_record().at("queries").at(0);
  EXPECT_EQ(query.at("error").at("code"), "plugin");

  words[0] = "query";
  words.emplace_back("--json");
  result = cli(words, {.input = "{\"text\": \"boom\"}\n{\"text\": \"card\"}\n"});
  EXPECT_EQ(result.exit_code, 2) << result.error;
  EXPECT_EQ(json_lines(result.out).at(0).at("error").at("code"), "plugin");
  EXPECT_TRUE(json_lines(result.out).at(1).contains("label"));
  result = cli(words, {.input = "{\"text\": \"boom\"}\n{\"text\": \"boom 2\"}\n"});
  EXPECT_EQ(result.exit_code, 3) << "no query could be ranked";
}

TEST_F(BadPlugin, AStoreWithNonsenseSizes) {
  edit_pipeline("path = \"store\"\n", "");
  EXPECT_EQ(say("run", with_bad_plugins({"kv_store.plugin=test.kv_store.nonsense_store",
                                         "kv_store.fault=many_layers"})),
            "exit 3\nerror: plugin test.kv_store.nonsense_store ($B/nonsense_store.so): get: "
            "returned a format of 4294967295 layers\n");
}

// The signal of a write to it is not the end of the program.
TEST_F(BadPlugin, AStoreWhosePeerIsGone) {
  edit_pipeline("path = \"store\"\n", "");
  EXPECT_EQ(say("run", with_bad_plugins({"kv_store.plugin=test.kv_store.nonsense_store",
                                         "kv_store.fault=dead_peer"})),
            "exit 4\nerror: test.kv_store.nonsense_store: the server is gone: Broken pipe\n");
}

TEST_F(BadPlugin, ABackendWithNonsenseSizes) {
  EXPECT_EQ(say("run", with_bad_plugins(
                           {"attention_backend.plugin=test.attention_backend.nonsense_backend",
                            "attention_backend.fault=huge_plane"})),
            "exit 3\n"
            "error: plugin test.attention_backend.nonsense_backend ($B/nonsense_backend.so): "
            "block_format: returned planes of 18446744073709551615 bytes, expected at least 256\n");
}

}  // namespace
}  // namespace dbsa
