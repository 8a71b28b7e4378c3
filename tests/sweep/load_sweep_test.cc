// How a sweep file becomes cells, and what is said about bad ones. Nothing is run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "sweep/sweep.h"
#include "tests/cli/schema_judge.h"
#include "tests/support/workspace.h"

namespace dbsa {
namespace {

using nlohmann::json;
using testing::ElementsAre;

constexpr const char* kBase = R"([model]
path = "../model"
[data]
demonstrations = "../pool.jsonl"
queries = "../queries.jsonl"
[block_grouper]
block_size = 4
[mask_pattern]
plugin = "dbsa"
previous_blocks = 3
[selection]
ratio = 0.5
order = "high_to_low"
[kv_store]
plugin = "hdf5"
path = "store"
)";

class LoadSweep : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(workspace_.path("model"));
    for (const char* name : {"pool.jsonl", "queries.jsonl", "parts/other.jsonl"})
      workspace_.write(name, "{\"text\": \"a\", \"label\": \"b\"}\n");
    workspace_.write("base/base.toml", kBase);
  }

  // Of sweeps/a.toml, with a base unless the text names one itself.
  Result<Sweep> load(const std::string& text, const SweepChoice& choice = {}) {
    const bool own = text.find("base =") != text.npos;
    const std::string path =
        workspace_.write("sweeps/a.toml", (own ? "" : "base = \"../base/base.toml\"\n") + text);
    return load_sweep(path, choice, registry_);
  }
  std::vector<SweepCell> cells(const std::string& text, const SweepChoice& choice = {}) {
    Result<Sweep> sweep = load(text, choice);
    if (!sweep.ok()) ADD_FAILURE() << sweep.error().message;
    return sweep.ok() ? sweep->cells : std::vector<SweepCell>(1);
  }
  // With the workspace's folder as W.
  std::string fault(const std::string& text, const SweepChoice& choice = {}) {
    const Result<Sweep> sweep = load(text, choice);
    if (sweep.ok()) return "accepted";
    std::string message = sweep.error().message;
    const std::string folder = workspace_.path();
    for (size_t at; (at = message.find(folder)) != message.npos;)
      message.replace(at, folder.size(), "W/");
    return message;
  }

  Workspace workspace_;
  const host::PluginRegistry registry_ =
      host::PluginRegistry::discover(std::vector<std::string>{DBSA_PLUGIN_DIR});
};

json at(const SweepCell& cell, const std::string& table, const std::string& key) {
  return cell.config.at(table).at(key);
}

std::vector<std::string> names(const std::vector<SweepCell>& cells) {
  std::vector<std::string> out;
  for (const SweepCell& cell : cells) out.push_back(cell.name());
  return out;
}

constexpr const char* kRatios = R"([[axis]]
name = "ratio"
key = "selection.ratio"
values = [0.3, 1.0]
)";

TEST_F(LoadSweep, EveryValueMeetsEveryOtherAndEveryRun) {
  const auto found = cells(std::string("runs = 2\n") + kRatios + R"([[axis]]
name = "order"
key = "selection.order"
values = ["index", "reversed"]
)");
  EXPECT_THAT(
      names(found),
      ElementsAre("ratio = 0.3, order = index, run 1", "ratio = 0.3, order = index, run 2",
                  "ratio = 0.3, order = reversed, run 1", "ratio = 0.3, order = reversed, run 2",
                  "ratio = 1.0, order = index, run 1", "ratio = 1.0, order = index, run 2",
                  "ratio = 1.0, order = reversed, run 1", "ratio = 1.0, order = reversed, run 2"));
  EXPECT_EQ(at(found[5], "selection", "ratio"), 1.0);
  EXPECT_EQ(at(found[5], "selection", "order"), "index");
  EXPECT_EQ(at(found[5], "data", "seed"), 2);
  EXPECT_EQ(at(found[5], "block_grouper", "seed"), 2);
  EXPECT_EQ(at(found[0], "data", "seed"), 1);
  EXPECT_EQ(found[5].index, 5);
  std::set<std::string> ids;
  for (const SweepCell& cell : found) ids.insert(cell.id);
  EXPECT_EQ(ids.size(), 8u);
  EXPECT_THAT(found[0].id, testing::MatchesRegex("[0-9a-f]{16}"));
}

