// Sampling, and `etude generate` as a user runs it.

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "apps/composer.h"
#include "apps/sampler.h"
#include "layers/model_file.h"
#include "midi/piano_roll.h"
#include "midi/score_file.h"
#include "tests/program.h"

using namespace etude;
using namespace etude::tests;
using apps::Sampler;
using apps::SamplerOptions;

namespace {

constexpr int kDraws = 20000;

std::map<int32_t, double> shares(const SamplerOptions& options, const std::vector<float>& logits,
                                 int64_t first = 0) {
  Sampler sampler(options, first, std::ssize(logits));
  RandomSequence random(5, 0);
  std::map<int32_t, double> shares;
  for (int i = 0; i < kDraws; ++i) shares[sampler(logits.data(), random)] += 1.0 / kDraws;
  return shares;
}

std::set<int32_t> drawn(const SamplerOptions& options, const std::vector<float>& logits) {
  std::set<int32_t> tokens;
  for (const auto& [token, share] : shares(options, logits)) tokens.insert(token);
  return tokens;
}

std::vector<float> logs(const std::vector<double>& probabilities) {
  std::vector<float> logits;
  for (const double p : probabilities) logits.push_back(static_cast<float>(std::log(p)));
  return logits;
}

// An untrained model of a small vocabulary whose class 0 is by far the most probable, with two
// classes beyond the tokens that are as probable.
std::filesystem::path write_model(const TemporaryFolder& folder, double fs = 5) {
  const Tokens tokens = {"60", "62", "48,60", "64", "e"};
  ModelConfig config = default_config("triple");
  config.classes = 8;
  config.embedding = 4;
  config.units = 3;
  config.dense = 5;
  Model model(config);
  model.initialise(2);
  float* bias = model.params().find("output.bias")->node.data;
  bias[0] = bias[6] = bias[7] = 50;
  const auto path = folder / "model.safetensors";
  save_model(path, model, tokens, apps::roll_metadata({fs, midi::Pedal::off}));
  return path;
}

std::string generate_to(const std::filesystem::path& model, const std::filesystem::path& out) {
  return "generate --checkpoint " + quoted(model) + " --out " + quoted(out) + " ";
}

midi::PianoRoll read_roll(const std::filesystem::path& path, double fs = 5) {
  return midi::make_piano_roll(midi::read_score(path), {fs, midi::Pedal::off});
}

}  // namespace

TEST_CASE("the sampler draws by the softmax") {
  const std::vector<double> p = {0.1, 0.2, 0.3, 0.4};
  const auto share = shares({}, logs(p));
  // Four standard deviations of a share.
  for (int i = 0; i < 4; ++i)
    CHECK(std::abs(share.at(i) - p[static_cast<size_t>(i)]) < 4 * std::sqrt(0.25 / kDraws));
  const auto cold = shares({.temperature = 0.5}, logs({0.2, 0.8}));
  CHECK(std::abs(cold.at(1) - 0.64 / 0.68) < 4 * std::sqrt(0.25 / kDraws));
}

TEST_CASE("temperature 0 takes the most probable, the lowest of equals") {
  CHECK(drawn({.temperature = 0}, {1, 3, 3, 2}) == std::set<int32_t>{1});
  CHECK(drawn({.temperature = 1e-3}, {1, 3, 2.9f, 2}) == std::set<int32_t>{1});
}

TEST_CASE("top-k, top-p and min-p, alone and one after the other") {
  const auto logits = logs({0.05, 0.4, 0.15, 0.3, 0.1});
  CHECK(drawn({.top_k = 2}, logits) == std::set<int32_t>{1, 3});
  CHECK(drawn({.top_k = 9}, logits).size() == 5);
  CHECK(drawn({.top_p = 0.6}, logits) == std::set<int32_t>{1, 3});
  CHECK(drawn({.top_p = 0.75}, logits) == std::set<int32_t>{1, 2, 3});
  CHECK(drawn({.top_p = 1e-6}, logits) == std::set<int32_t>{1});
  CHECK(drawn({.min_p = 0.3}, logits) == std::set<int32_t>{1, 2, 3});
  CHECK(drawn({.min_p = 1}, logits) == std::set<int32_t>{1});
  // Of the top 3 (0.85 in sum) 0.8 is reached by all three, 0.8 of everything too, but 0.82 of
  // these (0.697) needs only two.
  CHECK(drawn({.top_k = 3, .top_p = 0.82}, logits) == std::set<int32_t>{1, 3});
  CHECK(drawn({.top_p = 0.82}, logits) == std::set<int32_t>{1, 2, 3});
  CHECK(drawn({.top_k = 3, .min_p = 0.7}, logits) == std::set<int32_t>{1, 3});
  // A high temperature flattens before min-p looks.
  CHECK(drawn({.temperature = 50, .min_p = 0.9}, logits).size() == 5);
}

