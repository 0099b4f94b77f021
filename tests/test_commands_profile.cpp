// `etude profile`: what it says adds up, its files are what they claim to be, and a step that is
// listened to computes what any other does.

#include <doctest/doctest.h>

#include <algorithm>
#include <climits>
#include <fstream>
#include <nlohmann/json.hpp>

#include "apps/made_up_data.h"
#include "apps/profiler.h"
#include "engine/memory.h"
#include "kernels/costs.h"
#include "tests/program.h"

using namespace etude;
using namespace etude::tests;
using kernels::SpanKind;
using Json = nlohmann::json;

namespace {

const std::string kSmall = " --batch 2 --vocab 60 --steps 2 ";

Json profile_of(const TemporaryFolder& folder, const std::string& arguments) {
  const Result result = etude::tests::etude(folder, "profile --json" + kSmall + arguments);
  INFO(arguments, ": ", result.err);
  REQUIRE(result.status == 0);
  return Json::parse(result.out);
}

void check_shares(const Json& profile) {
  double sum = profile["between_kernels"]["share"];
  for (const Json& kernel : profile["kernels"]) {
    sum += kernel["share"].get<double>();
    double parts = 0;
    if (kernel.contains("parts"))
      for (const Json& part : kernel["parts"]) parts += part["ms"].get<double>();
    CHECK(parts <= 1.2 * kernel["ms"].get<double>());  // medians of each
  }
  CHECK(sum == doctest::Approx(1));
}

void check_layers(const Json& profile, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    CAPTURE(name);
    const Json& layers = profile["layers"];
    const auto found = std::find_if(layers.begin(), layers.end(),
                                    [&](const Json& layer) { return layer["name"] == name; });
    REQUIRE(found != layers.end());
    CHECK((*found)["forward_ms"] > 0);
    CHECK((*found)["backward_ms"] > 0);
  }
}

// In the order of their beginnings, each inside of the one that was open when it began.
void check_nested(const Json& trace, int64_t steps) {
  std::vector<double> ends;
  double last = 0;
  int64_t steps_seen = 0, kernels_seen = 0;
  for (const Json& event : trace["traceEvents"]) {
    if (event["ph"] == "M") continue;
    REQUIRE(event["ph"] == "X");
    const double begin = event["ts"], end = begin + event["dur"].get<double>();
    CHECK(begin >= last);
    last = begin;
    while (!ends.empty() && ends.back() <= begin) ends.pop_back();
    if (!ends.empty()) CHECK(end <= ends.back() + 1e-6);
    ends.push_back(end);
    steps_seen += event["cat"] == "step";
    kernels_seen += event["cat"] == "kernel" && event.contains("args");
  }
  CHECK(steps_seen == steps);
  CHECK(kernels_seen >= 10 * steps);
}

Json parse_file(const std::filesystem::path& path) { return Json::parse(file_text(path)); }

}  // namespace

TEST_CASE("profile: shares add up, every layer is there, and the trace is nested") {
  const TemporaryFolder folder;
  const std::string trace = " --trace " + quoted(folder / "trace.json");
  SUBCASE("cpu") {
    const Json profile = profile_of(folder, "--model single" + trace);
    check_shares(profile);
    check_layers(profile, {"embedding", "gru_1", "attention_1", "flatten", "dense", "output"});
    CHECK(profile["ceilings"]["copy_bytes_per_second"] > 1e8);
    for (const Json& kernel : profile["kernels"])
      if (kernel["bytes"] > 0) {
        CHECK(kernel["floor_ms"] > 0);
        CHECK(kernel["distance"].get<double>() ==
              doctest::Approx(kernel["ms"].get<double>() / kernel["floor_ms"].get<double>()));
      }
    check_nested(parse_file(folder / "trace.json"), 2);
  }
  SUBCASE("layers inside of layers") {
    const Json profile = profile_of(folder, "--model transformer" + trace);
    check_shares(profile);
    check_layers(profile, {"attention_1", "feed_forward_1", "feed_forward_2.expand", "output"});
    check_nested(parse_file(folder / "trace.json"), 2);
  }
  SUBCASE("simt") {
    const Json profile = profile_of(folder, "--model rnn --device simt" + trace);
    check_shares(profile);
    check_layers(profile, {"embedding", "gru_1", "dropout_1", "dense", "output"});
    CHECK(profile["ceilings"].is_null());
    CHECK(profile["kernels"][0]["floor_ms"].is_null());
    check_nested(parse_file(folder / "trace.json"), 2);
  }
}

TEST_CASE("profile: real data, the page and its pictures, and the table for a person") {
  const TemporaryFolder folder;
  const Result result = etude::tests::etude(
      folder, "profile --model attention --batch 2 --steps 1 --data " +
                  quoted(write_corpus(folder)) + " --out " + quoted(folder / "out"));
  INFO(result.err);
  REQUIRE(result.status == 0);
  for (const char* part : {"between kernels", "between layers", "attention_backward", "distance",
                           "gather_minibatch", "ceilings, measured just now"})
    CHECK_MESSAGE(contains(result.out, part), result.out);
  CHECK(names_in(folder / "out") == std::vector<std::string>{"layers.svg", "profile.html",
                                                             "profile.json", "roofline.svg",
                                                             "trace.json"});
  CHECK(contains(file_text(folder / "out/roofline.svg"), ">attention_backward<"));
  CHECK(contains(file_text(folder / "out/profile.html"), "<td>attention_backward</td>"));
  CHECK(parse_file(folder / "out/profile.json")["model"] == "attention");
}

