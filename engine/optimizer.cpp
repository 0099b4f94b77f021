#include "engine/optimizer.h"

#include "engine/error.h"

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

}  // namespace etude
