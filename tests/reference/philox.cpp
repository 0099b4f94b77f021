#include "tests/reference/philox.h"

namespace etude::reference {

std::array<uint32_t, 4> philox_4x32_10(std::array<uint32_t, 4> counter,
                                       std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53} * counter[0];
    const uint64_t p1 = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(p1 >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(p1),
               static_cast<uint32_t>(p0 >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(p0)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

uint32_t random_bits(const kernels::RandomKey& key, uint64_t position) {
  const uint64_t block = position / 4;
  return philox_4x32_10(
      {static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), key.stream, key.step},
      {static_cast<uint32_t>(key.seed), static_cast<uint32_t>(key.seed >> 32)})[position % 4];
}

}  // namespace etude::reference