TEST_CASE("profile: what cannot be done is said in one line") {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& arguments) {
    return etude::tests::etude(folder, "profile" + kSmall + arguments, "CUDA_VISIBLE_DEVICES=-1");
  };
  check_failure(refused("--model gpt"), 2, "triple");
  check_failure(refused("--steps 0"), 2, "--steps");
  check_failure(refused("--device cuda"), 1,
                kernels::inspect_cuda().built ? "no GPU: " : "this program was built without CUDA");
  check_failure(refused("--data " + quoted(folder / "nowhere")), 1, "nowhere");
  check_failure(refused("--trace " + quoted(folder / "no/such/folder.json")), 1, "no/such");
  folder.write("file", Bytes{});
  check_failure(refused("--out " + quoted(folder / "file")), 1, "file");
}

TEST_CASE("profile: a step that is listened to gives the bits of one that is not") {
  ModelConfig config = default_config("double");
  config.classes = 40;
  config.embedding = 8;
  config.units = 5;
  config.dense = 7;
  const midi::Dataset dataset = apps::made_up_data(config.classes, 30);
  for (const kernels::Device device : {kernels::Device::cpu, kernels::Device::simt}) {
    const OwnedStream stream(device);
    std::vector<std::vector<float>> weights;
    for (const bool listen : {false, true}) {
      Model model(config);
      model.initialise(3);
      apps::TrainingOptions options;
      options.batch = 3;
      options.max_steps = 4;
      apps::Trainer trainer(dataset, model, options, stream.get());
      Trace trace(stream.get());
      while (!trainer.finished()) {
        if (listen) {
          const Trace::Listening listening(trace);
          trainer.advance();
        } else {
          trainer.advance();
        }
      }
      const int64_t listened = listen ? 4 : 0;
      const auto events = trace.events();
      CHECK(std::ranges::count(events, SpanKind::step, &Trace::Event::kind) == listened);
      const float* values = model.params().on_host(ParamSet::Flat::values);
      weights.emplace_back(values, values + model.params().flat_size());
    }
    CHECK(weights[0] == weights[1]);
  }
}

TEST_CASE("profile: a trace's summary") {
  using Event = Trace::Event;
  // Two steps; in the second the inner layer takes longer, and a table is brought up to date
  // behind it.
  std::vector<Event> events;
  for (const double at : {0.0, 100.0}) {
    const auto first = static_cast<int64_t>(events.size());
    const double more = at / 100;
    events.push_back({SpanKind::step, "step", {}, -1, at, at + 20});
    events.push_back({SpanKind::forward, "outer", {}, first, at + 1, at + 11});
    events.push_back({SpanKind::kernel, "first", {8, 4}, first + 1, at + 1, at + 3});
    events.push_back({SpanKind::forward, "inner", {}, first + 1, at + 4, at + 8 + more});
    events.push_back({SpanKind::kernel, "second", {}, first + 3, at + 4, at + 7 + more});
    events.push_back({SpanKind::part, "launch", {}, first + 4, at + 5, at + 6});
    events.push_back({SpanKind::kernel, "second", {}, first + 3, at + 7 + more, at + 8 + more});
    events.push_back({SpanKind::stage, "update", {}, first, at + 12, at + 14});
    events.push_back({SpanKind::part, "alone", {}, first + 7, at + 12, at + 13});
  }
  events.push_back({SpanKind::stage, "update", {}, -1, 130, 138});
  events.push_back(
      {SpanKind::part, "flush", {}, static_cast<int64_t>(events.size()) - 1, 130, 138});

  const apps::Profile profile = apps::summarise(events);
  CHECK(profile.steps == 2);
  CHECK(profile.profiled == 20);
  REQUIRE(profile.kernels.size() == 4);
  const auto& [first, second, alone, flush] =
      std::tie(profile.kernels[0], profile.kernels[1], profile.kernels[2], profile.kernels[3]);
  CHECK(first.name == "first");
  CHECK(first.layer == "outer");
  CHECK(first.seconds == 2);
  CHECK(first.work.flops == 8);
  CHECK(second.layer == "inner");
  CHECK(second.calls == 2);
  CHECK(second.seconds == 4.5);
  REQUIRE(second.parts.size() == 1);
  CHECK(second.parts[0].seconds == 1);
  CHECK(alone.seconds == 1);
  CHECK(flush.seconds == 4);
  CHECK(profile.between_kernels == 12.5);  // 20 - 2 - 4 - 1, and 1 less in the second step
  REQUIRE(profile.layers.size() == 3);
  CHECK(profile.layers[0].forward == 5.5);  // without the layer in it
  CHECK(profile.layers[1].forward == 4.5);
  CHECK(profile.layers[2].stage == 6);
  CHECK(profile.between_layers == 8);
  CHECK(profile.sum() == 24);
}

TEST_CASE("profile: costs are those of the contracts") {
  using namespace kernels;
  const GruShape gru{.batch = 96, .time = 50, .in = 100, .units = 128};
  CHECK(cost::gru_forward(gru, 2, 96 * 50).flops == 2 * 6.0 * 96 * 50 * 128 * (100 + 128));
  CHECK(cost::nadam_update(1000).bytes == 28'000);
  CHECK(cost::dense_backward({10, 20, 30}).flops == 4 * 10 * 20 * 30);
  CHECK(cost::vocabulary_loss_forward({96, 64, 36'011}).flops == 2.0 * 96 * 64 * 36'011);
  const AttentionShape attention{.batch = 96, .time = 50, .features = 256};
  CHECK(cost::attention_forward(attention).flops ==
        2.0 * 96 * 50 * 256 * 256 + 4.0 * 96 * 50 * 50 * 256);
}
