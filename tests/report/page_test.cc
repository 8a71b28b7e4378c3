// The files of a report.
#include <gmock/gmock.h>

#include <cmath>
#include <regex>
#include <set>

#include "icl/csv.h"
#include "report/html.h"
#include "report/report.h"
#include "tests/cli/schema_judge.h"
#include "tests/report/records.h"
#include "tests/support/text.h"

namespace dbsa {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

// A sweep with failures, plots drawn, and texts that try to break out.
class ReportPage : public testing::Test {
 protected:
  static constexpr const char* kHostile = "<script src='http://x/'>|`a`\n\"é\",</td>";

  Report make(bool plots) {
    const std::string sweep = write_sweep(workspace_, "sweep", 3, {1, 7});
    workspace_.write("sweep/failures/0007.json",
                     nlohmann::json{{"index", 7}, {"exit_code", 4}, {"message", kHostile}}.dump());
    workspace_.write("runs/a.json", make_record({.seed = 1, .mask = kHostile}).dump());
    workspace_.write("runs/b.json", make_record({.seed = 2}).dump());
    auto read = read_report_input(std::vector{sweep, workspace_.path("runs")});
    EXPECT_TRUE(read.ok()) << read.error().message;
    Report report{std::string("Title ") + kHostile, {}, {}, {}};
    for (StudyInput& input : read->studies)
      report.studies.push_back(analyse_study(std::move(input)));
    for (size_t i = 0; plots && i < report.studies.size(); ++i) {
      auto drawn = draw_plots(report.studies[i], "s" + std::to_string(i));
      EXPECT_TRUE(drawn.ok()) << drawn.error().message;
      report.plots.push_back(*drawn);
    }
    return report;
  }

