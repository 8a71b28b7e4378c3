// Texts of records in HTML, Markdown, CSV and gnuplot.
#include "report/text.h"
#include "report/plot_script.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "icl/csv.h"
#include "report/gnuplot.h"

namespace dbsa {
namespace {

TEST(ReportText, Html) {
  EXPECT_EQ(html_text("<script>\"a\" & 'b'\x01\n</script>"),
            "&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39;  &lt;/script&gt;");
  EXPECT_EQ(html_text("näïve …"), "näïve …");
}

TEST(ReportText, Markdown) {
  EXPECT_EQ(markdown_text("a|b\n[c](d) <e> *f* `g` _h_ ~i~ $j$ &amp; \\"),
            "a\\|b \\[c\\](d) \\<e\\> \\*f\\* \\`g\\` \\_h\\_ \\~i\\~ \\$j\\$ \\&amp; \\\\");
}

TEST(ReportText, CsvReadsBack) {
  EXPECT_EQ(csv_field("plain text"), "plain text");
  EXPECT_EQ(csv_field("a,\"b\"\nc"), "\"a,\"\"b\"\"\nc\"");
  EXPECT_EQ(csv_field("a;b"), "\"a;b\"");
  const std::vector<std::string> fields = {"a,b", "\"", "x\r\ny", "", "ä"};
  std::string line;
  for (size_t i = 0; i < fields.size(); ++i) line += (i > 0 ? "," : "") + csv_field(fields[i]);
  CsvReader reader(line, "test.csv");
  std::vector<std::string> read;
  ASSERT_TRUE(*reader.next(read));
  EXPECT_EQ(read, fields);
}

TEST(ReportText, ATextOfCsvIsNoFormula) {
  for (const char* text : {"=1+1", "+1", "-x", "@A1", " =1", "\t=1", "\u00a0=1", "\uff1d1"})
    EXPECT_THAT(csv_field(text),
                testing::AnyOf(std::string("'") + text, std::string("\"'") + text + "\""));
  for (const char* number : {"-1", "-0.25", "-1e3", "12"}) EXPECT_EQ(csv_field(number), number);
  EXPECT_EQ(csv_field("a=b"), "a=b");
}

TEST(ReportText, NothingDrivesATerminalOrTurnsText) {
  const std::string name("a\x1b[2J\0b\u202ec\u2066d\u009be\u2028f", 22);
  for (const std::string& text : {html_text(name), gnuplot_text(name), csv_field(name)})
    EXPECT_THAT(text, testing::HasSubstr("a [2J b c d e f"));
  EXPECT_EQ(markdown_text(name), "a \\[2J b c d e f");
  EXPECT_EQ(csv_field("a\tb\r\nc"), "\"a\tb\r\nc\"") << "a field may hold line ends";
}

TEST(ReportText, ATickIsNoFormat) {
  EXPECT_EQ(gnuplot_tick("30 % of x's", 2),
            "'30 %% of x'"
            "'s' 2");
}

TEST(ReportText, WhatIntervalsCover) {
  EXPECT_EQ(covers_text({true, true}, "draws"), "draws and queries");
  EXPECT_EQ(covers_text({true, false}, "runs"), "runs");
  EXPECT_EQ(covers_text({false, true}, "draws"), "queries");
}

TEST(ReportText, Gnuplot) {
  EXPECT_EQ(gnuplot_text("it's `id` $x \\ \n {_a}"), "'it''s `id` $x \\   {_a}'");
}

TEST(ReportText, CutInTheMiddleBetweenCodePoints) {
  EXPECT_EQ(cut_text("äöüß", 4), "äöüß");
  EXPECT_EQ(cut_text("äöüßé", 4), "äö…é");
  EXPECT_EQ(cut_text("0123456789", 5), "01…89");
  EXPECT_EQ(cut_text("0123456789", 1), "…");
}

TEST(ReportText, Numbers) {
  EXPECT_EQ(fixed(0.8434, 3), "0.843");
  EXPECT_EQ(fixed(-0.0001, 2), "0.00");
  EXPECT_EQ(significant(12.345, 3), "12.3");
  EXPECT_EQ(significant(0.0012345, 3), "0.00123");
  EXPECT_EQ(significant(1234.5, 3), "1,234");
  EXPECT_EQ(significant(0, 3), "0");
  EXPECT_EQ(grouped(1234567), "1,234,567");
  EXPECT_EQ(grouped(-1234), "-1,234");
  EXPECT_EQ(exact(0.1), "0.1");
  EXPECT_EQ(with_interval({2, 0.5, {}, Interval{0.4, 0.6}, {}}, 2), "0.50 (0.40 to 0.60)");
}

TEST(Gnuplot, HostileTextIsDrawnAndDoesNothingElse) {
  const std::string name = "a<b> & 'c' `touch /tmp/x` \"; system('x') # \\n $d {_e}";
  const auto svg = run_gnuplot("set terminal svg noenhanced\nset title " + gnuplot_text(name) +
                               "\nplot [0:1] x notitle\n");
  ASSERT_TRUE(svg.ok()) << svg.error().message;
  EXPECT_NE(svg->find("a&lt;b> &amp; 'c' `touch /tmp/x` \"; system('x') # \\n $d {_e}"),
            std::string::npos);
}

TEST(Gnuplot, FaultsAreNamed) {
  const auto missing = run_gnuplot("", "no-such-gnuplot");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, ErrorCode::kEnvironment);
  EXPECT_EQ(missing.error().message,
            "no-such-gnuplot: not found; it draws the plots of a report: install the package "
            "gnuplot-nox");
  const auto failed = run_gnuplot("plot nonsense(\n");
  ASSERT_FALSE(failed.ok());
  EXPECT_TRUE(failed.error().message.starts_with("gnuplot: ended with an error: "))
      << failed.error().message;
}

TEST(Gnuplot, InlinedPlotsDoNotShareIds) {
  const std::string svg =
      "<?xml version=\"1.0\"?>\n<svg width=\"6\" viewBox=\"0 0 6 3\" xmlns=\"http://x\">\n"
      "<title>T</title><desc>D</desc><defs><circle id='p'/><use xlink:href='#p' id=\"q\"/></defs>"
      "<text> id='p' </text><g clip-path=\"url(#c)\"/></svg>";
  EXPECT_EQ(inline_svg(svg, "s0-", "A \"label\""),
            "<svg viewBox=\"0 0 6 3\" width=\"100%\" role=\"img\" aria-label=\"A "
            "&quot;label&quot;\">\n<defs><circle id='s0-p'/><use xlink:href='#s0-p' "
            "id=\"s0-q\"/></defs><text> id='p' </text><g clip-path=\"url(#s0-c)\"/></svg>");
  EXPECT_EQ(inline_svg("no picture", "a", "b"), "");
}

TEST(ReportText, TicksShowTheirValuesWithoutIdleZeros) {
  const auto ticks = [](double value) {
    Range range;
    range.add(0);
    range.add(2 * value);
    return value_ticks({value}, range, /*logarithmic=*/false);
  };
  EXPECT_THAT(ticks(0.05), testing::HasSubstr("('0.05' 0.05"));
  EXPECT_THAT(ticks(0.5), testing::HasSubstr("('0.5' 0.5"));
  EXPECT_THAT(ticks(620.4), testing::HasSubstr("('620' 620.4"));
  EXPECT_THAT(ticks(300.3), testing::HasSubstr("('300' 300.3"));
  EXPECT_THAT(ticks(9.999), testing::HasSubstr("('10' 9.999"));
  EXPECT_THAT(ticks(20), testing::HasSubstr("('20' 20"));
}

}  // namespace
}  // namespace dbsa
