#pragma once

// ZIP archives made byte by byte, for what no writer would write: hostile names, types, flags.
// Layout: PKWARE's APPNOTE 6.3, sections 4.3.7 (local header), 4.3.12 (central directory), 4.3.14
// to 4.3.16 (its ends).

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/midi_files.h"

namespace etude::tests {

struct ZipEntry {
  std::string name;
  Bytes bytes = {};   // stored
  unsigned mode = 0;  // of Unix, with its type
  unsigned flags = 0, method = 0;
};

inline Bytes little_endian(uint64_t value, int bytes) {
  Bytes out;
  for (int i = 0; i < bytes; ++i) out.push_back(part(value, 8 * i));
  return out;
}

inline uint32_t crc32(const Bytes& bytes) {
  uint32_t crc = ~0u;
  for (const uint8_t byte : bytes) {
    crc ^= byte;
    for (int i = 0; i < 8; ++i) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
  }
  return ~crc;
}

inline Bytes zip_file(const std::vector<ZipEntry>& entries) {
  Bytes files, directory;
  for (const ZipEntry& entry : entries) {
    const Bytes facts =
        little_endian(entry.flags, 2) + little_endian(entry.method, 2) + little_endian(0, 2) +
        little_endian(0x21, 2) + little_endian(crc32(entry.bytes), 4) +
        little_endian(entry.bytes.size(), 4) + little_endian(entry.bytes.size(), 4) +
        little_endian(entry.name.size(), 2) + little_endian(0, 2);
    const Bytes name(entry.name.begin(), entry.name.end());
    directory = directory + Bytes{'P', 'K', 1, 2, 20, 3, 20, 0} + facts + little_endian(0, 6) +
                little_endian(uint64_t{entry.mode} << 16, 4) + little_endian(files.size(), 4) +
                name;
    files = files + Bytes{'P', 'K', 3, 4, 20, 0} + facts + name + entry.bytes;
  }
  const Bytes count = little_endian(entries.size(), 2);
  return files + directory + Bytes{'P', 'K', 5, 6, 0, 0, 0, 0} + count + count +
         little_endian(directory.size(), 4) + little_endian(files.size(), 4) + Bytes{0, 0};
}

// An empty ZIP64 archive that declares so many entries.
inline Bytes zip64_file_with_entries(uint64_t entries) {
  const Bytes end64 = Bytes{'P', 'K', 6, 6} + little_endian(44, 8) + Bytes{45, 0, 45, 0} +
                      little_endian(0, 8) + little_endian(entries, 8) + little_endian(entries, 8) +
                      little_endian(0, 8) + little_endian(0, 8);
  return end64 + Bytes{'P', 'K', 6, 7} + little_endian(0, 4) + little_endian(0, 8) +
         little_endian(1, 4) + Bytes{'P', 'K', 5, 6, 0, 0, 0, 0} + Bytes(12, 0xFF) + Bytes{0, 0};
}

}  // namespace etude::tests
