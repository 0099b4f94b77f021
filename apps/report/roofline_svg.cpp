#include "apps/report/roofline_svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "apps/report/svg.h"

namespace etude::apps::report {
namespace {

constexpr double kWidth = 960, kHeight = 560;
constexpr double kLeft = 70, kRight = 330, kTop = 84, kBottom = 54;
constexpr double kPlotWidth = kWidth - kLeft - kRight, kPlotHeight = kHeight - kTop - kBottom;
constexpr double kDigit = 7.5, kLetter = 6.3, kLineHeight = 14;  // of text, about

// Okabe & Ito's palette. No CSS variables: few programs but browsers know them.
constexpr const char* kStyle = R"(
text { font: 12px system-ui, sans-serif; fill: #5d6470; }
.title { font-size: 15px; font-weight: 600; fill: #222; }
.name { fill: #1d2026; }
.number { fill: #1d2026; font-size: 11px; font-weight: 600; }
.paper { fill: #fff; }
.grid { stroke: #e9ebf0; stroke-width: 1; }
.axis { stroke: #5d6470; stroke-width: 1; }
.leader { stroke: #5d6470; stroke-width: .7; }
path { fill: none; stroke: #1d2026; stroke-width: 2.2; stroke-linejoin: round; }
circle { stroke: #fff; stroke-width: 1; fill-opacity: .8; }
circle.forward { fill: #56b4e9; } circle.backward { fill: #e69f00; } circle.other { fill: #2bb58f; }
@media (prefers-color-scheme: dark) {
  text { fill: #a3a8b4; } .title, .name, .number { fill: #e8e9ec; } .paper { fill: #16181d; }
  .grid { stroke: #2d3139; } .axis, .leader { stroke: #a3a8b4; } path { stroke: #e8e9ec; }
  circle { stroke: #16181d; }
  circle.forward { fill: #0072b2; } circle.backward { fill: #b35900; } circle.other { fill: #007a5a; } }
)";

// All calls of one kernel in a step, or of one part of it, in whatever layer.
struct Dot {
  std::string name, kind;
  double seconds;
  kernels::Work work;
  double intensity() const { return work.flops / work.bytes; }
  double rate() const { return work.flops / seconds; }
};

struct Box {
  double left, top, right, bottom;
  bool meets(const Box& other) const {
    return left < other.right && other.left < right && top < other.bottom && other.top < bottom;
  }
};

std::string kind_of(kernels::SpanKind pass) {
  const std::string name = pass_name(pass);
  return name.empty() ? "other" : name;
}

void add_dot(std::vector<Dot>& dots, const ProfileRow& row, const std::string& name) {
  if (row.work.flops <= 0 || row.work.bytes <= 0 || row.seconds <= 0) return;
  for (Dot& dot : dots) {
    if (dot.name != name) continue;
    dot.seconds += row.seconds;
    dot.work = dot.work + row.work;
    return;
  }
  dots.push_back({name, kind_of(row.pass), row.seconds, row.work});
}

// A kernel whose parts say what they do is shown by them.
std::vector<Dot> dots_of(const Profile& profile) {
  std::vector<Dot> dots;
  for (const ProfileRow& row : profile.kernels) {
    const bool known = !row.parts.empty() && std::ranges::all_of(row.parts, [](const auto& part) {
      return part.work.bytes > 0;
    });
    if (!known) add_dot(dots, row, row.name);
    if (known)
      for (const ProfileRow& part : row.parts) add_dot(dots, part, row.name + ": " + part.name);
  }
  std::ranges::stable_sort(dots, std::greater(), &Dot::seconds);
  return dots;
}

class Drawing {
 public:
  explicit Drawing(const Profiled& p)
      : p_(p),
        dots_(dots_of(p.profile)),
        left_out_(left_out()),
        svg_(kWidth, kHeight, kStyle, title()) {
    const kernels::Ceilings& top = p.ceilings;
    if (has_ceilings()) ridge_ = top.matmul_flops_per_second / top.copy_bytes_per_second;
    double low_x = has_ceilings() ? ridge_ : 1, high_x = low_x;
    double high_y = has_ceilings() ? top.matmul_flops_per_second : 1, low_y = high_y;
    for (const Dot& dot : dots_) {
      low_x = std::min(low_x, dot.intensity());
      high_x = std::max(high_x, dot.intensity());
      low_y = std::min(low_y, dot.rate());
      high_y = std::max(high_y, dot.rate());
    }
    x_ = {std::log10(low_x / 2), std::log10(high_x * 3)};
    y_ = {std::log10(low_y / 2), std::log10(high_y * 2)};
  }

  std::string draw() {
    svg_.rect("paper", 0, 0, kWidth, kHeight);
    svg_.text("title", "start", 16, 28, title());
    legend();
    axes();
    if (has_ceilings()) ceilings();
    for (const Dot& dot : dots_) svg_.circle(dot.kind, x_of(dot), y_of(dot), radius(dot));
    if (has_ceilings()) name_ceilings();
    for (size_t i = 0; i < dots_.size(); ++i) number(i);
    for (size_t i = 0; i < dots_.size(); ++i) list(i);
    for (size_t i = 0; i < left_out_.size(); ++i)
      svg_.text("", "start", kLeft + kPlotWidth + 58, list_line(dots_.size() + 1 + i),
                left_out_[i]);
    return svg_.finish();
  }

 private:
  std::string title() const { return fmt::format("Roofline of a training step: {}", p_.model); }
  bool has_ceilings() const { return p_.ceilings.copy_bytes_per_second > 0; }
  double x_at(double value) const {
    return kLeft + kPlotWidth * (std::log10(value) - x_[0]) / (x_[1] - x_[0]);
  }
  double y_at(double value) const {
    return kTop + kPlotHeight * (y_[1] - std::log10(value)) / (y_[1] - y_[0]);
  }
  double x_of(const Dot& dot) const { return x_at(dot.intensity()); }
  double y_of(const Dot& dot) const { return y_at(dot.rate()); }
  // The area is the time.
  double radius(const Dot& dot) const {
    return std::max(3.0, 42 * std::sqrt(dot.seconds / p_.profile.sum()));
  }

  void legend() {
    double x = 16;
    for (const char* kind : {"forward", "backward", "other"}) {
      svg_.circle(kind, x + 6, 48, 6);
      svg_.text("", "start", x + 17, 52, kind);
      x += 86;
    }
    svg_.text("", "start", x + 4, 52, "area: time in a step; line: what the machine gives at best");
  }

  void axes() {
    const double bottom = kTop + kPlotHeight, right = kLeft + kPlotWidth;
    for (double power = std::ceil(x_[0]); power <= x_[1]; ++power) {
      const double x = x_at(std::pow(10, power));
      svg_.line("grid", x, kTop, x, bottom);
      svg_.text("", "middle", x, bottom + 18, fmt::format("{:g}", std::pow(10, power)));
    }
    for (double power = std::ceil(y_[0]); power <= y_[1]; ++power) {
      const double y = y_at(std::pow(10, power));
      svg_.line("grid", kLeft, y, right, y);
      svg_.text("", "end", kLeft - 8, y + 4, fmt::format("{:g}", std::pow(10, power) / 1e9));
    }
    svg_.line("axis", kLeft, bottom, right, bottom);
    svg_.line("axis", kLeft, kTop, kLeft, bottom);
    svg_.text("", "middle", kLeft + kPlotWidth / 2, bottom + 40,
              "FLOP for each byte that must be moved");
    svg_.text("", "start", 16, kTop - 12, "GFLOP/s");
  }

  void ceilings() {
    const double right = kLeft + kPlotWidth, flat = p_.ceilings.matmul_flops_per_second;
    const double copy = p_.ceilings.copy_bytes_per_second;
    const double start = std::max(std::pow(10, x_[0]), std::pow(10, y_[0]) / copy);
    if (start < ridge_)
      svg_.path(
          "", {{x_at(start), y_at(start * copy)}, {x_at(ridge_), y_at(flat)}, {right, y_at(flat)}});
  }

  // The first over its line, where kernels are seldom; the second beside its own.
  void name_ceilings() {
    const double flat = p_.ceilings.matmul_flops_per_second;
    const double copy = p_.ceilings.copy_bytes_per_second;
    name_ceiling("start", x_at(ridge_), y_at(flat) - 8,
                 fmt::format("products {:.0f} GFLOP/s", flat / 1e9));
    name_ceiling("end", x_at(ridge_) - 24, y_at(flat) + 4,
                 fmt::format("copy {:.1f} GB/s", copy / 1e9));
  }

  void name_ceiling(const char* anchor, double x, double y, const std::string& text) {
    const double width = kLetter * static_cast<double>(text.size());
    const double left = std::string_view(anchor) == "end" ? x - width : x;
    taken_.push_back({left, y - kLineHeight, left + width, y + 4});
    svg_.text("name", anchor, x, y, text);
  }

  Box around(const Dot& dot) const {
    const double r = radius(dot);
    return {x_of(dot) - r, y_of(dot) - r, x_of(dot) + r, y_of(dot) + r};
  }

  struct Place {
    double x, y;  // of the text's middle
    Box box;
  };
  Place place_at(double x, double y, double width) const {
    return {x, y, {x - width / 2, y - kLineHeight / 2, x + width / 2, y + kLineHeight / 2}};
  }

  // In the dot where it is large enough and none is drawn over it there; otherwise the nearest free
  // place, looked for in rings.
  Place find_place(size_t i) const {
    const Dot& dot = dots_[i];
    const double width = kDigit * (i < 9 ? 1 : 2) + 3, x = x_of(dot), y = y_of(dot);
    const auto is_taken = [&](const Box& box) {
      return std::ranges::any_of(taken_, [&](const Box& other) { return box.meets(other); });
    };
    const auto is_covered = [&](const Box& box, size_t from) {
      return std::any_of(dots_.begin() + from, dots_.end(),
                         [&](const Dot& other) { return box.meets(around(other)); });
    };
    const Place inside = place_at(x, y, width);
    if (radius(dot) >= 9 && !is_taken(inside.box) && !is_covered(inside.box, i + 1)) return inside;
    for (double away = 8; away < 300; away += 4) {
      for (double degrees = 0; degrees < 360; degrees += 30) {
        const double angle = degrees * M_PI / 180, r = radius(dot) + away;
        const Place place = place_at(x + r * std::cos(angle), y - r * std::sin(angle), width);
        const bool in_plot = place.box.left > kLeft && place.box.right < kLeft + kPlotWidth &&
                             place.box.top > kTop && place.box.bottom < kTop + kPlotHeight;
        if (in_plot && !is_taken(place.box) && !is_covered(place.box, 0)) return place;
      }
    }
    return inside;
  }

  void number(size_t i) {
    const Place place = find_place(i);
    const double x = x_of(dots_[i]), y = y_of(dots_[i]), r = radius(dots_[i]);
    const double distance = std::hypot(place.x - x, place.y - y);
    taken_.push_back(place.box);
    if (distance > r + 9) {
      const double cos = (place.x - x) / distance, sin = (place.y - y) / distance;
      svg_.line("leader", x + r * cos, y + r * sin, place.x - 7 * cos, place.y - 7 * sin);
    }
    svg_.text("number", "middle", place.x, place.y + 4, fmt::format("{}", i + 1));
  }

  double list_line(size_t i) const {
    const auto lines = static_cast<double>(dots_.size() + 1 + left_out_.size());
    return kTop + 8 + std::min(19.0, kPlotHeight / lines) * static_cast<double>(i);
  }

  // Beside the plot: the dots' names, the longest time first.
  void list(size_t i) {
    const Dot& dot = dots_[i];
    const double x = kLeft + kPlotWidth + 24;
    const double y = list_line(i);
    svg_.text("number", "end", x + 12, y, fmt::format("{}", i + 1));
    svg_.circle(dot.kind, x + 23, y - 4, 5);
    svg_.text("name", "start", x + 34, y, dot.name);
    svg_.text("", "end", kWidth - 12, y,
              fmt::format("{:.1f} %", 100 * dot.seconds / p_.profile.sum()));
  }

  // What has no place in such a plot, below the list.
  std::vector<std::string> left_out() const {
    std::vector<std::string> names;
    for (const ProfileRow& row : p_.profile.kernels)
      if (row.work.flops <= 0 && std::ranges::find(names, row.name) == names.end())
        names.push_back(row.name);
    if (!names.empty()) names.insert(names.begin(), "without FLOPs, not shown:");
    return names;
  }

  const Profiled& p_;
  std::vector<Dot> dots_;
  std::vector<std::string> left_out_;
  Svg svg_;
  double ridge_ = 1;
  std::array<double, 2> x_{}, y_{};  // powers of ten at the plot's edges
  std::vector<Box> taken_;
};

}  // namespace

std::string roofline_svg(const Profiled& profiled) { return Drawing(profiled).draw(); }

}  // namespace etude::apps::report
