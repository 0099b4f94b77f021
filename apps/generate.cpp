#include <fmt/format.h>

#include <cmath>

#include "apps/commands.h"
#include "apps/composer.h"
#include "apps/data_options.h"
#include "apps/device_options.h"
#include "apps/messages.h"
#include "apps/model_options.h"
#include "apps/number_checks.h"
#include "apps/progress.h"
#include "apps/training_run.h"
#include "engine/error.h"
#include "kernels/parallel.h"
#include "midi/compose.h"
#include "midi/score_file.h"

namespace etude::apps {
namespace {

constexpr const char* kExamples =
    R"(A piece begins with one pitch after silence, drawn by the seed from the middle three octaves of the
vocabulary's single pitches unless --start-pitch says which, or goes on where the primer ends. The
model draws its tokens one by one: softmax at --temperature, then --top-k, then --top-p, then
--min-p. The same seed gives the same pieces. Equal neighbouring columns are one long note.

Examples:
  etude generate --checkpoint out/triple/model.safetensors --out piece.mid
  etude generate --checkpoint out/triple/model.safetensors --out piece.musicxml    to open as a score
  etude generate --checkpoint out/triple/model.safetensors --out piece.mid --start-pitch 60 \
    --temperature 0.9 --top-p 0.95 --seed 7
  etude generate --checkpoint out/triple/model.safetensors --out piece.mid --variations 3
      piece-1.mid, piece-2.mid and piece-3.mid
  etude generate --checkpoint out/triple/model.safetensors --out more.mid \
    --primer data/demo/midi/bach__prelude_bwv_846.mid --keep-primer)";

constexpr int64_t kLongest = 1'000'000;        // columns
constexpr uint32_t kStartStream = UINT32_MAX;  // no piece's

struct Options {
  DeviceOptions device;
  std::filesystem::path checkpoint, out, primer;
  double seconds = 40;
  RollOverrides roll;
  SamplerOptions sampler;
  uint64_t seed = 1;
  std::optional<int> start_pitch;
  int variations = 1;
  bool keep_primer = false;
  int threads = 0;
};

std::filesystem::path variation_path(const Options& o, int number) {
  if (o.variations == 1) return o.out;
  auto path = o.out;
  path.replace_filename(
      fmt::format("{}-{}{}", o.out.stem().string(), number, o.out.extension().string()));
  return path;
}

int64_t columns_of_piece(const Options& o, double fs) {
  const double columns = std::round(o.seconds * fs);
  if (!(columns >= 1 && columns <= static_cast<double>(kLongest)))
    throw Error(
        fmt::format("--seconds {}: at {} columns a second a piece of {} columns; 1 to {} "
                    "can be made",
                    o.seconds, fs, columns, kLongest));
  // Before the work, what the writer would say after it.
  midi::compose(std::vector<midi::PitchSet>(static_cast<size_t>(columns)), {fs});
  return static_cast<int64_t>(columns);
}

midi::Primer read_primer(const Options& o, const Checkpoint& checkpoint) {
  midi::Primer primer = midi::make_primer(midi::read_score(o.primer),
                                          {checkpoint.roll.fs, o.roll.over(checkpoint.roll).pedal},
                                          checkpoint.vocabulary);
  if (primer.unknown > 0)
    tell_line(fmt::format("{}: {} of its last {} columns are chords that the vocabulary lacks",
                          o.primer.string(), primer.unknown, primer.columns.size()));
  return primer;
}

// The middle of the keyboard, where pieces begin, if there is something.
std::vector<int> likely_starts(const std::vector<int>& pitches) {
  std::vector<int> middle;
  for (const int pitch : pitches)
    if (pitch >= 48 && pitch < 84) middle.push_back(pitch);
  return middle.empty() ? pitches : middle;
}

std::vector<TokenSequence> start_windows(const Options& o, const midi::Vocabulary& vocabulary) {
  const std::vector<int> pitches = likely_starts(single_pitches(vocabulary));
  if (pitches.empty() && !o.start_pitch)
    throw Error(fmt::format("{}: its vocabulary has no single pitch to start from; give a --primer",
                            o.checkpoint.string()));
  RandomSequence random(o.seed, kStartStream, RandomSequence::kCompositionStep);
  std::vector<TokenSequence> windows;
  for (int i = 0; i < o.variations; ++i) {
    const auto drawn = static_cast<size_t>(random.uniform() * static_cast<double>(pitches.size()));
    windows.push_back(start_window(vocabulary, o.start_pitch ? *o.start_pitch : pitches[drawn]));
  }
  return windows;
}

// What is heard before the tokens drawn: the first pitch, or the primer where that is asked for.
std::vector<midi::PitchSet> beginning(const Options& o, const midi::Vocabulary& vocabulary,
                                      const TokenSequence& window, const midi::Primer& primer) {
  if (o.primer.empty()) return {vocabulary.pitches(window.back())};
  return o.keep_primer ? primer.columns : std::vector<midi::PitchSet>();
}

// One piece is too little work for several threads: they would wait for each other most of the
// time.
int threads_to_use(const Options& o) {
  return o.threads > 0 ? o.threads : std::min(o.variations, kernels::cpu::threads());
}

void generate(const Options& o) {
  if (!midi::kind_of(o.out))
    throw CLI::ValidationError(fmt::format("--out: {}: its name ends with none of {}",
                                           o.out.string(), midi::kScoreExtensions));
  const OwnedStream stream = o.device.open();
  use_threads(threads_to_use(o));
  Checkpoint checkpoint = read_checkpoint(o.checkpoint);
  require_window(checkpoint, o.checkpoint);
  const double fs = o.roll.over(checkpoint.roll).fs;
  const int64_t columns = columns_of_piece(o, fs);
  Composition composition{{}, columns, o.seed, o.sampler};
  midi::Primer primer;
  if (o.primer.empty()) {
    composition.windows = start_windows(o, checkpoint.vocabulary);
    --composition.length;  // the first pitch is a column of the piece
  } else {
    primer = read_primer(o, checkpoint);
    composition.windows.assign(static_cast<size_t>(o.variations), primer.tokens);
  }
  for (int i = 0; i < o.variations; ++i) check_writable(variation_path(o, i + 1));
  Progress progress("generate", "tokens", composition.length);
  const auto drawn = compose_tokens(checkpoint, composition, stream.get(),
                                    [&](int64_t n) { progress.advance(n); });
  for (int i = 0; i < o.variations; ++i) {
    const auto number = static_cast<size_t>(i);
    auto piece = beginning(o, checkpoint.vocabulary, composition.windows[number], primer);
    const auto rest = midi::columns_of(checkpoint.vocabulary, drawn[number]);
    piece.insert(piece.end(), rest.begin(), rest.end());
    const auto path = variation_path(o, i + 1);
    midi::write_score(path, midi::compose(piece, {fs}));
    fmt::print("{}: {:g} seconds, {} columns\n", path.string(),
               static_cast<double>(piece.size()) / fs, piece.size());
  }
}

void add_sampler_options(CLI::App& command, SamplerOptions& sampler) {
  command
      .add_option("--temperature", sampler.temperature,
                  "Below 1 likelier, above 1 stranger; 0 always takes the likeliest")
      ->capture_default_str()
      ->check(within(0, 100));
  command.add_option("--top-k", sampler.top_k, "Draw among so many likeliest; 0: all")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command.add_option("--top-p", sampler.top_p, "Draw among the likeliest that have so much in sum")
      ->capture_default_str()
      ->check(within(1e-6, 1));
  command.add_option("--min-p", sampler.min_p, "Draw among those so likely, the likeliest being 1")
      ->capture_default_str()
      ->check(within(0, 1));
}

}  // namespace

