// Whole training steps on the devices, simt always and a GPU where there is one, against the CPU's:
// eager, captured and replayed, evaluated, saved.

#include <doctest/doctest.h>

#include <cmath>
#include <span>
#include <vector>

#include "engine/error.h"
#include "engine/memory.h"
#include "kernels/simt/stream.h"
#include "layers/models.h"
#include "tests/reference/device.h"

using namespace etude;
using namespace etude::tests;
using kernels::Device;
using kernels::Precision;
using kernels::Stream;

namespace {

constexpr int64_t kBatch = 3;

ModelConfig small_config(const std::string& name) {
  ModelConfig config = default_config(name);
  config.classes = 23;
  config.window = 7;
  config.embedding = 12;
  config.units = 6;
  config.dense = 9;
  config.attention_width = 4;
  return config;
}

// A song of no length to speak of, and minibatches of its windows.
struct Data {
  explicit Data(const ModelConfig& config, int64_t steps) : time(config.window) {
    for (int64_t i = 0; i < 60; ++i)
      tokens.push_back(static_cast<int32_t>((i * i + 3 * i + 1) % (config.classes - 1) + 1));
    for (int64_t i = 0; i < steps * kBatch; ++i) offsets.push_back((7 * i + 2) % 50);
  }
  std::vector<int32_t> tokens;
  std::vector<int64_t> offsets;
  int64_t time;
};

struct Trained {
  std::vector<double> losses;
  Vec weights, first_moments, second_moments;
};

Vec flat(ParamSet& params, ParamSet::Flat which) {
  const float* values = params.on_host(which);
  return {values, values + params.flat_size()};
}

Trained result(Model& model, const std::vector<double>& losses) {
  return {losses, flat(model.params(), ParamSet::Flat::values),
          flat(model.params(), ParamSet::Flat::first_moments),
          flat(model.params(), ParamSet::Flat::second_moments)};
}

Trained train_on_cpu(const ModelConfig& config, int64_t steps, EmbeddingUpdate embedding) {
  const Data data(config, steps);
  Model model(config);
  model.initialise(3);
  Session session = make_session(model, Nadam({}, embedding), 9);
  std::vector<double> losses;
  for (int64_t step = 0; step < steps; ++step) {
    std::vector<int32_t> inputs, targets;
    for (int64_t i = 0; i < kBatch; ++i) {
      const auto begin = data.tokens.begin() + data.offsets[static_cast<size_t>(step * kBatch + i)];
      inputs.insert(inputs.end(), begin, begin + data.time);
      targets.push_back(*(begin + data.time));
    }
    losses.push_back(session.train_step({kBatch, data.time, inputs.data(), targets.data()}));
  }
  return result(model, losses);
}

// In pieces, as the trainer asks for them.
Trained train_on(const Stream& stream, const ModelConfig& config, int64_t steps,
                 EmbeddingUpdate embedding, const std::vector<int64_t>& pieces,
                 bool late_table = true) {
  const Data data(config, steps);
  Model model(config);
  model.initialise(3);
  Session session = make_session(model, Nadam({}, embedding), 9, stream);
  session.update_table_late(late_table);
  session.set_tokens(data.tokens);
  session.plan(data.offsets, kBatch, data.time);
  std::vector<double> losses;
  for (const int64_t piece : pieces)
    for (const double loss : session.run(piece)) losses.push_back(loss);
  CHECK(session.optimizer().state().step == steps);
  return result(model, losses);
}

void check_close_to_cpu(const std::string& what, const Trained& got, const Trained& want,
                        double tolerance) {
  check_close(what + ": losses", got.losses, want.losses, tolerance);
  check_close(what + ": weights", got.weights, want.weights, tolerance);
  check_close(what + ": m", got.first_moments, want.first_moments, tolerance, 1e-9);
  check_close(what + ": v", got.second_moments, want.second_moments, 2 * tolerance, 1e-12);
}

bool same(const Trained& a, const Trained& b) {
  return a.losses == b.losses && same_bits(a.weights, b.weights) &&
         same_bits(a.first_moments, b.first_moments) &&
         same_bits(a.second_moments, b.second_moments);
}

}  // namespace

