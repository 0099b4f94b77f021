#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "apps/commands.h"
#include "apps/machine.h"
#include "apps/messages.h"
#include "engine/error.h"
#include "kernels/device.h"
#include "kernels/dispatch.h"
#include "kernels/leaky_relu.h"
#include "kernels/matmul.h"
#include "kernels/precision.h"
#include "kernels/probe.h"

namespace etude::apps {
namespace {

using Json = nlohmann::ordered_json;
using kernels::Device;
using kernels::Precision;

constexpr const char* kExamples =
    R"(Says what this program was built with, what the machine has, and what training would use. Nothing
is changed. The exit status is 0 also where there is no GPU: the CPU is enough. With --device cuda
it is 1 there.

Examples:
  etude doctor
  etude doctor --device cuda       is the GPU ready? If not: why, in one line
  etude doctor --json)";

struct Options {
  std::string device;
  bool json = false;
};

struct Findings {
  Machine machine;
  kernels::DeviceReport gpu;
  kernels::MatrixLibrary matrices;
  kernels::Ceilings ceilings;  // of the CPU
  std::vector<std::string> vectors_built, vectors_found;
  std::vector<std::string> problems;  // each with what to do
  std::string no_gpu;                 // why --device cuda cannot be had; empty: tried, it computes
};

std::string joined(const std::vector<std::string>& words) {
  return words.empty() ? "none" : fmt::format("{}", fmt::join(words, " "));
}

// The vector instructions that the CPU's kernels gain from: in this program, and in the processor.
std::vector<std::string> vectors_built() {
  std::vector<std::string> names;
#ifdef __AVX2__
  names.push_back("AVX2");
#endif
#ifdef __FMA__
  names.push_back("FMA");
#endif
#ifdef __AVX512F__
  names.push_back("AVX-512");
#endif
  return names;
}

std::vector<std::string> vectors_found() {
  std::vector<std::string> names;
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx2")) names.push_back("AVX2");
  if (__builtin_cpu_supports("fma")) names.push_back("FMA");
  if (__builtin_cpu_supports("avx512f")) names.push_back("AVX-512");
#endif
  return names;
}

std::string version(int number) {
  return number ? fmt::format("{}.{}", number / 1000, number % 1000 / 10) : "none";
}

std::string sanitizers(const Machine& machine) {
  const std::string key = "-fsanitize=";
  const size_t begin = machine.flags.find(key);
  if (begin == std::string::npos) return "none";
  const size_t end = machine.flags.find(' ', begin);
  return machine.flags.substr(begin + key.size(), end - begin - key.size());
}

// One of our kernels and one product on the device, against what they must give. Throws
// DeviceError where it refuses, and Error where it computes something else.
void try_device(const kernels::Stream& stream) {
  constexpr int64_t n = 64;
  std::vector<float> x(n * n), y(n * n), product(n * n);
  for (int64_t i = 0; i < n * n; ++i) x[static_cast<size_t>(i)] = static_cast<float>(i % 7 - 3);
  const int64_t bytes = n * n * static_cast<int64_t>(sizeof(float));
  const auto on_device = [&](const void*) {
    return static_cast<float*>(kernels::allocate(stream, bytes));
  };
  float *dx = on_device(&x), *dy = on_device(&y), *dproduct = on_device(&product);
  kernels::copy_to_device(stream, dx, x.data(), bytes);
  DISPATCH(stream, leaky_relu_forward, n * n, 0.5f, dx, dy);
  DISPATCH(stream, matmul, n, n, n, {dx, n}, {dx, n}, dproduct, n, kernels::Write::overwrite, 1.0f);
  kernels::copy_to_host(stream, y.data(), dy, bytes);
  kernels::copy_to_host(stream, product.data(), dproduct, bytes);
  for (float* memory : {dx, dy, dproduct}) kernels::release(stream, memory);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j) {
      float want = 0;  // small whole numbers: exact in any precision
      for (int64_t k = 0; k < n; ++k)
        want += x[static_cast<size_t>(i * n + k)] * x[static_cast<size_t>(k * n + j)];
      const size_t at = static_cast<size_t>(i * n + j);
      if (y[at] != std::max(x[at], 0.5f * x[at]) || product[at] != want)
        throw Error(
            "the device computes wrong numbers; update its driver, and if that does not "
            "help, run the kernels' tests (bench/gpu.sh tests)");
    }
}

