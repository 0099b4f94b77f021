#include "engine/resident.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/error.h"
#include "kernels/costs.h"
#include "kernels/dispatch.h"
#include "kernels/embedding.h"

namespace etude {
namespace {

// Grows, and never shrinks.
void reserve(const kernels::Stream& stream, DeviceMemory& memory, int64_t bytes) {
  if (memory.bytes() < bytes) memory = DeviceMemory(stream, bytes);
}

template <typename T>
void upload(const kernels::Stream& stream, DeviceMemory& memory, std::span<const T> from) {
  const auto bytes = static_cast<int64_t>(from.size_bytes());
  reserve(stream, memory, bytes);
  kernels::copy_to_device(stream, memory.as<T>(), from.data(), bytes);
}

template <typename T>
constexpr int64_t bytes_of(int64_t count) {
  return count * static_cast<int64_t>(sizeof(T));
}

// The numbers of the step under way, in one piece of memory.
struct State {
  int64_t cursor;
  uint32_t step;
  alignas(16) kernels::NadamStep current;
};

}  // namespace

Session::Resident::~Resident() { forget_graphs(); }

void Session::Resident::forget_graphs() {
  for (kernels::Graph* graph : {&one_, &many_})
    if (graph->handle) kernels::release(stream_, *graph);
}

void Session::Resident::set_tokens(std::span<const int32_t> tokens) {
  forget_graphs();
  etude::upload(stream_, tokens_, tokens);
  kernels::synchronize(stream_);
  token_count_ = static_cast<int64_t>(tokens.size());
}

void Session::Resident::plan(std::span<const int64_t> offsets, int64_t batch, int64_t time,
                             const Shape& table, uint32_t first_step,
                             const std::vector<kernels::NadamStep>& scalars) {
  forget_graphs();  // they hold the old plan's addresses
  warm_ = warm_ && batch == batch_ && time == time_;
  batch_ = batch;
  time_ = time;
  table_ = table;
  first_step_ = first_step;
  steps_ = static_cast<int64_t>(scalars.size());
  done_ = 0;
  late_ = {};
  etude::upload(stream_, offsets_, offsets);
  etude::upload(stream_, scalars_, std::span<const kernels::NadamStep>(scalars));
  reserve(stream_, losses_, bytes_of<float>(steps_));
  reserve(stream_, inputs_, bytes_of<int32_t>(batch * time));
  reserve(stream_, targets_, bytes_of<int32_t>(batch));
  const kernels::EmbeddingShape ids{table[0], table[1], batch * time};
  reserve(stream_, index_, bytes_of<int32_t>(ON_DEVICE_PICK(stream_, embedding_index_size)(ids)));
  reserve(stream_, state_, sizeof(State));
  kernels::clear(stream_, state_.as<void>(), sizeof(State));
  kernels::synchronize(stream_);
  auto* state = state_.as<State>();
  plan_ = {tokens_.as<int32_t>(), offsets_.as<int64_t>(), scalars_.as<kernels::NadamStep>(),
           losses_.as<float>(),   &state->cursor,         &state->step,
           &state->current};
}

int64_t Session::Resident::bytes() const {
  int64_t total = 0;
  for (const DeviceMemory* memory :
       {&tokens_, &offsets_, &scalars_, &losses_, &state_, &inputs_, &targets_, &index_, &last_})
    total += memory->bytes();
  return total;
}

Batch Session::Resident::begin_step() {
  const kernels::Span stage(kernels::SpanKind::stage, "data");
  ON_DEVICE(stream_, begin_step, plan_, first_step_, batch_, time_, inputs_.as<int32_t>(),
            targets_.as<int32_t>());
  const kernels::EmbeddingShape ids{table_[0], table_[1], batch_ * time_};
  ON_DEVICE(stream_, embedding_index, ids, inputs_.as<int32_t>(), index_.as<int32_t>());
  return {batch_, time_, inputs_.as<int32_t>(), targets_.as<int32_t>(), index_.as<int32_t>()};
}

void Session::Resident::end_step(const float* losses) {
  const kernels::Span stage(kernels::SpanKind::stage, "losses");
  ON_DEVICE(stream_, end_step, plan_, batch_, losses);
}

void Session::Resident::begin_late_table(ParamSet& params, const Parameter& table) {
  late_ = {.rows = table.node.shape[0],
           .columns = table.node.shape[1],
           .w = params.values() + table.offset,
           .m = params.first_moments() + table.offset,
           .v = params.second_moments() + table.offset,
           .last = nullptr,
           .scalars = plan_.scalars,
           .cursor = plan_.cursor};
  reserve(stream_, last_, bytes_of<int32_t>(late_.rows));
  late_.last = last_.as<int32_t>();
  ON_DEVICE(stream_, nadam_lazy_begin, late_);
}

void Session::Resident::catch_up_table() {
  const kernels::Span stage(kernels::SpanKind::stage, "update");
  ON_DEVICE(stream_, nadam_lazy_catch_up, late_, batch_ * time_, inputs_.as<int32_t>());
}

void Session::Resident::update_table(const float* row_gradients) {
  const kernels::Span stage(kernels::SpanKind::stage, "update");
  const kernels::KernelSpan span("nadam_lazy_update",
                                 kernels::cost::nadam_lazy_update(batch_ * time_, late_.columns));
  ON_DEVICE(stream_, nadam_lazy_update, late_, batch_ * time_, index_.as<int32_t>(), row_gradients);
}

void Session::Resident::flush_table() {
  if (late_.rows == 0) return;
  const kernels::Span stage(kernels::SpanKind::stage, "update");
  ON_DEVICE(stream_, nadam_lazy_flush, late_);
}

kernels::Graph Session::Resident::capture(int64_t steps, const std::function<void()>& step) {
  kernels::begin_capture(stream_);
  try {
    for (int64_t i = 0; i < steps; ++i) step();
    return kernels::end_capture(stream_);
  } catch (...) {
    kernels::abandon_capture(stream_);
    throw;
  }
}

const kernels::Graph& Session::Resident::graph_of(int64_t steps,
                                                  const std::function<void()>& step) {
  kernels::Graph& graph = steps == 1 ? one_ : many_;
  if (!graph.handle) graph = capture(steps, step);
  return graph;
}

// Returns how many.
int64_t Session::Resident::some_steps(int64_t most, const std::function<void()>& step,
                                      const std::function<void()>& settle) {
  const int64_t left = steps_ - done_;
  const bool profiled = kernels::span_listener != nullptr;  // a replay has no spans
  if (!warm_ || profiled) {
    step();
    kernels::synchronize(stream_);
    if (!warm_) settle();
    warm_ = true;
    if (profiled) return 1;
    // What is captured now does not fall into the time of the steps that follow.
    if (left > 1) graph_of(1, step);
    if (left > kLongGraph) graph_of(kLongGraph, step);
    return 1;
  }
  const int64_t length = most >= kLongGraph ? kLongGraph : 1;
  kernels::replay(stream_, graph_of(length, step));
  return length;
}

std::vector<double> Session::Resident::run(int64_t steps, const std::function<void()>& step,
                                           const std::function<void()>& settle) {
  if (done_ + steps > steps_)
    throw Error(
        fmt::format("training: {} steps where the plan has {} left", steps, steps_ - done_));
  const int64_t begin = done_, end = done_ + steps;
  while (done_ < end) {
    const int64_t until = std::min(end, done_ + kernels::kMostStepsBehind);
    while (done_ < until) done_ += some_steps(until - done_, step, settle);
    flush_table();
  }
  std::vector<float> losses(static_cast<size_t>(steps));
  kernels::copy_to_host(stream_, losses.data(), losses_.as<float>() + begin,
                        bytes_of<float>(steps));
  return {losses.begin(), losses.end()};
}

Batch Session::Resident::upload(const Batch& batch) {
  forget_graphs();
  warm_ = false;
  const auto ids = static_cast<size_t>(batch.size * batch.time);
  etude::upload(stream_, inputs_, std::span(batch.inputs, ids));
  if (batch.targets)
    etude::upload(stream_, targets_, std::span(batch.targets, static_cast<size_t>(batch.size)));
  return {batch.size, batch.time, inputs_.as<int32_t>(), targets_.as<int32_t>()};
}

}  // namespace etude
