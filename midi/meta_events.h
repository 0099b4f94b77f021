#pragma once

// What meta events say, and the names of General MIDI's instruments. (Tempo: score.h.)

#include <optional>
#include <string>

#include "midi/grid_score.h"
#include "midi/score.h"

namespace etude::midi {

// Of a Time Signature or Key Signature event; nullopt when it is another or makes no sense.
std::optional<Meter> meter_of(const Score& score, const Event& event);
std::optional<Key> key_of(const Score& score, const Event& event);

// By the first Track Name event, in UTF-8 and on one line; empty where there is none.
std::string name_of_track(const Score& score, size_t track);

// "Piano", "Strings": General MIDI 1's family of a program (from 0), or "Drums" on channel 9.
const char* instrument_family(int program, int channel);

}  // namespace etude::midi
