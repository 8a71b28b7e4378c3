// Plugins of another author: what is used again, by every command, when a key of theirs changes or
// their revision is raised. tests/pipeline/identity_test.cc has the built-in ones, key by key.
#include <gmock/gmock.h>

#include <filesystem>
#include <ostream>

#include "tests/cli/cli_fixture.h"

namespace dbsa {
namespace {

using nlohmann::json;
using testing::HasSubstr;
namespace fs = std::filesystem;

// What is changed, and what that changes.
struct Change {
  const char* name;
  const char* revision;  // folder of the plugins
  const char* setting;   // or ""
  bool answers;          // whether answers may differ, and so nothing is one with what was before
  bool blocks;           // whether other blocks are made
};

std::ostream& operator<<(std::ostream& out, const Change& change) { return out << change.name; }

class ThirdPartyTest : public CliTest, public testing::WithParamInterface<Change> {
 protected:
  void SetUp() override {
    make_pipeline();
    workspace_.write("sweep.toml",
                     "base = \"pipeline.toml\"\noutput.directory = \"sweep\"\n"
                     "[[axis]]\nname = \"share\"\nkey = \"selection.ratio\"\n"
                     "values = [0.5, 1.0]\n");
  }

  // A command with the plugins and a change.
  ProcessResult with(Words words, const char* revision, const char* setting) const {
    for (const char* plugin :
         {"block_grouper.plugin=acme.block_grouper.ordered",
          "mask_pattern.plugin=acme.mask_pattern.own", "retriever.plugin=acme.retriever.length"}) {
      words.emplace_back("--set");
      words.emplace_back(plugin);
    }
    if (*setting != '\0') {
      words.emplace_back("--set");
      words.emplace_back(setting);
    }
    return with_plugins(std::move(words), revision);
  }
  ProcessResult with_plugins(Words words, const char* revision) const {
    words.emplace_back("--plugin-path");
    words.push_back(std::string(DBSA_THIRD_PARTY_DIR) + "/" + revision);
    return cli(words);
  }

  json run(const char* revision, const char* setting) const {
    const ProcessResult result = with({"run", path("pipeline.toml"), "--json"}, revision, setting);
    EXPECT_EQ(result.exit_code, 0) << result.error;
    if (result.exit_code != 0) return {};
    return json::parse(workspace_.read(
        fs::relative(json::parse(result.out).at("record").get<std::string>(), path()).string()));
  }
};

TEST_P(ThirdPartyTest, WhatDependsOnAChangeIsMadeAgainAndNothingElse) {
  const Change& change = GetParam();
  const json before = run("1", "");
  const int64_t blocks = before.at("encode").at("blocks");
  ASSERT_EQ(before.at("encode").at("blocks_encoded"), blocks);
  ASSERT_EQ(with({"sweep", path("sweep.toml"), "--quiet"}, "1", "").exit_code, 0);
  ASSERT_EQ(with({"query", path("pipeline.toml"), "card"}, "1", "").exit_code, 0);

  const ProcessResult query =
      with({"query", path("pipeline.toml"), "card"}, change.revision, change.setting);
  EXPECT_EQ(query.exit_code, change.answers ? 2 : 0) << query.error;
  if (change.answers) {
    EXPECT_THAT(query.error, HasSubstr("dbsa-pipe encode"));
  }

  const ProcessResult sweep = with({"sweep", path("sweep.toml")}, change.revision, change.setting);
  EXPECT_THAT(sweep.out, HasSubstr(change.answers ? "2: 2 run, 0 had a record, 0 failed"
                                                  : "2: 0 run, 2 had a record, 0 failed"))
      << sweep.error;

  const json after = run(change.revision, change.setting);
  EXPECT_EQ(after.at("encode").at("pool_id") != before.at("encode").at("pool_id"), change.answers);
  // The sweep has encoded them, in the same store.
  EXPECT_EQ(after.at("encode").at("blocks_encoded"), 0);
  for (const char* part : {"run", "group"})
    EXPECT_EQ(after.at("identity").at(part) != before.at("identity").at(part), change.answers)
        << part;

  const ProcessResult verify = cli({"store", "list", path("store"), "--json"});
  ASSERT_EQ(verify.exit_code, 0) << verify.error;
  EXPECT_EQ(json::parse(verify.out).at("blocks").size() > static_cast<size_t>(blocks),
            change.blocks)
      << "blocks of the same content and mask are shared";

  const ProcessResult report = cli({"report", path("runs"), "--json", "--no-plots"});
  ASSERT_EQ(report.exit_code, 0) << report.error;
  // Rows of a report have times, too, which keys that affect speed change.
  const bool apart = change.answers || *change.setting != '\0';
  EXPECT_EQ(json::parse(report.out).at("studies")[0].at("groups").size(), apart ? 2u : 1u);

  // A record brings its own keys, and finds its plugins' revision or is refused.
  workspace_.write("record.json", before.dump());
  const ProcessResult repeated = with_plugins(
      {"run", "--record", path("record.json"), "--output", path("again")}, change.revision);
  const bool raised = std::string(change.revision) != "1";
  EXPECT_EQ(repeated.exit_code, raised ? 5 : 0) << repeated.error;
  EXPECT_EQ(fs::exists(path("again")), !raised);
  if (raised) {
    EXPECT_THAT(repeated.error, HasSubstr("revision: 1, now 2"));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Changes, ThirdPartyTest,
    testing::Values(Change{"nothing", "1", "", false, false},
                    Change{"revision", "2", "", true, false},
                    Change{"grouper_key", "1", "block_grouper.reversed=true", true, true},
                    Change{"grouper_speed", "1", "block_grouper.pace=2", false, false},
                    Change{"mask_key", "1", "mask_pattern.previous=true", true, true},
                    Change{"mask_speed", "1", "mask_pattern.pace=2", false, false},
                    Change{"retriever_key", "1", "retriever.longest=true", true, false},
                    Change{"retriever_speed", "1", "retriever.pace=2", false, false}),
    [](const auto& change) { return std::string(change.param.name); });

}  // namespace
}  // namespace dbsa