TEST_F(LoadSweep, KeysOfOneAxisChangeTogether) {
  const auto found = cells(R"([[axis]]
name = "mask"
keys = ["mask_pattern.anchor_blocks", "mask_pattern.plugin"]
values = [[2, "dbsa"], [1, "anchor_self"]]
)");
  EXPECT_THAT(names(found), ElementsAre("mask = 2, dbsa, run 1", "mask = 1, anchor_self, run 1"));
  // The plugin is named first, in any order of the keys.
  EXPECT_EQ(at(found[0], "mask_pattern", "anchor_blocks"), 2);
  EXPECT_EQ(at(found[0], "mask_pattern", "previous_blocks"), 2) << "the plugin's own default";
  EXPECT_EQ(at(found[1], "mask_pattern", "plugin"), "dbsa.mask_pattern.anchor_self");
}

TEST_F(LoadSweep, NamedValuesTakeAFileThenKeys) {
  workspace_.write("parts/a.toml",
                   "[selection]\nratio = 0.9\norder = \"reversed\"\n"
                   "[data]\nqueries = \"other.jsonl\"\n");
  const auto found = cells(R"([[axis]]
name = "method"
[[axis.value]]
name = "plain"
[[axis.value]]
name = "from a file"
file = "../parts/a.toml"
set = { "selection.ratio" = 0.7 }
[[axis.value]]
name = "tables"
set = { selection = { ratio = 0.1 }, mask_pattern = { plugin = "self" } }
)");
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(at(found[0], "selection", "ratio"), 0.5);
  EXPECT_EQ(at(found[0], "mask_pattern", "previous_blocks"), 3);
  EXPECT_EQ(at(found[1], "selection", "ratio"), 0.7);
  EXPECT_EQ(at(found[1], "selection", "order"), "reversed");
  EXPECT_EQ(at(found[2], "selection", "ratio"), 0.1);
  EXPECT_EQ(at(found[2], "selection", "order"), "high_to_low");
  EXPECT_FALSE(found[2].config.at("mask_pattern").contains("previous_blocks"));
}

TEST_F(LoadSweep, LayersCoverEachOtherInOrder) {
  const std::string axes = R"([[axis]]
name = "a"
key = "data.demonstration_count"
values = [2]
[[axis]]
name = "b"
[[axis.value]]
name = "b1"
set = { "data.demonstration_count" = 3, "data.seed" = 70, "block_grouper.seed" = 70 }
)";
  EXPECT_EQ(at(cells(axes)[0], "data", "demonstration_count"), 3) << "later axes over earlier ones";
  EXPECT_EQ(at(cells(axes)[0], "data", "seed"), 1) << "the run over axes";
  const std::string set = "[set]\n\"data.demonstration_count\" = 4\ndata.seed = 71\n";
  EXPECT_EQ(at(cells(set + axes)[0], "data", "demonstration_count"), 4) << "[set] over axes";
  EXPECT_EQ(at(cells(set + axes)[0], "data", "seed"), 1) << "the run over [set]";
  const SweepChoice choice = {{}, {"data.demonstration_count=5", "data.seed=72"}, {}, true};
  EXPECT_EQ(at(cells(set + axes, choice)[0], "data", "demonstration_count"), 5);
  EXPECT_EQ(at(cells(set + axes, choice)[0], "data", "seed"), 72) << "the command line over all";
  EXPECT_EQ(at(cells("seed_keys = [\"data.seed\"]\n" + axes)[0], "block_grouper", "seed"), 70);
}

TEST_F(LoadSweep, NamingAPluginDropsTheOwnKeysOfTheOneBefore) {
  const auto found = cells(R"([[axis]]
name = "mask"
key = "mask_pattern.plugin"
values = ["self", "causal", "dbsa"]
)");
  ASSERT_EQ(found.size(), 3u);
  for (const SweepCell& cell : found)
    EXPECT_EQ(at(cell, "mask_pattern", "encode_positions"), "packed") << "no plugin's own";
  EXPECT_FALSE(found[0].config.at("mask_pattern").contains("previous_blocks"));
  EXPECT_EQ(at(found[2], "mask_pattern", "previous_blocks"), 2);
  // On the command line, too.
  const auto set = cells(kRatios, {{}, {"mask_pattern.plugin=self"}, {}});
  EXPECT_EQ(at(set[0], "mask_pattern", "plugin"), "dbsa.mask_pattern.self");
}

