#include <doctest/doctest.h>
#include "midi/files.h"
#include "midi/musicxml.h"
#include "midi/smf_write.h"
#include "tests/shared_data.h"
TEST_CASE("dump") {
  for (const auto& e : std::filesystem::directory_iterator(etude::tests::shared("scores"))) {
    if (e.path().extension() != ".musicxml") continue;
    auto s = etude::midi::parse_musicxml(etude::midi::read_file(e.path(), 1u << 26),
                                         e.path().filename().string());
    etude::midi::write_score("/tmp/mxl/out/" + e.path().stem().string() + ".mid", s);
    MESSAGE(e.path().stem().string()
            << " notes " << s.note_ons() << " tpq " << s.division.ticks_per_quarter);
    for (auto& f : s.found) MESSAGE("   " << f.what);
  }
}
