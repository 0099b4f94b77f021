#include "engine/session.h"

#include <algorithm>
#include <utility>

#include "engine/ops.h"
#include "engine/ops_check.h"
#include "engine/resident.h"
#include "kernels/costs.h"
#include "kernels/dispatch.h"
#include "kernels/embedding.h"
#include "kernels/precision.h"

namespace etude {

using kernels::Stream;

namespace {

kernels::DistinctRows distinct_rows(const kernels::EmbeddingShape& shape, const int32_t* ids,
                                    std::vector<int32_t>& memory) {
  const kernels::Span stage(kernels::SpanKind::stage, "data");
  const kernels::KernelSpan span("distinct_rows", kernels::cost::distinct_rows(shape));
  memory.resize(static_cast<size_t>(kernels::cpu::distinct_rows_size(shape)));
  return kernels::cpu::distinct_rows(shape, ids, memory.data());
}

}  // namespace

template <typename Work>
auto Session::with_plan(const Work& work) {
  try {
    return work();
  } catch (const kernels::OutOfMemory& problem) {
    const auto mib = [](int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); };
    throw Error(fmt::format(
        "{}; the plan: {:.0f} MiB of parameters, gradients and moments, {:.0f} MiB of data and its "
        "order, {:.0f} MiB of activations so far; a smaller --batch needs less of these",
        problem.what(), mib(params_.device_bytes()), mib(resident_ ? resident_->bytes() : 0),
        mib(arena_.bytes())));
  }
}

Session::Session(ParamSet& params, const Parameter& table, Network network, Nadam optimizer,
                 uint64_t seed, const Stream& stream)
    : params_(params),
      table_(table),
      network_(std::move(network)),
      optimizer_(std::move(optimizer)),
      seed_(seed),
      arena_(stream),
      late_table_(params, table) {
  with_plan([&] { params.move_to(stream); });
  if (!on_cpu()) resident_ = std::make_unique<Resident>(stream);
  params_.before_host_access([this] { late_table_.settle(); });
}

Session::~Session() {
  late_table_.settle();
  params_.before_host_access({});
}

Tensor Session::forward_and_backward(const Batch& batch, const Tape::Randomness& randomness) {
  tape_.begin(Mode::training, randomness);
  params_.forget_gradients();
  const Tensor losses = network_.losses(tape_, batch);
  tape_.backward();
  params_.clear_missing_gradients();
  return losses;
}

double Session::train_step(const Batch& batch) {
  return on_cpu() ? train_on_cpu(batch) : train_on_device(batch);
}

double Session::train_on_cpu(const Batch& batch) {
  choose_precision();
  params_.allocate_training();
  const kernels::EmbeddingShape ids{table_.node.shape[0], table_.node.shape[1],
                                    batch.size * batch.time};
  ops::require_below("embedding", "id", batch.inputs, ids.count, ids.classes);
  const auto rows = distinct_rows(ids, batch.inputs, distinct_);
  Batch with_rows = batch;
  with_rows.distinct = &rows;
  const bool late = late_table();
  if (late) late_table_.catch_up(rows);
  tape_.leave_row_gradients(late);
  const auto step = static_cast<uint32_t>(optimizer_.state().step + 1);
  const Tensor losses = forward_and_backward(with_rows, {.seed = seed_, .step = step});
  if (late) {
    const kernels::NadamStep scalars = optimizer_.next_steps(1).front();
    late_table_.update(scalars, rows, tape_.row_gradients());
    optimizer_.update_others(params_, table_, scalars);
    optimizer_.advance(1);
  } else {
    optimizer_.update(params_, &table_, batch.inputs, ids.count);
  }
  double sum = 0;
  for (int64_t i = 0; i < losses.count(); ++i) sum += losses.data()[i];
  return sum;
}

// A plan of one step, whose only windows are the batch's.
double Session::train_on_device(const Batch& batch) {
  const int64_t row = batch.time + 1;
  std::vector<int32_t> tokens;
  std::vector<int64_t> offsets;
  for (int64_t i = 0; i < batch.size; ++i) {
    offsets.push_back(i * row);
    tokens.insert(tokens.end(), batch.inputs + i * batch.time, batch.inputs + (i + 1) * batch.time);
    tokens.push_back(batch.targets[i]);
  }
  set_tokens(tokens);
  plan(offsets, batch.size, batch.time);
  return run(1)[0];
}

