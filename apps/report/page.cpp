#include "apps/report/page.h"

#include <fmt/format.h>

#include <iterator>

#include "apps/table_formats.h"

namespace etude::apps::report {
namespace {

using Json = nlohmann::ordered_json;

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

// A plain synthesiser: browsers do not play MIDI files. Each note is two sines that die away.
constexpr const char* kScript = R"(
let playing = null;
function stop() {
  if (!playing) return;
  clearInterval(playing.timer); playing.audio.close();
  playing.button.textContent = "Play"; playing.bar.value = 0; playing = null;
}
function strike(audio, out, pitch, at, length) {
  const hertz = 440 * 2 ** ((pitch - 69) / 12);
  const end = at + Math.min(length, 6), rest = .25;
  for (const [times, share] of [[1, 1], [2, .35], [3, .12]]) {
    const tone = audio.createOscillator(), gain = audio.createGain();
    tone.frequency.value = hertz * times;
    gain.gain.setValueAtTime(0, at);
    gain.gain.linearRampToValueAtTime(.16 * share, at + .008);
    gain.gain.setTargetAtTime(.02 * share, at + .008, .55 / times);
    gain.gain.setTargetAtTime(0, end, rest / 4);
    tone.connect(gain).connect(out); tone.start(at); tone.stop(end + rest);
  }
}
function play(button, notes) {
  const mine = playing && playing.button === button;
  stop();
  if (mine) return;
  const audio = new AudioContext(), out = audio.createDynamicsCompressor();
  out.connect(audio.destination);
  const start = audio.currentTime + .15, end = Math.max(...notes.map(n => n[1]));
  const bar = button.parentElement.querySelector("progress");
  let next = 0;
  const timer = setInterval(() => {
    const now = audio.currentTime - start;
    for (; next < notes.length && notes[next][0] < now + .5; ++next)
      strike(audio, out, notes[next][2], start + notes[next][0], notes[next][1] - notes[next][0]);
    bar.value = Math.max(0, now / end);
    if (now > end + .5) stop();
  }, 100);
  playing = {audio, timer, button, bar};
  button.textContent = "Stop";
}
for (const button of document.querySelectorAll("button[data-notes]"))
  button.onclick = () => play(button, JSON.parse(button.dataset.notes));
)";

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

// As an image, so that its style does not meet the page's.
std::string image(const std::string& svg, const std::string& kind, const std::string& says) {
  return fmt::format("<img class=\"{}\" alt=\"{}\" src=\"data:image/svg+xml;base64,{}\">\n", kind,
                     escape(says), base64(svg));
}

std::string facts(const Json& table) {
  const Json &machine = table.at("machine"), &data = table.at("data"),
             &training = table.at("training");
  const auto row = [](const char* what, const std::string& value) {
    return fmt::format("<dt>{}</dt><dd>{}</dd>\n", what, escape(value));
  };
  const auto max_steps = training.at("max_steps").get<int64_t>();
  return "<dl>\n" +
         row("Data", fmt::format("{}: {} pieces, {} samples, {} tokens, {} columns a second",
                                 data.at("path").get<std::string>(),
                                 data.at("songs").get<int64_t>(), thousands(data.at("samples")),
                                 thousands(data.at("tokens")), data.at("fs").get<double>())) +
         row("Training",
             fmt::format(
                 "{} epochs{}, minibatches of {}, songs in groups of {}, seed {}, dropout {}",
                 training.at("epochs").get<int>(),
                 max_steps ? fmt::format(" or {} steps", max_steps) : "",
                 training.at("batch").get<int>(), training.at("song_group").get<int>(),
                 training.at("seed").get<uint64_t>(), training.at("dropout").get<double>())) +
         row("Measured",
             fmt::format(
                 "{}; repeats of each model: {}, by turns; warm-up steps not counted: {}; GRU: "
                 "{}{}",
                 training.at("device_name").get<std::string>(), training.at("repeats").get<int>(),
                 training.at("warmup_steps").get<int>(), training.at("gru").get<std::string>(),
                 training.at("as_published").get<bool>() ? "; fed as the paper's notebook does"
                                                         : "")) +
         row("Machine",
             fmt::format("{}, threads used: {}, {:.0f} GiB, {}",
                         machine.at("processor").get<std::string>(),
                         machine.at("threads").get<int>(), machine.at("memory_gib").get<double>(),
                         machine.at("system").get<std::string>())) +
         row("Compiler", fmt::format("{} {}", machine.at("compiler").get<std::string>(),
                                     machine.at("flags").get<std::string>())) +
         "</dl>\n";
}

std::string figures(const std::vector<TableRow>& rows) {
  const std::vector<TableColumn> columns = table_columns(rows);
  std::string html = "<div class=\"wide\"><table>\n<thead><tr>";
  for (const TableColumn& column : columns) html += "<th>" + escape(column.title) + "</th>";
  html += "</tr></thead>\n<tbody>\n";
  for (const TableRow& row : rows) {
    html += "<tr>";
    for (const TableColumn& column : columns) html += "<td>" + escape(column.cell(row)) + "</td>";
    html += "</tr>\n";
  }
  return html + "</tbody></table></div>\n<p class=\"note\">" + escape(table_legend(rows)) +
         "</p>\n";
}

std::string notes_json(const std::vector<midi::Note>& notes) {
  std::string json = "[";
  for (const midi::Note& note : notes)
    fmt::format_to(std::back_inserter(json), "{}[{:.3f},{:.3f},{}]", json.size() > 1 ? "," : "",
                   note.start, note.end, note.pitch);
  return json + "]";
}

std::string section(const Piece& piece) {
  return fmt::format(
             "<section class=\"piece\">\n<div class=\"bar\"><h3>{}</h3><button data-notes=\"{}\">"
             "Play</button><progress max=\"1\" value=\"0\" aria-label=\"position\"></progress>"
             "<a href=\"{}\" download>{}</a></div>\n",
             escape(piece.name), notes_json(piece.notes), escape(piece.file), escape(piece.file)) +
         image(piece.roll_svg, "roll", "piano roll of the piece by " + piece.name) + "</section>\n";
}

}  // namespace

std::string to_html(const Page& page) {
  std::string html = fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>Etude: {} models, side by side</title>\n<style>{}</style>\n</head>\n<body>\n"
      "<h1>Etude</h1>\n<p class=\"lead\">Models of piano music, trained from MIDI files on this "
      "machine, and a new piece by each.</p>\n",
      page.table.rows.size(), kStyle);
  html += "<h2>What was run</h2>\n" + facts(page.table.json);
  html += "<h2>The models side by side</h2>\n" + figures(page.table.rows);
  html += "<h2>How they learned</h2>\n" + image(page.loss_svg, "", "loss curves of the models");
  if (!page.pieces.empty()) html += "<h2>What they composed</h2>\n";
  for (const Piece& piece : page.pieces) html += section(piece);
  return html + fmt::format("<script>{}</script>\n</body>\n</html>\n", kScript);
}

}  // namespace etude::apps::report
