// A report as one HTML page: no script, nothing outside the file.
#include <array>

#include "report/report.h"
#include "report/text.h"

namespace dbsa {
namespace {

// Wide tables and plots scroll inside themselves, so the page never does; paper takes them whole.
constexpr const char* kStyle = R"css(
:root { --ink: #1c1c1c; --soft: #5f5f5f; --line: #d9d9d9; --faint: #f6f6f4; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 2.5rem 1.25rem 4rem; color: var(--ink);
  background: #fff; font: 1rem/1.55 system-ui, "Segoe UI", "Noto Sans", sans-serif; }
h1, h2, h3 { line-height: 1.2; font-weight: 650; overflow-wrap: anywhere; }
h1 { font-size: 1.9rem; margin: 0 0 .8rem; letter-spacing: -.01em; }
h2 { font-size: 1.4rem; margin: 3.2rem 0 .6rem; padding-top: 1rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.1rem; margin: 2.4rem 0 .7rem; }
p { max-width: 42rem; margin: .6rem 0; overflow-wrap: anywhere; }
.lead { font-size: 1.08rem; color: #333; }
.scroll { overflow-x: auto; margin: .8rem 0; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .36rem .8rem .36rem 0; text-align: left; vertical-align: baseline; }
th + th, td + td { padding-left: .8rem; }
thead th { color: var(--soft); font-weight: 550; border-bottom: 1.5px solid var(--ink);
  vertical-align: bottom; }
tbody td { border-bottom: 1px solid var(--line); }
tbody tr:hover td { background: var(--faint); }
.n { text-align: right; }
td.n { white-space: nowrap; }
td:not(.n) { min-width: 6rem; max-width: 24rem; overflow-wrap: break-word; }
figure { margin: 1rem 0 1.4rem; }
figure h4 { margin: 0 0 .2rem; font-size: .95rem; font-weight: 600; overflow-wrap: anywhere; }
.scroll > svg { display: block; min-width: 36rem; height: auto; }
figcaption { color: var(--soft); font-size: .87rem; max-width: 42rem; }
ul.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .15rem 1.2rem; margin: .2rem 0 .5rem;
  padding: 0; font-size: .87rem; }
ul.legend li { display: flex; gap: .4rem; align-items: baseline; overflow-wrap: anywhere; }
ul.legend svg { flex: none; width: .85rem; height: .85rem; position: relative; top: .1rem; }
@media (max-width: 40rem) {
  body { padding: 1.4rem 1rem 3rem; }
  h1 { font-size: 1.5rem; } h2 { font-size: 1.25rem; margin-top: 2.4rem; }
}
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; }
  .scroll { overflow: visible; } figure, tr { break-inside: avoid; }
  h2, h3 { break-after: avoid; } .scroll > svg { min-width: 0; }
}
)css";

// The markers of gnuplot's point types, in the order that the plots use them.
constexpr std::array<const char*, kMostSeries> kMarkers = {
    R"(<circle cx="7" cy="7" r="5"/>)",
    R"(<rect x="2" y="2" width="10" height="10"/>)",
    R"(<path d="M7 1.5 13 12H1z"/>)",
    R"(<path d="M7 12.5 13 2H1z"/>)",
    R"(<path d="M7 .5 13.5 7 7 13.5 .5 7z"/>)",
    R"(<circle cx="7" cy="7" r="4.6" class="o"/>)",
    R"(<rect x="2.4" y="2.4" width="9.2" height="9.2" class="o"/>)",
    R"(<path d="M7 2.5 12 11.4H2z" class="o"/>)"};

std::string marker_of(const LegendEntry& entry) {
  using enum LegendEntry::Mark;
  std::string shape = kMarkers[entry.index % kMarkers.size()];
  std::string colour(series_colour(entry.index));
  if (entry.mark == kStage) {
    shape = R"(<rect x="1" y="1" width="12" height="12"/>)";
    colour = stage_colour(entry.index);
  } else if (entry.mark == kPublished) {
    shape = R"(<path d="M7 1 13 7 7 13 1 7z" class="o"/>)";
    colour = "#4D4D4D";
  } else if (entry.mark == kCrossing) {
    shape = kMarkers[5];
    colour = "#111111";
  }
  const bool open = shape.find("class=\"o\"") != shape.npos;
  return "<svg viewBox=\"0 0 14 14\" aria-hidden=\"true\" fill=\"" + (open ? "none" : colour) +
         "\" stroke=\"" + (open ? colour : "none") + "\" stroke-width=\"1.8\">" + shape + "</svg>";
}

std::string legend_of(const std::vector<LegendEntry>& legend) {
  if (legend.empty()) return "";
  std::string out = "<ul class=\"legend\">\n";
  for (const LegendEntry& entry : legend)
    out += "<li>" + marker_of(entry) + "<span>" + html_text(entry.text) + "</span></li>\n";
  return out + "</ul>\n";
}

std::string part_to_html(const std::string& paragraph) {
  return "<p>" + html_text(paragraph) + "</p>\n";
}

std::string part_to_html(const ReportFigure& figure) {
  if (figure.plot.svg.empty()) return "";
  std::string out = "<figure>\n";
  if (!figure.plot.title.empty()) out += "<h4>" + html_text(figure.plot.title) + "</h4>\n";
  return out + "<div class=\"scroll\" tabindex=\"0\">" + figure.plot.svg + "</div>\n" +
         legend_of(figure.plot.legend) + "<figcaption>" + html_text(figure.caption) +
         "</figcaption>\n</figure>\n";
}

// A column's title, which may break after dots and underscores.
std::string title_to_html(const std::string& title) {
  std::string out;
  for (const char c : html_text(title)) {
    out += c;
    if (c == '.' || c == '_') out += "<wbr>";
  }
  return out;
}

std::string part_to_html(const ReportTable& table) {
  const auto number = [&](size_t i) { return table.columns[i].number ? " class=\"n\"" : ""; };
  std::string out = "<div class=\"scroll\" tabindex=\"0\"><table>\n<thead><tr>";
  for (size_t i = 0; i < table.columns.size(); ++i)
    out += std::string("<th scope=\"col\"") + number(i) + ">" +
           title_to_html(table.columns[i].title) + "</th>";
  out += "</tr></thead>\n<tbody>\n";
  for (const std::vector<ReportCell>& row : table.rows) {
    out += "<tr>";
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string text = html_text(row[i].text);
      out += std::string("<td") + number(i) + ">" +
             (row[i].strong ? "<strong>" + text + "</strong>" : text) + "</td>";
    }
    out += "</tr>\n";
  }
  return out + "</tbody>\n</table></div>\n";
}

}  // namespace

std::string report_html(const ReportDocument& document) {
  std::string out =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>" +
      html_text(document.title) + "</title>\n<style>" + kStyle +
      "</style>\n</head>\n<body>\n<main>\n<h1>" + html_text(document.title) +
      "</h1>\n<p class=\"lead\">" + html_text(document.lead) + "</p>\n";
  for (const ReportSection& section : document.sections) {
    const std::string tag = "h" + std::to_string(section.level);
    out += "<" + tag + ">" + html_text(section.title) + "</" + tag + ">\n";
    for (const ReportPart& part : section.parts)
      out += std::visit([](const auto& value) { return part_to_html(value); }, part);
  }
  return out + "</main>\n</body>\n</html>\n";
}

}  // namespace dbsa
