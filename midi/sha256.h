#pragma once

// SHA-256 (FIPS 180-4), by OpenSSL.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace etude::midi {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  void add(std::string_view bytes);
  // As little-endian 32-bit integers.
  void add(std::span<const int32_t> numbers);
  // 64 lower-case hexadecimal digits. Ends the computation: call once.
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace etude::midi
