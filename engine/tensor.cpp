#include "engine/tensor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace etude {

std::string to_string(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

}  // namespace etude
