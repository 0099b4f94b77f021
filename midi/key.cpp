#include "midi/key.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string_view>

namespace etude::midi {
namespace {

using Profile = std::array<double, 12>;

// By semitones above the tonic.
constexpr Profile kMajor = {6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88};
constexpr Profile kMinor = {6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17};

constexpr std::string_view kSteps = "FCGDAEB";  // along the line of fifths

// Pearson's; 0 where one of both does not vary.
double correlation(const Profile& x, const Profile& y) {
  const double mean_x = std::accumulate(x.begin(), x.end(), 0.0) / 12;
  const double mean_y = std::accumulate(y.begin(), y.end(), 0.0) / 12;
  double xx = 0, yy = 0, xy = 0;
  for (size_t i = 0; i < 12; ++i) {
    xx += (x[i] - mean_x) * (x[i] - mean_x);
    yy += (y[i] - mean_y) * (y[i] - mean_y);
    xy += (x[i] - mean_x) * (y[i] - mean_y);
  }
  return xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : 0;
}

// A fifth is 7 semitones, and 7 * 7 = 49 = 1 (mod 12). Six sharps stand for six flats too: F sharp
// major, but E flat minor.
Key key_on(int tonic, bool minor) {
  const int major_tonic = minor ? tonic + 3 : tonic;
  const int fifths = major_tonic * 7 % 12;
  return {fifths > (minor ? 5 : 6) ? fifths - 12 : fifths, minor};
}

int floor_divide(int a, int b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

}  // namespace

Key estimate_key(const std::array<double, 12>& durations) {
  Key best;
  double best_correlation = 0;
  for (int tonic = 0; tonic < 12; ++tonic) {
    Profile above_tonic;
    for (size_t i = 0; i < 12; ++i)
      above_tonic[i] = durations[(i + static_cast<size_t>(tonic)) % 12];
    for (const bool minor : {false, true}) {
      const double c = correlation(above_tonic, minor ? kMinor : kMajor);
      if (c <= best_correlation) continue;
      best_correlation = c;
      best = key_on(tonic, minor);
    }
  }
  return best;
}

std::string name_of(Key key) {
  const int place = key.fifths + (key.minor ? 3 : 0) + 1;  // of the tonic, from F
  const int alter = floor_divide(place, 7);
  const char step = kSteps[static_cast<size_t>(place - 7 * alter)];
  return std::string(1, step) +
         (alter > 0   ? " sharp"
          : alter < 0 ? " flat"
                      : "") +
         (key.minor ? " minor" : " major");
}

Spelling spell(int pitch, Key key) {
  // Places on the line of fifths from C, which is 0.
  const int lowest = key.fifths - (key.minor ? 2 : 3);
  const int any = pitch * 7;  // some place of this pitch class
  const int place = any - 12 * floor_divide(any - lowest, 12);
  const int alter = floor_divide(place + 1, 7);
  const char step = kSteps[static_cast<size_t>(place + 1 - 7 * alter)];
  return {step, alter, floor_divide(pitch - alter, 12) - 1};
}

Accidentals::Accidentals(Key key) {
  for (int i = 0; i < 7; ++i) {
    const int alter = i < key.fifths ? 1 : 6 - i < -key.fifths ? -1 : 0;
    alters_[static_cast<size_t>(kSteps[static_cast<size_t>(i)] - 'A')].fill(alter);
  }
}

bool Accidentals::needed(const Spelling& note) {
  int& alter = alters_[static_cast<size_t>(note.step - 'A')][static_cast<size_t>(note.octave + 2)];
  if (alter == note.alter) return false;
  alter = note.alter;
  return true;
}

}  // namespace etude::midi
