#include "apps/profile_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "apps/machine.h"

namespace etude::apps {
namespace {

using Json = nlohmann::ordered_json;
using kernels::SpanKind;

constexpr double kKilo = 1e3, kGiga = 1e9;

std::string rate(double amount, double seconds) {
  if (amount <= 0 || seconds <= 0) return "";
  const double giga = amount / seconds / kGiga;
  return fmt::format("{:.{}f}", giga, giga < 10 ? 2 : giga < 100 ? 1 : 0);
}

std::string milliseconds(double seconds) { return fmt::format("{:.3f}", seconds * kKilo); }

TableLine line_of(const Profiled& p, const ProfileRow& row, const std::string& where) {
  const kernels::Bound floor = kernels::bound(p.ceilings, row.work.flops, row.work.bytes);
  const bool has_floor = floor.seconds > 0;
  return {row.name,
          where,
          fmt::format("{:.4g}", row.calls),
          milliseconds(row.seconds),
          fmt::format("{:.1f} %", 100 * row.seconds / p.profile.sum()),
          rate(row.work.flops, row.seconds),
          rate(row.work.bytes, row.seconds),
          has_floor ? milliseconds(floor.seconds) : "",
          !has_floor        ? ""
          : floor.by_memory ? "memory"
                            : "products",
          has_floor ? fmt::format("{:.1f}", row.seconds / floor.seconds) : ""};
}

TableLine rest(const Profiled& p, const char* name, double seconds) {
  TableLine line;
  line[0] = name;
  line[3] = milliseconds(seconds);
  line[4] = fmt::format("{:.1f} %", 100 * seconds / p.profile.sum());
  return line;
}

std::string text_of(const TableLine& line) {
  constexpr std::array kWidths = {28, 24, 6, 10, 9, 10, 8, 10, 10, 10};
  std::string text;
  for (size_t i = 0; i < line.size(); ++i)
    text += i < 2 ? fmt::format("{:<{}}", line[i], kWidths[i])
                  : fmt::format("{:>{}}", line[i], kWidths[i]);
  text.erase(text.find_last_not_of(' ') + 1);
  return text + "\n";
}

std::string layer_table(const Profiled& p) {
  double sum = p.profile.between_layers;
  for (const LayerTimes& layer : p.profile.layers) sum += layer.seconds();
  const auto cell = [](double seconds) { return seconds > 0 ? milliseconds(seconds) : ""; };
  std::string text = fmt::format("{:<28}{:>12}{:>12}{:>12}{:>9}\n", "layer", "forward ms",
                                 "backward ms", "neither", "share");
  const auto row = [&](const std::string& name, double forward, double backward, double stage) {
    text += fmt::format("{:<28}{:>12}{:>12}{:>12}{:>7.1f} %\n", name, cell(forward), cell(backward),
                        cell(stage), 100 * (forward + backward + stage) / sum);
  };
  for (const LayerTimes& l : p.profile.layers) row(l.name, l.forward, l.backward, l.stage);
  row("between layers", 0, 0, p.profile.between_layers);
  return text;
}

Json to_json(const Profiled& p, const ProfileRow& row) {
  const kernels::Bound floor = kernels::bound(p.ceilings, row.work.flops, row.work.bytes);
  const auto per_second = [&](double amount) {
    return amount > 0 && row.seconds > 0 ? Json(amount / row.seconds) : Json();
  };
  Json json = {
      {"name", row.name},
      {"calls", row.calls},
      {"ms", row.seconds * kKilo},
      {"share", row.seconds / p.profile.sum()},
      {"flops", row.work.flops},
      {"bytes", row.work.bytes},
      {"flops_per_second", per_second(row.work.flops)},
      {"bytes_per_second", per_second(row.work.bytes)},
      {"floor_ms", floor.seconds > 0 ? Json(floor.seconds * kKilo) : Json()},
      {"bound_by", floor.seconds > 0 ? Json(floor.by_memory ? "memory" : "products") : Json()},
      {"distance", floor.seconds > 0 ? Json(row.seconds / floor.seconds) : Json()}};
  if (!row.parts.empty())
    for (const ProfileRow& part : row.parts) json["parts"].push_back(to_json(p, part));
  return json;
}

}  // namespace

const char* pass_name(SpanKind pass) {
  return pass == SpanKind::forward ? "forward" : pass == SpanKind::backward ? "backward" : "";
}

std::vector<TableLine> kernel_table(const Profiled& p) {
  std::vector<const ProfileRow*> rows;
  for (const ProfileRow& row : p.profile.kernels) rows.push_back(&row);
  std::ranges::stable_sort(rows, std::greater(), &ProfileRow::seconds);
  std::vector<TableLine> lines = {{"kernel", "layer", "calls", "ms", "share", "GFLOP/s", "GB/s",
                                   "floor ms", "bound by", "distance"}};
  for (const ProfileRow* row : rows) {
    const std::string pass = pass_name(row->pass);
    lines.push_back(line_of(p, *row, row->layer + (pass.empty() ? "" : ", " + pass)));
    if (row->parts.size() < 2) continue;  // it says the same again
    for (const ProfileRow& part : row->parts) {
      lines.push_back(line_of(p, part, ""));
      lines.back()[0].insert(0, "  ");
    }
  }
  lines.push_back(rest(p, "between kernels", p.profile.between_kernels));
  lines.push_back(rest(p, "sum", p.profile.sum()));
  return lines;
}

std::vector<std::string> facts(const Profiled& p) {
  const Machine machine = this_machine();
  const kernels::Ceilings& top = p.ceilings;
  return {
      fmt::format("{}: {} windows of {} tokens, {} classes, {}", p.model, p.batch, p.window,
                  p.classes, p.data),
      fmt::format("{}, threads: {}; device {}, {}", machine.processor, machine.threads, p.device,
                  p.precision),
      top.copy_bytes_per_second > 0
          ? fmt::format("ceilings, measured just now: copy {:.1f} GB/s, products {:.0f} GFLOP/s",
                        top.copy_bytes_per_second / kGiga, top.matmul_flops_per_second / kGiga)
          : "no floors: simt's time is the emulator's, not a GPU's",
      fmt::format("a step: {:.3f} ms with the profiler, {:.3f} ms without; medians, steps of "
                  "either kind: {}",
                  p.profile.profiled * kKilo, p.profile.plain * kKilo, p.profile.steps)};
}

std::string describe(const Profiled& p) {
  std::string text;
  for (const std::string& fact : facts(p)) text += fact + "\n";
  text += "\n" + layer_table(p) + "\n";
  for (const TableLine& line : kernel_table(p)) text += text_of(line);
  return text;
}

Json to_json(const Profiled& p) {
  Json json = {{"format", "etude profile"},
               {"version", 1},
               {"machine", to_json(this_machine())},
               {"model", p.model},
               {"data", p.data},
               {"device", p.device},
               {"precision", p.precision},
               {"batch", p.batch},
               {"window", p.window},
               {"classes", p.classes},
               {"steps", p.profile.steps}};
  json["ceilings"] = Json();
  if (p.ceilings.copy_bytes_per_second > 0)
    json["ceilings"] = {{"copy_bytes_per_second", p.ceilings.copy_bytes_per_second},
                        {"matmul_flops_per_second", p.ceilings.matmul_flops_per_second}};
  json["ms_per_step"] = {{"profiled", p.profile.profiled * kKilo},
                         {"plain", p.profile.plain * kKilo},
                         {"sum", p.profile.sum() * kKilo}};
  for (const LayerTimes& layer : p.profile.layers)
    json["layers"].push_back({{"name", layer.name},
                              {"forward_ms", layer.forward * kKilo},
                              {"backward_ms", layer.backward * kKilo},
                              {"other_ms", layer.stage * kKilo}});
  json["between_layers_ms"] = p.profile.between_layers * kKilo;
  for (const ProfileRow& row : p.profile.kernels) {
    Json kernel = {{"layer", row.layer}, {"pass", pass_name(row.pass)}};
    kernel.update(to_json(p, row));
    json["kernels"].push_back(kernel);
  }
  json["between_kernels"] = {{"ms", p.profile.between_kernels * kKilo},
                             {"share", p.profile.between_kernels / p.profile.sum()}};
  return json;
}

Json chrome_trace(const std::vector<Trace::Event>& events, const std::string& title,
                  const kernels::Ceilings& ceilings) {
  constexpr double kMicro = 1e6;
  const auto named = [](const char* what, const std::string& name) {
    return Json{{"name", what}, {"ph", "M"}, {"pid", 1}, {"tid", 1}, {"args", {{"name", name}}}};
  };
  Json list = {named("process_name", "etude"), named("thread_name", title)};
  for (const Trace::Event& event : events) {
    const double seconds = event.end - event.begin;
    const std::string pass = pass_name(event.kind);
    Json one = {{"name", pass.empty() ? event.name : event.name + ", " + pass},
                {"cat", event.kind == SpanKind::step     ? "step"
                        : event.kind == SpanKind::kernel ? "kernel"
                        : event.kind == SpanKind::part   ? "part"
                                                         : "layer"},
                {"ph", "X"},
                {"pid", 1},
                {"tid", 1},
                {"ts", event.begin * kMicro},
                {"dur", seconds * kMicro}};
    if (event.work.bytes > 0) {
      const kernels::Bound floor = kernels::bound(ceilings, event.work.flops, event.work.bytes);
      one["args"] = {{"FLOP", event.work.flops},
                     {"bytes", event.work.bytes},
                     {"GFLOP/s", event.work.flops / seconds / kGiga},
                     {"GB/s", event.work.bytes / seconds / kGiga}};
      if (floor.seconds > 0) one["args"]["times the floor"] = seconds / floor.seconds;
    }
    list.push_back(std::move(one));
  }
  return {{"displayTimeUnit", "ms"}, {"traceEvents", std::move(list)}};
}

}  // namespace etude::apps
