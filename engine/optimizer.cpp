#include "engine/optimizer.h"

#include "engine/error.h"
#include "kernels/costs.h"
#include "kernels/dispatch.h"

namespace etude {

using kernels::KernelSpan, kernels::Span, kernels::SpanKind;
namespace cost = kernels::cost;

namespace {

// All parameters but the table.
kernels::Work others_cost(const ParamSet& params, const Parameter& table) {
  return cost::nadam_update(params.flat_size() - count(table.node.shape));
}

// Of the flat buffers, from a place on.
kernels::NadamState state_from(ParamSet& params, int64_t offset) {
  return {params.values() + offset, params.gradients() + offset, params.first_moments() + offset,
          params.second_moments() + offset};
}

}  // namespace

void Nadam::update(ParamSet& params, const Parameter* table, const int32_t* ids,
                   int64_t ids_count) {
  const Span stage(SpanKind::stage, "update");
  const auto scalars = kernels::nadam_step(options_, ++state_.step, state_.schedule_product);
  if (embedding_ == EmbeddingUpdate::dense) {
    const KernelSpan span("nadam_update", cost::nadam_update(params.flat_size()));
    kernels::cpu::nadam_update(params.flat_size(), scalars, state_from(params, 0));
    return;
  }
  if (!table) throw Error("the sparse update needs an embedding table");
  const int64_t rows = table->node.shape[0], columns = table->node.shape[1];
  {
    const KernelSpan span("nadam_update_sparse", cost::nadam_update_sparse(rows, columns));
    kernels::cpu::nadam_update_sparse(rows, columns, ids_count, ids, scalars,
                                      state_from(params, table->offset));
  }
  update_others(params, *table, scalars);
}

void Nadam::update_others(ParamSet& params, const Parameter& table,
                          const kernels::NadamStep& scalars) const {
  const int64_t end = table.offset + count(table.node.shape);
  const Span stage(SpanKind::stage, "update");
  const KernelSpan span("nadam_update", others_cost(params, table));
  kernels::cpu::nadam_update(table.offset, scalars, state_from(params, 0));
  kernels::cpu::nadam_update(params.flat_size() - end, scalars, state_from(params, end));
}

void Nadam::update_on_device(const kernels::Stream& stream, ParamSet& params,
                             const Parameter& table, const int32_t* index, int64_t ids_count,
                             const kernels::NadamStep* scalars) const {
  const Span stage(SpanKind::stage, "update");
  if (embedding_ == EmbeddingUpdate::dense) {
    const KernelSpan span("nadam_update", cost::nadam_update(params.flat_size()));
    ON_DEVICE(stream, nadam_update, params.flat_size(), scalars, state_from(params, 0));
    return;
  }
  const kernels::EmbeddingShape rows{table.node.shape[0], table.node.shape[1], ids_count};
  {
    const KernelSpan span("nadam_update_sparse", cost::nadam_update_sparse(rows.classes, rows.dim));
    ON_DEVICE(stream, nadam_update_sparse, rows, index, scalars, state_from(params, table.offset));
  }
  update_others_on_device(stream, params, table, scalars);
}

void Nadam::update_others_on_device(const kernels::Stream& stream, ParamSet& params,
                                    const Parameter& table,
                                    const kernels::NadamStep* scalars) const {
  const int64_t end = table.offset + count(table.node.shape);
  const Span stage(SpanKind::stage, "update");
  const KernelSpan span("nadam_update", others_cost(params, table));
  if (table.offset > 0)
    ON_DEVICE(stream, nadam_update, table.offset, scalars, state_from(params, 0));
  ON_DEVICE(stream, nadam_update, params.flat_size() - end, scalars, state_from(params, end));
}

std::vector<kernels::NadamStep> Nadam::next_steps(int64_t count) const {
  State state = state_;
  std::vector<kernels::NadamStep> steps;
  for (int64_t i = 0; i < count; ++i)
    steps.push_back(kernels::nadam_step(options_, ++state.step, state.schedule_product));
  return steps;
}

void Nadam::advance(int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    kernels::nadam_step(options_, ++state_.step, state_.schedule_product);
}

}  // namespace etude
