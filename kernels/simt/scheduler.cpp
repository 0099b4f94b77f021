#include "kernels/simt/scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <stdexcept>
#include <utility>

#include "kernels/simt/fiber.h"
#include "kernels/simt/shared_memory.h"
#include "kernels/simt/simt.h"
#include "kernels/simt/stream.h"

namespace etude::emulator {

thread_local Thread* current = nullptr;

// Lanes that have come to one warp operation.
struct Meeting {
  unsigned mask = 0, come = 0;
  Site site{};
  void* brought[32] = {};
};

struct Warp {
  unsigned lanes = 0;  // that exist
  std::vector<Thread*> threads;
  Meeting meetings[4];  // of disjoint masks
};

namespace {

constexpr int kSpinLimit = 20'000'000;  // turns without anything else happening

thread_local Schedule schedule;

std::string place(const Index& i) { return fmt::format("({}, {}, {})", i.x, i.y, i.z); }

std::string place(const Site& site) {
  const std::string_view file = site.file;
  return fmt::format("{} of {}:{}", site.what, file.substr(file.rfind('/') + 1), site.line);
}

// Threads that could go on, in the order of the schedule.
class ReadyList {
 public:
  void reset(uint64_t seed) {
    threads_.clear();
    head_ = 0;
    random_.seed(seed);
  }
  bool empty() const { return head_ == threads_.size(); }
  void push(Thread* thread) { threads_.push_back(thread); }

  // Ascending as they come.
  void push(const std::vector<Thread*>& threads) {
    if (schedule.order == Schedule::descending)
      threads_.insert(threads_.end(), threads.rbegin(), threads.rend());
    else
      threads_.insert(threads_.end(), threads.begin(), threads.end());
  }

  Thread* pop() {
    if (schedule.order == Schedule::shuffled) {
      const size_t other = head_ + random_() % (threads_.size() - head_);
      std::swap(threads_[head_], threads_[other]);
    }
    Thread* thread = threads_[head_++];
    if (head_ > 4096 && 2 * head_ > threads_.size()) {
      threads_.erase(threads_.begin(), threads_.begin() + static_cast<std::ptrdiff_t>(head_));
      head_ = 0;
    }
    return thread;
  }

 private:
  std::vector<Thread*> threads_;
  size_t head_ = 0;
  std::minstd_rand random_;
};

// Runs one launch after the other; keeps its fibers and blocks between them.
class Scheduler {
 public:
  void run(const kernels::Launch& shape, const std::function<void()>& body);

  // Of the running thread. It goes on behind the call.
  void spin();                                     // lets all others go first
  void wait(const Site& site);                     // until somebody wakes it
  void wake(const std::vector<Thread*>& threads);  // itself among them
  void fail(const std::string& reason);            // never

 private:
  void run_together(const std::vector<Block*>& blocks);
  void prepare(Block& block, int number);
  void loop();
  void work(Fiber& self);
  void leave();
  Fiber& idle_fiber();
  [[noreturn]] void throw_failure(const std::string& text);
  std::string describe_stall() const;

