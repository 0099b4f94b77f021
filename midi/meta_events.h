#pragma once

// What meta events say. (Tempo: score.h.)

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

}  // namespace etude::midi