TEST_F(LoadSweep, PluginsWithinAPluginKeepTheirKeys) {
  const auto found = cells(R"([[axis]]
name = "retriever"
[[axis.value]]
name = "hybrid"
set = { retriever = { plugin = "hybrid", first = { plugin = "bm25", k1 = 1.25 }, second = { plugin = "random" } } }
[[axis.value]]
name = "bm25"
set = { "retriever.plugin" = "bm25" }
)");
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(at(found[0], "retriever", "first").at("k1"), 1.25);
  EXPECT_FALSE(found[1].config.at("retriever").contains("first"));
}

TEST_F(LoadSweep, OfRatioAndCountTheLaterStays) {
  const auto found = cells(R"([[axis]]
name = "blocks"
[[axis.value]]
name = "two"
set = { "selection.count" = 2 }
[[axis.value]]
name = "half"
)");
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(at(found[0], "selection", "count"), 2);
  EXPECT_FALSE(found[0].config.at("selection").contains("ratio"));
  EXPECT_EQ(at(found[1], "selection", "ratio"), 0.5);
  const auto back = cells(kRatios, {{}, {"selection.count=1"}, {}});
  EXPECT_EQ(at(back[0], "selection", "count"), 1);
  EXPECT_FALSE(back[0].config.at("selection").contains("ratio"));
}

TEST_F(LoadSweep, PathsCountFromTheFileThatHasThem) {
  workspace_.write("parts/a.toml", "[data]\nqueries = \"other.jsonl\"\n[kv_store]\npath = \"s\"\n");
  const auto found = cells(R"([[axis]]
name = "data"
[[axis.value]]
name = "base/with a slash"
[[axis.value]]
name = "part"
file = "../parts/a.toml"
[[axis.value]]
name = "here"
set = { "data.queries" = "../queries.jsonl", "kv_store.path" = "s" }
)");
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(at(found[0], "data", "queries"), workspace_.path("queries.jsonl"));
  EXPECT_EQ(at(found[0], "kv_store", "path"), workspace_.path("base/store"));
  EXPECT_EQ(at(found[1], "data", "queries"), workspace_.path("parts/other.jsonl"));
  EXPECT_EQ(at(found[1], "kv_store", "path"), workspace_.path("parts/s"));
  EXPECT_EQ(at(found[2], "kv_store", "path"), workspace_.path("sweeps/s"));
  EXPECT_EQ(at(found[0], "output", "directory"), workspace_.path("sweeps/runs/a"));
  // Those of the command line from the current folder.
  const auto set = cells(R"([[axis]]
name = "a/b"
key = "data.queries"
values = ["../queries.jsonl"]
)",
                         {{}, {"kv_store.path=t"}, {}});
  EXPECT_EQ(at(set[0], "kv_store", "path"), std::filesystem::absolute("t").string());
}

TEST_F(LoadSweep, OnlyLeavesValuesOut) {
  const std::string axes = std::string(kRatios) + R"([[axis]]
name = "mask = x"
key = "mask_pattern.plugin"
values = ["dbsa", "self", "causal"]
)";
  EXPECT_THAT(
      names(cells(axes, {{"ratio=1.0", "mask = x=self", "mask = x=dbsa"}, {}, {}})),
      ElementsAre("ratio = 1.0, mask = x = dbsa, run 1", "ratio = 1.0, mask = x = self, run 1"));
  EXPECT_EQ(fault(kRatios, {{"ratio=1"}, {}, {}}),
            "--only ratio=1: expected an axis and one of its values:\n  ratio=0.3\n  ratio=1.0");
  EXPECT_EQ(fault(kRatios, {{"ratio"}, {}, {}}),
            "--only ratio: expected an axis and one of its values:\n  ratio=0.3\n  ratio=1.0");
  // Files of values that are left out need not be there.
  const std::string files = R"([[axis]]
name = "data"
[[axis.value]]
name = "there"
[[axis.value]]
name = "not there"
file = "no.toml"
)";
  EXPECT_EQ(cells(files, {{"data=there"}, {}, {}}).size(), 1u);
}

