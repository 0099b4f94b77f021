#pragma once

// The recurrence of a bidirectional GRU alone (kernels/gru_recurrence.h), in double precision, with
// the operands of its products rounded as a stream's precision says; and the check of a device
// version against it and against the exact GRU of gru.h.

#include <functional>
#include <string>

#include "kernels/gru_recurrence.h"
#include "kernels/stream.h"
#include "tests/reference/types.h"

namespace etude::reference {

struct RecurrenceShape {
  int64_t batch, time, units;
  bool last_only = false;
};

// What a direction reads: projected [batch, time, 3 units], kernel [units, 3 units], bias.
struct RecurrenceInputs {
  Vec projected[2], kernel[2], bias[2];
  Vec dy;  // as y
};

struct RecurrenceOutputs {
  Vec y;             // [batch, time, 2 units], or [batch, 2 units] with last_only
  Vec saved[2];      // [batch, time, 5 units] after forward
  Vec gradients[2];  // the first four of the five after backward: [batch, time, 4 units]
};

// x as a product's operand.
double rounded(double x, kernels::Precision precision);

// tanh_error: by how much, relative to itself, a hardware's tanh is off (in the worst direction of
// each argument's own); the logistic function is made of it.
RecurrenceOutputs gru_recurrence(const RecurrenceShape& shape, const RecurrenceInputs& inputs,
                                 kernels::Precision precision, double tanh_error = 0);
// The same, exact, by the GRU of gru.h.
RecurrenceOutputs gru_recurrence_exact(const RecurrenceShape& shape,
                                       const RecurrenceInputs& inputs);

}  // namespace etude::reference

namespace etude::tests {

reference::RecurrenceInputs random_recurrence(const reference::RecurrenceShape& shape);

struct RecurrenceVersion {
  std::string name;
  std::function<bool(const kernels::Stream&, int64_t units)> fits;
  std::function<void(const kernels::Stream&, const kernels::GruRecurrence&)> forward, backward;
};

// Forward and backward on every device and in every schedule: the same bits, and near to both
// references. hardware_tolerance: against the rounded reference on a GPU, whose special functions
// are not the host's.
void check_recurrence(const RecurrenceVersion& version, const reference::RecurrenceShape& shape,
                      kernels::Precision precision, double hardware_tolerance = 1e-4);

}  // namespace etude::tests
