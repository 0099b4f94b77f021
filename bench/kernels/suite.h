#pragma once

// All benchmarks: each bench_NAME.cpp adds the cases of kernels/NAME.h, at the paper's sizes and,
// where asked for, at others around them.

#include <initializer_list>
#include <memory>
#include <vector>

#include "bench/kernels/case.h"
#include "bench/kernels/memory.h"
#include "kernels/device.h"
#include "kernels/dispatch.h"
#include "kernels/gru.h"

namespace etude::bench {

struct Options {
  kernels::Device device = kernels::Device::cpu;
  std::vector<Precision> precisions;  // of the device's matrix products
  bool sweep = false;
  bool small = false;  // tiny sizes, to see that everything runs
};

// The paper's.
struct Sizes {
  int64_t batch = 96, time = 50, vocabulary = 36011, units = 128, heads = 1;
};
using Axis = int64_t Sizes::*;

// How a benchmark's arrays take turns.
struct Rotation {
  int sets;
  bool cold;
};

class Suite {
 public:
  explicit Suite(const Options& options);
  ~Suite();
  Suite(const Suite&) = delete;
  Suite& operator=(const Suite&) = delete;

  const Options& options() const { return options_; }
  bool on_cpu() const { return options_.device == kernels::Device::cpu; }
  const Stream& stream() const { return streams_.front(); }        // for what has no products
  const std::vector<Stream>& streams() const { return streams_; }  // one a precision

  int64_t size(int64_t paper, int64_t small) const { return options_.small ? small : paper; }
  // The paper's sizes; when sweeping, also those with one of the axes changed.
  std::vector<Sizes> sizes(std::initializer_list<Axis> axes) const;
  // Of sets of so many bytes, as many as are twice the cache: an array that a training step finds
  // in memory is found there. Sets so small that thousands were needed stay in the cache.
  Rotation rotation(int64_t bytes) const;

  void add(Case c);
  const std::vector<Case>& cases() const { return cases_; }

 private:
  Options options_;
  std::vector<Stream> streams_;
  std::vector<Case> cases_;
  int64_t cache_;  // bytes: the last one of the processor or of the GPU
};

constexpr int kSets = 4;  // of arrays that need not be cold

inline double count(int64_t n) { return static_cast<double>(n); }

// Whether a device's version can do so many units in the stream's precision.
bool gru_can(const Stream& stream, kernels::GruVersion version, int64_t units);

void bench_add(Suite& suite);
void bench_attention(Suite& suite);
void bench_column_sums(Suite& suite);
void bench_dense(Suite& suite);
void bench_dense_leaky_relu(Suite& suite);
void bench_dropout(Suite& suite);
void bench_embedding(Suite& suite);
void bench_gru(Suite& suite);
void bench_gru_recurrence(Suite& suite);
void bench_leaky_relu(Suite& suite);
void bench_matmul(Suite& suite);
void bench_nadam(Suite& suite);
void bench_nadam_lazy(Suite& suite);
void bench_softmax_cross_entropy(Suite& suite);
void bench_step_plan(Suite& suite);
void bench_vocabulary_loss(Suite& suite);

}  // namespace etude::bench
