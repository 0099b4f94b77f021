#pragma once

// The reference's data lies beside the checkout and is not part of it. Tests that need it say so
// and pass when it is not there.

#include <cstdlib>
#include <filesystem>
#include <string>

#include "tests/places.h"

namespace etude::tests {

// $ETUDE_SHARED_DATA, or ../shared/data beside the source tree.
inline std::filesystem::path shared_data() {
  const char* given = std::getenv("ETUDE_SHARED_DATA");
  return given ? std::filesystem::path(given)
               : std::filesystem::path(source_folder()) / ".." / "shared" / "data";
}

inline std::string shared(const std::string& below) { return (shared_data() / below).string(); }

}  // namespace etude::tests

// Ends the test case, with a message, when PATH (below the shared data) is not there.
#define ETUDE_NEEDS_SHARED(path)                                                               \
  if (!std::filesystem::exists(etude::tests::shared_data() / (path))) {                        \
    MESSAGE("skipped: no " << etude::tests::shared(path) << " (set ETUDE_SHARED_DATA to it)"); \
    return;                                                                                    \
  }
