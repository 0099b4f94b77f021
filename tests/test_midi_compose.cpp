// Tokens, and music made of them.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "midi/compose.h"
#include "midi/dataset.h"
#include "midi/error.h"
#include "midi/sha256.h"
#include "midi/smf.h"
#include "midi/smf_write.h"
#include "midi/tempo.h"

using namespace etude::midi;

namespace {

PitchSet chord(std::initializer_list<int> pitches) {
  PitchSet set;
  for (const int pitch : pitches) set.set(pitch);
  return set;
}

std::vector<PitchSet> random_columns(std::mt19937& random, size_t count) {
  std::vector<PitchSet> columns;
  while (columns.size() < count) {
    PitchSet set;
    for (auto n = random() % 5; n > 0; --n) set.set(static_cast<int>(random() % 128));
    for (auto n = random() % 4 + 1; n > 0 && columns.size() < count; --n) columns.push_back(set);
  }
  return columns;
}

Score through_file(const Score& score) { return parse_smf(write_smf(score), "written.mid"); }

}  // namespace

TEST_CASE("tokens and pitches") {
  CHECK(to_token(chord({67, 60, 64})) == "60,64,67");
  CHECK(to_token(chord({0, 63, 64, 127})) == "0,63,64,127");
  CHECK(to_token({}) == "e");
  CHECK(parse_token("60,64,67") == chord({60, 64, 67}));
  CHECK(parse_token("e").empty());
  for (const char* bad :
       {"", "60,", ",60", "60,60", "64,60", "128", "-1", "060", "60 64", "x", "60,e"}) {
    CHECK_THROWS_AS(parse_token(bad), std::invalid_argument);
  }
}

TEST_CASE("pitches move together") {
  CHECK(chord({0, 63, 127}).up(1) == chord({1, 64}));
  CHECK(chord({0, 64, 127}).down(2) == chord({62, 125}));
  CHECK(chord({5}).up(0) == chord({5}));
  CHECK(chord({5, 100}).count() == 2);
}

TEST_CASE("a vocabulary numbers chords as they come, and silence last") {
  Vocabulary vocabulary;
  CHECK(vocabulary.size() == 1);
  CHECK(vocabulary.add(chord({60})) == 1);
  CHECK(vocabulary.add(chord({60, 64})) == 2);
  CHECK(vocabulary.add(chord({60})) == 1);
  CHECK(vocabulary.add({}) == 0);
  CHECK(vocabulary.silence() == 3);
  CHECK(vocabulary.classes() == 4);
  CHECK(vocabulary.find({}) == 3);
  CHECK(vocabulary.find(chord({61})) == 0);
  CHECK(vocabulary.token(3) == "e");
  CHECK_THROWS_AS(vocabulary.pitches(0), std::out_of_range);
  CHECK_THROWS_AS(vocabulary.pitches(4), std::out_of_range);

  const auto tokens = vocabulary.tokens();
  CHECK((tokens == std::vector<std::string>{"60", "60,64", "e"}));
  CHECK(Vocabulary(tokens).sha256() == vocabulary.sha256());
  Sha256 hash;
  hash.add("60\n60,64\ne\n");
  CHECK(hash.hex() == vocabulary.sha256());

  for (const std::vector<std::string>& bad :
       {std::vector<std::string>{}, {"60"}, {"e", "60", "e"}, {"60", "60", "e"}, {"64,60", "e"}}) {
    CHECK_THROWS_AS(Vocabulary{bad}, std::invalid_argument);
  }
}

TEST_CASE("SHA-256 as the standard has it") {
  Sha256 hash;
  hash.add("abc");
  CHECK(hash.hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("columns, written and read at the same rate, come back") {
  std::mt19937 random(3);
  for (const double fs :
       {0.06, 0.5, 1.0, 3.0, 5.0, 7.0, 7.5, 8.0, 10.0, 12.34, 100.0, 1000.0, 10000.0}) {
    for (const size_t length : {1u, 2u, 50u, 200u, 5000u}) {
      CAPTURE(fs);
      CAPTURE(length);
      auto columns = random_columns(random, length);
      columns[0].set(60);  // a roll needs a note
      const Score score = through_file(compose(columns, {.fs = fs}));
      CHECK(score.found.empty());
      for (const Pedal pedal : {Pedal::compat, Pedal::off}) {
        CHECK((make_piano_roll(score, {fs, pedal}).played == columns));
      }
      const double seconds = static_cast<double>(length) / fs;
      CHECK(end_times(score).last_event.count == doctest::Approx(seconds).epsilon(1e-5));
    }
  }
}

TEST_CASE("neighbouring columns are one long note, unless it is struck again") {
  const PitchSet a = chord({60}), ab = chord({60, 64});
  const std::vector<PitchSet> columns = {a, ab, ab, {}};
  const Score held = compose(columns, {.velocity = 90, .program = 4, .title = "A piece"});
  CHECK(held.note_ons() == 2);
  const std::vector<PitchSet> struck = {a, chord({64}), a, {}};
  const Score again = compose(columns, {}, struck);
  CHECK(again.note_ons() == 3);
  CHECK((make_piano_roll(through_file(again), {}).articulated == struck));
  CHECK((make_piano_roll(through_file(again), {}).played == columns));
  for (const Event& event : held.tracks[0].events) {
    if (event.is_note_on()) CHECK(event.b == 90);
    if (event.kind == EventKind::program) CHECK(event.a == 4);
  }
  CHECK(held.tracks[0].events[0].is_meta(meta::track_name));
}

TEST_CASE("what cannot be composed is refused") {
  const std::vector<PitchSet> columns(3, chord({60}));
  for (const double fs : {0.0, -5.0, 0.05, 20000.0, std::nan("")}) {
    CHECK_THROWS_AS(compose(columns, {.fs = fs}), std::invalid_argument);
  }
  CHECK_THROWS_AS(compose(columns, {}, std::vector<PitchSet>(2)), std::invalid_argument);
  CHECK_THROWS_AS(compose(std::vector<PitchSet>(100000), {}), LimitError);
  const std::vector<int32_t> unknown = {0};
  CHECK_THROWS_AS(columns_of(Vocabulary(), unknown), std::out_of_range);
}

TEST_CASE("a primer is a piece's last window; what the vocabulary lacks is counted") {
  Vocabulary vocabulary;
  vocabulary.add(chord({60}));
  vocabulary.add(chord({62}));
  const std::vector<PitchSet> columns = {{}, chord({60}), {}, chord({61}), chord({62}), {}, {}};
  const Primer primer = make_primer(through_file(compose(columns, {})), {}, vocabulary);
  REQUIRE(primer.tokens.size() == 50);
  CHECK((std::vector(primer.tokens.end() - 4, primer.tokens.end()) == std::vector{1, 3, 0, 2}));
  CHECK(std::count(primer.tokens.begin(), primer.tokens.end(), 3) == 47);
  CHECK(primer.unknown == 1);

  std::vector<PitchSet> long_piece(80, chord({60}));
  long_piece[79] = chord({62});
  const Primer last = make_primer(through_file(compose(long_piece, {})), {}, vocabulary);
  CHECK(last.tokens[0] == 1);
  CHECK(last.tokens[49] == 2);
  CHECK(last.unknown == 0);
}
