#include "apps/report/profile_page.h"

#include <fmt/format.h>

#include "apps/report/html.h"
#include "apps/report/roofline_svg.h"

namespace etude::apps::report {
namespace {

// Words on the left, numbers on the right; parts of a kernel fainter than the kernel.
constexpr const char* kTableStyle = R"(<style>
body { max-width: 72rem; } td:nth-child(2), th:nth-child(2) { text-align: left; }
tr.part td { color: var(--faint); font-weight: 400; font-size: .9rem; } tr.part td:first-child { padding-left: 1.8rem; }
</style>
)";

constexpr const char* kLegend =
    "Time: the median over the steps, of all calls in a step. Floor: what the bytes take at the "
    "speed of a copy, or the FLOPs at that of a large matrix product, whichever is longer. "
    "Distance: the time over the floor; below 1 where the bytes came from a cache. Lines that are "
    "set in are parts of the kernel above them and in its time.";

std::string table(const Profiled& p) {
  const std::vector<TableLine> lines = kernel_table(p);
  std::string html = "<div class=\"wide\"><table>\n<thead><tr>";
  for (const std::string& column : lines.front()) html += "<th>" + column + "</th>";
  html += "</tr></thead>\n<tbody>\n";
  for (size_t i = 1; i < lines.size(); ++i) {
    html += lines[i][0].starts_with(' ') ? "<tr class=\"part\">" : "<tr>";
    for (const std::string& cell : lines[i]) html += "<td>" + escape(cell) + "</td>";
    html += "</tr>\n";
  }
  return html + "</tbody></table></div>\n";
}

}  // namespace

std::string profile_page(const Profiled& p) {
  std::string html =
      fmt::format("{}<h1>A training step of {}</h1>\n", kTableStyle, escape(p.model));
  for (const std::string& fact : facts(p))
    html += "<p class=\"lead\" style=\"margin:.2rem 0\">" + escape(fact) + "</p>\n";
  html += "<h2>By layer</h2>\n" + image(layers_svg(p), "", "time of each layer");
  html += "<h2>By kernel, under the machine's ceilings</h2>\n" +
          image(roofline_svg(p), "", "roofline of the kernels");
  html += "<h2>By kernel</h2>\n" + table(p);
  html += fmt::format("<p class=\"note\">{}</p>\n", kLegend);
  return to_page("Etude: a training step of " + p.model, html);
}

}  // namespace etude::apps::report
