#include "apps/device_options.h"

#include <map>
#include <string>

namespace etude::apps {

using kernels::Device;
using kernels::Precision;

void add_device_options(CLI::App& command, DeviceOptions& options) {
  command
      .add_option("--device", options.device,
                  "cpu; cuda: an NVIDIA GPU; simt: the GPU's kernels run by the CPU thread by "
                  "thread, for study, thousands of times slower")
      ->option_text("cpu|cuda|simt [cpu]")
      ->transform(CLI::CheckedTransformer(std::map<std::string, Device>{
          {"cpu", Device::cpu}, {"cuda", Device::cuda}, {"simt", Device::simt}}));
  command
      .add_option("--precision", options.precision,
                  "Of the operands of matrix products on a GPU; sums are fp32")
      ->option_text("fp32|tf32|bf16 [fp32]")
      ->transform(CLI::CheckedTransformer(std::map<std::string, Precision>{
          {"fp32", Precision::fp32}, {"tf32", Precision::tf32}, {"bf16", Precision::bf16}}));
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