TEST_CASE("one training step of each model on a device equals the CPU's") {
  for (const Stream& stream : device_streams(Precision::fp32)) {
    for (const std::string& name : model_names()) {
      const ModelConfig config = small_config(name);
      const Trained want = train_on_cpu(config, 1, EmbeddingUpdate::dense);
      Trained first;
      for (int schedule = 0; schedule < kSchedules; ++schedule) {
        use_schedule(schedule);
        const Trained got = train_on(stream, config, 1, EmbeddingUpdate::dense, {1});
        if (schedule == 0) check_close_to_cpu(name, got, want, 1e-5);
        if (schedule == 0) first = got;
        CHECK_MESSAGE(same(got, first), name, ": other bits in schedule ", schedule);
      }
      use_schedule(0);
    }
    kernels::close_stream(stream);
  }
}

TEST_CASE("a captured step, replayed, is the step: however the epoch is cut") {
  constexpr int64_t kSteps = 37;
  for (const Stream& stream : device_streams(Precision::fp32)) {
    const ModelConfig config = small_config("rnn");
    for (const auto embedding : {EmbeddingUpdate::dense, EmbeddingUpdate::sparse}) {
      const Trained want = train_on_cpu(config, kSteps, embedding);
      const Trained whole = train_on(stream, config, kSteps, embedding, {kSteps});
      // 37 updates of rounding that differs; one step alone is checked more sharply above.
      check_close_to_cpu("rnn, 37 steps", whole, want, 2e-4);
      CHECK(same(whole, train_on(stream, config, kSteps, embedding, {1, 3, 17, 16})));
      CHECK_MESSAGE(same(whole, train_on(stream, config, kSteps, embedding, {kSteps}, false)),
                    "a table updated late has other bits");
    }
    kernels::close_stream(stream);
  }
}

TEST_CASE("a second plan goes on where the first ended, also when its buffers have moved") {
  constexpr int64_t kFirst = 5, kSteps = 42;  // the second is the longer one
  for (const Stream& stream : device_streams(Precision::fp32)) {
    const ModelConfig config = small_config("rnn");
    const Data data(config, kSteps);
    for (const auto embedding : {EmbeddingUpdate::dense, EmbeddingUpdate::sparse}) {
      const Trained whole = train_on(stream, config, kSteps, embedding, {kSteps});
      Model model(config);
      model.initialise(3);
      Session session = make_session(model, Nadam({}, embedding), 9, stream);
      session.set_tokens(data.tokens);
      std::vector<double> losses;
      const std::span<const int64_t> offsets = data.offsets;
      for (const auto& plan : {offsets.first(kFirst * kBatch), offsets.subspan(kFirst * kBatch)}) {
        session.plan(plan, kBatch, data.time);
        for (const double loss : session.run(std::ssize(plan) / kBatch)) losses.push_back(loss);
        const std::vector<int32_t> targets(5, 1);
        session.losses({5, data.time, data.tokens.data(), targets.data()});  // a larger minibatch
      }
      CHECK(same(whole, result(model, losses)));
    }
    kernels::close_stream(stream);
  }
}

