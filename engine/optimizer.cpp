#include "engine/optimizer.h"

#include "engine/error.h"
#include "kernels/dispatch.h"

namespace etude {

void Nadam::update(ParamSet& params, const Parameter* table, const int32_t* ids,
                   int64_t ids_count) {
  const auto scalars = kernels::nadam_step(options_, ++state_.step, state_.schedule_product);
  const auto from = [&](int64_t offset) {
    return kernels::NadamState{params.values() + offset, params.gradients() + offset,
                               params.first_moments() + offset, params.second_moments() + offset};
  };
  if (embedding_ == EmbeddingUpdate::dense) {
    kernels::cpu::nadam_update(params.flat_size(), scalars, from(0));
    return;
  }
  if (!table) throw Error("the sparse update needs an embedding table");
  const int64_t rows = table->node.shape[0], columns = table->node.shape[1];
  const int64_t end = table->offset + rows * columns;
  kernels::cpu::nadam_update(table->offset, scalars, from(0));
  kernels::cpu::nadam_update_sparse(rows, columns, ids_count, ids, scalars, from(table->offset));
  kernels::cpu::nadam_update(params.flat_size() - end, scalars, from(end));
}

void Nadam::update_on_device(const kernels::Stream& stream, ParamSet& params,
                             const Parameter& table, const int32_t* index, int64_t ids_count,
                             const kernels::NadamStep* scalars) const {
  const auto from = [&](int64_t offset) {
    return kernels::NadamState{params.values() + offset, params.gradients() + offset,
                               params.first_moments() + offset, params.second_moments() + offset};
  };
  if (embedding_ == EmbeddingUpdate::dense) {
    ON_DEVICE(stream, nadam_update, params.flat_size(), scalars, from(0));
    return;
  }
  const kernels::EmbeddingShape rows{table.node.shape[0], table.node.shape[1], ids_count};
  const int64_t end = table.offset + rows.classes * rows.dim;
  if (table.offset > 0) ON_DEVICE(stream, nadam_update, table.offset, scalars, from(0));
  ON_DEVICE(stream, nadam_update_sparse, rows, index, scalars, from(table.offset));
  ON_DEVICE(stream, nadam_update, params.flat_size() - end, scalars, from(end));
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
