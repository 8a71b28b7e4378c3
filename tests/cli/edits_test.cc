// A day's work with 2,000 tickets: a label is corrected, and the program says first what that
// costs.
#include <gmock/gmock.h>

#include <cmath>
#include <set>

#include <dbsa/sdk/random.h>

#include "tests/cli/cli_fixture.h"
#include "tests/cli/schema_judge.h"
#include "tests/support/sanitized.h"

namespace dbsa {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

class EditedTickets : public CliTest {
 protected:
  static constexpr int kTickets = kSanitized ? 400 : 2000;
  static constexpr int kBlocks = 40;

  void SetUp() override {
    make_pipeline();
    edit_pipeline("demonstrations = \"pool.jsonl\"", "demonstrations = \"tickets.csv\"");
    edit_pipeline("block_size = 4", "block_size = " + std::to_string(kTickets / kBlocks));
    edit_pipeline("ratio = 0.5", "count = 8");
    static constexpr const char* kWords[] = {"card", "money", "late", "fee", "pin", "lost", "rate"};
    Random random(7);
    for (int i = 0; i < kTickets; ++i) {
      std::string text;
      for (int word = 0; word < 3; ++word) text += std::string(kWords[random.below(7)]) + " ";
      texts_.push_back(text + std::to_string(i));
      labels_.push_back(label(static_cast<int>(random.below(4))));
    }
    std::string queries;
    for (int i = 0; i < 40; ++i)
      queries +=
          json{{"text", std::string(kWords[i % 7]) + " " + kWords[i / 7]}, {"label", label(i % 4)}}
              .dump() +
          "\n";
    workspace_.write("queries.jsonl", queries);
    write_tickets();
  }

  static std::string label(int number) {
    static constexpr const char* kLabels[] = {"cards", "fees", "other", "loans"};
    return kLabels[number];
  }

  void write_tickets() const {
    std::string table = "text,label\r\n";
    for (size_t i = 0; i < texts_.size(); ++i) table += texts_[i] + "," + labels_[i] + "\r\n";
    workspace_.write("tickets.csv", table);
  }

  void correct(size_t row) {
    labels_[row] = labels_[row] == "other" ? "loans" : "other";
    write_tickets();
  }

  // Another store for each way, so that none finds what another one has encoded.
  Words way(const std::string& edits, const std::string& seed = "0") const {
    return {"--set",    "block_grouper.edits=" + edits,
            "--set",    "kv_store.path=" + path("store-" + edits + seed),
            "--set",    "block_grouper.seed=" + seed,
            "--output", path("runs-" + edits + seed)};
  }

  json validate(const std::string& edits, std::string* said = nullptr) const {
    Words words = {"validate", path("pipeline.toml"), "--json"};
    const Words more = way(edits);
    words.insert(words.end(), more.begin(), more.begin() + 6);  // without --output
    const ProcessResult result = cli(words);
    EXPECT_EQ(result.exit_code, 0) << result.error;
    if (said != nullptr) {
      words.erase(words.begin() + 2);
      *said = cli(words).error;
    }
    return json::parse(result.out);
  }

  json run(const Words& more) const {
    const json record = CliTest::run(more);
    json as_written = record;
    as_written.erase("said");
    EXPECT_EQ(schema_faults("results.schema.json", as_written), "");
    return record;
  }

  // How far the answers of two runs are from each other: mean difference of log-probabilities.
  static double distance(const json& a, const json& b) {
    double sum = 0;
    for (size_t i = 0; i < a.at("queries").size(); ++i)
      sum += std::abs(a.at("queries")[i].at("log_probability").get<double>() -
                      b.at("queries")[i].at("log_probability").get<double>());
    return sum / static_cast<double>(a.at("queries").size());
  }

  static std::set<std::string> given_keys(const json& record) {
    std::set<std::string> keys;
    for (const json& query : record.at("queries"))
      for (const json& block : query.at("blocks")) keys.insert(block.at("key"));
    return keys;
  }

