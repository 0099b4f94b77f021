#pragma once

// What the pages are made of. Each is one HTML file that needs nothing but itself, light or dark as
// the reader's screen is.

#include <string>

namespace etude::apps::report {

std::string escape(const std::string& text);

// A picture as an image, so that its style does not meet the page's. `kind` is a CSS class.
std::string image(const std::string& svg, const std::string& kind, const std::string& says);

std::string to_page(const std::string& title, const std::string& body);

}  // namespace etude::apps::report
