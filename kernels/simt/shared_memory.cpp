#include "kernels/simt/shared_memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "kernels/simt/observer.h"

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
constexpr int kPattern = 0xa5;

int64_t gap_behind(const SharedPiece& piece) {
  return (piece.bytes + kGap - 1) / kGap * kGap + kGap - piece.bytes;
}

void poison(unsigned char* begin, int64_t bytes) {
  std::memset(begin, kPattern, static_cast<size_t>(bytes));
  ASAN_POISON_MEMORY_REGION(begin, static_cast<size_t>(bytes));
}

bool touched(const unsigned char* begin, int64_t bytes) {
  ASAN_UNPOISON_MEMORY_REGION(begin, static_cast<size_t>(bytes));
  const bool whole = std::all_of(begin, begin + bytes, [](int byte) { return byte == kPattern; });
  ASAN_POISON_MEMORY_REGION(begin, static_cast<size_t>(bytes));
  return !whole;
}

SharedPiece* find(Block& block, uintptr_t key) {
  for (SharedPiece& piece : block.pieces)
    if (piece.key == key) return &piece;
  return nullptr;
}

}  // namespace

const SharedPiece* holding(const Block& block, const void* address) {
  const int64_t offset = static_cast<const unsigned char*>(address) - block.shared.get();
  for (const SharedPiece& piece : block.pieces)
    if (offset >= piece.offset && offset < piece.offset + piece.bytes) return &piece;
  return nullptr;
}

namespace {

void* add_piece(Block& block, SharedPiece piece) {
  if (std::ssize(block.pieces) == kMostPieces)
    fail(fmt::format("more than {} pieces of shared memory", kMostPieces));
  if (block.static_bytes + block.dynamic_bytes > kSharedLimit)
    fail(fmt::format("{} bytes of static and {} of dynamic shared memory where a block has {}",
                     block.static_bytes, block.dynamic_bytes, kSharedLimit));
  piece.offset = block.shared_used;
  block.pieces.push_back(piece);
  unsigned char* begin = block.shared.get() + piece.offset;
  ASAN_UNPOISON_MEMORY_REGION(begin, static_cast<size_t>(piece.bytes + gap_behind(piece)));
  std::memset(begin, kUnwritten, static_cast<size_t>(piece.bytes));
  poison(begin + piece.bytes, gap_behind(piece));
  block.shared_used += piece.bytes + gap_behind(piece);
  if (observer()) observer()->add_shared(block, piece);
  return begin;
}

}  // namespace

void FreeShared::operator()(unsigned char* memory) const {
  ASAN_UNPOISON_MEMORY_REGION(memory, kCapacity);
  ::operator delete (memory, std::align_val_t{kGap});
}

bool in_shared(const Block& block, const void* address) {
  const int64_t offset = static_cast<const unsigned char*>(address) - block.shared.get();
  return block.shared && offset >= 0 && offset < kCapacity;
}

void begin_block(Block& block, int64_t dynamic_bytes) {
  if (!block.shared) {
    block.shared.reset(
        static_cast<unsigned char*>(::operator new (kCapacity, std::align_val_t{kGap})));
    poison(block.shared.get(), kCapacity);
  }
  block.pieces.clear();
  block.shared_used = kGap;
  block.static_bytes = 0;
  block.dynamic_bytes = dynamic_bytes;
}

std::string end_block(Block& block) {
  std::string fault;
  if (block.pieces.empty()) return fault;
  unsigned char* memory = block.shared.get();
  if (touched(memory, kGap)) {
    fault = fmt::format("wrote before the begin of its shared memory {}", block.pieces[0].name);
    ASAN_UNPOISON_MEMORY_REGION(memory, kGap);
    poison(memory, kGap);
  }
  for (const SharedPiece& piece : block.pieces) {
    unsigned char* begin = memory + piece.offset;
    if (fault.empty() && touched(begin + piece.bytes, gap_behind(piece)))
      fault = fmt::format("wrote past the end of its shared memory {} of {} bytes", piece.name,
                          piece.bytes);
    std::memset(begin, kUnwritten, static_cast<size_t>(piece.bytes));
    ASAN_POISON_MEMORY_REGION(begin, static_cast<size_t>(piece.bytes));
  }
  block.pieces.clear();
  return fault;
}