  std::vector<std::string> texts_, labels_;
};

TEST_F(EditedTickets, OneCorrectedLabelUnderAppend) {
  const json first = run(way("append"));
  EXPECT_EQ(first.at("encode").at("blocks_encoded"), kBlocks);
  EXPECT_EQ(first.at("encode").at("encoded_because").at("dealt"), kBlocks);
  EXPECT_TRUE(first.at("encode").at("edit").is_null());
  EXPECT_TRUE(first.at("encode").at("history").is_null());
  EXPECT_EQ(validate("append").at("edit").at("blocks_to_encode"), 0);
  run(way("in_place"));

  correct(123);
  std::string said;
  const json announced = validate("append", &said).at("edit");
  EXPECT_EQ(announced.at("blocks_to_encode"), 1);
  EXPECT_EQ(announced.at("edited_lines"), json({125}));
  EXPECT_EQ(announced.at("retired_blocks"), 1);
  EXPECT_THAT(said, HasSubstr("edit       1 demonstration edited (line 125) since this pool was "
                              "encoded\n"));
  EXPECT_THAT(said, HasSubstr("           encodes 1 of 40 blocks: 1 changed\n"));
  const json edited = run(way("append"));
  EXPECT_THAT(edited.at("said").get<std::string>(), HasSubstr("encodes 1 of 40 blocks: 1 changed"));
  EXPECT_LE(edited.at("encode").at("blocks_encoded"), 2);
  EXPECT_EQ(edited.at("encode").at("blocks_encoded"), announced.at("blocks_to_encode"));
  EXPECT_EQ(edited.at("encode").at("encoded_because"), announced.at("encoded_because"));
  EXPECT_EQ(edited.at("encode").at("edit").at("edited"), 1);
  EXPECT_FALSE(edited.at("encode").at("dealt_at_once"));
  const json history = edited.at("encode").at("history");
  EXPECT_EQ(history.at("edits"), 1);
  ASSERT_EQ(history.at("retired").size(), 1u);
  const std::string retired = history.at("retired")[0].at("key");
  EXPECT_FALSE(given_keys(edited).contains(retired));

  const json list =
      json::parse(cli({"store", "list", path("store-append0"), "--pool", "", "--json"}).out);
  std::vector<std::string> listed;
  for (const json& block : list.at("blocks"))
    if (block.at("retired")) listed.push_back(block.at("key"));
  EXPECT_EQ(listed, std::vector<std::string>{retired});
  EXPECT_THAT(cli({"store", "list", path("store-append0"), "--pool", ""}).out,
              HasSubstr("40 of 40 blocks stored, 1 retired, "));
  const json pools = json::parse(cli({"store", "pools", path("store-append0"), "--json"}).out);
  EXPECT_EQ(pools.at("pools")[0].at("retired_blocks"), 1);
  // It is needed as long as the pool is.
  EXPECT_EQ(cli({"store", "gc", path("store-append0")}).exit_code, 0);
  EXPECT_EQ(
      json::parse(cli({"store", "list", path("store-append0"), "--json"}).out).at("blocks").size(),
      static_cast<size_t>(kBlocks) + 1);
  EXPECT_EQ(run(way("append")).at("encode").at("blocks_encoded"), 0);

  // In place more is encoded, as much as was announced; the answers are nearly the same ones. The
  // yardstick is another draw of the blocks.
  const json announced_in_place = validate("in_place").at("edit");
  const json in_place = run(way("in_place"));
  EXPECT_GT(in_place.at("encode").at("blocks_encoded"), 2);
  EXPECT_EQ(in_place.at("encode").at("blocks_encoded"), announced_in_place.at("blocks_to_encode"));
  EXPECT_EQ(in_place.at("encode").at("encoded_because"), announced_in_place.at("encoded_because"));
  EXPECT_LT(distance(edited, in_place), distance(run(way("in_place", "1")), in_place));
  EXPECT_NE(edited.at("identity").at("draw"), in_place.at("identity").at("draw"));

  Words regroup = way("append");
  regroup.emplace_back("--regroup");
  const json regrouped = run(regroup);
  EXPECT_TRUE(regrouped.at("encode").at("history").is_null());
  EXPECT_TRUE(regrouped.at("encode").at("dealt_at_once"));
  EXPECT_THAT(cli({"store", "list", path("store-append0"), "--pool", ""}).out,
              Not(HasSubstr("retired")));
}

TEST_F(EditedTickets, InPlaceTheAnnouncedCountIsTheEncodedOne) {
  run(way("in_place"));
  const auto expect_as_announced = [&](const char* what) {
    const json announced = validate("in_place").at("edit");
    const json record = run(way("in_place"));
    EXPECT_EQ(record.at("encode").at("blocks_encoded"), announced.at("blocks_to_encode")) << what;
    EXPECT_EQ(record.at("encode").at("encoded_because"), announced.at("encoded_because")) << what;
    EXPECT_EQ(record.at("encode").at("edit").at("removed"), announced.at("removed")) << what;
    EXPECT_GT(record.at("encode").at("blocks_encoded"), 0) << what;
  };
  correct(kTickets - 1);
  expect_as_announced("a label");
  for (const size_t row : {size_t{3}, size_t{7 * kTickets / 20}, size_t{3 * kTickets / 4}})
    texts_[row] += " and more";
  write_tickets();
  expect_as_announced("texts");
  texts_.erase(texts_.begin() + 40, texts_.begin() + 45);
  labels_.erase(labels_.begin() + 40, labels_.begin() + 45);
  write_tickets();
  expect_as_announced("rows removed");
  for (int i = 0; i < 60; ++i) {
    texts_.insert(texts_.begin() + 100, "new ticket " + std::to_string(i));
    labels_.insert(labels_.begin() + 100, label(i % 4));
  }
  write_tickets();
  expect_as_announced("rows added");
}

TEST_F(EditedTickets, AStoreInMemoryIsToldThatItHasNoPoolToEdit) {
  std::string text = workspace_.read("pipeline.toml");
  const std::string store = "path = \"store\"";
  text.replace(text.find(store), store.size(), "plugin = \"memory\"");
  const std::string size = "block_size = " + std::to_string(kTickets / kBlocks);
  text.replace(text.find(size), size.size(), size + "\nedits = \"append\"");
  workspace_.write("pipeline.toml", text);
  const ProcessResult result = cli({"validate", path("pipeline.toml")});
  EXPECT_EQ(result.exit_code, 0) << result.error;
  EXPECT_THAT(result.error,
              HasSubstr("block_grouper.edits: has no effect: this store is not kept between runs, "
                        "so each run has the blocks of a new store, as with \"in_place\""));
}

}  // namespace
}  // namespace dbsa
