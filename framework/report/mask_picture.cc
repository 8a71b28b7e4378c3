#include "report/mask_picture.h"

#include <algorithm>
#include <array>
#include <set>

#include "report/text.h"

namespace dbsa {
namespace {

enum Shade { kAnchor, kPrevious, kOwn, kWindow, kSelected, kShades };
struct ShadeStyle {
  const char* colour;
  const char* text;
  const char* on_dark;  // where the reader's system is dark
};
// Colours of Okabe and Ito, apart for any colour vision.
constexpr std::array<ShadeStyle, kShades> kStyles = {
    {{"#0072B2", "anchor blocks", "#4DA3DB"},
     {"#56B4E9", "previous blocks", "#9AD6F7"},
     {"#D55E00", "own tokens", "#F08040"},
     {"#009E73", "window", "#2EC397"},
     {"#882255", "selected for the query", "#D0659B"}}};
constexpr double kSize = 600;   // of the pool, pixels
constexpr double kLeft = 62;    // room for row numbers
constexpr double kTop = 44;     // room for column numbers
constexpr double kGap = 16;     // between the pool and the query
constexpr double kQuery = 22;   // least height of the query's row
constexpr double kNumber = 15;  // least length of a block that is numbered

struct Point {
  double x = 0, y = 0;
};
using Polygon = std::vector<Point>;

// What of a polygon lies where x - y <= most (keep_below), or where it is >= most.
Polygon clipped(const Polygon& polygon, double most, bool keep_below) {
  const auto outside = [&](const Point& p) {
    return keep_below ? p.x - p.y - most : most - (p.x - p.y);
  };
  Polygon out;
  for (size_t i = 0; i < polygon.size(); ++i) {
    const Point& a = polygon[i];
    const Point& b = polygon[(i + 1) % polygon.size()];
    const double at_a = outside(a), at_b = outside(b);
    if (at_a <= 0) out.push_back(a);
    if ((at_a < 0 && at_b > 0) || (at_a > 0 && at_b < 0)) {
      const double share = at_a / (at_a - at_b);
      out.push_back({a.x + share * (b.x - a.x), a.y + share * (b.y - a.y)});
    }
  }
  return out;
}

std::string number(double value) {
  std::string text = fixed(value, 2);
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

std::string text_at(double x, double y, const char* anchor, const std::string& text) {
  return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" text-anchor=\"" + anchor + "\">" +
         html_text(text) + "</text>\n";
}

std::string rectangle(double x, double y, double width, double height, const char* colour) {
  return "<rect x=\"" + number(x) + "\" y=\"" + number(y) + "\" width=\"" + number(width) +
         "\" height=\"" + number(height) + "\" fill=\"" + colour + "\"/>\n";
}

// A rectangle of tokens, before it is cut by a diagonal.
struct Patch {
  Shade shade = kPrevious;
  int64_t column = 0, length = 0;  // tokens of the pool
};

class Painter {
 public:
  explicit Painter(const MaskPicture& picture) : picture_(picture) {
    int64_t at = 0;
    for (const int64_t length : picture.block_lengths) {
      starts_.push_back(at);
      at += std::max<int64_t>(length, 0);
    }
    starts_.push_back(at);
    scale_ = at > 0 ? kSize / static_cast<double>(at) : 0;
  }

  static std::string style() {
    std::string out =
        "<style>svg { color: #222222; background: #FFFFFF }\n@media (prefers-color-scheme: dark) "
        "{\n"
        "svg { color: #E8E8E6; background: #15171A }\n[fill=\"#EFEFEC\"] { fill: #2A2D31 }\n";
    for (const ShadeStyle& shade : kStyles)
      out += std::string("[fill=\"") + shade.colour + "\"] { fill: " + shade.on_dark + " }\n";
    return out + "}</style>\n";
  }

  std::string paint() {
    const double width = kLeft + kSize + (picture_.answer ? kGap + query_length() : 0) + 12;
    paint_ground();
    for (size_t block = 0; block < picture_.visible.size() && block + 1 < starts_.size(); ++block)
      paint_block(block);
    paint_grid();
    double bottom = kTop + kSize;
    if (picture_.answer) bottom = paint_answer(bottom + kGap);
    bottom = paint_legend(bottom + 26);
    return "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + number(width) + " " +
           number(bottom) +
           "\" width=\"100%\" role=\"img\" aria-label=\"Attention mask\" "
           "font-family=\"sans-serif\" font-size=\"12\" fill=\"currentColor\">\n" +
           style() + body_ + "</svg>\n";
  }

 private:
  double place(int64_t token) const { return scale_ * static_cast<double>(token); }
  size_t blocks() const { return starts_.size() - 1; }
  int64_t length(size_t block) const { return starts_[block + 1] - starts_[block]; }
  double query_length() const {
    return std::max(kQuery, scale_ * static_cast<double>(std::max<int64_t>(
                                         0, picture_.answer ? picture_.answer->query_tokens : 0)));
  }

  void paint_polygon(const Polygon& polygon, const char* colour) {
    if (polygon.size() < 3) return;
    body_ += "<polygon points=\"";
    for (size_t i = 0; i < polygon.size(); ++i)
      body_ += (i > 0 ? " " : "") + number(polygon[i].x) + "," + number(polygon[i].y);
    body_ += std::string("\" fill=\"") + colour + "\"/>\n";
  }

  // What a causal mask would see.
  void paint_ground() {
    if (scale_ > 0)
      paint_polygon({{kLeft, kTop}, {kLeft + kSize, kTop + kSize}, {kLeft, kTop + kSize}},
                    "#EFEFEC");
  }

  bool exists(const Visible& segment, size_t row) const {
    return segment.block >= 0 && static_cast<size_t>(segment.block) <= row &&
           segment.first_token >= 0 && segment.length > 0 &&
           segment.first_token <= length(static_cast<size_t>(segment.block)) - segment.length;
  }

  Shade shade_of(const Visible& segment, size_t row) const {
    if (segment.kind == DBSA_SEGMENT_WINDOW) return kWindow;
    if (static_cast<size_t>(segment.block) == row) return kOwn;
    return segment.block < picture_.anchor_blocks ? kAnchor : kPrevious;
  }

  void paint_block(size_t row) {
    std::vector<Visible> segments;
    int64_t own_start = 0;  // in the packed plan
    for (const Visible& segment : picture_.visible[row]) {
      if (!exists(segment, row)) continue;
      segments.push_back(segment);
      if (static_cast<size_t>(segment.block) != row) own_start += segment.length;
    }
    std::optional<Patch> open;
    int64_t start = 0;
    for (const Visible& segment : segments) {
      const Shade shade = shade_of(segment, row);
      const int64_t column = starts_[static_cast<size_t>(segment.block)] + segment.first_token;
      used_.insert(shade);
      if (segment.kind != DBSA_SEGMENT_FULL) {
        paint_diagonal(row, segment, column, own_start - start, shade);
      } else if (open && open->shade == shade && open->column + open->length == column) {
        open->length += segment.length;
      } else {
        paint_patch(row, open);
        open = Patch{shade, column, segment.length};
      }
      start += segment.length;
    }
    paint_patch(row, open);
  }

  void paint_patch(size_t row, const std::optional<Patch>& patch) {
    if (patch)
      body_ += rectangle(kLeft + place(patch->column), kTop + place(starts_[row]),
                         place(patch->length), place(length(row)), kStyles[patch->shade].colour);
  }

  // ahead: positions from the segment's first token to the block's own.
  void paint_diagonal(size_t row, const Visible& segment, int64_t column, int64_t ahead,
                      Shade shade) {
    const bool own = static_cast<size_t>(segment.block) == row;
    // Own tokens are their rows, regardless of what stands before them.
    const double shift = place(own ? -segment.first_token : ahead);
    const double right = place(segment.length), low = place(length(row));
    Polygon polygon = {{0, 0}, {right, 0}, {right, low}, {0, low}};
    polygon = clipped(polygon, shift, true);
    if (segment.kind == DBSA_SEGMENT_WINDOW)
      polygon = clipped(polygon, shift - place(segment.window), false);
    for (Point& point : polygon) {
      point.x += kLeft + place(column);
      point.y += kTop + place(starts_[row]);
    }
    paint_polygon(polygon, kStyles[shade].colour);
  }

  void paint_grid() {
    std::string lines;
    // Side by side the widest number decides.
    const double number_width =
        8 + 7 * static_cast<double>(std::to_string(std::max<size_t>(blocks(), 1) - 1).size());
    double row_end = -kNumber, column_end = -number_width;
    for (size_t block = 0; block < blocks(); ++block) {
      const double at = place(starts_[block]);
      lines += "M" + number(kLeft) + " " + number(kTop + at) + "h" + number(kSize) + "M" +
               number(kLeft + at) + " " + number(kTop) + "v" + number(kSize);
      const double middle = at + place(length(block)) / 2;
      if (middle - row_end < kNumber) continue;
      row_end = middle;
      body_ += text_at(kLeft - 8, kTop + middle + 4, "end", std::to_string(block));
      if (middle - column_end < number_width) continue;
      column_end = middle;
      body_ += text_at(kLeft + middle, kTop - 8, "middle", std::to_string(block));
    }
    body_ += "<path d=\"" + lines + "M" + number(kLeft) + " " + number(kTop) + "h" + number(kSize) +
             "v" + number(kSize) + "h-" + number(kSize) +
             "z\" fill=\"none\" stroke=\"currentColor\" stroke-opacity=\"" +
             (blocks() > 40 ? "0.08" : "0.18") + "\"/>\n";
    body_ += text_at(kLeft, 16, "start",
                     "keys by block, " + grouped(static_cast<double>(starts_.back())) + " tokens");
    body_ += "<text transform=\"translate(14 " + number(kTop + kSize) +
             ") rotate(-90)\">rows by block</text>\n";
  }

  // Returns where it ends.
  double paint_answer(double top) {
    const double height = query_length();
    for (const int64_t block : picture_.answer->blocks) {
      if (block < 0 || static_cast<size_t>(block) >= blocks()) continue;
      const auto index = static_cast<size_t>(block);
      used_.insert(kSelected);
      body_ += rectangle(kLeft + place(starts_[index]), top, place(length(index)), height,
                         kStyles[kSelected].colour);
    }
    const double left = kLeft + kSize + kGap;
    paint_polygon({{left, top}, {left + height, top + height}, {left, top + height}},
                  kStyles[kOwn].colour);
    used_.insert(kOwn);
    body_ += "<rect x=\"" + number(kLeft) + "\" y=\"" + number(top) + "\" width=\"" +
             number(kSize) + "\" height=\"" + number(height) +
             "\" fill=\"none\" stroke=\"currentColor\" stroke-opacity=\"0.3\"/>\n";
    body_ += text_at(kLeft - 8, top + height / 2 + 4, "end", "query");
    return top + height;
  }

  double paint_legend(double top) {
    double x = kLeft;
    for (const Shade shade : used_) {
      const std::string text = kStyles[shade].text;
      body_ += rectangle(x, top - 10, 12, 12, kStyles[shade].colour);
      body_ += text_at(x + 18, top, "start", text);
      x += 34 + 6.6 * static_cast<double>(text.size());
    }
    return top + 14;
  }

  const MaskPicture& picture_;
  std::vector<int64_t> starts_;  // tokens before each block, and all
  double scale_ = 0;             // pixels a token
  std::set<Shade> used_;
  std::string body_;
};

}  // namespace

std::string mask_svg(const MaskPicture& picture) { return Painter(picture).paint(); }

}  // namespace dbsa
