#include "apps/report/html.h"

#include <fmt/format.h>

namespace etude::apps::report {
namespace {

constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --paper: #fff; --ink: #1d2026; --faint: #5d6470;
  --rule: #dfe2e8; --card: #f6f7f9; --accent: #0072b2; }
@media (prefers-color-scheme: dark) { :root { --paper: #16181d; --ink: #e8e9ec; --faint: #a3a8b4;
  --rule: #2d3139; --card: #1e2127; --accent: #56b4e9; } .roll { filter: invert(.92) hue-rotate(180deg); } }
body { margin: 0 auto; max-width: 60rem; padding: 2rem 1.25rem 4rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0; } h2 { font-size: 1.2rem; margin: 2.5rem 0 .75rem; }
.lead, .note, dt { color: var(--faint); } .note { font-size: .9rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: 0; }
dd { margin: 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .4rem .6rem; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th { white-space: normal; font-weight: 600; font-size: .85rem; color: var(--faint); vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; } td:first-child { font-weight: 600; }
img { display: block; max-width: 100%; height: auto; border-radius: 6px; }
section.piece { background: var(--card); border-radius: 10px; padding: 1rem; margin: 0 0 1rem; }
.bar { display: flex; align-items: center; gap: .8rem; margin-bottom: .6rem; }
.bar h3 { margin: 0; font-size: 1.05rem; } .bar progress { flex: 1; accent-color: var(--accent); }
button { font: inherit; padding: .25rem .9rem; border: 1px solid var(--accent); border-radius: 999px;
  background: none; color: var(--accent); cursor: pointer; } a { color: var(--accent); }
)";

}  // namespace

std::string escape(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

namespace {

std::string base64(const std::string& bytes) {
  constexpr const char* kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t three = 0;
    for (size_t j = 0; j < 3; ++j)
      three = three << 8 | (i + j < bytes.size() ? static_cast<uint8_t>(bytes[i + j]) : 0u);
    for (size_t j = 0; j < 4; ++j)
      out += i + j <= bytes.size() ? kDigits[three >> (18 - 6 * j) & 63] : '=';
  }
  return out;
}

}  // namespace

std::string image(const std::string& svg, const std::string& kind, const std::string& says) {
  return fmt::format("<img class=\"{}\" alt=\"{}\" src=\"data:image/svg+xml;base64,{}\">\n", kind,
                     escape(says), base64(svg));
}

std::string to_page(const std::string& title, const std::string& body) {
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n{}</body>\n</html>\n",
      escape(title), kStyle, body);
}

}  // namespace etude::apps::report