void add_generate(CLI::App& program) {
  auto* command = program.add_subcommand("generate", "Compose a new piece");
  auto options = std::make_shared<Options>();
  command->add_option("--checkpoint", options->checkpoint, "A model.safetensors")->required();
  command
      ->add_option(
          "--out", options->out,
          "The file to write: MIDI, or MusicXML if its name ends with .musicxml, .xml or .mxl")
      ->required();
  command->add_option("--seconds", options->seconds, "Length of the piece")
      ->capture_default_str()
      ->check(above_zero());
  add_sampler_options(*command, options->sampler);
  command->add_option("--seed", options->seed, "Of everything drawn")
      ->capture_default_str()
      ->check(seed_number());
  auto* primer = command->add_option(
      "--primer", options->primer, "Go on after the last 50 columns of this MIDI or MusicXML file");
  command->add_option("--start-pitch", options->start_pitch, "MIDI number of the first note")
      ->check(CLI::Range(0, 127))
      ->excludes(primer);
  command->add_flag("--keep-primer", options->keep_primer, "Begin with these columns")
      ->needs(primer);
  command->add_option("--variations", options->variations, "So many pieces, OUT-1.mid and on")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  add_roll_overrides(*command, options->roll, "the checkpoint's", "the checkpoint's");
  add_threads_option(*command, options->threads);
  add_device_options(*command, options->device);
  command->footer(kExamples);
  command->callback([options] { generate(*options); });
}

}  // namespace etude::apps
