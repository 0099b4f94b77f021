#pragma once

// --device and --precision: where the arithmetic is done, and how.

#include <CLI/CLI.hpp>
#include <string>

#include "engine/memory.h"

namespace etude::apps {

struct DeviceOptions {
  kernels::Device device = kernels::Device::cpu;
  kernels::Precision precision = kernels::Precision::fp32;

  OwnedStream open() const { return OwnedStream(device, precision); }
};

void add_device_options(CLI::App& command, DeviceOptions& options);

const char* name(kernels::Device device);
const char* name(kernels::Precision precision);
std::string device_name(kernels::Device device);  // what a GPU calls itself; otherwise as name()

}  // namespace etude::apps
