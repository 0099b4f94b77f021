#include "apps/reading_options.h"

#include "midi/error.h"
#include "midi/score_file.h"
#include "midi/smf.h"

namespace etude::apps {

void add_reading_options(CLI::App& command, ReadingOptions& options) {
  auto* strict = command.add_flag("--strict", options.strict,
                                  "Refuse what the specification does not have (docs/midi.md)");
  command.add_flag("--recover", options.recover, "Of a damaged MIDI file, take what can be read")
      ->excludes(strict);
}

midi::Score read_score(const std::filesystem::path& path, const ReadingOptions& options) {
  if (options.strict) return midi::read_score(path, midi::Reading::strict);
  if (options.recover) return midi::read_score(path, midi::Reading::recover);
  try {
    return midi::read_score(path, midi::Reading::tolerant);
  } catch (const midi::DamageError& error) {
    throw midi::Error(error.file, error.why + " (--recover takes what can be read)");
  }
}

}  // namespace etude::apps
