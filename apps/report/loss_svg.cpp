#include "apps/report/loss_svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>

#include "apps/report/svg.h"

namespace etude::apps::report {
namespace {

constexpr double kWidth = 880, kHeight = 460;
constexpr double kLeft = 62, kRight = 132, kTop = 74, kBottom = 52;
constexpr double kPlotWidth = kWidth - kLeft - kRight, kPlotHeight = kHeight - kTop - kBottom;
constexpr double kLabelHeight = 16;
constexpr size_t kPoints = 400;  // of one curve that are drawn

// Okabe & Ito's palette, which colour-blind people can tell apart; black is left to the axes.
constexpr const char* kColours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                    "#e69f00", "#56b4e9", "#8c6d46"};

// No CSS variables: few programs but browsers know them.
constexpr const char* kStyle = R"(
text { font: 12px system-ui, sans-serif; fill: #5d6470; }
.title { font-size: 15px; font-weight: 600; fill: #222; }
.name { font-weight: 600; }
.paper { fill: #fff; }
.grid { stroke: #e4e6ec; stroke-width: 1; }
.epoch { stroke: #5d6470; stroke-width: 1; stroke-dasharray: 2 4; opacity: .7; }
.axis { stroke: #5d6470; stroke-width: 1; }
path { fill: none; stroke-width: 2.2; stroke-linejoin: round; stroke-linecap: round; }
circle { opacity: .18; }
.key { opacity: 1; }
@media (prefers-color-scheme: dark) {
  text { fill: #a3a8b4; } .title { fill: #e8e9ec; } .paper { fill: #16181d; }
  .grid { stroke: #2d3139; } .epoch, .axis { stroke: #a3a8b4; } }
)";

std::string style() {
  std::string css = kStyle;
  for (size_t i = 0; i < std::size(kColours); ++i)
    css += fmt::format("path.c{0} {{ stroke: {1}; }} circle.c{0}, .name.c{0} {{ fill: {1}; }}\n", i,
                       kColours[i]);
  return css;
}

// 1, 2 or 5 times a power of ten, so that about `wanted` of them make the range.
double tick_distance(double range, int wanted) {
  const double raw = range / wanted;
  const double power = std::pow(10, std::floor(std::log10(raw)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (raw <= factor * power) return factor * power;
  return 10 * power;
}

// Mean over the steps to either side: near the start, where the loss falls fast, over fewer of
// both; at the end over those that there are.
std::vector<double> smooth(const StepRecord& record) {
  const auto n = static_cast<int64_t>(record.size());
  std::vector<double> sums(record.size() + 1);
  for (size_t i = 0; i < record.size(); ++i) sums[i + 1] = sums[i] + record[i].loss_per_sample;
  std::vector<double> means(record.size());
  for (int64_t i = 0; i < n; ++i) {
    const int64_t before = std::min(n / 25, i), after = std::min(before, n - 1 - i);
    means[i] = (sums[i + after + 1] - sums[i - before]) / static_cast<double>(before + after + 1);
  }
  return means;
}

std::string colour_of(size_t curve) { return fmt::format("c{}", curve % std::size(kColours)); }

class Drawing {
 public:
  explicit Drawing(const std::vector<Curve>& curves, const std::string& title)
      : curves_(curves), svg_(kWidth, kHeight, style(), title) {
    double low = INFINITY, high = -INFINITY;
    for (const Curve& curve : curves) {
      steps_ = std::max(steps_, static_cast<double>(curve.record.size()));
      for (const StepReport& r : curve.record) {
        low = std::min(low, r.loss_per_sample);
        high = std::max(high, r.loss_per_sample);
      }
    }
    const double margin = std::max(0.03 * (high - low), 0.01);
    low_ = std::max(0.0, low - margin);
    high_ = high + margin;
    loss_tick_ = tick_distance(high_ - low_, 6);
    svg_.rect("paper", 0, 0, kWidth, kHeight);
    svg_.text("title", "start", 16, 28, title);
  }

  std::string draw() {
    axes();
    epochs();
    legend();
    for (size_t i = 0; i < curves_.size(); ++i) points(i);
    for (size_t i = 0; i < curves_.size(); ++i) line(i);
    names();
    return svg_.finish();
  }

 private:
  // Step s stands at s; 0, before the first, at the axis.
  double x_of(double step) const { return kLeft + kPlotWidth * step / steps_; }
  double y_of(double loss) const { return kTop + kPlotHeight * (high_ - loss) / (high_ - low_); }

  void axes() {
    const double bottom = kTop + kPlotHeight;
    const int decimals = std::max(0, -static_cast<int>(std::floor(std::log10(loss_tick_))));
    for (double tick = std::ceil(low_ / loss_tick_); tick * loss_tick_ <= high_; ++tick) {
      const double loss = tick * loss_tick_;
      svg_.line("grid", kLeft, y_of(loss), kLeft + kPlotWidth, y_of(loss));
      svg_.text("", "end", kLeft - 8, y_of(loss) + 4, fmt::format("{:.{}f}", loss, decimals));
    }
    const double tick = std::max(1.0, tick_distance(steps_, 8));
    for (double step = 0; step <= steps_; step += tick) {
      svg_.line("axis", x_of(step), bottom, x_of(step), bottom + 5);
      svg_.text("", "middle", x_of(step), bottom + 19, fmt::format("{:g}", step));
    }
    svg_.line("axis", kLeft, bottom, kLeft + kPlotWidth, bottom);
    svg_.text("", "middle", kLeft + kPlotWidth / 2, bottom + 40, "steps (minibatches)");
    svg_.text("", "start", 16, kTop - 12, "loss per sample, nats");
  }

  // A line where an epoch of the longest run ends and another begins, unless they crowd.
  void epochs() {
    const auto longest = std::max_element(curves_.begin(), curves_.end(), [](auto& a, auto& b) {
      return a.record.size() < b.record.size();
    });
    const StepRecord& record = longest->record;
    if (record.back().epoch > 20) return;
    for (size_t i = 1; i < record.size(); ++i) {
      if (record[i].epoch == record[i - 1].epoch) continue;
      const double x = x_of(static_cast<double>(i));
      svg_.line("epoch", x, kTop, x, kTop + kPlotHeight);
      svg_.text("", "start", x + 4, kTop + 12, fmt::format("epoch {}", record[i].epoch + 1));
    }
  }

  void legend() {
    double x = kLeft + kPlotWidth;
    for (size_t i = curves_.size(); i-- > 0;) {
      x -= 7.0 * static_cast<double>(curves_[i].name.size()) + 26;
      svg_.circle("key " + colour_of(i), x, kTop - 16, 5);
      svg_.text("", "start", x + 10, kTop - 12, curves_[i].name);
    }
  }

  void points(size_t number) {
    const StepRecord& record = curves_[number].record;
    const size_t every = (record.size() + kPoints - 1) / kPoints;
    for (size_t i = 0; i < record.size(); i += every)
      svg_.circle(colour_of(number), x_of(static_cast<double>(i + 1)),
                  y_of(record[i].loss_per_sample), 1.8);
  }

  void line(size_t number) {
    const std::vector<double> means = smooth(curves_[number].record);
    const size_t every = (means.size() + kPoints - 1) / kPoints;
    std::vector<std::pair<double, double>> points;
    for (size_t i = 0; i < means.size(); i += every)
      points.emplace_back(x_of(static_cast<double>(i + 1)), y_of(means[i]));
    points.emplace_back(x_of(static_cast<double>(means.size())), y_of(means.back()));
    svg_.path(colour_of(number), points);
  }

  // At the lines' ends, pushed apart where they would cover each other.
  void names() {
    std::vector<double> ends, y;
    for (const Curve& curve : curves_) {
      ends.push_back(smooth(curve.record).back());
      y.push_back(y_of(ends.back()));
    }
    std::vector<size_t> order(curves_.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return y[a] < y[b]; });
    push_apart(order, y);
    for (const size_t i : order)
      svg_.text("name " + colour_of(i), "start",
                x_of(static_cast<double>(curves_[i].record.size())) + 8, y[i] + 4,
                fmt::format("{} {:.2f}", curves_[i].name, ends[i]));
  }

  // Downwards first; what then hangs below the axis is pushed up again.
  static void push_apart(const std::vector<size_t>& order, std::vector<double>& y) {
    for (size_t i = 1; i < order.size(); ++i)
      y[order[i]] = std::max(y[order[i]], y[order[i - 1]] + kLabelHeight);
    double floor = kTop + kPlotHeight;
    for (size_t i = order.size(); i-- > 0; floor -= kLabelHeight)
      y[order[i]] = std::min(y[order[i]], floor);
  }

  const std::vector<Curve>& curves_;
  Svg svg_;
  double steps_ = 1, low_ = 0, high_ = 1, loss_tick_ = 1;
};

}  // namespace

std::string loss_svg(const std::vector<Curve>& curves, const std::string& title) {
  return Drawing(curves, title).draw();
}

}  // namespace etude::apps::report