// Empty, or why not.
std::string try_gpu() {
  try {
    for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16}) {
      const kernels::Stream stream = kernels::open_stream(Device::cuda, precision);
      try_device(stream);
      kernels::close_stream(stream);
    }
    return {};
  } catch (const std::exception& reason) {
    return reason.what();
  }
}

void look_at_processor(Findings& f) {
  for (const std::string& name : f.vectors_built)
    if (std::find(f.vectors_found.begin(), f.vectors_found.end(), name) == f.vectors_found.end())
      f.problems.push_back(fmt::format(
          "this program was built for a processor with {}, and this one has none: build it here, "
          "or with -DETUDE_NATIVE=OFF",
          name));
  if (f.vectors_built.size() < f.vectors_found.size())
    f.problems.push_back(fmt::format(
        "this program uses the vector instructions {}, the processor has {}: a build made here "
        "(-DETUDE_NATIVE=ON) is faster on the CPU",
        joined(f.vectors_built), joined(f.vectors_found)));
  if (f.machine.threads > f.machine.cores)
    f.problems.push_back(fmt::format("{} threads on {} cores: set OMP_NUM_THREADS to {} or fewer",
                                     f.machine.threads, f.machine.cores, f.machine.cores));
  if (sanitizers(f.machine) != "none")
    f.problems.push_back(
        "built with sanitizers, to find faults: much slower; build preset release");
}

void look_at_products(Findings& f) {
  constexpr double kSlow = 8e9;  // FLOP/s a thread; 20 to 60 are usual, the plainest loop has 2
  f.matrices = kernels::inspect_matrix_library();
  if (!f.matrices.problem.empty()) f.problems.push_back(f.matrices.problem);
  f.ceilings = kernels::cpu::probe_ceilings();
  const double rate = f.ceilings.matmul_flops_per_second;
  if (rate < kSlow * f.machine.threads)
    f.problems.push_back(fmt::format(
        "matrix products are slow: {:.1f} GFLOP/s with {} threads, measured just now: is "
        "the machine busy, or has it fewer cores for this process than it shows?",
        rate / 1e9, f.machine.threads));
}

Findings examine() {
  Findings f;
  f.machine = this_machine();
  f.gpu = kernels::inspect_cuda();
  f.vectors_built = vectors_built();
  f.vectors_found = vectors_found();
  look_at_processor(f);
  look_at_products(f);
  f.no_gpu = f.gpu.usable ? try_gpu() : f.gpu.problem;
  if (!f.no_gpu.empty()) f.problems.push_back(f.no_gpu + " (the CPU is used)");
  return f;
}

Json to_json(const Findings& f) {
  const kernels::DeviceReport& gpu = f.gpu;
  Json json;
  json["version"] = ETUDE_VERSION;
  json["built"] = {{"compiler", f.machine.compiler},
                   {"flags", f.machine.flags},
                   {"vectors", f.vectors_built},
                   {"cuda", gpu.built ? Json(version(gpu.runtime)) : Json()},
                   {"cuda_architectures", gpu.architectures},
                   {"sanitizers", sanitizers(f.machine)}};
  json["found"] = {{"processor", f.machine.processor},
                   {"cores", f.machine.cores},
                   {"threads", f.machine.threads},
                   {"memory_gib", f.machine.memory_gib},
                   {"vectors", f.vectors_found},
                   {"system", f.machine.system},
                   {"onednn", f.matrices.version},
                   {"onednn_instructions", f.matrices.instructions},
                   {"onednn_threads", f.matrices.threads},
                   {"matmul_flops_per_second", f.ceilings.matmul_flops_per_second},
                   {"copy_bytes_per_second", f.ceilings.copy_bytes_per_second},
                   {"driver_cuda", gpu.driver ? Json(version(gpu.driver)) : Json()},
                   {"cublas", gpu.cublas}};
  json["gpu"] = Json();
  if (gpu.usable)
    json["gpu"] = {{"name", gpu.name},
                   {"compute_capability", fmt::format("{}.{}", gpu.major, gpu.minor)},
                   {"multiprocessors", gpu.multiprocessors},
                   {"memory_bytes", gpu.memory},
                   {"free_bytes", gpu.free_memory},
                   {"l2_bytes", gpu.l2},
                   {"computes", f.no_gpu.empty()}};
  json["runs"] = {{"default_device", "cpu"},
                  {"default_precision", "fp32"},
                  {"cuda", f.no_gpu.empty()},
                  {"cuda_problem", f.no_gpu.empty() ? Json() : Json(f.no_gpu)}};
  json["problems"] = f.problems;
  return json;
}

