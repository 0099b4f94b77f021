#pragma once

// On the CPU, the dense update of an embedding's table done late, with the same bits
// (kernels/nadam_lazy.h): a step touches the rows that its minibatch names.

#include <vector>

#include "engine/params.h"
#include "kernels/nadam_lazy.h"

namespace etude {

class LateTable {
 public:
  // Both must outlive it. The table's moments are there from the first catch_up() on.
  LateTable(ParamSet& params, const Parameter& table) : params_(params), parameter_(table) {}

  // A step: the rows as forward must read them; then their gradients, [rows.count, columns].
  void catch_up(const kernels::DistinctRows& rows);
  void update(const kernels::NadamStep& step, const kernels::DistinctRows& rows,
              const float* gradients);

  // All rows as the dense update would have left them, until the next step; what others write into
  // the table until then is no trouble.
  void settle();

 private:
  void begin();
  void flush();

  ParamSet& params_;
  const Parameter& parameter_;
  bool begun_ = false;
  int64_t cursor_ = 0;
  std::vector<int32_t> last_;
  std::vector<kernels::NadamStep> scalars_;
  kernels::NadamLazyTable table_{};
};

}  // namespace etude