TEST_F(LoadSweep, OnlyLeavesOutFiguresAndBaselinesOfOtherValues) {
  const std::string text =
      std::string("baseline = { ratio = \"1.0\" }\n") + kRatios + R"([[published]]
cell = { ratio = "1.0" }
value = 0.9
source = "somewhere"
[[published]]
cell = { ratio = "0.3" }
value = 0.8
source = "somewhere"
)";
  const auto all = load(text, {});
  ASSERT_TRUE(all.ok()) << all.error().message;
  EXPECT_EQ(all->published.size(), 2u);
  EXPECT_TRUE(all->baseline.is_object());
  const auto some = load(text, {{"ratio=0.3"}, {}, {}});
  ASSERT_TRUE(some.ok()) << some.error().message;
  ASSERT_EQ(some->published.size(), 1u);
  EXPECT_EQ(some->published.at(0).at("value"), 0.8);
  EXPECT_TRUE(some->baseline.is_null());
}

TEST_F(LoadSweep, RunsAreTheFilesOrTheCommandLines) {
  EXPECT_EQ(cells(std::string("runs = 3\n") + kRatios).size(), 6u);
  EXPECT_EQ(cells(std::string("runs = 3\n") + kRatios, {{}, {}, 1}).size(), 2u);
  EXPECT_EQ(fault(kRatios, {{}, {}, 0}), "--runs: must be between 1 and 10000, got 0");
  EXPECT_EQ(fault(kRatios, {{}, {}, 10001}), "--runs: must be between 1 and 10000, got 10001");
}

TEST_F(LoadSweep, IdsFollowFromTheConfigurationAlone) {
  const auto ids = [&](const std::string& text) {
    std::map<std::string, std::string> out;
    for (const SweepCell& cell : cells(text)) out[cell.name()] = cell.id;
    return out;
  };
  const auto before = ids(kRatios);
  EXPECT_EQ(ids("title = \"other\"\n[[axis]]\nname = \"ratio\"\nkey = \"selection.ratio\"\n"
                "values = [1.0, 0.3]\n"),
            before);
  EXPECT_EQ(ids(std::string("[output]\ndirectory = \"elsewhere\"\n") + kRatios), before);
  // A default that is written out, and an integer for a number.
  EXPECT_EQ(ids("[set]\n\"data.text_field\" = \"text\"\n[[axis]]\nname = \"ratio\"\n"
                "key = \"selection.ratio\"\nvalues = [0.3, 1]\n")
                .begin()
                ->second,
            before.begin()->second);
  const auto same = cells("runs = 2\nseed_keys = []\n" + std::string(kRatios));
  EXPECT_EQ(same[0].id, same[1].id) << "runs without a seed";
  EXPECT_NE(same[0].id, same[2].id);
}

TEST_F(LoadSweep, WhatIsWrittenDownIsWhole) {
  const Result<Sweep> sweep =
      load(std::string("title = \"T\"\nbaseline = { ratio = \"0.3\" }\n") + kRatios +
           "[[published]]\ncell = { ratio = \"1.0\" }\nvalue = 0.9\n"
           "source = \"a paper\"\n");
  ASSERT_TRUE(sweep.ok()) << sweep.error().message;
  const json out = json::parse(sweep->to_json().dump());
  const SweepCell& cell = sweep->cells[1];
  EXPECT_EQ(out, json({{"schema_version", 1},
                       {"title", "T"},
                       {"sweep", workspace_.path("sweeps/a.toml")},
                       {"axes", {{{"name", "ratio"}, {"values", {"0.3", "1.0"}}}}},
                       {"runs", 1},
                       {"baseline", {{"ratio", "0.3"}}},
                       {"published",
                        {{{"cell", {{"ratio", "1.0"}}},
                          {"metric", "accuracy"},
                          {"value", 0.9},
                          {"source", "a paper"}}}},
                       {"cells", {out.at("cells")[0], out.at("cells")[1]}}}));
  EXPECT_EQ(out.at("cells")[1], json({{"index", 1},
                                      {"run", 1},
                                      {"values", {{"ratio", "1.0"}}},
                                      {"name", "ratio = 1.0, run 1"},
                                      {"pipeline", "cells/" + cell.id + ".toml"},
                                      {"record", "records/" + cell.id + ".json"},
                                      {"failure", "failures/" + cell.id + ".json"}}));
}

