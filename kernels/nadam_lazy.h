#pragma once

// Dense Nadam for an embedding's table, done late: the bits of nadam_update() on the whole table,
// without the 28 bytes a parameter of rows that no id names.
//
// A step without a gradient depends on nothing but the row and the step's scalars, so it is done
// when the row is next needed: its missed steps are replayed from the plan's table of scalars, with
// the arithmetic of the dense kernel. A row whose m and v are zero needs no replay at all: with
// g = 0 they stay zero, and w moves by 0 / (0 + epsilon) = 0 (epsilon > 0).
//
// A step, *cursor being the number of steps done:
//   catch_up   rows that the minibatch names: *cursor steps done, so that forward may read them
//   update     gradients summed and applied to the named rows: *cursor + 1 steps done
//   (end_step)
// begin() opens a plan; flush() goes before everybody else who reads w, m or v, and closes a plan.
// Flushed every 64 steps or so, no row falls back by more: a catch_up() is never long.
//
// Cost, at V 36,011 x 100 and 1,850 named rows: update 6.4 MB; the others 24 bytes a number of the
// rows they touch, and all replays together no more arithmetic than the dense update.

#include "kernels/embedding.h"
#include "kernels/nadam.h"

namespace etude::kernels {

inline constexpr int64_t kMostStepsBehind = 64;  // then whoever keeps a table flushes it

struct NadamLazyTable {
  int64_t rows, columns;
  float *w, *m, *v;  // [rows, columns]
  // [rows]: steps of the plan that the row has done; -1 while m = v = 0. begin() fills it.
  int32_t* last;
  const NadamStep* scalars;  // [steps of the plan]
  const int64_t* cursor;     // steps of the plan that are done
};

namespace cpu {

// The order of calls is the devices'. The rows' gradients come summed: g [rows.count, columns].
void nadam_lazy_begin(const NadamLazyTable& table);
void nadam_lazy_catch_up(const NadamLazyTable& table, const DistinctRows& rows);
void nadam_lazy_update(const NadamLazyTable& table, const DistinctRows& rows, const float* g);
void nadam_lazy_flush(const NadamLazyTable& table);

}  // namespace cpu
}  // namespace etude::kernels

// clang-format off
ETUDE_ON_DEVICE(
// At *cursor = 0, with w, m and v as they are: after a flush(), or from a checkpoint.
void nadam_lazy_begin(const Stream& stream, const NadamLazyTable& table);
// The rows that ids [count] name.
void nadam_lazy_catch_up(const Stream& stream, const NadamLazyTable& table, int64_t count,
                         const int32_t* ids);
// dy [count, columns]; `index` is embedding_index()'s. The named rows have done *cursor steps.
void nadam_lazy_update(const Stream& stream, const NadamLazyTable& table, int64_t count,
                       const int32_t* index, const float* dy);
// All rows: *cursor steps done.
void nadam_lazy_flush(const Stream& stream, const NadamLazyTable& table);
)
// clang-format on
