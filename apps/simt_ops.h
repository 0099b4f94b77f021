#pragma once

// The operations that `etude simt` runs: small, with invented numbers, forward and backward.

#include <map>
#include <string>
#include <vector>

#include "kernels/stream.h"

namespace etude::apps {

using SimtSizes = std::map<std::string, int64_t>;

struct SimtOp {
  const char* name;
  SimtSizes sizes;                    // as they are unless asked otherwise
  std::vector<std::string> versions;  // the first one is taken unless asked otherwise; may be empty
  void (*run)(const kernels::Stream& stream, const SimtSizes& sizes, int version);
};

const std::vector<SimtOp>& simt_ops();

}  // namespace etude::apps
