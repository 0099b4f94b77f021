#include <fmt/format.h>

#include <algorithm>

#include "apps/report/roofline_svg.h"
#include "apps/report/svg.h"

namespace etude::apps::report {
namespace {

constexpr double kWidth = 880, kLeft = 150, kRight = 150, kTop = 66, kBar = 26, kBottom = 16;

constexpr const char* kStyle = R"(
text { font: 12px system-ui, sans-serif; fill: #5d6470; }
.title { font-size: 15px; font-weight: 600; fill: #222; }
.name { fill: #1d2026; }
.paper { fill: #fff; }
.forward { fill: #0072b2; } .backward { fill: #d55e00; } .other { fill: #009e73; }
@media (prefers-color-scheme: dark) {
  text { fill: #a3a8b4; } .title, .name { fill: #e8e9ec; } .paper { fill: #16181d; } }
)";

}  // namespace

std::string layers_svg(const Profiled& p) {
  std::vector<LayerTimes> rows = p.profile.layers;
  rows.push_back({.name = "between layers", .stage = std::max(0.0, p.profile.between_layers)});
  double most = 0, sum = 0;
  for (const LayerTimes& row : rows) most = std::max(most, row.seconds()), sum += row.seconds();
  const std::string title = fmt::format("Where a step of {} goes: {:.1f} ms", p.model, sum * 1e3);
  Svg svg(kWidth, kTop + kBar * static_cast<double>(rows.size()) + kBottom, kStyle, title);
  svg.rect("paper", 0, 0, kWidth, kTop + kBar * static_cast<double>(rows.size()) + kBottom);
  svg.text("title", "start", 16, 28, title);
  double x = 16;
  for (const char* kind : {"forward", "backward", "other"}) {
    svg.rect(kind, x, 42, 12, 12);
    svg.text("", "start", x + 17, 52, kind);
    x += 86;
  }
  double y = kTop;
  for (const LayerTimes& row : rows) {
    svg.text("name", "end", kLeft - 10, y + 17, row.name);
    double at = kLeft;
    const auto part = [&](const char* kind, double seconds) {
      const double width = (kWidth - kLeft - kRight) * seconds / most;
      if (width > 0) svg.rect(kind, at, y + 3, width, kBar - 6);
      at += width;
    };
    part("forward", row.forward);
    part("backward", row.backward);
    part("other", row.stage);
    svg.text("", "start", at + 8, y + 17,
             fmt::format("{:.2f} ms, {:.1f} %", row.seconds() * 1e3, 100 * row.seconds() / sum));
    y += kBar;
  }
  return svg.finish();
}

}  // namespace etude::apps::report
