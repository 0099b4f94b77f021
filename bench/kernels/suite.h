#pragma once

// What the benchmarks of the device operations share: arrays on the device filled with random
// numbers, and the measuring of one operation. Each bench_NAME.cpp calls an operation by its
// contract (kernels/NAME.h), at the paper's sizes.

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "kernels/device.h"

namespace etude::bench {

using kernels::Precision;
using kernels::Stream;

// As DISPATCH, for functions that the CPU does not have.
// OF_DEVICE: for those that take no stream.
#if ETUDE_CUDA
#define ON_DEVICE(stream, function, ...)                                     \
  ((stream).device == ::etude::kernels::Device::cuda                         \
       ? ::etude::kernels::cuda::function(stream __VA_OPT__(, ) __VA_ARGS__) \
       : ::etude::kernels::simt::function(stream __VA_OPT__(, ) __VA_ARGS__))
#define OF_DEVICE(stream, function, ...)               \
  ((stream).device == ::etude::kernels::Device::cuda   \
       ? ::etude::kernels::cuda::function(__VA_ARGS__) \
       : ::etude::kernels::simt::function(__VA_ARGS__))
#else
#define ON_DEVICE(stream, function, ...) \
  ::etude::kernels::simt::function(stream __VA_OPT__(, ) __VA_ARGS__)
#define OF_DEVICE(stream, function, ...) \
  ((void)(stream), ::etude::kernels::simt::function(__VA_ARGS__))
#endif

constexpr Precision kPrecisions[] = {Precision::fp32, Precision::tf32, Precision::bf16};
const char* name(Precision precision);

// What issue 3 asks for, microseconds in the row's unit; 0 where it asks for nothing. The floor is
// what bytes or operations alone take on an H100.
struct Target {
  double floor = 0, must = 0, aim = 0, moon = 0;
};

struct Case {
  std::string op = {}, version = {}, shape = {};
  Precision precision = Precision::fp32;
  // Puts one call into the stream; `set` says which of the kSets inputs it is to read.
  std::function<void(const Stream&, int set)> call = {};
  int64_t steps = 1;            // the figure is microseconds a step, so many in a call
  double flops = 0, bytes = 0;  // of a call, at the least
  Target target = {};
  bool captured = true;    // timed as replays of a graph; otherwise as launches
  bool long_call = false;  // milliseconds: one replay is enough for a repetition
};

struct Figures {
  double median = 0, least = 0, most = 0;  // microseconds
  int repetitions = 0;
  int64_t calls = 0;  // in each repetition
};

constexpr int kSets = 4;  // of inputs, by turns

class Array {  // floats or ids on the device
 public:
  Array(const Stream& stream, const void* from, int64_t bytes);
  ~Array();
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  template <typename T = float>
  T* as() const {
    return static_cast<T*>(memory_);
  }
  operator float*() const { return as<float>(); }

 private:
  Stream stream_;
  void* memory_;
};
using Shared = std::shared_ptr<Array>;

class Suite {
 public:
  struct Options {
    kernels::Device device = kernels::Device::cuda;
    bool small = false;      // tiny sizes, to see that everything runs
    std::string only, json;  // rows whose operation contains it; where the figures go
  };
  explicit Suite(Options options);
  ~Suite();

  const Stream& stream(Precision precision = Precision::fp32) const;
  int64_t size(int64_t paper, int64_t small) const { return options_.small ? small : paper; }

  // Uniform in (-scale, scale); other numbers at each call.
  Shared random(int64_t count, float scale = 1.0f);
  Shared random_ids(int64_t count, int64_t classes);  // some classes often, most seldom
  Shared copy_of(const void* from, int64_t bytes);
  template <typename T>
  Shared copy_of(const T& value) {
    return copy_of(&value, static_cast<int64_t>(sizeof value));
  }

  bool wanted(const std::string& op) const;
  // Measures, keeps and prints a row; a refusal of the device becomes a row too.
  Figures measure(const Case& c);
  // The part of `both` that is not `first`: backward, where it cannot run alone.
  void difference(const Case& c, const Figures& both, const Figures& first);
  int rows() const { return static_cast<int>(rows_.size()); }
  int failures() const { return failures_; }
  void print_table() const;

 private:
  Figures time(const Case& c);
  void keep(const Case& c, const Figures& figures, const std::string& problem);
  void write() const;

  Options options_;
  std::vector<Stream> streams_;
  std::vector<nlohmann::ordered_json> rows_;
  uint64_t seed_ = 1;
  int failures_ = 0;
};

void bench_ceilings(Suite& suite);
void bench_matmul(Suite& suite);
void bench_gru(Suite& suite);
void bench_attention(Suite& suite);
void bench_vocabulary_loss(Suite& suite);
void bench_embedding(Suite& suite);
void bench_small(Suite& suite);  // leaky ReLU, add, dropout, dense, column sums, the step's ends

}  // namespace etude::bench
