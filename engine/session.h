#pragma once

// Training and evaluation steps: forward, backward and update over an arena that every step uses
// again. On the CPU a step runs eagerly. On a device the first one does, which sizes the arena;
// then the step is captured and replayed, and an epoch runs without the host (kernels/step_plan.h).

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "engine/late_table.h"
#include "engine/optimizer.h"
#include "engine/tape.h"

namespace etude {

// A minibatch of windows. The arrays are the caller's and live for the length of the call; a
// session takes them from the host.
struct Batch {
  int64_t size, time;
  const int32_t* inputs;   // [size, time]
  const int32_t* targets;  // [size]; may be null where no loss is asked for
  // In training, the session's: kernels::embedding_index() of inputs on devices, and on the CPU
  // their distinct rows.
  const int32_t* index = nullptr;
  const kernels::DistinctRows* distinct = nullptr;
};

// What a session runs.
struct Network {
  std::function<Tensor(Tape&, const Batch&)> logits;  // [size, V]
  std::function<Tensor(Tape&, const Batch&)> losses;  // [size], in nats
};

class Session {
 public:
  // `params` must outlive the session, and the stream both: they move to its device. `table` is the
  // embedding's parameter, one of them.
  Session(ParamSet& params, const Parameter& table, Network network, Nadam optimizer, uint64_t seed,
          const kernels::Stream& stream = {});
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const kernels::Stream& stream() const { return arena_.stream(); }

  // One update; returns the sum of the losses before it, in nats.
  double train_step(const Batch& batch);

  // Training on what lies on the device: tokens as midi::Dataset has them; then, of each epoch, the
  // windows' offsets in the order of training, cut into minibatches of `batch` windows. run() makes
  // the next steps and returns the sum of the losses of each.
  void set_tokens(std::span<const int32_t> tokens);
  void plan(std::span<const int64_t> offsets, int64_t batch, int64_t time);
  std::vector<double> run(int64_t steps);

  // Whether the dense update of the embedding's table is done late, with the same bits
  // (kernels/nadam_lazy.h); it is unless told otherwise. Before the first step or plan. Who reads
  // parameters or moments behind a step does so through ParamSet::on_host().
  void update_table_late(bool yes);

  // Without dropout and without gradients. On the host, until the next step.
  std::span<const float> logits(const Batch& batch);  // [size, V]
  struct Evaluated {
    std::span<const float> logits, losses;  // losses [size]
  };
  Evaluated losses(const Batch& batch);

  Nadam& optimizer() { return optimizer_; }
  int64_t arena_bytes() const { return arena_.bytes(); }
  int64_t device_bytes() const;  // of all arrays on the device; 0 on the CPU

 private:
  struct Resident;  // what lies on the device
  bool on_cpu() const { return stream().device == kernels::Device::cpu; }
  // Runs `work`; where the device has too little memory for it, says what was asked for.
  template <typename Work>
  auto with_plan(const Work& work);
  Tensor forward_and_backward(const Batch& batch, const Tape::Randomness& randomness);
  double train_on_cpu(const Batch& batch);
  void choose_precision() const;
  void begin_inference();
  double train_on_device(const Batch& batch);
  Batch to_device(const Batch& batch);
  std::span<const float> to_host(const Tensor& x, std::vector<float>& memory);
  void planned_step();
  bool late_table() const;

  ParamSet& params_;
  const Parameter& table_;
  Network network_;
  Nadam optimizer_;
  uint64_t seed_;
  Arena arena_;
  Tape tape_{arena_};
  bool update_table_late_ = true;
  std::vector<float> host_logits_, host_losses_;
  std::unique_ptr<Resident> resident_;  // null on the CPU
  LateTable late_table_;                // the CPU's
  std::vector<int32_t> distinct_;
};

}  // namespace etude