TEST_CASE("classes before the first and from the end on are never drawn, whatever their logits") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> logits = {nan, 1, 2, 3, 1000, nan};
  for (const SamplerOptions& options :
       {SamplerOptions{}, {.temperature = 0}, {.top_k = 3}, {.top_p = 0.99}, {.min_p = 0.01}}) {
    Sampler sampler(options, 1, 4);
    RandomSequence random(1, 0);
    for (int i = 0; i < 200; ++i) {
      const int32_t token = sampler(logits.data(), random);
      CHECK(token >= 1);
      CHECK(token < 4);
    }
  }
}

TEST_CASE("composition never emits class 0 or a class without a token") {
  const TemporaryFolder folder;
  apps::Checkpoint checkpoint = apps::read_checkpoint(write_model(folder));
  CHECK(checkpoint.vocabulary.classes() == 6);
  CHECK(checkpoint.roll.pedal == midi::Pedal::off);
  CHECK(apps::single_pitches(checkpoint.vocabulary) == std::vector<int>{60, 62, 64});
  const auto start = apps::start_window(checkpoint.vocabulary, 62);
  CHECK(start.size() == 50);
  CHECK(start.front() == 5);
  CHECK(start.back() == 2);
  int64_t told = 0;
  const auto pieces = apps::compose_tokens(checkpoint, {{start, start, start}, 60, 9, {}}, {},
                                           [&](int64_t n) { told = n; });
  CHECK(told == 60);
  REQUIRE(pieces.size() == 3);
  CHECK(pieces[0] != pieces[1]);
  for (const auto& piece : pieces) {
    CHECK(piece.size() == 60);
    for (const int32_t token : piece) {
      CHECK(token >= 1);
      CHECK(token <= 5);
    }
  }
}

TEST_CASE("generate: length, rate, start, seed") {
  const TemporaryFolder folder;
  const auto model = write_model(folder);
  const auto out = folder / "piece.mid";
  Result result = etude::tests::etude(folder, generate_to(model, out) + "--start-pitch 62");
  INFO(result.err);
  REQUIRE(result.status == 0);
  CHECK(result.out == out.string() + ": 40 seconds, 200 columns\n");
  CHECK(result.err.empty());
  const auto roll = read_roll(out);
  CHECK(roll.columns() == 200);
  CHECK(midi::to_token(roll.played[0]) == "62");
  const std::set<std::string> known = {"60", "62", "48,60", "64", "e"};
  for (const midi::PitchSet column : roll.played) CHECK(known.contains(midi::to_token(column)));

  const Bytes first = file_bytes(out);
  etude::tests::etude(folder, generate_to(model, out) + "--start-pitch 62");
  CHECK(file_bytes(out) == first);
  etude::tests::etude(folder, generate_to(model, out) + "--start-pitch 62 --seed 2");
  CHECK(file_bytes(out) != first);

  // Written faster than it was learned, as the notebook does: the same columns, shorter.
  etude::tests::etude(folder, generate_to(model, out) + "--start-pitch 62 --fs 8 --seconds 25");
  CHECK(read_roll(out, 8).played == roll.played);
}

TEST_CASE("generate: the training rate comes from the checkpoint") {
  const TemporaryFolder folder;
  const auto model = write_model(folder, 10);
  const auto out = folder / "piece.mid";
  const Result result = etude::tests::etude(folder, generate_to(model, out) + "--seconds 4");
  CHECK(contains(result.out, "4 seconds, 40 columns"));
  CHECK(read_roll(out, 10).columns() == 40);
}

TEST_CASE("generate: variations and primer") {
  const TemporaryFolder folder;
  const auto model = write_model(folder);
  const auto out = folder / "piece.mid";
  Result result = etude::tests::etude(folder, generate_to(model, out) + "--variations 3");
  CHECK(result.status == 0);
  CHECK(names_in(folder.path()) ==
        std::vector<std::string>{"model.safetensors", "piece-1.mid", "piece-2.mid", "piece-3.mid"});
  CHECK(file_bytes(folder / "piece-1.mid") != file_bytes(folder / "piece-2.mid"));

  std::vector<midi::PitchSet> columns(4);
  for (size_t i = 0; i < 4; ++i) columns[i].set(i == 2 ? 77 : 60);
  const auto primer = folder.write("primer.mid", midi::write_smf(midi::compose(columns, {})));
  result = etude::tests::etude(
      folder, generate_to(model, out) + "--seconds 2 --keep-primer --primer " + quoted(primer));
  CHECK(result.status == 0);
  CHECK(contains(result.err, "1 of its last 4 columns"));  // 77 is no token
  const auto roll = read_roll(out);
  CHECK(roll.columns() == 14);  // four of the primer, ten drawn ones
  CHECK(midi::to_token(roll.played[0]) == "60");
  CHECK(midi::to_token(roll.played[2]) == "77");

  result = etude::tests::etude(folder,
                               generate_to(model, out) + "--seconds 2 --primer " + quoted(primer));
  CHECK(read_roll(out).columns() == 10);
}
