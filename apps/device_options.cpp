#include "apps/device_options.h"

#include <string>

namespace etude::apps {

using kernels::Device;
using kernels::Precision;

void add_device_options(CLI::App& command, DeviceOptions& options) {
  command
      .add_option_function<std::string>(
          "--device",
          [&options](const std::string& word) {
            options.device = word == "cuda"   ? Device::cuda
                             : word == "simt" ? Device::simt
                                              : Device::cpu;
          },
          "cpu; cuda: an NVIDIA GPU; simt: the GPU's kernels run by the CPU thread by thread, for "
          "study, a hundred times slower")
      ->option_text("cpu|cuda|simt [cpu]")
      ->check(CLI::IsMember({"cpu", "cuda", "simt"}));
  command
      .add_option_function<std::string>(
          "--precision",
          [&options](const std::string& word) {
            options.precision = word == "tf32"   ? Precision::tf32
                                : word == "bf16" ? Precision::bf16
                                                 : Precision::fp32;
          },
          "Of the operands of matrix products; sums are fp32. A GPU has all three, a CPU fp32 and, "
          "with AVX512-BF16, bf16 for the large products of GRU, attention and dense layers")
      ->option_text("fp32|tf32|bf16 [fp32]")
      ->check(CLI::IsMember({"fp32", "tf32", "bf16"}));
}

const char* name(Device device) {
  return device == Device::cuda ? "cuda" : device == Device::simt ? "simt" : "cpu";
}

const char* name(Precision precision) {
  return precision == Precision::bf16 ? "bf16" : precision == Precision::tf32 ? "tf32" : "fp32";
}

std::string device_name(Device device) {
  return device == Device::cuda ? kernels::inspect_cuda().name : name(device);
}

}  // namespace etude::apps
