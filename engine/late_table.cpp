#include "engine/late_table.h"

#include "kernels/costs.h"

namespace etude {

using kernels::KernelSpan, kernels::Span, kernels::SpanKind;

void LateTable::begin() {
  const int64_t rows = parameter_.node.shape[0], columns = parameter_.node.shape[1];
  last_.resize(static_cast<size_t>(rows));
  scalars_.resize(kernels::kMostStepsBehind);
  cursor_ = 0;
  table_ = {.rows = rows,
            .columns = columns,
            .w = params_.values() + parameter_.offset,
            .m = params_.first_moments() + parameter_.offset,
            .v = params_.second_moments() + parameter_.offset,
            .last = last_.data(),
            .scalars = scalars_.data(),
            .cursor = &cursor_};
  kernels::cpu::nadam_lazy_begin(table_);
  begun_ = true;
}

void LateTable::catch_up(const kernels::DistinctRows& rows) {
  if (!begun_) begin();
  const Span stage(SpanKind::stage, "update");
  const KernelSpan span("nadam_lazy_catch_up");
  kernels::cpu::nadam_lazy_catch_up(table_, rows);
}

void LateTable::update(const kernels::NadamStep& step, const kernels::DistinctRows& rows,
                       const float* gradients) {
  const Span stage(SpanKind::stage, "update");
  scalars_[static_cast<size_t>(cursor_)] = step;
  {
    const KernelSpan span("nadam_lazy_update",
                          kernels::cost::nadam_update(rows.count * table_.columns));
    kernels::cpu::nadam_lazy_update(table_, rows, gradients);
  }
  if (++cursor_ == kernels::kMostStepsBehind) flush();
}

void LateTable::flush() {
  const KernelSpan span("nadam_lazy_flush");
  kernels::cpu::nadam_lazy_flush(table_);
  for (int32_t& last : last_)
    if (last > 0) last = 0;
  cursor_ = 0;
}

void LateTable::settle() {
  if (!begun_) return;
  flush();
  begun_ = false;
}

}  // namespace etude
