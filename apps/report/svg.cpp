#include "apps/report/svg.h"

#include <fmt/format.h>

namespace etude::apps::report {

std::string pixels(double value) {
  std::string text = fmt::format("{:.2f}", value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text == "-0" ? "0" : text;
}

Svg::Svg(double width, double height, const std::string& style, const std::string& title) {
  xml_.OpenElement("svg");
  xml_.PushAttribute("xmlns", "http://www.w3.org/2000/svg");
  put("width", width);
  put("height", height);
  xml_.PushAttribute("viewBox", fmt::format("0 0 {} {}", pixels(width), pixels(height)).c_str());
  xml_.PushAttribute("role", "img");
  xml_.OpenElement("title");
  xml_.PushText(title.c_str());
  xml_.CloseElement();
  xml_.OpenElement("style");
  xml_.PushText(style.c_str());
  xml_.CloseElement();
}

void Svg::open(const char* name, const std::string& kind) {
  xml_.OpenElement(name);
  if (!kind.empty()) xml_.PushAttribute("class", kind.c_str());
}

void Svg::put(const char* name, double value) { xml_.PushAttribute(name, pixels(value).c_str()); }

void Svg::rect(const std::string& kind, double x, double y, double width, double height) {
  open("rect", kind);
  put("x", x);
  put("y", y);
  put("width", width);
  put("height", height);
  xml_.CloseElement();
}

void Svg::line(const std::string& kind, double x1, double y1, double x2, double y2) {
  open("line", kind);
  put("x1", x1);
  put("y1", y1);
  put("x2", x2);
  put("y2", y2);
  xml_.CloseElement();
}

void Svg::circle(const std::string& kind, double x, double y, double radius) {
  open("circle", kind);
  put("cx", x);
  put("cy", y);
  put("r", radius);
  xml_.CloseElement();
}

void Svg::path(const std::string& kind, const std::vector<std::pair<double, double>>& points) {
  std::string outline;
  for (const auto& [x, y] : points)
    outline += fmt::format("{}{} {}", outline.empty() ? "M" : "L", pixels(x), pixels(y));
  path(kind, outline);
}

void Svg::path(const std::string& kind, const std::string& outline) {
  open("path", kind);
  xml_.PushAttribute("d", outline.c_str());
  xml_.CloseElement();
}

void Svg::open_group() { xml_.OpenElement("g"); }
void Svg::close_group() { xml_.CloseElement(); }

void Svg::text(const std::string& kind, const char* anchor, double x, double y,
               const std::string& content) {
  open("text", kind);
  xml_.PushAttribute("text-anchor", anchor);
  put("x", x);
  put("y", y);
  xml_.PushText(content.c_str());
  xml_.CloseElement();
}

std::string Svg::finish() {
  xml_.CloseElement();
  return xml_.CStr();
}

}  // namespace etude::apps::report
