#include "engine/safetensors.h"

#include <string>
#include <vector>

#include "engine/error.h"
#include "fuzz/targets.h"

namespace etude::fuzz {

void safetensors(Bytes bytes) {
  try {
    const auto file = Safetensors::parse({bytes.begin(), bytes.end()}, "x.safetensors");
    for (const std::string& name : file.names()) {
      for (const Shape& shape : {Shape{}, Shape{0}, Shape{1}, Shape{2}, Shape{1, 1}, Shape{2, 3}}) {
        std::vector<float> numbers(static_cast<size_t>(count(shape)));
        try {
          file.copy(name, shape, numbers.data());
        } catch (const Error&) {
        }
      }
    }
  } catch (const Error&) {
  }
}

}  // namespace etude::fuzz
