// --device and --precision on the commands: under simt everything that a GPU would do, and what is
// said where there is none.

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "kernels/device.h"
#include "layers/model_file.h"
#include "midi/dataset.h"
#include "tests/program.h"
#include "tests/reference/harness.h"

using namespace etude;
using namespace etude::tests;
namespace fs = std::filesystem;

namespace {

// A model so small that simt has it in a moment, over the tokens of the corpus.
fs::path write_small_model(const fs::path& path, const midi::Dataset& dataset) {
  ModelConfig config = default_config("triple");
  config.classes = dataset.vocabulary.classes();
  config.embedding = 8;
  config.units = 5;
  config.dense = 7;
  Model model(config);
  model.initialise(2);
  save_model(path, model, dataset.vocabulary.tokens(), {});
  return path;
}

// Hides GPUs from the program, so that any machine is one without.
constexpr const char* kNoGpu = "CUDA_VISIBLE_DEVICES=-1";

bool has_gpu() {
  try {
    kernels::close_stream(kernels::open_stream(kernels::Device::cuda));
    return true;
  } catch (const kernels::DeviceError&) {
    return false;
  }
}

nlohmann::json json_of(const Result& result) {
  INFO(result.err);
  REQUIRE(result.status == 0);
  return nlohmann::json::parse(result.out);
}

}  // namespace

TEST_CASE("training, evaluating, composing and forward on a device are the CPU's") {
  const TemporaryFolder folder;
  const fs::path corpus = write_corpus(folder);
  const midi::Dataset dataset = midi::load_dataset(corpus, {});
  const std::string small = quoted(write_small_model(folder / "small.safetensors", dataset));
  std::vector<std::string> devices = {"simt"};
  if (has_gpu()) devices.push_back("cuda");
  for (const std::string& device : devices) {
    CAPTURE(device);
    const auto both = [&](const std::string& arguments) {
      return std::pair{etude::tests::etude(folder, arguments),
                       etude::tests::etude(folder, arguments + " --device " + device)};
    };
    const auto close = [](double a, double b) { return a == doctest::Approx(b).epsilon(1e-5); };

    const auto [logits, device_logits] =
        both("forward --checkpoint " + small +
             " --tokens 1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,"
             "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,2,2,2,2,2,2,2,2,2,2");
    check_close("logits", json_of(device_logits)["logits"].get<Vec>(),
                json_of(logits)["logits"].get<Vec>(), 1e-5);

    const auto [e, device_e] =
        both("evaluate --checkpoint " + small + " --data " + quoted(corpus) + " --json");
    CHECK(close(json_of(device_e)["loss_per_sample"], json_of(e)["loss_per_sample"]));
    CHECK(json_of(device_e)["top1_accuracy"] == json_of(e)["top1_accuracy"]);

    const std::string compose = "generate --checkpoint " + small + " --seconds 2 --temperature 0 ";
    REQUIRE(etude::tests::etude(folder, compose + "--out " + quoted(folder / "a.mid")).status == 0);
    REQUIRE(etude::tests::etude(
                folder, compose + "--out " + quoted(folder / "b.mid") + " --device " + device)
                .status == 0);
    CHECK(file_text(folder / "a.mid") == file_text(folder / "b.mid"));
  }
}

TEST_CASE("a training run under simt goes on with the same bits, and near the CPU's numbers") {
  const TemporaryFolder folder;
  const std::string data = " --data " + quoted(write_corpus(folder)) +
                           " --model rnn --batch 2 --song-group 2 --json --out ";
  const auto train = [&](const std::string& out, const std::string& more) {
    return json_of(etude::tests::etude(folder, "train" + data + quoted(folder / out) + more));
  };
  const auto cpu = train("cpu", " --max-steps 3");
  const auto whole = train("whole", " --max-steps 3 --device simt");
  train("cut", " --max-steps 2 --device simt");
  const auto cut = train("cut", " --max-steps 3 --device simt --resume");
  CHECK(whole["last_loss"].get<double>() ==
        doctest::Approx(cpu["last_loss"].get<double>()).epsilon(1e-5));
  CHECK(file_text(folder / "cut/model.safetensors") ==
        file_text(folder / "whole/model.safetensors"));
  // And a run may go on elsewhere.
  CHECK(train("cut", " --max-steps 4 --resume")["steps"] == 4);
}

TEST_CASE("without a GPU the program starts, and says in one line what is missing when asked") {
  const TemporaryFolder folder;
  const std::string reason =
      kernels::inspect_cuda().built ? "no GPU: " : "this program was built without CUDA";
  const auto doctor = json_of(etude::tests::etude(folder, "doctor --json", kNoGpu));
  CHECK(doctor["runs"]["cuda"] == false);
  CHECK(contains(doctor["runs"]["cuda_problem"], reason));
  const std::string said = etude::tests::etude(folder, "doctor", kNoGpu).out;
  CHECK_MESSAGE(contains(said, "* " + reason), said);
  CHECK(contains(said, "(the CPU is used)"));
  check_failure(etude::tests::etude(folder, "doctor --device cuda", kNoGpu), 1, reason);
  const std::string cuda = " --device cuda --data " + quoted(write_corpus(folder));
  check_failure(etude::tests::etude(folder, "train --out " + quoted(folder / "out") + cuda, kNoGpu),
                1, reason);
  check_failure(etude::tests::etude(folder, "table" + cuda, kNoGpu), 1, reason);
  CHECK_FALSE(fs::exists(folder / "out"));
}

TEST_CASE("doctor names the matrix library, and tells where it is held back") {
  const TemporaryFolder folder;
  const auto doctor = json_of(etude::tests::etude(folder, "doctor --json"));
  CHECK(doctor["found"]["onednn"].get<std::string>().size() >= 5);
  CHECK(doctor["found"]["matmul_flops_per_second"] > 1e8);
  if (doctor["found"]["onednn_instructions"] == "SSE4.1") return;
  const std::string held_back = etude::tests::etude(folder, "doctor", "DNNL_MAX_CPU_ISA=SSE41").out;
  CHECK_MESSAGE(contains(held_back, "* oneDNN uses SSE4.1 where the processor has "), held_back);
}

TEST_CASE("table says how much the device holds") {
  const TemporaryFolder folder;
  const std::string table = "table --models rnn --batch 2 --song-group 2 --max-steps 1 --data " +
                            quoted(write_corpus(folder));
  const std::string text = etude::tests::etude(folder, table + " --device simt").out;
  CHECK_MESSAGE(contains(text, "; on the device (simt, fp32): "), text);
  CHECK(json_of(etude::tests::etude(
            folder, table + " --device simt --json"))["models"][0]["device_memory_mib"] > 1);
  CHECK(json_of(etude::tests::etude(folder, table + " --json"))["models"][0]["device_memory_mib"]
            .is_null());
}

TEST_CASE("what a device cannot do is said in one line") {
  const TemporaryFolder folder;
  const std::string train = "train --data " + quoted(write_corpus(folder)) + " --out " +
                            quoted(folder / "out") + " --device ";
  check_failure(etude::tests::etude(folder, train + "cpu --precision tf32"), 1,
                "the CPU has no tf32");
  check_failure(etude::tests::etude(folder, train + "tpu"), 2, "--device");
  CHECK_FALSE(fs::exists(folder / "out"));
}