  const kernels::Launch* launch_ = nullptr;
  const std::function<void()>* body_ = nullptr;
  std::vector<std::unique_ptr<Block>> blocks_;
  std::vector<Block*> together_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> idle_;
  ReadyList ready_;
  Thread* next_ = nullptr;  // for the fiber that is entered
  int unfinished_ = 0;
  int spins_ = 0;
  std::string failure_;
};

thread_local Scheduler scheduler;

int volume(const kernels::Extent& e) { return e.x * e.y * e.z; }

Index unravel(int i, const kernels::Extent& e) {
  return {static_cast<unsigned>(i % e.x), static_cast<unsigned>(i / e.x % e.y),
          static_cast<unsigned>(i / e.x / e.y)};
}

Index as_index(const kernels::Extent& e) {
  return {static_cast<unsigned>(e.x), static_cast<unsigned>(e.y), static_cast<unsigned>(e.z)};
}

void check_shape(const kernels::Launch& shape) {
  const auto refuse = [&](const std::string& reason) {
    throw kernels::DeviceError(fmt::format("kernel {}: {}", shape.name, reason));
  };
  if (volume(shape.block) < 1 || volume(shape.block) > 1024)
    refuse(fmt::format("a block of {} threads", volume(shape.block)));
  if (volume(shape.grid) < 1) refuse("an empty grid");
  if (shape.shared_bytes > kSharedLimit)
    refuse(fmt::format("{} bytes of shared memory where a block has {}", shape.shared_bytes,
                       kSharedLimit));
  if (shape.cluster < 1 || shape.cluster > 16 || shape.grid.x % shape.cluster)
    refuse(fmt::format("clusters of {} do not divide the grid", shape.cluster));
}

void Scheduler::prepare(Block& block, int number) {
  const kernels::Launch& shape = *launch_;
  block.index = unravel(number, shape.grid);
  block.dim = as_index(shape.block);
  block.grid = as_index(shape.grid);
  block.rank = block.index.x % static_cast<unsigned>(shape.cluster);
  block.waiting = block.cluster_waiting = 0;
  const int threads = volume(shape.block);
  block.threads.resize(static_cast<size_t>(threads));
  block.warps.resize(static_cast<size_t>((threads + 31) / 32));
  for (Warp& warp : block.warps) warp = Warp();
  for (int i = 0; i < threads; ++i) {
    Thread& thread = block.threads[static_cast<size_t>(i)];
    Warp& warp = block.warps[static_cast<size_t>(i / 32)];
    thread.index = unravel(i, shape.block);
    thread.linear = i;
    thread.lane = i % 32;
    thread.block = &block;
    thread.warp = &warp;
    thread.fiber = nullptr;
    thread.waiting = thread.finished = false;
    thread.copies.clear();
    thread.groups.clear();
    warp.threads.push_back(&thread);
    warp.lanes |= 1u << thread.lane;
  }
  begin_block(block, shape.shared_bytes);
}

Fiber& Scheduler::idle_fiber() {
  if (idle_.empty()) {
    const auto run = [](void* owner) {
      auto* self = static_cast<Scheduler*>(owner);
      for (;;) self->work(*static_cast<Fiber*>(self->next_->fiber));
    };
    fibers_.push_back(std::make_unique<Fiber>(run, this, static_cast<int>(fibers_.size())));
    idle_.push_back(fibers_.back().get());
  }
  Fiber* fiber = idle_.back();
  idle_.pop_back();
  return *fiber;
}

// A thread that ends hands its stack to the next one that has not begun: a kernel without barriers
// is a plain loop.
void Scheduler::work(Fiber& self) {
  for (Thread* thread = next_; thread;) {
    current = thread;
    thread->fiber = &self;
    (*body_)();
    thread->finished = true;
    thread->fiber = nullptr;
    --unfinished_;
    spins_ = 0;
    next_ = ready_.empty() ? nullptr : ready_.pop();
    thread = next_ && !next_->fiber ? next_ : nullptr;
  }
  idle_.push_back(&self);
  self.leave();
}

void Scheduler::loop() {
  while (unfinished_ > 0) {
    if (!next_) {
      if (ready_.empty()) {
        throw_failure(describe_stall());
      }
      next_ = ready_.pop();
    }
    Thread* thread = next_;
    if (!thread->fiber) thread->fiber = &idle_fiber();
    current = thread;
    static_cast<Fiber*>(thread->fiber)->enter();
    if (!failure_.empty()) throw_failure(std::exchange(failure_, ""));
  }
}

void Scheduler::leave() {
  next_ = nullptr;
  static_cast<Fiber*>(current->fiber)->leave();
}

void Scheduler::spin() {
  if (++spins_ > kSpinLimit) fail("waits for ever for what another block should write");
  ready_.push(current);
  leave();
}

void Scheduler::wait(const Site& site) {
  current->waiting = true;
  current->site = site;
  leave();
}

void Scheduler::wake(const std::vector<Thread*>& threads) {
  spins_ = 0;
  for (Thread* thread : threads) thread->waiting = false;
  ready_.push(threads);
  leave();
}

std::string describe(const kernels::Launch& launch, const Thread& thread) {
  return fmt::format("kernel {}: block {}, thread {}: ", launch.name, place(thread.block->index),
                     place(thread.index));
}

void Scheduler::fail(const std::string& reason) {
  failure_ = describe(*launch_, *current) + reason;
  static_cast<Fiber*>(current->fiber)->leave();
}

// Nobody can go on: names the first thread that waits, and one that is elsewhere.
std::string Scheduler::describe_stall() const {
  for (const Block* block : together_)
    for (const Thread& thread : block->threads) {
      if (!thread.waiting) continue;
      std::string text = describe(*launch_, thread) + "waits for ever at " + place(thread.site);
      for (const Thread& other : block->threads) {
        if (other.finished)
          return text + fmt::format("; thread {} has ended without it", place(other.index));
        if (other.waiting && !(other.site == thread.site))
          return text +
                 fmt::format("; thread {} waits at {}", place(other.index), place(other.site));
      }
      return text + "; threads of other blocks, or lanes outside of the mask, never came";
    }
  return fmt::format("kernel {}: no thread can go on", launch_->name);
}

void Scheduler::throw_failure(const std::string& text) {
  // Stacks with threads in the middle are of no more use.
  fibers_.clear();
  idle_.clear();
  for (Block* block : together_) end_block(*block);
  launch_ = nullptr;
  current = nullptr;
  throw kernels::DeviceError(text);
}

void Scheduler::run_together(const std::vector<Block*>& blocks) {
  together_ = blocks;
  unfinished_ = 0;
  spins_ = 0;
  next_ = nullptr;
  std::vector<Thread*> all;
  for (Block* block : blocks) {
    for (Thread& thread : block->threads) all.push_back(&thread);
    unfinished_ += static_cast<int>(block->threads.size());
  }
  ready_.push(all);
  loop();
  current = nullptr;
  for (Block* block : blocks)
    if (const std::string fault = end_block(*block); !fault.empty())
      throw_failure(
          fmt::format("kernel {}: block {}: {}", launch_->name, place(block->index), fault));
}

void Scheduler::run(const kernels::Launch& shape, const std::function<void()>& body) {
  if (launch_) throw std::logic_error("a kernel launches a kernel");
  check_shape(shape);
  launch_ = &shape;
  body_ = &body;
  const int grid = volume(shape.grid);
  const int together = shape.cooperative ? grid : shape.cluster;
  ready_.reset(schedule.seed);
  std::vector<int> order(static_cast<size_t>(grid / together));
  std::iota(order.begin(), order.end(), 0);
  if (schedule.order == Schedule::descending) std::reverse(order.begin(), order.end());
  if (schedule.order == Schedule::shuffled)
    std::shuffle(order.begin(), order.end(), std::minstd_rand(schedule.seed));
  while (static_cast<int>(blocks_.size()) < together) blocks_.push_back(std::make_unique<Block>());
  for (const int first : order) {
    std::vector<Block*> blocks;
    ready_.reset(schedule.seed + static_cast<uint64_t>(first));
    for (int i = 0; i < together; ++i) {
      Block& block = *blocks_[static_cast<size_t>(i)];
      prepare(block, first * together + i);
      blocks.push_back(&block);
    }
    for (int i = 0; i < together; ++i) {
      const auto begin = blocks.begin() + i / shape.cluster * shape.cluster;
      blocks[static_cast<size_t>(i)]->cluster.assign(begin, begin + shape.cluster);
    }
    run_together(blocks);
  }
  launch_ = nullptr;
}

// Of all threads of some blocks.
std::vector<Thread*> threads_of(Block* const* blocks, int count) {
  std::vector<Thread*> all;
  for (int b = 0; b < count; ++b)
    for (Thread& thread : blocks[b]->threads) all.push_back(&thread);
  return all;
}

// The running thread arrives at a barrier; true if it is the last of `expected`.
bool arrive(int& waiting, Site& at, const Site& site, int expected) {
  if (waiting > 0 && !(at == site))
    fail(fmt::format("divergent barrier: it is at {}, others wait at {}", place(site), place(at)));
  at = site;
  if (++waiting < expected) return false;
  waiting = 0;
  return true;
}

Meeting& meeting_of(Warp& warp, unsigned mask) {
  Meeting* free = nullptr;
  for (Meeting& meeting : warp.meetings) {
    if (meeting.come == 0) {
      free = &meeting;
    } else if (meeting.mask == mask) {
      return meeting;
    } else if (meeting.mask & mask) {
      fail(fmt::format("divergent warp operation: lanes {:08x} meet while {:08x} still do, at {}",
                       mask, meeting.mask, place(meeting.site)));
    }
  }
  if (!free) fail("a warp in more than four parts");
  free->mask = mask;
  return *free;
}

}  // namespace

void set_schedule(const Schedule& wanted) { schedule = wanted; }

void run_now(const kernels::Launch& shape, const std::function<void()>& body) {
  scheduler.run(shape, body);
}

void fail(const std::string& reason) {
  scheduler.fail(reason);
  std::abort();  // a thread that has failed is never entered again
}

void spin() { scheduler.spin(); }

void sync_threads(const Site& site) {
  Block* block = current->block;
  if (arrive(block->waiting, block->site, site, static_cast<int>(block->threads.size())))
    scheduler.wake(threads_of(&block, 1));
  else
    scheduler.wait(site);
}

void cluster_sync(const Site& site) {
  Block& first = *current->block->cluster[0];
  const int expected =
      static_cast<int>(first.threads.size()) * static_cast<int>(first.cluster.size());
  if (arrive(first.cluster_waiting, first.cluster_site, site, expected))
    scheduler.wake(threads_of(first.cluster.data(), static_cast<int>(first.cluster.size())));
  else
    scheduler.wait(site);
}

void meet(unsigned mask, const Site& site, void* mine,
          void (*apply)(void* const (&lanes)[32], unsigned mask)) {
  Warp& warp = *current->warp;
  mask &= warp.lanes;
  if (!(mask >> current->lane & 1))
    fail(fmt::format("{}: its lane {} is not in the mask", place(site), current->lane));
  Meeting& meeting = meeting_of(warp, mask);
  if (meeting.come && !(meeting.site == site))
    fail(fmt::format("divergent warp operation: it is at {}, others wait at {}", place(site),
                     place(meeting.site)));
  meeting.site = site;
  meeting.come |= 1u << current->lane;
  meeting.brought[current->lane] = mine;
  if (meeting.come != mask) return scheduler.wait(site);
  apply(meeting.brought, mask);
  meeting = Meeting();
  std::vector<Thread*> come;
  for (Thread* thread : warp.threads)
    if (mask >> thread->lane & 1) come.push_back(thread);
  scheduler.wake(come);
}

void copy_later(const PendingCopy& copy) { current->copies.push_back(copy); }

void commit_copies() { current->groups.push_back(current->copies.size()); }

void finish_copies(size_t newest) {
  auto& groups = current->groups;
  if (groups.size() <= newest) return;
  const size_t end = groups[groups.size() - newest - 1];
  for (size_t i = 0; i < end; ++i) {
    PendingCopy& copy = current->copies[i];
    if (!copy.to) continue;
    if (copy.bytes) std::memcpy(copy.to, copy.from, static_cast<size_t>(copy.bytes));
    if (copy.zeros)
      std::memset(static_cast<char*>(copy.to) + copy.bytes, 0, static_cast<size_t>(copy.zeros));
    copy.to = nullptr;  // done
  }
}

}  // namespace etude::emulator
