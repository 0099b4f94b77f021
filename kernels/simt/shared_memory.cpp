#include "kernels/simt/shared_memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

namespace etude::emulator {
namespace {

constexpr int64_t kGap = 128;
constexpr int kMostPieces = 64;
constexpr int64_t kCapacity = kSharedLimit + 2 * kGap * (kMostPieces + 1);
constexpr int kUnwritten = 0xff, kPattern = 0xa5;

int64_t aligned(int64_t bytes) { return (bytes + kGap - 1) / kGap * kGap; }

void* add_piece(Block& block, const SharedPiece& piece) {
  if (std::ssize(block.pieces) == kMostPieces)
    fail(fmt::format("more than {} pieces of shared memory", kMostPieces));
  block.pieces.push_back(piece);
  SharedPiece& added = block.pieces.back();
  added.offset = block.shared_used;
  unsigned char* begin = block.shared + added.offset;
  const int64_t gap = aligned(added.bytes) + kGap - added.bytes;
  ASAN_UNPOISON_MEMORY_REGION(begin, static_cast<size_t>(added.bytes + gap));
  std::memset(begin, kUnwritten, static_cast<size_t>(added.bytes));
  std::memset(begin + added.bytes, kPattern, static_cast<size_t>(gap));
  ASAN_POISON_MEMORY_REGION(begin + added.bytes, static_cast<size_t>(gap));
  block.shared_used += added.bytes + gap;
  return begin;
}

}  // namespace

void begin_block(Block& block, int64_t dynamic_bytes) {
  if (!block.shared)
    block.shared = static_cast<unsigned char*>(::operator new (kCapacity, std::align_val_t{kGap}));
  ASAN_POISON_MEMORY_REGION(block.shared, kCapacity);
  block.pieces.clear();
  block.shared_used = kGap;
  block.shared_named = 0;
  block.dynamic_bytes = dynamic_bytes;
}

std::string end_block(Block& block) {
  std::string fault;
  for (const SharedPiece& piece : block.pieces) {
    const unsigned char* end = block.shared + piece.offset + piece.bytes;
    const int64_t gap = aligned(piece.bytes) + kGap - piece.bytes;
    ASAN_UNPOISON_MEMORY_REGION(end, static_cast<size_t>(gap));
    if (fault.empty() && std::any_of(end, end + gap, [](int byte) { return byte != kPattern; }))
      fault = fmt::format("written past the end of its shared memory {} of {} bytes", piece.name,
                          piece.bytes);
  }
  ASAN_POISON_MEMORY_REGION(block.shared, kCapacity);
  block.pieces.clear();
  return fault;
}

void* static_shared(const void* key, const char* name, int64_t bytes) {
  Block& block = *current->block;
  for (const SharedPiece& piece : block.pieces)
    if (piece.key == key) return block.shared + piece.offset;
  block.shared_named += bytes;
  if (block.shared_named > kStaticSharedLimit)
    fail(fmt::format("{} bytes of static shared memory where a block has {}", block.shared_named,
                     kStaticSharedLimit));
  return add_piece(block, {key, name, 0, bytes});
}

void* dynamic_shared(int64_t offset, int64_t bytes) {
  Block& block = *current->block;
  // Never the address of a static piece's key.
  const void* key = block.shared + offset;
  for (const SharedPiece& piece : block.pieces) {
    if (piece.key != key) continue;
    if (piece.bytes != bytes)
      fail(fmt::format("takes {} bytes of shared memory where another thread took {}", bytes,
                       piece.bytes));
    return block.shared + piece.offset;
  }
  if (offset + bytes > block.dynamic_bytes)
    fail(fmt::format("takes the bytes {} to {} of {} of dynamic shared memory", offset,
                     offset + bytes, block.dynamic_bytes));
  return add_piece(block, {key, "(dynamic)", 0, bytes});
}

void* map_shared(void* shared, unsigned rank) {
  Block& mine = *current->block;
  if (rank >= mine.cluster.size())
    fail(fmt::format("maps block {} of a cluster of {}", rank, mine.cluster.size()));
  Block& other = *mine.cluster[rank];
  const int64_t offset = static_cast<unsigned char*>(shared) - mine.shared;
  // The other block may not have come to its declaration yet: it will be laid out as here.
  const auto piece = std::find_if(mine.pieces.begin(), mine.pieces.end(), [&](const auto& p) {
    return offset >= p.offset && offset < p.offset + p.bytes;
  });
  if (piece == mine.pieces.end()) fail("maps what is not shared memory");
  const auto same = std::find_if(other.pieces.begin(), other.pieces.end(), [&](const auto& p) {
    return p.offset == piece->offset && p.bytes == piece->bytes;
  });
  if (same == other.pieces.end())
    fail("maps shared memory that the other block has not declared: a cluster_barrier is missing");
  return other.shared + offset;
}

}  // namespace etude::emulator
