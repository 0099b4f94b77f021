#pragma once

#include <stdexcept>

namespace etude {

// What goes wrong through no fault of the code: a wrong file, shape or option. what() is one line
// that a user can act on.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace etude
