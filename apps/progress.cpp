#include "apps/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "apps/durations.h"

#include "apps/messages.h"

namespace etude::apps {
namespace {

constexpr auto kRedrawEvery = std::chrono::milliseconds(100);
constexpr auto kPlainLineEvery = std::chrono::seconds(5);
constexpr int kBarWidth = 24;

bool is_set(const char* variable) {
  const char* value = std::getenv(variable);
  return value && *value;
}

std::string bar(double part, bool colour) {
  const int full = static_cast<int>(std::lround(kBarWidth * std::clamp(part, 0.0, 1.0)));
  const std::string done(static_cast<size_t>(full), '=');
  const std::string rest(static_cast<size_t>(kBarWidth - full), colour ? '-' : ' ');
  if (!colour) return "[" + done + rest + "]";
  return "\x1b[36m" + done + "\x1b[90m" + rest + "\x1b[0m";
}

}  // namespace

Screen screen_of(std::FILE* stream) {
  Screen screen;
  const char* terminal = std::getenv("TERM");
  const bool dumb = !terminal || std::strcmp(terminal, "dumb") == 0;
  screen.redraw = isatty(fileno(stream)) && !dumb;
  screen.colour = screen.redraw && !is_set("NO_COLOR");
  winsize size{};
  if (screen.redraw && ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    screen.width = size.ws_col;
  return screen;
}

Progress::Progress(std::string title, std::string unit, int64_t total, int64_t done)
    : Progress(std::move(title), std::move(unit), total, done, screen_of(stderr), stderr) {}

Progress::Progress(std::string title, std::string unit, int64_t total, int64_t done, Screen screen,
                   std::FILE* to)
    : title_(std::move(title)),
      unit_(std::move(unit)),
      total_(total),
      first_(done),
      done_(done),
      screen_(screen),
      to_(to),
      start_(Clock::now()),
      shown_(start_) {}

Progress::~Progress() { erase(); }

void Progress::advance(int64_t done, const std::string& note) {
  done_ = done;
  const auto now = Clock::now();
  const bool due = screen_.redraw ? now - shown_ >= kRedrawEvery || done_ == total_
                                  : now - shown_ >= kPlainLineEvery;
  if (!due) return;
  shown_ = now;
  draw(note);
}

void Progress::stay(const std::string& line) {
  erase();
  tell(to_, fmt::format("{}: {}\n", title_, line));
  shown_ = screen_.redraw ? Clock::time_point{} : Clock::now();
}

void Progress::draw(const std::string& note) {
  const std::string of_total = total_ > 0 ? fmt::format("/{}", total_) : "";
  const std::string facts = fmt::format("{}{} {}{}{}{}", done_, of_total, unit_,
                                        note.empty() ? "" : "  ", note, speed_and_time_left());
  if (!screen_.redraw) {
    tell(to_, fmt::format("{}: {}\n", title_, facts));
  } else {
    // A line wider than the screen would wrap and could not be drawn again.
    const int room = screen_.width - 1 - static_cast<int>(title_.size()) - kBarWidth - 6;
    const double part = total_ > 0 ? static_cast<double>(done_) / static_cast<double>(total_) : 0.0;
    tell(to_, fmt::format("\r{}  {}  {}\x1b[K", title_, bar(part, screen_.colour),
                          facts.substr(0, static_cast<size_t>(std::max(room, 0)))));
    on_screen_ = true;
  }
}

void Progress::erase() {
  if (!on_screen_) return;
  tell(to_, "\r\x1b[K");
  on_screen_ = false;
}

std::string Progress::speed_and_time_left() const {
  const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  const auto made = static_cast<double>(done_ - first_);
  if (made <= 0 || seconds <= 0) return {};
  const double speed = made / seconds;
  std::string text = fmt::format("  {:.{}f} {}/s", speed, speed < 100 ? 1 : 0, unit_);
  if (done_ < total_)
    text += "  " + format_duration(static_cast<double>(total_ - done_) / speed) + " left";
  return text;
}

}  // namespace etude::apps
