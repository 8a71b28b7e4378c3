// What labels are taken for what, in records and in the files of a report.
#include <gmock/gmock.h>

#include <set>

#include "report/report.h"
#include "report/row_picture.h"
#include "tests/cli/schema_judge.h"
#include "tests/report/records.h"
#include "tests/support/text.h"

namespace dbsa {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

// Answers of a record: expected and given label; "" for an error.
json record_of(const std::vector<std::pair<std::string, std::string>>& answers) {
  json record = make_record({});
  json queries = json::array();
  int64_t correct = 0;
  for (size_t i = 0; i < answers.size(); ++i) {
    json query = record.at("queries")[i % 100];
    query["text"] = "text " + std::to_string(i);
    query["expected"] = answers[i].first;
    query["correct"] = answers[i].first == answers[i].second;
    query["label"] = answers[i].second;
    if (answers[i].second.empty()) {
      query.erase("label");
      query["error"] = {{"code", "too_long"}, {"message", "m"}};
    }
    correct += answers[i].first == answers[i].second ? 1 : 0;
    queries.push_back(std::move(query));
  }
  const auto count = static_cast<int64_t>(answers.size());
  record["queries"] = std::move(queries);
  record["totals"]["queries"] = record["totals"]["labelled"] = count;
  record["totals"]["accuracy"] = static_cast<double>(correct) / static_cast<double>(count);
  return record;
}

Report report_of(std::vector<ReportRun> runs) {
  StudyInput input;
  input.title = "Runs";
  input.runs = std::move(runs);
  Report report{"Title", {}, {}, {}};
  report.studies.push_back(analyse_study(std::move(input)));
  return report;
}

TEST(ReportConfusions, AreReadFromTheQueries) {
  json record = record_of({{"a", "a"}, {"a", "b"}, {"b", ""}, {"b", "b"}, {"c", "a"}});
  // Of several right labels the record has the first; a withheld label counts as given.
  record["queries"][3]["expected"] = "other name of b";
  record["queries"][4]["label"] = nullptr;
  record["queries"][4]["abstained_label"] = "a";
  const ReportRun run = read_run(record);
  EXPECT_EQ(run.confusion.answers(), 5);
  EXPECT_EQ(run.confusion.count("a", "a"), 1);
  EXPECT_EQ(run.confusion.count("a", "b"), 1);
  EXPECT_EQ(run.confusion.count("b", ""), 1);
  EXPECT_EQ(run.confusion.count("b", "b"), 1);
  EXPECT_EQ(run.confusion.count("c", "a"), 1);
  record["config"]["decoding"] = {{"method", "free"}};
  EXPECT_TRUE(read_run(record).confusion.empty());
}

TEST(ReportConfusions, AreOfARunOfEachDraw) {
  const json once = with_identity(record_of({{"a", "a"}, {"b", "a"}}));
  json other = make_record({.seed = 2});
  other["queries"] = once["queries"];
  other["totals"] = once["totals"];
  const Report report = report_of({read_run(once), read_run(once), read_run(with_identity(other))});
  ASSERT_EQ(report.studies[0].groups.size(), 1u);
  EXPECT_EQ(report.studies[0].groups[0].confusion.count("b", "a"), 2);
  const json out = report_json(report);
  EXPECT_EQ(schema_faults("report.schema.json", out), "");
  const json& labels = out.at("studies")[0].at("groups")[0].at("labels");
  EXPECT_EQ(labels.at("answers"), 4);
  EXPECT_EQ(labels.at("scores")[0], (json{{"label", "a"},
                                          {"expected", 2},
                                          {"given", 4},
                                          {"right", 2},
                                          {"precision", 0.5},
                                          {"recall", 1.0},
                                          {"f1", 2.0 / 3}}));
  EXPECT_EQ(labels.at("scores")[1].at("precision"), nullptr);
  EXPECT_EQ(labels.at("confusions"),
            json::array({json{{"expected", "b"}, {"given", "a"}, {"count", 2}}}));
}

TEST(ReportConfusions, FewLabelsAreAllShownBesideWhatTheyAreTakenFor) {
  ConfusionMatrix confusion;
  confusion.add("a", "a", 9);
  confusion.add("a", "d", 5);
  confusion.add("d", "c", 2);
  confusion.add("b", "b", 1);
  confusion.add("d", "", 1);
  const ReportMatrix matrix = shown_matrix(confusion);
  EXPECT_THAT(matrix.rows, ElementsAre("a", "d", "c", "b"));
  EXPECT_THAT(matrix.columns, ElementsAre("a", "d", "c", "b", "no answer"));
  EXPECT_EQ(matrix.labels, 4u);
  EXPECT_THAT(matrix.counts[0], ElementsAre(9, 5, 0, 0, 0));
  EXPECT_THAT(matrix.counts[1], ElementsAre(0, 0, 2, 0, 1));
  EXPECT_EQ(matrix.most_wrong, 5);
}

// 151 labels: those of the largest confusions, and every answer is counted somewhere.
TEST(ReportConfusions, ManyLabelsAreCountedTogether) {
  ConfusionMatrix confusion;
  for (int i = 0; i < 151; ++i) {
    const std::string label = "label " + std::to_string(i);
    confusion.add(label, label, 7);
    confusion.add(label, "label " + std::to_string((i + 1) % 151), i < 15 ? 4 : 1);
  }
  const ReportMatrix matrix = shown_matrix(confusion);
  EXPECT_EQ(matrix.labels, 20u);
  ASSERT_EQ(matrix.rows.size(), 21u);
  EXPECT_EQ(matrix.rows.back(), "other labels");
  const std::set<std::string> shown(matrix.rows.begin(), matrix.rows.end());
  for (int i = 0; i < 16; ++i) EXPECT_TRUE(shown.contains("label " + std::to_string(i))) << i;
  int64_t answers = 0;
  for (const std::vector<int64_t>& row : matrix.counts)
    for (const int64_t count : row) answers += count;
  EXPECT_EQ(answers, confusion.answers());
  for (size_t i = 0; i < 20; ++i) EXPECT_EQ(matrix.counts[i][i], 7);
}

TEST(ReportConfusions, AMatrixOfOneLabel) {
  ConfusionMatrix confusion;
  confusion.add("a", "a");
  EXPECT_THAT(shown_matrix(confusion).rows, ElementsAre("a"));
  EXPECT_EQ(shown_matrix(confusion).most_wrong, 0);
  EXPECT_TRUE(shown_matrix({}).rows.empty());
}

// Labels are data of strangers.
TEST(ReportConfusions, HostileLabelsAreText) {
  const std::string script = "<script>alert(1)</script>\"'", turned = "\u202Egpj.exe",
                    right_to_left = "תווית", wide(3000, 'w');
  const Report report = report_of({read_run(record_of({{script, turned},
                                                       {turned, right_to_left},
                                                       {right_to_left, wide},
                                                       {wide, script},
                                                       {"a|b", "\n"}}))});
  const ReportDocument document = report_document(report);
  const std::string page = report_html(document);
  EXPECT_EQ(count_of(page, "<script"), 1u);  // our own
  EXPECT_THAT(page, HasSubstr("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;"));
  EXPECT_THAT(page, Not(HasSubstr("\u202E")));
  EXPECT_THAT(page, HasSubstr(right_to_left));
  EXPECT_THAT(report_markdown(document), HasSubstr("\\<script\\>alert(1)\\</script\\>"));
  EXPECT_EQ(schema_faults("report.schema.json", report_json(report)), "");
}

TEST(ReportConfusions, ThePageHasAMatrixAndItsTables) {
  const Report report = report_of(
      {read_run(record_of({{"a", "a"}, {"a", "b"}, {"a", "b"}, {"b", "b"}, {"b", "a"}}))});
  const std::string page = report_html(report_document(report));
  EXPECT_THAT(page, HasSubstr("<details><summary>bank</summary>"));
  EXPECT_THAT(page, HasSubstr("<tr><th scope=\"row\">1 a</th><td class=\"right\" "
                              "style=\"--h:0.33\">1</td><td class=\"wrong\" "
                              "style=\"--h:1.00\">2</td></tr>"));
  EXPECT_THAT(page, HasSubstr("<td data-t=\"expected\">a</td><td data-t=\"given\">b</td><td "
                              "class=\"n\" data-t=\"answers\">2</td><td class=\"n\" data-t=\"of "
                              "those that expect it\">66.7 %</td>"));
  const std::string text = report_markdown(report_document(report));
  EXPECT_THAT(text, HasSubstr("| bank | 2 | a | 0.400 | a → b | 2 |\n"));
  EXPECT_THAT(text, Not(HasSubstr("Each label:")));
}

TEST(RowPicture, TicksAreRoundAndHoldAllValues) {
  for (const auto& [low, high] : std::vector<std::pair<double, double>>{
           {0, 1}, {0.16, 0.596}, {0, 187}, {0.3, 0.3}, {0, 0}, {3, 3.0001}, {0, 2e18}}) {
    const std::vector<double> ticks = round_ticks(low, high);
    ASSERT_GE(ticks.size(), 3u) << low << " " << high;
    EXPECT_LE(ticks.size(), 8u) << low << " " << high;
    EXPECT_LE(ticks.front(), low + 1e-9 * (1 + low));
    EXPECT_GE(ticks.back(), high - 1e-9 * (1 + high)) << low;
  }
  EXPECT_THAT(round_ticks(0, 1), ElementsAre(0, 0.2, 2 * 0.2, 3 * 0.2, 4 * 0.2, 1));
}

TEST(RowPicture, ShapesLieWhereTheirValuesAre) {
  RowPicture picture;
  picture.high = 10;
  picture.unit = "ms";
  picture.rows = {{"<one>", 2, "7.50 ms", {{0, 5, 1}, {5, 7.5, 3}}},
                  {"two", 0, "", {}, Interval{2, 4}, 3.0, 5.0}};
  const std::string drawn = draw_rows(picture);
  EXPECT_THAT(drawn, HasSubstr("&lt;one&gt;</span><span class=\"v\">7.50 ms</span>"));
  EXPECT_THAT(drawn, HasSubstr("<rect x=\"0.00%\" y=\"3\" width=\"50.00%\" height=\"14\" "
                               "fill=\"var(--stage1)\"/><rect x=\"50.00%\" y=\"3\" "
                               "width=\"25.00%\" height=\"14\" fill=\"var(--stage3)\"/>"));
  EXPECT_THAT(drawn, HasSubstr("<line x1=\"20.00%\" x2=\"40.00%\""));
  EXPECT_THAT(drawn, HasSubstr("<circle cx=\"30.00%\""));
  EXPECT_THAT(drawn, HasSubstr("<text x=\"50.00%\""));
  EXPECT_THAT(drawn, HasSubstr(">10 ms</text>"));
}

}  // namespace
}  // namespace dbsa
