// `etude simt`: every operation in every version runs without a fault, and its numbers add up.

#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/program.h"

using namespace etude::tests;
using Json = nlohmann::json;

namespace {

Json counts(const TemporaryFolder& folder, const std::string& arguments) {
  const Result result = etude::tests::etude(folder, "simt " + arguments + " --json");
  INFO(arguments, ": ", result.err);
  REQUIRE(result.status == 0);
  return Json::parse(result.out);
}

}  // namespace

TEST_CASE("simt: element-wise kernels move what they must and nothing else") {
  const TemporaryFolder folder;
  const Json kernel = counts(folder, "leaky_relu --size n=1000")["kernels"][0];
  CHECK(kernel["kernel"] == "leaky_relu_forward");
  REQUIRE(kernel["memory_instructions"].size() == 2);
  for (const Json& site : kernel["memory_instructions"]) {
    CHECK(site["lanes"] == 1000);
    CHECK(site["requests"] == 32);
    CHECK(site["sectors"] == 125);
    CHECK(site["ideal_sectors"] == 125);
    CHECK(site["pattern"] == "side by side");
  }
}

TEST_CASE("simt: every operation and version runs, and every access is inside its arrays") {
  const TemporaryFolder folder;
  for (const char* arguments :
       {"leaky_relu", "add", "dropout", "embedding", "dense", "gru", "gru --kernels stepwise",
        "gru --kernels persistent", "gru --kernels mma --precision bf16",
        "gru --kernels cluster --precision tf32", "attention", "attention --kernels simple",
        "attention --kernels tiled", "attention --kernels window", "softmax_cross_entropy",
        "vocabulary_loss", "vocabulary_loss --kernels separate",
        "vocabulary_loss --kernels recompute", "nadam"}) {
    const Json all = counts(folder, arguments);
    CHECK(all["kernels"].size() >= 1);
    for (const Json& kernel : all["kernels"])
      for (const Json& site : kernel["memory_instructions"]) {
        CHECK(site["lanes"].get<int64_t>() <= site["lanes_of_warps"].get<int64_t>());
        const bool shared = site["memory"] == "shared";
        CHECK(site[shared ? "passes" : "sectors"].get<int64_t>() >=
              site[shared ? "ideal_passes" : "ideal_sectors"].get<int64_t>());
      }
  }
}

TEST_CASE("simt: what it shows to a person, and errors of usage in one line") {
  const TemporaryFolder folder;
  const Result shown = etude::tests::etude(folder, "simt softmax_cross_entropy");
  CHECK(shown.status == 0);
  for (const char* part : {"softmax_cross_entropy_forward: 8 blocks of ", "side by side",
                           "barriers a thread: ", "A warp is 32 threads"})
    CHECK(shown.out.find(part) != std::string::npos);
  for (const char* arguments :
       {"simt", "simt nonsense", "simt gru --size unit=3", "simt gru --kernels x",
        "simt attention --size heads=3", "simt gru --size units=100000"}) {
    const Result refused = etude::tests::etude(folder, arguments);
    CHECK(refused.status == 2);
    CHECK(std::count(refused.err.begin(), refused.err.end(), '\n') == 1);
  }
  CHECK(etude::tests::etude(folder, "simt nonsense").err.find("leaky_relu add ") !=
        std::string::npos);
}
