#pragma once

// Progress on stderr. On a terminal one line that is drawn again and again; elsewhere a plain line
// every few seconds. Lines that must stay (an epoch's end) are printed above it.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

namespace etude::apps {

// What stands at the other end of a stream.
struct Screen {
  bool redraw = false;  // a terminal that can
  bool colour = false;  // NO_COLOR (https://no-color.org) unset
  int width = 80;
};
Screen screen_of(std::FILE* stream);

class Progress {
 public:
  // `unit` is what is counted, in the plural: "steps". Where the total is not known, it is 0.
  Progress(std::string title, std::string unit, int64_t total, int64_t done = 0);
  Progress(std::string title, std::string unit, int64_t total, int64_t done, Screen screen,
           std::FILE* to);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `done` of the total are done; `note` says more about them ("epoch 1/4  loss 5.1234").
  void advance(int64_t done, const std::string& note = {});
  void stay(const std::string& line);

 private:
  using Clock = std::chrono::steady_clock;

  void draw(const std::string& note);
  void erase();
  std::string speed_and_time_left() const;

  std::string title_, unit_;
  int64_t total_, first_, done_;
  Screen screen_;
  std::FILE* to_;
  Clock::time_point start_, shown_;
  bool on_screen_ = false;
};

}  // namespace etude::apps
