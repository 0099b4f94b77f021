#include "apps/report/roll_svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "apps/report/svg.h"
#include "midi/error.h"

namespace etude::apps::report {
namespace {

constexpr double kKeys = 34;  // width of the piano
constexpr double kLeft = 44;  // room for the names of the octaves
constexpr double kRight = 16;
constexpr double kTop = 34;      // room for the title
constexpr double kAxis = 20;     // room for the seconds below a line
constexpr double kBetween = 14;  // between lines
constexpr double kLongest = 4 * 3600;

constexpr const char* kStyle = R"(
text { font: 11px system-ui, sans-serif; fill: #555; }
.title { font-size: 14px; fill: #222; }
.paper { fill: #fff; }
.black-row { fill: #f3f4f7; }
.octave { stroke: #c9cdd6; stroke-width: 1; }
.second { stroke: #e6e8ee; stroke-width: 1; }
.frame { fill: none; stroke: #9aa0ac; stroke-width: 1; }
.white-key { fill: #fff; stroke: #b8bcc6; stroke-width: .5; }
.black-key { fill: #333; }
.note { fill: #5b8fd0; }
.stroke { fill: #173f74; }
)";

bool is_black(int pitch) {
  const int step = pitch % 12;
  return step == 1 || step == 3 || step == 6 || step == 8 || step == 10;
}

class Drawing {
 public:
  Drawing(const midi::PianoRoll& roll, const RollSvgOptions& options)
      : roll_(roll), options_(options) {
    midi::PitchSet all;
    for (const midi::PitchSet pitches : roll.played) all |= pitches;
    int low = all.empty() ? 60 : 127, high = all.empty() ? 72 : 0;
    all.each([&](int pitch) {
      low = std::min(low, pitch);
      high = std::max(high, pitch);
    });
    const int margin = std::max(2, (24 - (high - low)) / 2);
    low_ = std::max(0, low - margin);
    high_ = std::min(127, high + margin);
    const double seconds = static_cast<double>(roll.columns()) / roll.fs;
    lines_ = std::max<int64_t>(1, std::llround(std::ceil(seconds / options.seconds_a_line)));
    columns_a_line_ = std::max<int64_t>(1, (roll.columns() + lines_ - 1) / lines_);
    // A short piece is not stretched beyond 60 pixels a second.
    scale_ = std::min(60 / roll.fs, options.width / static_cast<double>(columns_a_line_));
  }

  std::string svg(const std::string& title) {
    const double width = kLeft + kKeys + line_width() + kRight;
    const double height = kTop + static_cast<double>(lines_) * (bars_height() + kAxis + kBetween);
    Svg svg(width, height, kStyle, title);
    svg.rect("paper", 0, 0, width, height);
    svg.text("title", "start", kLeft, 20, title);
    for (int64_t line = 0; line < lines_; ++line) draw_line(svg, line);
    return svg.finish();
  }

 private:
  double line_width() const { return static_cast<double>(columns_a_line_) * scale_; }
  double bars_height() const { return (high_ - low_ + 1) * options_.pitch_height; }
  double y_of(int pitch) const { return top_ + (high_ - pitch) * options_.pitch_height; }
  double x_of(int64_t column) const {
    return kLeft + kKeys + static_cast<double>(column - first_) * scale_;
  }

  void draw_line(Svg& svg, int64_t line) {
    first_ = line * columns_a_line_;
    end_ = std::min(first_ + columns_a_line_, roll_.columns());
    top_ = kTop + static_cast<double>(line) * (bars_height() + kAxis + kBetween);
    svg.open_group();
    rows_and_keys(svg);
    axis(svg);
    std::string notes, strokes;
    for (int pitch = low_; pitch <= high_; ++pitch) bars(pitch, notes, strokes);
    if (!notes.empty()) svg.path("note", notes);
    if (!strokes.empty()) svg.path("stroke", strokes);
    svg.rect("frame", x_of(first_), top_, line_width(), bars_height());
    svg.close_group();
  }

  void rows_and_keys(Svg& svg) const {
    const double h = options_.pitch_height;
    svg.rect("white-key", kLeft, top_, kKeys, bars_height());
    for (int pitch = low_; pitch <= high_; ++pitch) {
      if (is_black(pitch)) {
        svg.rect("black-row", x_of(first_), y_of(pitch), line_width(), h);
        svg.rect("black-key", kLeft, y_of(pitch), kKeys * 0.62, h);
      } else if (pitch > low_ && !is_black(pitch - 1)) {  // E F and B C touch
        svg.line("octave", kLeft, y_of(pitch) + h, kLeft + kKeys, y_of(pitch) + h);
      }
      if (pitch % 12 == 0) {
        svg.line("octave", x_of(first_), y_of(pitch) + h, x_of(first_) + line_width(),
                 y_of(pitch) + h);
        svg.text("", "end", kLeft - 5, y_of(pitch) + h, fmt::format("C{}", pitch / 12 - 1));
      }
    }
  }

  // A line and a number every 1, 2, 5, 10, ... seconds, 40 pixels apart or more.
  void axis(Svg& svg) const {
    const double pixels_a_second = scale_ * roll_.fs;
    double every = 1;
    for (int i = 0; every * pixels_a_second < 40; ++i) every *= i % 3 == 1 ? 2.5 : 2;
    const double begin = static_cast<double>(first_) / roll_.fs;
    const double end = begin + static_cast<double>(columns_a_line_) / roll_.fs;
    for (double t = std::ceil(begin / every) * every; t <= end + 1e-9; t += every) {
      const double x = kLeft + kKeys + (t - begin) * pixels_a_second;
      svg.line("second", x, top_, x, top_ + bars_height());
      svg.text("", "middle", x, top_ + bars_height() + 14, fmt::format("{:g} s", t));
    }
  }

  // Each run of columns is a bar; a new stroke begins another. As outlines of two paths: a long
  // piece has many thousands.
  void bars(int pitch, std::string& notes, std::string& strokes) {
    const double y = y_of(pitch) + 0.5;
    const double height = options_.pitch_height - 1;
    const auto plays = [&](int64_t c) { return roll_.played[static_cast<size_t>(c)].test(pitch); };
    const auto struck = [&](int64_t c) {
      return roll_.articulated[static_cast<size_t>(c)].test(pitch);
    };
    const auto add = [&](std::string& to, double x, double width) {
      to += fmt::format("M{} {}h{}v{}h-{}z", pixels(x), pixels(y), pixels(width), pixels(height),
                        pixels(width));
    };
    for (int64_t c = first_; c < end_;) {
      if (!plays(c)) {
        ++c;
        continue;
      }
      const int64_t start = c++;
      while (c < end_ && plays(c) && !struck(c)) ++c;
      const double width = static_cast<double>(c - start) * scale_;
      add(notes, x_of(start), width);
      if (struck(start)) add(strokes, x_of(start), std::min(2.0, width));
    }
  }

  const midi::PianoRoll& roll_;
  RollSvgOptions options_;
  int low_ = 0, high_ = 127;
  int64_t columns_a_line_ = 1, lines_ = 1;
  double scale_ = 1;  // pixels a column
  // Of the line being drawn: its columns [first_, end_) and its upper edge.
  int64_t first_ = 0, end_ = 0;
  double top_ = 0;
};

}  // namespace

std::string roll_svg(const midi::PianoRoll& roll, const std::string& title,
                     const RollSvgOptions& options) {
  if (static_cast<double>(roll.columns()) > kLongest * roll.fs) {
    throw midi::LimitError(title, "more than four hours are not drawn");
  }
  return Drawing(roll, options).svg(title);
}

}  // namespace etude::apps::report
