#pragma once

// Tokens as frequent as a collection's are, for measuring without one.

#include "midi/dataset.h"

namespace etude::apps {

// One song of so many windows over tokens 1 to classes - 1; the same each time.
midi::Dataset made_up_data(int64_t classes, int64_t samples);

}  // namespace etude::apps
