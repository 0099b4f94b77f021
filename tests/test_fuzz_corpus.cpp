// Every seed of the fuzzers and every fault that they found, through the same functions.

#include <doctest/doctest.h>

#include <filesystem>

#include "fuzz/targets.h"
#include "tests/midi_files.h"
#include "tests/places.h"

using namespace etude;
using namespace etude::tests;
namespace fs = std::filesystem;

TEST_CASE("seeds and found faults") {
  const fs::path fuzz = fs::path(source_folder()) / "fuzz";
  for (const fuzz::Target& target : fuzz::kTargets) {
    int seeds = 0;
    for (const char* kind : {"seeds", "found"}) {
      const fs::path folder = fuzz / kind / target.name;
      if (!fs::exists(folder)) continue;  // none was found
      for (const auto& entry : fs::directory_iterator(folder)) {
        INFO(entry.path().string());
        CHECK_NOTHROW(target.run(file_bytes(entry.path())));
        seeds += kind == std::string("seeds");
      }
    }
    INFO(target.name);
    CHECK(seeds > 0);
  }
}
