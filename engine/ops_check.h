#pragma once

#include <fmt/format.h>

#include "engine/error.h"
#include "engine/tensor.h"

namespace etude::ops {

// "gru: the kernel must be [100, 384], not [100, 128]"
inline void require_shape(const char* op, const char* what, const Tensor& x, const Shape& shape) {
  if (x.shape() != shape)
    throw Error(fmt::format("{}: the {} must be {}, not {}", op, what, to_string(shape),
                            to_string(x.shape())));
}

inline void require_rank(const char* op, const char* what, const Tensor& x, int rank) {
  if (x.rank() != rank)
    throw Error(fmt::format("{}: the {} must have {} axes, not the shape {}", op, what, rank,
                            to_string(x.shape())));
}

// "embedding: id 7 at 3 is not below 5"
inline void require_below(const char* op, const char* what, const int32_t* ids, int64_t count,
                          int64_t end) {
  for (int64_t i = 0; i < count; ++i)
    if (ids[i] < 0 || ids[i] >= end)
      throw Error(fmt::format("{}: {} {} at {} is not below {}", op, what, ids[i], i, end));
}

inline void require_rate(const char* op, float rate) {
  if (!(rate >= 0 && rate < 1))
    throw Error(fmt::format("{}: the rate must be at least 0 and below 1, not {}", op, rate));
}

}  // namespace etude::ops