std::string describe_gpu(const kernels::DeviceReport& gpu) {
  if (!gpu.usable) return "none";
  return fmt::format("{}, compute capability {}.{}, {} multiprocessors, {:.1f} of {:.1f} GiB free",
                     gpu.name, gpu.major, gpu.minor, gpu.multiprocessors,
                     static_cast<double>(gpu.free_memory) / (1 << 30),
                     static_cast<double>(gpu.memory) / (1 << 30));
}

void print(const Findings& f) {
  const kernels::DeviceReport& gpu = f.gpu;
  const auto line = [](const char* name, const std::string& text) {
    fmt::print("  {:<14} {}\n", name, text);
  };
  fmt::print("Etude {}\n\nbuilt\n", ETUDE_VERSION);
  line("compiler", fmt::format("{}, {}", f.machine.compiler, f.machine.flags));
  line("vectors", joined(f.vectors_built));
  line("CUDA",
       gpu.built ? fmt::format("{}, for {}", version(gpu.runtime), gpu.architectures) : "no");
  line("sanitizers", sanitizers(f.machine));
  fmt::print("\nfound\n");
  line("processor", fmt::format("{}, cores: {}, threads used: {}, {:.1f} GiB", f.machine.processor,
                                f.machine.cores, f.machine.threads, f.machine.memory_gib));
  line("vectors", joined(f.vectors_found));
  line("oneDNN",
       fmt::format("{}, {}, {}", f.matrices.version, f.matrices.instructions, f.matrices.threads));
  line("measured", fmt::format("products {:.0f} GFLOP/s, copy {:.1f} GB/s",
                               f.ceilings.matmul_flops_per_second / 1e9,
                               f.ceilings.copy_bytes_per_second / 1e9));
  line("GPU", describe_gpu(gpu));
  line("driver", gpu.driver ? fmt::format("runs CUDA up to {}", version(gpu.driver)) : "none");
  line("cuBLAS", gpu.cublas.empty() ? "not looked for" : gpu.cublas);
  fmt::print("\nruns\n");
  line("--device cpu", kernels::cpu::has_bf16() ? "yes (the default), in fp32, bf16"
                                                : "yes (the default), in fp32");
  line("--device cuda", f.no_gpu.empty() ? "yes, in fp32, tf32, bf16; tried just now" : "no");
  line("--device simt", "yes: the CUDA kernels on the CPU, slowly, to study and test them");
  fmt::print("\n{}\n", f.problems.empty() ? "no problems" : "problems");
  for (const std::string& problem : f.problems) fmt::print("  * {}\n", problem);
}

void doctor(const Options& o) {
  const Findings f = examine();
  if (o.device == "cuda" && !f.no_gpu.empty()) throw Error(f.no_gpu);
  o.json ? fmt::print("{}\n", dump(to_json(f))) : print(f);
}

}  // namespace

void add_doctor(CLI::App& program) {
  auto* command =
      program.add_subcommand("doctor", "What was built, what is found here, and what would run");
  auto options = std::make_shared<Options>();
  command->add_option("--device", options->device, "Fail if it cannot be used")
      ->option_text("cpu|cuda|simt")
      ->check(CLI::IsMember({"cpu", "cuda", "simt"}));
  command->add_flag("--json", options->json, "The same as JSON");
  command->footer(kExamples);
  command->callback([options] { doctor(*options); });
}

}  // namespace etude::apps
