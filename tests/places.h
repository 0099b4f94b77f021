#pragma once

// Where the tests find what they need, and what they run on: as built, unless the environment says
// otherwise (tests that were carried to another machine).

#include <cstdlib>
#include <string>

namespace etude::tests {

// The source tree: $ETUDE_SOURCE_DIR.
inline std::string source_folder() {
  const char* given = std::getenv("ETUDE_SOURCE_DIR");
  return given ? given : ETUDE_SOURCE_DIR;
}

// The program `etude`: $ETUDE_PROGRAM.
inline std::string program_path() {
  const char* given = std::getenv("ETUDE_PROGRAM");
  return given ? given : ETUDE_PROGRAM;
}

// What the kernels' tests run on: $ETUDE_TEST_DEVICES = cuda, simt, or all (the default).
inline std::string devices_under_test() {
  const char* given = std::getenv("ETUDE_TEST_DEVICES");
  return given ? given : "all";
}

}  // namespace etude::tests