  Workspace workspace_;
};

TEST_F(ReportPage, HtmlNeedsNothingFromOutsideAndRunsItsOwnScriptOnly) {
  const std::string page = report_html(report_document(make(true)));
  EXPECT_EQ(count_of(page, "<script"), 1u);
  EXPECT_THAT(page, HasSubstr("<script>" + page_script() + "</script>"));
  EXPECT_EQ(page_script().find('<'), std::string::npos);
  EXPECT_THAT(page, HasSubstr("default-src 'none'"));
  EXPECT_THAT(page, Not(HasSubstr("<link")));
  EXPECT_THAT(page, Not(HasSubstr("@import")));
  const std::regex outside(R"((src|href)\s*=\s*["']?[^"'#]|url\(\s*["']?[^#"']|\son\w+\s*=)");
  // Only inside tags: a text may say anything.
  for (size_t at = page.find('<'); at != page.npos; at = page.find('<', at + 1)) {
    const std::string tag = std::regex_replace(page.substr(at, page.find('>', at) - at),
                                               std::regex("aria-label=\"[^\"]*\""), "");
    EXPECT_FALSE(std::regex_search(tag, outside)) << tag;
  }
  EXPECT_THAT(page, HasSubstr("&lt;script src=&#39;http://x/&#39;&gt;|`a` &quot;é&quot;,"));
}

TEST_F(ReportPage, IdsAreOfOnePlotEachAndTagsAreBalanced) {
  const std::string page = report_html(report_document(make(true)));
  EXPECT_GE(count_of(page, "<figure>"), 6u);
  std::set<std::string> ids;
  const std::regex id("<[^>]* id=[\"']([^\"']*)");
  for (std::sregex_iterator it(page.begin(), page.end(), id), end; it != end; ++it)
    EXPECT_TRUE(ids.insert((*it)[1]).second) << (*it)[1];
  EXPECT_GT(ids.size(), 50u);
  for (const char* tag : {"figure", "table", "svg", "div", "ul", "li", "tr", "p", "h2", "h3"})
    EXPECT_EQ(
        count_of(page, std::string("<") + tag + ">") + count_of(page, std::string("<") + tag + " "),
        count_of(page, std::string("</") + tag + ">"))
        << tag;
}

TEST_F(ReportPage, ContentsLeadToEverySection) {
  const std::string page = report_html(report_document(make(false)));
  const std::regex link("<li class=\"l[23]\"><a href=\"#(part-[0-9]+)\">([^<]*)</a>");
  size_t links = 0;
  for (std::sregex_iterator it(page.begin(), page.end(), link), end; it != end; ++it, ++links)
    EXPECT_TRUE(page.find(" id=\"" + it->str(1) + "\">" + it->str(2) + "</h") != page.npos)
        << it->str(0);
  EXPECT_EQ(links, count_of(page, "<h2 ") + count_of(page, "<h3 "));
  EXPECT_GE(links, 12u);
}

// gnuplot's own colours would be wrong on a dark ground.
TEST_F(ReportPage, PlotsHaveTheColoursOfThePage) {
  const std::string page = report_html(report_document(make(true)));
  EXPECT_THAT(page, HasSubstr("prefers-color-scheme: dark"));
  EXPECT_THAT(page, HasSubstr("stroke='var(--s0)'"));
  EXPECT_THAT(page, Not(HasSubstr("rgb(")));
  EXPECT_THAT(page, Not(HasSubstr("black")));
  EXPECT_THAT(page, Not(HasSubstr("color='white'")));
  // Each variable that is used is there for light, dark and paper.
  const std::regex use("var\\((--[a-z0-9]+)\\)");
  for (std::sregex_iterator it(page.begin(), page.end(), use), end; it != end; ++it)
    if (it->str(1) != "--h") {
      EXPECT_EQ(count_of(page, it->str(1) + ": "), 3u) << it->str(1);
    }
}

// Baseline dense, method 0, at both sizes, in tables and plots.
TEST_F(ReportPage, AMethodHasOneStyle) {
  const Report report = make(true);
  const Study& study = report.studies[0];
  ASSERT_EQ(study.methods, 2u);
  for (const ReportGroup& group : study.groups)
    EXPECT_EQ(group.method, group.values.at("method") == "dense" ? 0u : 1u) << group.name;
  for (const auto* plots : {&report.plots[0].accuracy, &report.plots[0].reliability,
                            &report.plots[0].cost, &report.plots[0].kv})
    for (const Plot& plot : *plots)
      for (const LegendEntry& entry : plot.legend)
        if (entry.mark == LegendEntry::Mark::kSeries) {
          EXPECT_EQ(entry.index, entry.text.starts_with("dense") ? 0u : 1u) << entry.text;
        }
  const std::string page = report_html(report_document(report));
  EXPECT_THAT(page, HasSubstr("data-t=\"method\">" + method_marker(0) + "dense</td>"));
  EXPECT_THAT(page, HasSubstr("data-t=\"method\">" + method_marker(1) + "DBSA</td>"));
}

TEST_F(ReportPage, DifferencesAreTested) {
  const Report report = make(false);
  const json& groups = report_json(report).at("studies")[0].at("groups");
  // Draws 2 and 3 of size 100 (the others failed), 3 of size 200; one query more is right with
  // each.
  const json& test = groups[3].at("accuracy_difference").at("test");
  EXPECT_EQ(test.at("method"), "exact McNemar");
  EXPECT_EQ(test.at("queries"), kRecordQueries);
  EXPECT_EQ(test.at("better"), 0);
  EXPECT_EQ(test.at("worse"), 30);  // 10 of each draw, no text twice
  EXPECT_NEAR(test.at("p").get<double>(), std::pow(2.0, -29), 1e-12);
  EXPECT_EQ(test.at("comparisons"), 1);
  EXPECT_EQ(groups[0].at("accuracy_difference"), nullptr);
  EXPECT_THAT(report_markdown(report_document(report)),
              HasSubstr("accuracy, difference | better | worse | p | p (Holm) |"));
  EXPECT_THAT(report_markdown(report_document(report)), HasSubstr("| 0 | 30 | \\<0.001 |"));
}

TEST_F(ReportPage, MarkdownShowsTheFigures) {
  const std::string text = report_markdown(report_document(make(false)));
  EXPECT_THAT(text, HasSubstr("# Title \\<script src='http://x/'\\>\\|\\`a\\` \"é\","));
  EXPECT_THAT(text,
              HasSubstr("10 of 12 cells ended well, 1 failed, 1 did not run; 4 groups. The "
                        "highest mean accuracy is 0.825 (0.757 to 0.877), of dense · size 100."));
  EXPECT_THAT(text,
              HasSubstr("| method | size | runs | draws | accuracy | 95 % | s.d. | macro-F1 |\n"
                        "|---|---|---:|---:|---:|---:|---:|---:|\n"
                        "| dense | 100 | 2 | 2 | **0.825** | 0.757–0.877 ‡ | 0.007 | 0.825 |\n"));
  // Every line of a table has as many cells as its head.
  EXPECT_THAT(text, HasSubstr("| size: 100 | dense | DBSA | 100 | 5.00 |"));
  EXPECT_THAT(text, HasSubstr("| DBSA | 100 | accuracy | 0.725 |"));
  EXPECT_THAT(text, HasSubstr("| Table 1 |"));
  EXPECT_THAT(text, HasSubstr("| dense/100/1 | 1 | – | has not run |"));
  EXPECT_THAT(text, HasSubstr("Against the group with method = dense"));
}

TEST_F(ReportPage, CsvHasARowForEachGroup) {
  const std::string text = report_csv(make(false));
  CsvReader reader(text, "report.csv");
  std::vector<std::string> head, row;
  ASSERT_TRUE(*reader.next(head));
  size_t rows = 0;
  for (Result<bool> more = reader.next(row); *more; more = reader.next(row)) {
    EXPECT_EQ(row.size(), head.size());
    ++rows;
  }
  EXPECT_EQ(rows, 6u);
  EXPECT_THAT(
      head, testing::IsSupersetOf({"study", "group", "axis method", "runs", "accuracy",
                                   "prefill_mean_s", "request_ratio", "draws", "accuracy_95_covers",
                                   "accuracy_difference", "request_ratio_95_low"}));
}

TEST_F(ReportPage, JsonFollowsItsSchema) {
  const Report report = make(false);
  const nlohmann::json written = report_json(report);
  EXPECT_EQ(schema_faults("report.schema.json", written), "");
  const auto& groups = written.at("studies")[0].at("groups");
  ASSERT_EQ(groups.size(), 4u);
  EXPECT_EQ(groups[0].at("baseline"), true);
  EXPECT_NEAR(groups[2].at("ratios").at("request").at("mean").get<double>(), 0.25, 1e-12);
  nlohmann::json broken = written;
  broken["studies"][0]["groups"][0].erase("accuracy");
  EXPECT_NE(schema_faults("report.schema.json", broken), "");
}

TEST_F(ReportPage, WithoutAccuracyThereIsNoPlotOfIt) {
  Report report{"T", {}, {}, {}};
  StudyInput input;
  input.title = "Runs";
  input.runs = {make_run({.accuracy = std::nullopt, .request = 0, .setup = 0})};
  report.studies.push_back(analyse_study(std::move(input)));
  const auto plots = draw_plots(report.studies[0], "s");
  ASSERT_TRUE(plots.ok()) << plots.error().message;
  EXPECT_TRUE(plots->accuracy.empty());
  EXPECT_TRUE(plots->latency.empty());
  EXPECT_TRUE(plots->cost.empty());
  EXPECT_TRUE(plots->kv.empty());
  EXPECT_EQ(schema_faults("report.schema.json", report_json(report)), "");
}

// Many groups are split over plots that stay readable.
TEST_F(ReportPage, ManyGroupsMakeSeveralPlots) {
  StudyInput input;
  input.title = "Many";
  input.is_sweep = true;
  input.axes = {{"method", {}, false}, {"size", {"100", "200"}, false}};
  for (int i = 0; i < 20; ++i) {
    input.axes[0].values.push_back("m" + std::string(1, static_cast<char>('a' + i)));
    for (const char* size : {"100", "200"})
      input.runs.push_back(make_run({.demonstrations = std::stoll(size)},
                                    {{"method", input.axes[0].values.back()}, {"size", size}}));
  }
  const Study study = analyse_study(std::move(input));
  const auto plots = draw_plots(study, "s");
  ASSERT_TRUE(plots.ok()) << plots.error().message;
  EXPECT_EQ(plots->accuracy.size(), 3u);
  EXPECT_EQ(plots->latency.size(), 2u);
  for (const Plot& plot : plots->accuracy) EXPECT_LE(plot.legend.size(), kMostSeries);
}

}  // namespace
}  // namespace dbsa
