#pragma once

// What is fuzzed: functions of bytes that return where the bytes are well read or refused as they
// should be (midi::Error, etude::Error), and throw or crash where there is a fault in the program.
// docs/fuzzing.md says how to run them.

#include <array>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>

namespace etude::fuzz {

using Bytes = std::span<const uint8_t>;

void midi(Bytes bytes);         // a file; its notes and rolls; written and read again
void table(Bytes bytes);        // MAESTRO's, as CSV and as JSON
void archive(Bytes bytes);      // ZIP, read and written again
void safetensors(Bytes bytes);  // a checkpoint
void musicxml(Bytes bytes);     // a score, written as MIDI and read again
void mxl(Bytes bytes);          // and compressed
void convert(Bytes bytes);      // MIDI laid on a grid, written as MusicXML and read again

struct Target {
  const char* name;
  void (*run)(Bytes);
};
inline constexpr std::array kTargets = {
    Target{"midi", midi},         Target{"table", table},
    Target{"archive", archive},   Target{"safetensors", safetensors},
    Target{"musicxml", musicxml}, Target{"mxl", mxl},
    Target{"convert", convert}};

// A fault that no sanitizer sees.
inline void expect(bool holds, const std::string& what) {
  if (!holds) throw std::logic_error(what);
}

}  // namespace etude::fuzz
