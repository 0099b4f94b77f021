#include "kernels/simt/races.h"

#include <algorithm>

#include "kernels/simt/watched.h"

namespace etude::emulator {

void WarpClock::meet(unsigned mask) {
  uint32_t joined[32] = {};
  for (int lane = 0; lane < 32; ++lane)
    if (mask >> lane & 1)
      for (int other = 0; other < 32; ++other)
        joined[other] = std::max(joined[other], time_[lane][other]);
  for (int lane = 0; lane < 32; ++lane) {
    if (!(mask >> lane & 1)) continue;
    std::copy_n(joined, 32, time_[lane]);
    ++time_[lane][lane];
  }
}

namespace {

// Does a barrier lie between the earlier access and the later?
bool ordered(const Touch& earlier, const Touch& later) {
  if (earlier.by == later.by) return true;
  if (earlier.cluster_time < later.cluster_time) return true;
  if (earlier.by->block != later.by->block) return false;
  if (earlier.block_time < later.block_time) return true;
  return earlier.by->warp == later.by->warp &&
         later.by->warp->watched->clock.knows(later.by->lane, earlier.by->lane, earlier.warp_time);
}

bool clash(const Touch& earlier, const Touch& later) {
  return earlier.by && (earlier.bytes & later.bytes) && !(earlier.atomic && later.atomic) &&
         !ordered(earlier, later);
}

}  // namespace

void SharedShadow::clear(int64_t offset, int64_t bytes) {
  const auto end = static_cast<size_t>(offset + bytes);
  if (written_.size() < end) {
    written_.resize(end);
    words_.resize(end / 4 + 1);
  }
  std::fill(written_.begin() + offset, written_.begin() + offset + bytes, uint8_t{0});
  std::fill(words_.begin() + offset / 4, words_.begin() + (offset + bytes + 3) / 4, Word());
}

ClashReport SharedShadow::access_word(Word& word, Touch touch, uint8_t bytes, bool write) {
  touch.bytes = bytes;
  if (word.write.pending && (word.write.bytes & bytes)) return {Clash::pending, word.write};
  if (!write) {
    if (clash(word.write, touch)) return {Clash::read_after_write, word.write};
    if (word.reads[0].by && word.reads[0].by->warp != touch.by->warp)
      word.reads[1] = word.reads[0];
    else if (word.reads[0].by && word.reads[0].by != touch.by && !word.reads[1].by)
      word.reads[1] = word.reads[0];
    word.reads[0] = touch;
    return {};
  }
  for (const Touch& read : word.reads)
    if (clash(read, touch)) return {Clash::write_after_read, read};
  // Lanes of one instruction that write one word write, as a rule, the same.
  if (clash(word.write, touch) && word.write.instruction != touch.instruction)
    return {Clash::write_after_write, word.write};
  word.write = touch;
  word.reads[0] = word.reads[1] = Touch();
  return {};
}

ClashReport SharedShadow::access(const Touch& touch, int64_t offset, int64_t bytes, bool write) {
  for (int64_t i = offset; i < offset + bytes; ++i) {
    if (!write && !touch.atomic && !written_[static_cast<size_t>(i)])
      return {words_[static_cast<size_t>(i / 4)].write.pending ? Clash::pending : Clash::unwritten,
              words_[static_cast<size_t>(i / 4)].write};
    if (write && !touch.pending) written_[static_cast<size_t>(i)] = 1;
  }
  for (int64_t at = offset; at < offset + bytes;) {
    const int64_t end = std::min(offset + bytes, at / 4 * 4 + 4);
    const unsigned mask = ((1u << (end - at)) - 1) << at % 4;
    const ClashReport report =
        access_word(words_[static_cast<size_t>(at / 4)], touch, static_cast<uint8_t>(mask), write);
    if (report.clash != Clash::none) return report;
    at = end;
  }
  return {};
}

void SharedShadow::excuse(int64_t offset, int64_t bytes) {
  std::fill(written_.begin() + offset, written_.begin() + offset + bytes, uint8_t{1});
}

void SharedShadow::arrived(const Touch& touch, int64_t offset, int64_t bytes) {
  for (int64_t i = offset; i < offset + bytes; ++i) written_[static_cast<size_t>(i)] = 1;
  for (int64_t i = offset; i < offset + bytes; i += 4) {
    Touch& write = words_[static_cast<size_t>(i / 4)].write;
    if (!write.pending || write.by != touch.by) continue;
    write = touch;
    write.bytes = 15;
  }
}

}  // namespace etude::emulator
