#pragma once

// Whole files in, whole files out.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace etude::midi {

// The bytes of a regular file. Throws Error (missing, unreadable, a folder) or LimitError when it
// is longer than `limit` bytes, before reading it.
std::vector<uint8_t> read_file(const std::filesystem::path& path, size_t limit);

// A reader sees the old file or the whole new one, never a part: the bytes go to a temporary name
// in the same folder, which is then renamed. On failure the temporary file is removed and Error
// thrown. Folders are not created, and what is no regular file (a folder, a device) is not
// replaced.
void write_file_atomically(const std::filesystem::path& path, std::span<const uint8_t> bytes);
void write_file_atomically(const std::filesystem::path& path, std::string_view text);

// ".mid" of "Piece.MID": what kind of file a name promises. Letters of ASCII only become small.
std::string lower_extension(const std::filesystem::path& path);

}  // namespace etude::midi
