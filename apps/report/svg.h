#pragma once

// The shapes of SVG that pictures here are made of, in pixels. `kind` is a CSS class, or empty.

#include <tinyxml2.h>

#include <string>
#include <utility>
#include <vector>

namespace etude::apps::report {

class Svg {
 public:
  // `style` is CSS for the whole picture; `title` is what screen readers say.
  Svg(double width, double height, const std::string& style, const std::string& title);

  void rect(const std::string& kind, double x, double y, double width, double height);
  void line(const std::string& kind, double x1, double y1, double x2, double y2);
  void circle(const std::string& kind, double x, double y, double radius);
  void path(const std::string& kind, const std::vector<std::pair<double, double>>& points);
  void path(const std::string& kind, const std::string& outline);
  void open_group();
  void close_group();
  // anchor: start, middle or end
  void text(const std::string& kind, const char* anchor, double x, double y,
            const std::string& content);

  std::string finish();

 private:
  void open(const char* name, const std::string& kind);
  void put(const char* name, double value);

  tinyxml2::XMLPrinter xml_;
};

// "12.5": two decimals, no zeros at the end.
std::string pixels(double value);

}  // namespace etude::apps::report
