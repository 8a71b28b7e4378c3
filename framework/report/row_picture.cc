#include "report/row_picture.h"

#include <algorithm>
#include <cmath>

#include "report/html.h"
#include "report/plots.h"
#include "report/text.h"

namespace dbsa {
namespace {

class Rows {
 public:
  explicit Rows(const RowPicture& picture)
      : picture_(picture), ticks_(round_ticks(picture.low, picture.high)) {
    for (const double tick : ticks_) grid_ += line(tick, tick, "0", "100%", "grid");
  }

  std::string draw() const {
    std::string out = "<ul class=\"rows\">\n";
    for (const PictureRow& row : picture_.rows) out += draw_row(row);
    return out + "<li class=\"axis\" aria-hidden=\"true\"><svg height=\"20\">" + numbers() +
           "</svg></li>\n</ul>\n";
  }

 private:
  // Where a value lies, in percent of the width.
  std::string at(double value) const {
    const double share = (value - ticks_.front()) / (ticks_.back() - ticks_.front());
    return fixed(100 * std::clamp(share, 0.0, 1.0), 2) + "%";
  }

  std::string line(double x1, double x2, const std::string& y1, const std::string& y2,
                   const std::string& name) const {
    return "<line x1=\"" + at(x1) + "\" x2=\"" + at(x2) + "\" y1=\"" + y1 + "\" y2=\"" + y2 +
           "\" class=\"" + name + "\"/>";
  }

  std::string draw_row(const PictureRow& row) const {
    std::string shapes = grid_;
    for (const PictureRow::Bar& bar : row.bars) {
      const double share = (bar.right - bar.left) / (ticks_.back() - ticks_.front());
      shapes += "<rect x=\"" + at(bar.left) + "\" y=\"3\" width=\"" + fixed(100 * share, 2) +
                "%\" height=\"14\" fill=\"" + stage_colour(bar.stage) + "\"/>";
    }
    if (row.interval) shapes += line(row.interval->low, row.interval->high, "10", "10", "interval");
    if (row.mark) shapes += "<circle cx=\"" + at(*row.mark) + "\" cy=\"10\" r=\"5.5\"/>";
    // A diamond: marks must keep their shape, so it is text.
    if (row.published)
      shapes += "<text x=\"" + at(*row.published) +
                "\" y=\"16\" text-anchor=\"middle\" class=\"published\">◇</text>";
    const std::string colour = series_colour(row.style);
    return "<li><div><span>" + method_marker(row.style) + html_text(row.name) +
           "</span><span class=\"v\">" + html_text(row.value) +
           "</span></div><svg height=\"20\" aria-hidden=\"true\" stroke=\"" + colour +
           "\" fill=\"" + colour + "\">" + shapes + "</svg></li>\n";
  }

  std::string numbers() const {
    std::string out;
    for (size_t i = 0; i < ticks_.size(); ++i) {
      std::string text = number(ticks_[i]);
      const bool last = i + 1 == ticks_.size();
      if (last && !picture_.unit.empty()) text += " " + picture_.unit;
      out += "<text x=\"" + at(ticks_[i]) + "\" y=\"14\" text-anchor=\"" +
             (i == 0 ? "start"
              : last ? "end"
                     : "middle") +
             "\">" + html_text(text) + "</text>";
    }
    return out;
  }

  std::string number(double value) const {
    const double step = ticks_[1] - ticks_[0];
    const int digits = std::clamp(static_cast<int>(std::ceil(-std::log10(step) - 1e-9)), 0, 9);
    return digits > 0 ? fixed(value, digits) : grouped(value);
  }

  const RowPicture& picture_;
  std::vector<double> ticks_;
  std::string grid_;
};

}  // namespace

std::vector<double> round_ticks(double low, double high) {
  if (!(high > low)) {  // one value
    high = low == 0 ? 1 : low + 0.05 * std::fabs(low);
    low -= low == 0 ? 0 : 0.05 * std::fabs(low);
  }
  const double power = std::pow(10, std::floor(std::log10((high - low) / 4)));
  double step = power;
  for (const double factor : {2.0, 5.0, 10.0})
    if ((high - low) / step > 5) step = factor * power;
  std::vector<double> ticks;
  const double first = std::floor(low / step + 1e-9);
  for (double i = first; ticks.size() < 8; ++i) {
    ticks.push_back(i * step);
    if (ticks.size() > 2 && i * step >= high - 1e-9 * step) break;
  }
  return ticks;
}

std::string draw_rows(const RowPicture& picture) { return Rows(picture).draw(); }

}  // namespace dbsa