TEST_F(LoadSweep, FaultsOfTheFileHaveTheirPlaces) {
  EXPECT_EQ(fault("base = \"\"\n"), "W/sweeps/a.toml:1:1: axis: is required");
  EXPECT_EQ(fault("base = \"\"\naxis = []\n"), "W/sweeps/a.toml:2:1: axis: must not be empty");
  EXPECT_EQ(
      fault("[[axis]]\nname = \"x\"\nkey = \"selection.ratio\"\n"),
      "W/sweeps/a.toml:2:1: axis[0]: give either key and values, or keys and values, or a list "
      "of value");
  EXPECT_EQ(
      fault(std::string(kRatios) + "[[axis.value]]\nname = \"x\"\n"),
      "W/sweeps/a.toml:2:1: axis[0]: give either key and values, or keys and values, or a list "
      "of value");
  EXPECT_EQ(fault("[[axis]]\nname = \"x\"\nkeys = [\"selection.ratio\", \"data.seed\"]\n"
                  "values = [[1.0, 2], [1.0], 3]\n"),
            "W/sweeps/a.toml:5:21: axis[0].values[1]: must be a list of 2, one for each of keys\n"
            "W/sweeps/a.toml:5:28: axis[0].values[2]: must be a list of 2, one for each of keys");
  EXPECT_EQ(fault("[[axis]]\nname = \"x\"\nkey = \"data.seed\"\nvalues = [1, 2, 1]\n"),
            "W/sweeps/a.toml:2:1: axis[0]: two values are called \"1\"");
  EXPECT_EQ(fault(std::string(kRatios) + kRatios),
            "W/sweeps/a.toml:7:1: axis[1].name: another axis has the name \"ratio\"");
  EXPECT_EQ(fault(std::string("baseline = { ratoi = \"0.3\", ratio = \"0.4\" }\n") + kRatios),
            "W/sweeps/a.toml:2:14: baseline.ratoi: there is no axis of this name\n"
            "W/sweeps/a.toml:2:29: baseline.ratio: the axis has no value \"0.4\"");
  EXPECT_EQ(fault(std::string(kRatios) + "[[published]]\ncell = { ratio = \"2\" }\nvalue = 1\n"
                                         "source = \"x\"\n"),
            "W/sweeps/a.toml:7:10: published[0].cell.ratio: the axis has no value \"2\"");
  EXPECT_EQ(fault(std::string("rnus = 2\n") + kRatios),
            "W/sweeps/a.toml:2:1: unknown key \"rnus\"; did you mean \"runs\"?");
}

TEST_F(LoadSweep, MissingFilesAreNamedWhereTheyAreNamed) {
  EXPECT_EQ(
      fault(std::string("base = \"no.toml\"\n") + kRatios +
            "[[axis]]\nname = \"data\"\n[[axis.value]]\nname = \"x\"\nfile = \"nor.toml\"\n"),
      "W/sweeps/a.toml:1:1: base: W/sweeps/no.toml: cannot be opened: No such file or directory\n"
      "W/sweeps/a.toml:10:1: axis[1].value[0].file: W/sweeps/nor.toml: cannot be opened: No such "
      "file or directory");
  EXPECT_EQ(load_sweep(workspace_.path("none.toml"), {}, registry_).error().message,
            workspace_.path("none.toml") + ": cannot be opened: No such file or directory");
  EXPECT_EQ(load(std::string("base = \"no.toml\"\n") + kRatios).error().code,
            ErrorCode::kEnvironment);
}

