// A report as Markdown. Only the page has the plots and what is folded away there.
#include "report/report.h"
#include "report/text.h"

namespace dbsa {
namespace {

std::string part_to_markdown(const std::string& paragraph) {
  return markdown_text(paragraph) + "\n\n";
}

std::string part_to_markdown(const ReportFigure&) { return ""; }
std::string part_to_markdown(const ReportMatrix&) { return ""; }

std::string part_to_markdown(const ReportTable& table) {
  std::string out = "|", rule = "|";
  for (const ReportTable::Column& column : table.columns) {
    out += " " + markdown_text(column.title) + " |";
    rule += column.number ? "---:|" : "---|";
  }
  out += "\n" + rule + "\n";
  for (const std::vector<ReportCell>& row : table.rows) {
    out += "|";
    for (const ReportCell& cell : row) {
      const std::string text = markdown_text(cell.text);
      out += " " + (cell.strong ? "**" + text + "**" : text) + " |";
    }
    out += "\n";
  }
  return out + "\n";
}

}  // namespace

std::string report_markdown(const ReportDocument& document) {
  std::string out =
      "# " + markdown_text(document.title) + "\n\n" + markdown_text(document.lead) + "\n\n";
  for (const ReportSection& section : document.sections) {
    if (section.folded) continue;
    out += std::string(static_cast<size_t>(section.level), '#') + " " +
           markdown_text(section.title) + "\n\n";
    for (const ReportPart& part : section.parts)
      out += std::visit([](const auto& value) { return part_to_markdown(value); }, part);
  }
  out.pop_back();
  return out;
}

}  // namespace dbsa
