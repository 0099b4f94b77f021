#include "engine/checkpoint.h"

#include <fmt/format.h>
#include <charconv>

#include "engine/error.h"

namespace etude {
namespace {

template <typename T>
T number(const Safetensors& file, const std::filesystem::path& path, const std::string& key) {
  const std::string& text = file.metadata(key);
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    throw Error(fmt::format("{}: header: {} is not a number: \"{}\"", path.string(), key, text));
  return value;
}

void require_format(const Safetensors& file, const std::filesystem::path& path,
                    const std::string& format) {
  const auto& metadata = file.metadata();
  const auto found = metadata.find("format");
  if (found == metadata.end() || found->second != format)
    throw Error(fmt::format("{}: header: not an {} file", path.string(), format));
}

}  // namespace

using Flat = ParamSet::Flat;

void save_parameters(const std::filesystem::path& path, ParamSet& params,
                     const Metadata& metadata) {
  const float* values = params.on_host(Flat::values);
  std::vector<TensorData> tensors;
  for (const Parameter& p : params.all())
    tensors.push_back({p.name, p.node.shape, values + p.offset});
  write_safetensors(path, metadata, tensors);
}

void load_parameters(const Safetensors& file, const std::filesystem::path& path, ParamSet& params) {
  float* values = params.on_host(Flat::values);
  for (Parameter& p : params.all()) file.copy(p.name, p.node.shape, values + p.offset);
  params.from_host(Flat::values);
  for (const std::string& name : file.names())
    if (!params.find(name))
      throw Error(
          fmt::format("{}: tensor {}: no such parameter in this model", path.string(), name));
}

void save_optimizer(const std::filesystem::path& path, ParamSet& params, const Nadam& optimizer,
                    Metadata progress) {
  progress["format"] = "etude-optimizer";
  progress["version"] = "1";
  progress["step"] = fmt::format("{}", optimizer.state().step);
  // The shortest decimal that reads back as the same double.
  progress["schedule_product"] = fmt::format("{}", optimizer.state().schedule_product);
  params.allocate_training();
  const float* m = params.on_host(Flat::first_moments);
  const float* v = params.on_host(Flat::second_moments);
  std::vector<TensorData> tensors;
  for (const Parameter& p : params.all()) {
    tensors.push_back({"m." + p.name, p.node.shape, m + p.offset});
    tensors.push_back({"v." + p.name, p.node.shape, v + p.offset});
  }
  write_safetensors(path, progress, tensors);
}

Metadata load_optimizer(const std::filesystem::path& path, ParamSet& params, Nadam& optimizer) {
  const Safetensors file = Safetensors::read(path);
  require_format(file, path, "etude-optimizer");
  params.allocate_training();
  float* m = params.on_host(Flat::first_moments);
  float* v = params.on_host(Flat::second_moments);
  for (Parameter& p : params.all()) {
    file.copy("m." + p.name, p.node.shape, m + p.offset);
    file.copy("v." + p.name, p.node.shape, v + p.offset);
  }
  params.from_host(Flat::first_moments);
  params.from_host(Flat::second_moments);
  optimizer.restore(
      {number<int64_t>(file, path, "step"), number<double>(file, path, "schedule_product")});
  return file.metadata();
}

}  // namespace etude