void* static_shared(const void* key, const char* name, int64_t bytes) {
  Block& block = *current->block;
  const auto number = reinterpret_cast<uintptr_t>(key);
  if (const SharedPiece* piece = find(block, number)) return block.shared.get() + piece->offset;
  block.static_bytes += bytes;
  if (block.static_bytes > kStaticSharedLimit)
    fail(fmt::format("{} bytes of static shared memory where a block has {}", block.static_bytes,
                     kStaticSharedLimit));
  return add_piece(block, {number, name, 0, bytes});
}

void* dynamic_shared(int64_t offset, int64_t bytes) {
  Block& block = *current->block;
  if (bytes == 0) return block.shared.get();  // where nothing may be touched
  const auto number = static_cast<uintptr_t>(offset);
  if (const SharedPiece* piece = find(block, number)) {
    if (piece->bytes != bytes)
      fail(fmt::format("takes {} bytes of shared memory where another thread took {}", bytes,
                       piece->bytes));
    return block.shared.get() + piece->offset;
  }
  if (bytes < 0 || offset + bytes > block.dynamic_bytes)
    fail(fmt::format("takes the bytes {} to {} of {} of dynamic shared memory", offset,
                     offset + bytes, block.dynamic_bytes));
  return add_piece(block, {number, "(dynamic)", 0, bytes});
}

void* map_shared(void* shared, unsigned rank) {
  Block& mine = *current->block;
  if (rank >= mine.cluster.size())
    fail(fmt::format("maps block {} of a cluster of {}", rank, mine.cluster.size()));
  Block& other = *mine.cluster[rank];
  const SharedPiece* piece = holding(mine, shared);
  if (!piece) fail("maps what is not shared memory");
  if (other.unfinished == 0)
    fail("maps shared memory of a block that has ended: a cluster_barrier is missing");
  const SharedPiece* theirs = find(other, piece->key);
  if (!theirs)
    fail("maps shared memory that the other block has not declared: a cluster_barrier is missing");
  const int64_t within = static_cast<unsigned char*>(shared) - mine.shared.get() - piece->offset;
  return other.shared.get() + theirs->offset + within;
}

void check_copy(const PendingCopy& copy) {
  const Site& site = copy.site;
  const int64_t bytes = copy.bytes + copy.zeros;
  if (copy.bytes < 0 || copy.zeros < 0) fail(site, fmt::format("copies {} bytes", copy.bytes));
  if (reinterpret_cast<uintptr_t>(copy.to) % static_cast<uintptr_t>(bytes) ||
      reinterpret_cast<uintptr_t>(copy.from) % static_cast<uintptr_t>(bytes))
    fail(site, fmt::format("addresses that are no multiples of {}", bytes));
  const SharedPiece* piece = holding(*current->block, copy.to);
  if (!piece) fail(site, "does not copy to shared memory of its block");
  const int64_t begin =
      static_cast<unsigned char*>(copy.to) - current->block->shared.get() - piece->offset;
  if (begin + bytes > piece->bytes)
    fail(site, fmt::format("copies past the end of shared memory {} of {} bytes", piece->name,
                           piece->bytes));
#if defined(__SANITIZE_ADDRESS__)
  // A fault shows here, and not where the copy is waited for.
  if (copy.bytes && __asan_region_is_poisoned(const_cast<void*>(copy.from), copy.bytes))
    static_cast<void>(*static_cast<const volatile char*>(
        __asan_region_is_poisoned(const_cast<void*>(copy.from), copy.bytes)));
#endif
}

void copy_now(const PendingCopy& copy) {
  if (copy.bytes) std::memcpy(copy.to, copy.from, static_cast<size_t>(copy.bytes));
  if (copy.zeros)
    std::memset(static_cast<char*>(copy.to) + copy.bytes, 0, static_cast<size_t>(copy.zeros));
}

}  // namespace etude::emulator
