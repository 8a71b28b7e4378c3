// A report as one HTML page: nothing outside the file, and a script that it is whole without.
#include "report/html.h"

#include <algorithm>
#include <array>

#include "report/report.h"
#include "report/text.h"

namespace dbsa {
namespace {

// The markers of gnuplot's point types, in the order that the plots use them.
constexpr std::array<const char*, 8> kMarkers = {
    R"(<circle cx="7" cy="7" r="5"/>)",
    R"(<rect x="2" y="2" width="10" height="10"/>)",
    R"(<path d="M7 1.5 13 12H1z"/>)",
    R"(<path d="M7 12.5 13 2H1z"/>)",
    R"(<path d="M7 .5 13.5 7 7 13.5 .5 7z"/>)",
    R"(<circle cx="7" cy="7" r="4.6" class="o"/>)",
    R"(<rect x="2.4" y="2.4" width="9.2" height="9.2" class="o"/>)",
    R"(<path d="M7 2.5 12 11.4H2z" class="o"/>)"};

std::string marker(const std::string& shape, const std::string& colour) {
  const bool open = shape.find("class=\"o\"") != shape.npos;
  return "<svg class=\"m\" viewBox=\"0 0 14 14\" aria-hidden=\"true\" fill=\"" +
         (open ? "none" : colour) + "\" stroke=\"" + (open ? colour : "none") +
         "\" stroke-width=\"1.8\">" + shape + "</svg>";
}

std::string marker_of(const LegendEntry& entry) {
  using enum LegendEntry::Mark;
  switch (entry.mark) {
    case kSeries:
      return method_marker(entry.index);
    case kInterval:
      return marker(kMarkers[0], "var(--ink)");
    case kStage:
      return marker(R"(<rect x="1" y="1" width="12" height="12"/>)", stage_colour(entry.index));
    case kPublished:
      return marker(R"(<path d="M7 1 13 7 7 13 1 7z" class="o"/>)", "var(--ink)");
    case kCrossing:
      break;
  }
  return marker(kMarkers[5], "var(--ink)");
}

std::string legend_of(const std::vector<LegendEntry>& legend) {
  if (legend.empty()) return "";
  std::string out = "<ul class=\"legend\">\n";
  for (const LegendEntry& entry : legend)
    out += "<li>" + marker_of(entry) + "<span>" + html_text(entry.text) + "</span></li>\n";
  return out + "</ul>\n";
}

std::string part_to_html(const std::string& paragraph, const std::string&) {
  return "<p>" + html_text(paragraph) + "</p>\n";
}

std::string part_to_html(const ReportFigure& figure, const std::string&) {
  if (figure.plot.drawn.empty()) return "";
  std::string out = "<figure>\n";
  if (!figure.plot.title.empty()) out += "<h4>" + html_text(figure.plot.title) + "</h4>\n";
  return out + figure.plot.drawn + "\n" + legend_of(figure.plot.legend) + "<figcaption>" +
         html_text(figure.caption) + "</figcaption>\n</figure>\n";
}

// A name, which may break after dots and underscores.
std::string title_to_html(const std::string& title) {
  std::string out;
  for (const char c : html_text(title)) {
    out += c;
    if (c == '.' || c == '_') out += "<wbr>";
  }
  return out;
}

// Before what may be wider than the page. `kind`: its class beside "scroll".
std::string begin_scroll(const std::string& kind, const std::string& section) {
  return "<div class=\"" + kind + "scroll\" tabindex=\"0\" role=\"group\" aria-label=\"" +
         html_text(section) + ": table\">";
}

std::string cell_to_html(const ReportCell& cell, const ReportTable::Column& column) {
  const std::string text = html_text(cell.text);
  return std::string("<td") + (column.number ? " class=\"n\"" : "") + " data-t=\"" +
         html_text(column.title) + "\">" + (cell.method ? method_marker(*cell.method) : "") +
         (cell.strong ? "<strong>" + text + "</strong>" : text) + "</td>";
}

std::string part_to_html(const ReportTable& table, const std::string& section) {
  std::string out = begin_scroll("table ", section) + "<table>\n<thead><tr>";
  for (const ReportTable::Column& column : table.columns)
    out += std::string("<th scope=\"col\"") + (column.number ? " class=\"n\"" : "") + ">" +
           title_to_html(column.title) + "</th>";
  out += "</tr></thead>\n<tbody>\n";
  for (const std::vector<ReportCell>& row : table.rows) {
    out += "<tr>";
    for (size_t i = 0; i < row.size(); ++i) out += cell_to_html(row[i], table.columns[i]);
    out += "</tr>\n";
  }
  return out + "</tbody>\n</table></div>\n";
}

// A cell's colour, and how strong it is, from 0 to 1: right answers by their share of what is
// expected, wrong ones beside the most frequent confusion. What is counted together is both.
std::string shade_of(const ReportMatrix& matrix, size_t row, size_t column, int64_t expected) {
  if (row == column && row == matrix.labels) return "";
  const bool right = row == column;
  const auto most = static_cast<double>(right ? expected : std::max<int64_t>(1, matrix.most_wrong));
  const double strength = std::min(1.0, static_cast<double>(matrix.counts[row][column]) / most);
  return std::string(" class=\"") + (right ? "right" : "wrong") +
         "\" style=\"--h:" + fixed(strength, 2) + "\"";
}

// Columns have the numbers of the rows: names of labels are too long to stand above them.
std::string part_to_html(const ReportMatrix& matrix, const std::string& section) {
  std::string out = begin_scroll("", section) +
                    "<table class=\"matrix\">\n<thead><tr><th scope=\"col\">expected "
                    "\\ given</th>";
  for (size_t i = 0; i < matrix.columns.size(); ++i)
    out += "<th scope=\"col\" aria-label=\"" + html_text(matrix.columns[i]) + "\" title=\"" +
           html_text(matrix.columns[i]) + "\">" +
           (i < matrix.labels ? std::to_string(i + 1) : html_text(matrix.columns[i])) + "</th>";
  out += "</tr></thead>\n<tbody>\n";
  for (size_t row = 0; row < matrix.rows.size(); ++row) {
    out += "<tr><th scope=\"row\">" +
           (row < matrix.labels ? std::to_string(row + 1) + " " : std::string()) +
           title_to_html(matrix.rows[row]) + "</th>";
    int64_t expected = 0;
    for (const int64_t count : matrix.counts[row]) expected += count;
    for (size_t column = 0; column < matrix.columns.size(); ++column) {
      const int64_t count = matrix.counts[row][column];
      out += "<td" + (count > 0 ? shade_of(matrix, row, column, expected) : "") + ">" +
             (count > 0 ? grouped(static_cast<double>(count)) : "") + "</td>";
    }
    out += "</tr>\n";
  }
  return out + "</tbody>\n</table></div>\n";
}

std::string id_of(size_t section) { return "part-" + std::to_string(section + 1); }

std::string contents_of(const ReportDocument& document) {
  std::string out = "<nav aria-label=\"Contents\">\n<ul>\n";
  for (size_t i = 0; i < document.sections.size(); ++i) {
    const ReportSection& section = document.sections[i];
    if (section.folded) continue;
    out += "<li class=\"l" + std::to_string(section.level) + "\"><a href=\"#" + id_of(i) + "\">" +
           html_text(section.title) + "</a></li>\n";
  }
  return out + "</ul>\n</nav>\n";
}

std::string section_to_html(const ReportSection& section, size_t index) {
  std::string out;
  if (section.folded) {
    out = "<details><summary>" + (section.method ? method_marker(*section.method) : "") +
          html_text(section.title) + "</summary>\n";
  } else {
    const std::string tag = "h" + std::to_string(section.level);
    out =
        "<" + tag + " id=\"" + id_of(index) + "\">" + html_text(section.title) + "</" + tag + ">\n";
  }
  for (const ReportPart& part : section.parts)
    out += std::visit([&](const auto& value) { return part_to_html(value, section.title); }, part);
  return out + (section.folded ? "</details>\n" : "");
}

}  // namespace

std::string method_marker(size_t style) {
  return marker(kMarkers[style % kMarkers.size()], series_colour(style));
}

std::string report_html(const ReportDocument& document) {
  std::string out =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
      "'unsafe-inline'; script-src 'unsafe-inline'\">\n<title>" +
      html_text(document.title) + "</title>\n<style>" + page_style() +
      "</style>\n</head>\n<body>\n<main>\n<h1>" + html_text(document.title) +
      "</h1>\n<p class=\"lead\">" + html_text(document.lead) + "</p>\n" + contents_of(document);
  for (size_t i = 0; i < document.sections.size(); ++i)
    out += section_to_html(document.sections[i], i);
  return out + "</main>\n<script>" + page_script() + "</script>\n</body>\n</html>\n";
}

}  // namespace dbsa
