#include "apps/report/roofline_svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "apps/report/svg.h"

namespace etude::apps::report {
namespace {

constexpr double kWidth = 880, kHeight = 560;
constexpr double kLeft = 70, kRight = 24, kTop = 84, kBottom = 54;
constexpr double kPlotWidth = kWidth - kLeft - kRight, kPlotHeight = kHeight - kTop - kBottom;
constexpr double kLetter = 6.3, kLineHeight = 14;  // of a label, about

// Okabe & Ito's palette. No CSS variables: few programs but browsers know them.
constexpr const char* kStyle = R"(
text { font: 12px system-ui, sans-serif; fill: #5d6470; }
.title { font-size: 15px; font-weight: 600; fill: #222; }
.name { fill: #1d2026; }
.paper { fill: #fff; }
.grid { stroke: #e9ebf0; stroke-width: 1; }
.axis { stroke: #5d6470; stroke-width: 1; }
.leader { stroke: #5d6470; stroke-width: .7; }
path { fill: none; stroke: #1d2026; stroke-width: 2.2; stroke-linejoin: round; }
circle { stroke: #fff; stroke-width: 1; fill-opacity: .75; }
circle.forward { fill: #0072b2; } circle.backward { fill: #d55e00; } circle.other { fill: #009e73; }
@media (prefers-color-scheme: dark) {
  text { fill: #a3a8b4; } .title, .name { fill: #e8e9ec; } .paper { fill: #16181d; }
  .grid { stroke: #2d3139; } .axis, .leader { stroke: #a3a8b4; } path { stroke: #e8e9ec; }
  circle { stroke: #16181d; } }
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
      : p_(p), dots_(dots_of(p.profile)), svg_(kWidth, kHeight, kStyle, title()) {
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
    x_ = {std::log10(low_x / 2), std::log10(high_x * 4)};
    y_ = {std::log10(low_y / 2), std::log10(high_y * 2)};
  }

  std::string draw() {
    svg_.rect("paper", 0, 0, kWidth, kHeight);
    svg_.text("title", "start", 16, 28, title());
    legend();
    axes();
    if (has_ceilings()) ceilings();
    for (const Dot& dot : dots_) svg_.circle(dot.kind, x_of(dot), y_of(dot), radius(dot));
    for (const Dot& dot : dots_) label(dot);
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
    return std::max(3.0, 44 * std::sqrt(dot.seconds / p_.profile.sum()));
  }

  void legend() {
    double x = 16;
    for (const char* kind : {"forward", "backward", "other"}) {
      svg_.circle(kind, x + 6, 48, 6);
      svg_.text("", "start", x + 17, 52, kind);
      x += 86;
    }
    svg_.text("", "start", x + 4, 52,
              "area: time in a step; lines: what the machine gives at best");
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
    svg_.text("", "middle", kLeft + kPlotWidth / 2, bottom + 40, "FLOP a byte that must be moved");
    svg_.text("", "start", 16, kTop - 12, "GFLOP/s");
  }

  void ceilings() {
    const double right = kLeft + kPlotWidth, flat = p_.ceilings.matmul_flops_per_second;
    const double copy = p_.ceilings.copy_bytes_per_second;
    const double start = std::max(std::pow(10, x_[0]), std::pow(10, y_[0]) / copy);
    if (start < ridge_)
      svg_.path(
          "", {{x_at(start), y_at(start * copy)}, {x_at(ridge_), y_at(flat)}, {right, y_at(flat)}});
    name_ceiling("end", right - 4, y_at(flat) - 7,
                 fmt::format("products {:.0f} GFLOP/s", flat / 1e9));
    name_ceiling("end", x_at(ridge_) - 24, y_at(flat) + 4,
                 fmt::format("copy {:.1f} GB/s", copy / 1e9));
  }

  void name_ceiling(const char* anchor, double x, double y, const std::string& text) {
    const double width = kLetter * static_cast<double>(text.size());
    taken_.push_back({x - width, y - kLineHeight, x, y + 4});
    svg_.text("name", anchor, x, y, text);
  }

  bool is_free(const Box& box, const Dot& mine) const {
    if (box.left < kLeft + 2 || box.right > kWidth - 4 || box.top < kTop ||
        box.bottom > kTop + kPlotHeight)
      return false;
    const auto meets = [&](const Box& other) { return box.meets(other); };
    if (std::ranges::any_of(taken_, meets)) return false;
    return std::ranges::none_of(dots_, [&](const Dot& dot) {
      const double r = &dot == &mine ? 0 : 0.8 * radius(dot);
      return box.meets({x_of(dot) - r, y_of(dot) - r, x_of(dot) + r, y_of(dot) + r});
    });
  }

  struct Place {
    double x, y;  // of the text's middle
    Box box;
  };
  // The nearest free place, looked for in rings around the dot.
  std::optional<Place> find_place(const Dot& dot) const {
    const double width = kLetter * static_cast<double>(dot.name.size());
    constexpr std::array kAngles = {0.0,  180.0, 30.0, 150.0, -30.0,  -150.0,
                                    60.0, 120.0, 90.0, -60.0, -120.0, -90.0};
    for (double away = 5; away < 330; away += 9) {
      for (const double degrees : kAngles) {
        const double angle = degrees * M_PI / 180, r = radius(dot) + away;
        const double x = x_of(dot) + r * std::cos(angle) + width / 2 * std::cos(angle);
        const double y = y_of(dot) + r * std::sin(angle);
        const Box box{x - width / 2 - 2, y - kLineHeight / 2, x + width / 2 + 2,
                      y + kLineHeight / 2};
        if (is_free(box, dot)) return Place{x, y, box};
      }
    }
    return {};
  }

  void label(const Dot& dot) {
    const std::optional<Place> place = find_place(dot);
    if (!place) return;  // the page's table has it
    taken_.push_back(place->box);
    const Box& box = place->box;
    const double to_x = std::clamp(x_of(dot), box.left, box.right);
    const double to_y = std::clamp(y_of(dot), box.top + 2, box.bottom - 2);
    const double distance = std::hypot(to_x - x_of(dot), to_y - y_of(dot));
    const double r = radius(dot);
    if (distance > r + 9)
      svg_.line("leader", x_of(dot) + (to_x - x_of(dot)) * r / distance,
                y_of(dot) + (to_y - y_of(dot)) * r / distance, to_x, to_y);
    svg_.text("name", "middle", place->x, place->y + 4, dot.name);
  }

  const Profiled& p_;
  std::vector<Dot> dots_;
  Svg svg_;
  double ridge_ = 1;
  std::array<double, 2> x_{}, y_{};  // powers of ten at the plot's edges
  std::vector<Box> taken_;
};

}  // namespace

std::string roofline_svg(const Profiled& profiled) { return Drawing(profiled).draw(); }

}  // namespace etude::apps::report