TEST_CASE("too little memory on the device: one line with the plan, and nothing is lost") {
  constexpr int64_t kMiB = 1 << 20;
  const OwnedStream stream(Device::simt);
  const ModelConfig config = small_config("rnn");
  const Data data(config, 2);
  const Trained want = train_on(stream.get(), config, 2, EmbeddingUpdate::dense, {2});
  Model model(config);
  model.initialise(3);
  emulator::limit_memory(0);
  CHECK_THROWS_WITH_AS(make_session(model, Nadam(), 9, stream.get()),
                       "out of memory on the emulated device: 0 MiB asked, 0 of 0 MiB free; the "
                       "plan: 0 MiB of parameters, gradients and moments, 0 MiB of data and its "
                       "order, 0 MiB of activations so far; a smaller --batch needs less of these",
                       Error);
  emulator::limit_memory(2 * kMiB);  // less than the first step's activations
  Model again(config);
  again.initialise(3);
  Session session = make_session(again, Nadam(), 9, stream.get());
  session.set_tokens(data.tokens);
  session.plan(data.offsets, kBatch, data.time);
  CHECK_THROWS_WITH_AS(session.run(2),
                       doctest::Contains("4 MiB asked, 1 of 2 MiB free; the plan: "), Error);
  emulator::limit_memory(INT64_MAX);
  CHECK(same(want, result(again, session.run(2))));
}

TEST_CASE("evaluation on a device, between steps too") {
  for (const Stream& stream : device_streams(Precision::fp32)) {
    const ModelConfig config = small_config("triple");
    const Data data(config, 4);
    const std::vector<int32_t> targets = {5, 1, 22, 3};
    const Batch batch{4, data.time, data.tokens.data(), targets.data()};
    {
      Model here(config), there(config);
      here.initialise(3);
      there.initialise(3);
      Session cpu = make_session(here), device = make_session(there, Nadam(), 9, stream);
      const auto want = cpu.losses(batch);
      const auto got = device.losses(batch);
      check_close("logits", Vec(got.logits.begin(), got.logits.end()),
                  Vec(want.logits.begin(), want.logits.end()), 1e-5);
      check_close("losses", Vec(got.losses.begin(), got.losses.end()),
                  Vec(want.losses.begin(), want.losses.end()), 1e-5);
    }
    const auto train = [&](bool look_between) {
      Model model(config);
      model.initialise(3);
      Session session = make_session(model, Nadam(), 9, stream);
      session.set_tokens(data.tokens);
      session.plan(data.offsets, kBatch, data.time);
      std::vector<double> losses = session.run(2);
      if (look_between) session.losses(batch);
      for (const double loss : session.run(2)) losses.push_back(loss);
      return result(model, losses);
    };
    CHECK(same(train(true), train(false)));
    kernels::close_stream(stream);
  }
}

TEST_CASE("training in tf32 and bf16 stays near the CPU's") {
  for (const auto& [precision, tolerance] :
       {std::pair{Precision::tf32, 2e-3}, std::pair{Precision::bf16, 1e-2}})
    for (const Stream& stream : device_streams(precision)) {
      const ModelConfig config = small_config("triple");
      const Trained want = train_on_cpu(config, 1, EmbeddingUpdate::dense);
      const Trained got = train_on(stream, config, 1, EmbeddingUpdate::dense, {1});
      check_close("losses", got.losses, want.losses, tolerance);
      check_close("weights", got.weights, want.weights, tolerance);
      kernels::close_stream(stream);
    }
}

TEST_CASE("a plan that the tokens or the model do not allow is refused") {
  const OwnedStream stream(Device::simt);
  const ModelConfig config = small_config("rnn");
  Model model(config);
  model.initialise(1);
  Session session = make_session(model, Nadam(), 1, stream.get());
  CHECK_THROWS_WITH_AS(session.set_tokens(std::vector<int32_t>{1, 2, 23}),
                       "training: token 23 at 2 is not below 23", std::runtime_error);
  session.set_tokens(std::vector<int32_t>(20, 1));
  CHECK_THROWS_WITH_AS(session.plan(std::vector<int64_t>{0, 13}, 2, 7),
                       "training: a window at 13 of 20 tokens", std::runtime_error);
  session.plan(std::vector<int64_t>{0, 12}, 2, 7);
  CHECK_THROWS_WITH_AS(session.run(2), "training: 2 steps where the plan has 1 left",
                       std::runtime_error);
}