void Session::update_table_late(bool yes) {
  late_table_.settle();
  update_table_late_ = yes;
}

void Session::set_tokens(std::span<const int32_t> tokens) {
  const auto count = static_cast<int64_t>(tokens.size());
  ops::require_below("training", "token", tokens.data(), count, table_.node.shape[0]);
  with_plan([&] { resident_->set_tokens(tokens); });
}

void Session::plan(std::span<const int64_t> offsets, int64_t batch, int64_t time) {
  const auto tokens = resident_->token_count();
  for (const int64_t offset : offsets)
    if (offset < 0 || offset + time >= tokens)
      throw Error(fmt::format("training: a window at {} of {} tokens", offset, tokens));
  const auto steps = static_cast<int64_t>(offsets.size()) / batch;
  with_plan([&] {
    params_.allocate_training();
    resident_->plan(offsets, batch, time, table_.node.shape,
                    static_cast<uint32_t>(optimizer_.state().step + 1),
                    optimizer_.next_steps(steps));
    if (late_table()) resident_->begin_late_table(params_, table_);
  });
}

bool Session::late_table() const {
  return update_table_late_ && optimizer_.embedding() == EmbeddingUpdate::dense;
}

// All of one step, into the stream: run, or recorded for the replays.
void Session::planned_step() {
  const kernels::Span span(kernels::SpanKind::step, "step");
  Resident& r = *resident_;
  const Batch batch = r.begin_step();
  const kernels::NadamStep* scalars = r.step_plan().current;
  const Tape::Randomness randomness{.seed = seed_, .step = 0, .device_step = r.step_plan().step};
  tape_.leave_row_gradients(late_table());
  if (late_table()) {
    r.catch_up_table();
    const Tensor losses = forward_and_backward(batch, randomness);
    r.update_table(tape_.row_gradients());
    optimizer_.update_others_on_device(stream(), params_, table_, scalars);
    r.end_step(losses.data());
  } else {
    const Tensor losses = forward_and_backward(batch, randomness);
    optimizer_.update_on_device(stream(), params_, table_, batch.index, batch.size * batch.time,
                                scalars);
    r.end_step(losses.data());
  }
}

int64_t Session::device_bytes() const {
  return on_cpu() ? 0 : params_.device_bytes() + resident_->bytes() + arena_.bytes();
}

std::vector<double> Session::run(int64_t steps) {
  choose_precision();
  const auto losses = with_plan([&] {
    return resident_->run(
        steps, [this] { planned_step(); }, [this] { tape_.begin_inference(); });
  });
  optimizer_.advance(steps);
  return losses;
}

Batch Session::to_device(const Batch& batch) {
  if (on_cpu()) return batch;
  const int64_t classes = table_.node.shape[0], ids = batch.size * batch.time;
  ops::require_below("embedding", "id", batch.inputs, ids, classes);
  if (batch.targets)
    ops::require_below("vocabulary_loss", "target", batch.targets, batch.size, classes);
  return resident_->upload(batch);
}

std::span<const float> Session::to_host(const Tensor& x, std::vector<float>& memory) {
  const auto count = static_cast<size_t>(x.count());
  if (on_cpu()) return {x.data(), count};
  memory.resize(count);
  kernels::copy_to_host(stream(), memory.data(), x.data(),
                        static_cast<int64_t>(count * sizeof(float)));
  return memory;
}

// simt makes its plain products by the CPU's, in fp32.
void Session::choose_precision() const {
  kernels::cpu::use_precision(on_cpu() ? stream().precision : kernels::Precision::fp32);
}

void Session::begin_inference() {
  choose_precision();
  late_table_.settle();
}

std::span<const float> Session::logits(const Batch& batch) {
  begin_inference();
  return with_plan([&] {
    tape_.begin_inference();
    return to_host(network_.logits(tape_, to_device(batch)), host_logits_);
  });
}

Session::Evaluated Session::losses(const Batch& batch) {
  begin_inference();
  return with_plan([&] {
    tape_.begin_inference();
    const Batch there = to_device(batch);
    const Tensor logits = network_.logits(tape_, there);
    const Tensor losses = ops::softmax_cross_entropy(tape_, logits, there.targets);
    return Evaluated{to_host(logits, host_logits_), to_host(losses, host_losses_)};
  });
}

}  // namespace etude
