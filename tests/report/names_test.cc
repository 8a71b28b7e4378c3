// A name is data, whichever file it goes into.
#include <gmock/gmock.h>

#include <algorithm>

#include "icl/csv.h"
#include "report/gnuplot.h"
#include "report/report.h"
#include "tests/cli/schema_judge.h"
#include "tests/report/records.h"
#include "tests/support/text.h"

namespace dbsa {
namespace {

using nlohmann::json;
using testing::HasSubstr;

const std::vector<std::string>& nasty_names() {
  static const std::vector<std::string> names = {
      "DBSA 30 %",
      "%s%n%d %% %g",
      "a_b^c{d}@e",
      "it's \"quoted\" `id` $(id)",
      "two\nlines\r\nand\ttab",
      "naïve 日本 \u2028 end",
      "=1+1",
      "+1+1",
      "-1+1",
      "@SUM(A1)",
      " =1+1",
      "\t=1+1",
      "\uff1d1+1",
      "=HYPERLINK(\"http://x\",\"y\")",
      "a|b||c",
      "``` ~~~ # * _ [x](y) ![i](j)",
      "<b>&amp;</b><script>x()</script>",
      "]]> <!-- --> </title></svg>",
      "../../etc/passwd",
      "/abs/../x",
      "back\\slash\\",
      "semi;colon, comma",
      "'",
      "\"",
      "% ",
      std::string("nul\0byte", 8),
      "#hash # ",
      "1e3 % of 5",
  };
  return names;
}

// Every text that a user or a file can set is the name.
StudyInput study_with(const std::string& name, bool with_quantity) {
  StudyInput input;
  input.title = name;
  input.is_sweep = true;
  input.axes = {{name, {name, "plain"}, false}, {"size", {"100 " + name, "200 " + name}, false}};
  input.baseline = AxisValues{{name, "plain"}};
  input.published = {{{{name, name}}, "accuracy", 0.5, name},
                     {{{name, name}}, "request_ratio", 0.5, name}};
  input.lost = {{name, 1, 3, name}, {name, 2, {}, ""}};
  input.cells = 6;
  for (const std::string& value : {name, std::string("plain")})
    for (const int64_t size : {100, 200}) {
      json record = make_record({.demonstrations = with_quantity ? size : 100});
      record["pipeline"] = "/pipelines/" + name + ".toml";
      record["model"]["path"] = "/models/" + name;
      record["machine"]["cpu"] = name;
      record["totals"]["scores"] = {{name, 0.5}};
      record["config"]["data"]["demonstrations"] = "/data/" + name;
      input.runs.push_back(
          read_run(record, {{name, value}, {"size", std::to_string(size) + " " + name}}));
    }
  return input;
}

Report report_with(const std::string& name, bool with_quantity) {
  Report report{name, {analyse_study(study_with(name, with_quantity))}, {}, {name + ": damaged"}};
  auto plots = draw_plots(report.studies[0], "s0");
  EXPECT_TRUE(plots.ok()) << name << ": " << plots.error().message;
  if (plots.ok()) report.plots.push_back(*std::move(plots));
  return report;
}

// Cells of a table's line: bars without a backslash before them.
size_t bars_of(const std::string& line) {
  size_t bars = 0;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\\')
      ++i;
    else if (line[i] == '|')
      ++bars;
  }
  return bars;
}

void check_markdown(const std::string& text) {
  size_t in_table = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    if (!line.starts_with('|')) {
      in_table = 0;
      continue;
    }
    if (in_table == 0) in_table = bars_of(line);
    EXPECT_EQ(bars_of(line), in_table) << line;
    EXPECT_TRUE(line.ends_with('|')) << line;
  }
  std::string unescaped;
  for (size_t i = 0; i < text.size(); ++i)
    if (text[i] == '\\')
      ++i;
    else
      unescaped += text[i];
  EXPECT_EQ(unescaped.find_first_of("<>`[]~$"), unescaped.npos) << unescaped;
}

void check_html(const std::string& page) {
  EXPECT_EQ(count_of(page, "<script"), 1u);  // the page's own
  for (const char* tag : {"<b>", "<!--"}) EXPECT_EQ(page.find(tag), page.npos) << tag;
  for (const char* tag : {"figure", "table", "svg", "div", "ul", "li", "tr", "p", "h2", "h3"})
    EXPECT_EQ(
        count_of(page, std::string("<") + tag + ">") + count_of(page, std::string("<") + tag + " "),
        count_of(page, std::string("</") + tag + ">"))
        << tag;
}

// Every field reads back, with spaces for control characters and separators of lines, and none is a
// formula.
void check_csv(const std::string& text, std::string name) {
  for (const std::string& unwanted : {std::string("\u2028"), std::string(1, '\0')})
    if (const size_t at = name.find(unwanted); at != name.npos)
      name.replace(at, unwanted.size(), " ");
  CsvReader reader(text, "report.csv");
  std::vector<std::string> row;
  size_t width = 0;
  bool found = false;
  for (Result<bool> more = reader.next(row); more.ok() && *more; more = reader.next(row)) {
    if (width == 0) width = row.size();
    EXPECT_EQ(row.size(), width);
    for (const std::string& field : row) {
      const size_t first = field.find_first_not_of(" \t\r\n");
      if (first == field.npos) continue;
      EXPECT_EQ(std::string("=+@").find(field[first]), std::string::npos) << field;
      EXPECT_TRUE(field[first] != '-' || as_number(field)) << field;
      found = found || field == name || field == "'" + name;
    }
  }
  EXPECT_TRUE(found) << text;
}

TEST(ReportNames, ANastyNameIsDataInEveryFile) {
  if (const auto drawn = run_gnuplot("set terminal svg\nplot x\n"); !drawn.ok())
    GTEST_SKIP() << drawn.error().message;
  bool with_quantity = false;  // in turn: plots of lines, and of rows
  for (const std::string& name : nasty_names()) {
    SCOPED_TRACE(name);
    with_quantity = !with_quantity;
    const Report report = report_with(name, with_quantity);
    const ReportDocument document = report_document(report);
    check_html(report_html(document));
    check_markdown(report_markdown(document));
    check_csv(report_csv(report), name);
    const json out = json::parse(report_json(report).dump());
    EXPECT_EQ(schema_faults("report.schema.json", out), "");
    EXPECT_EQ(out.at("studies")[0].at("axes")[0].at("name"), name);
  }
}

TEST(ReportNames, APercentSignIsDrawnAsOne) {
  const Report report = report_with("DBSA 30 %", false);
  ASSERT_FALSE(report.plots.empty());
  const std::string& svg = report.plots[0].latency.at(0).drawn;
  EXPECT_THAT(svg, HasSubstr("DBSA 30 %"));
  EXPECT_EQ(svg.find("%%"), svg.npos);
}

// A report's own title may come from a command line of any bytes.
TEST(ReportNames, WhatIsNotUtf8IsReplaced) {
  const std::string title = "caf\xe9 \xff";
  const Report report{title, {analyse_study(study_with("plain name", false))}, {}, {title}};
  const ReportDocument document = report_document(report);
  for (const std::string& text : {report_html(document), report_markdown(document)}) {
    EXPECT_EQ(text.find('\xe9'), text.npos);
    EXPECT_THAT(text, HasSubstr("caf\uFFFD \uFFFD"));
  }
}

}  // namespace
}  // namespace dbsa