TEST_F(LoadSweep, AFaultOfManyCellsIsToldOnce) {
  EXPECT_EQ(fault(std::string("runs = 3\n[set]\n\"selection.rtaio\" = 1\n") + kRatios),
            "W/sweeps/a.toml:4:1: selection: unknown key \"rtaio\"; did you mean \"ratio\"?");
  EXPECT_EQ(fault("[[axis]]\nname = \"r\"\nkey = \"selection.ratio\"\nvalues = [0.5, 2.0, -1.0]\n"),
            "W/sweeps/a.toml:5:16: selection.ratio: must be <= 1, got 2.0 (r = 2.0, run 1)\n"
            "W/sweeps/a.toml:5:21: selection.ratio: must be > 0, got -1.0 (r = -1.0, run 1)");
  // Of a file that cells are laid from, with those that have it.
  workspace_.write("base/part.toml", "[selection]\n\norder = \"best\"\n");
  EXPECT_EQ(fault("runs = 2\n[[axis]]\nname = \"s\"\n[[axis.value]]\nname = \"sound\"\n"
                  "[[axis.value]]\nname = \"bad\"\nfile = \"../base/part.toml\"\n"),
            "W/base/part.toml:3:1: selection.order: must be one of \"index\", \"low_to_high\", "
            "\"high_to_low\", \"middle\", \"reversed\", got \"best\" (s = bad, run 1 and 1 more "
            "cell)");
  workspace_.write("base/typo.toml", std::string(kBase) + "paht = \"x\"\n");
  EXPECT_EQ(fault("base = \"../base/typo.toml\"\n" + std::string(kRatios)),
            "W/base/typo.toml:17:1: kv_store: unknown key \"paht\"; did you mean \"path\"?");
  EXPECT_EQ(fault(kRatios, {{}, {"selection.order=best"}, {}}),
            "--set selection.order: must be one of \"index\", \"low_to_high\", \"high_to_low\", "
            "\"middle\", \"reversed\", got \"best\"");
  EXPECT_EQ(fault(kRatios, {{}, {"order"}, {}}),
            "--set order: expected KEY=VALUE, as in --set selection.ratio=0.5");
  EXPECT_EQ(
      fault(kRatios, {{}, {"output.directory=x"}, {}}),
      "--set output.directory: records lie in the sweep's own output.directory; set it in the "
      "sweep file");
}

TEST_F(LoadSweep, RatioAndCountInOnePlaceAreAFault) {
  EXPECT_EQ(fault("[[axis]]\nname = \"s\"\n[[axis.value]]\nname = \"both\"\n"
                  "set = { \"selection.ratio\" = 0.5, \"selection.count\" = 1 }\n"),
            "W/sweeps/a.toml:6:34: selection.count: give either ratio or count, not both");
}

TEST_F(LoadSweep, KeysThatLeadIntoNoTableAreAFault) {
  EXPECT_EQ(fault("[[axis]]\nname = \"s\"\nkey = \"selection.ratio.deep\"\nvalues = [1]\n"),
            "W/sweeps/a.toml:5:11: selection.ratio.deep: selection.ratio is not a table");
  workspace_.write("base/bad.toml", "selection = 3\noutput = 1\n");
  EXPECT_EQ(fault(std::string("base = \"../base/bad.toml\"\n") + kRatios),
            "W/sweeps/a.toml:5:11: selection.ratio: selection is not a table (ratio = 0.3, run 1)\n"
            "W/sweeps/a.toml:5:16: selection.ratio: selection is not a table (ratio = 1.0, run 1)");
  for (const char* key : {"selection..ratio", "a/b~c", "~", "/", ".", "x.0.y"})
    EXPECT_NE(fault("[[axis]]\nname = \"s\"\nkey = \"" + std::string(key) + "\"\nvalues = [1]\n"),
              "accepted")
        << key;
  std::string dots = "a";
  for (int i = 0; i < 1000; ++i) dots += ".a";
  EXPECT_EQ(fault("[[axis]]\nname = \"s\"\nkey = \"" + dots + "\"\nvalues = [1]\n").substr(0, 35),
            "W/sweeps/a.toml:5:11: \"a.a.a.a.a.a.");
}

TEST_F(LoadSweep, AGridThatNobodyCanRunIsRefused) {
  std::string text = "runs = 10000\n";
  for (int axis = 0; axis < 20; ++axis) {
    text += "[[axis]]\nname = \"a" + std::to_string(axis) + "\"\nkey = \"data.seed\"\nvalues = [";
    for (int value = 0; value < 40; ++value) text += std::to_string(value) + ", ";
    text += "]\n";
  }
  EXPECT_EQ(
      fault(text),
      "W/sweeps/a.toml: has more than 100,000 cells; split it, or leave values out with --only");
}

TEST_F(LoadSweep, TheSchemaOfSweepFilesIsASchema) {
  EXPECT_EQ(schema_faults("sweep.schema.json", {{"axis", {{{"name", "x"}}}}}), "");
  EXPECT_NE(schema_faults("sweep.schema.json", {{"axis", {{{"nmae", "x"}}}}}), "");
  EXPECT_NE(schema_faults("sweep.schema.json", json::object()), "");
}

}  // namespace
}  // namespace dbsa
