#include "kernels/simt/scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "kernels/simt/count.h"
#include "kernels/simt/fiber.h"
#include "kernels/simt/observer.h"
#include "kernels/simt/schedule.h"
#include "kernels/simt/shared_memory.h"
#include "kernels/simt/simt.h"

namespace etude::emulator {

constinit thread_local Thread* current = nullptr;

namespace {

constexpr int kSpinLimit = 20'000'000;  // turns without anything else happening

constexpr int kMixedGroups = 3, kMixedThreads = 2048;

thread_local Schedule schedule;

std::string place(const Index& i) { return fmt::format("({}, {}, {})", i.x, i.y, i.z); }

std::string place(const Site& site) {
  const std::string_view file = site.file;
  return fmt::format("{} of {}:{}", site.what, file.substr(file.rfind('/') + 1), site.line);
}

// One place may have several names: literals of inline functions.
bool same(const Site& a, const Site& b) {
  return a.line == b.line && (a.file == b.file || std::strcmp(a.file, b.file) == 0) &&
         (a.what == b.what || std::strcmp(a.what, b.what) == 0);
}

// Runs one launch after the other; keeps its fibers and blocks between them.
class Scheduler {
 public:
  void run(const kernels::Launch& shape, const std::function<void()>& body, Observer* observer);
  [[noreturn]] void run_threads();  // a fiber's whole life

  // Of the running thread. It goes on behind the call.
  void spin();                                                    // lets all others go first
  void wait(const Site& site, unsigned mask = 0);                 // until somebody wakes it
  void wake(Thread* threads, size_t count, unsigned mask = ~0u);  // then turn()
  void turn();                                                    // another thread's
  void fail(std::string reason);                                  // never

  std::string describe_current() const;

  ReadyList ready;
  Observer* observer = nullptr;  // of this launch, if it has one

 private:
  void run_together(const std::vector<int>& numbers);
  void prepare(Block& block, int number);
  void finish_thread();
  void finish_block(Block& block);
  void forget();
  Fiber& idle_fiber();
  std::string stall() const;

  const kernels::Launch* launch_ = nullptr;
  const std::function<void()>* body_ = nullptr;
  std::vector<std::unique_ptr<Block>> blocks_;
  int together_ = 0;  // of them, at once
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> idle_;
  Context host_;
  int unfinished_ = 0;
  int spins_ = 0;
  std::string failure_;
};

thread_local Scheduler scheduler;

int64_t volume(const kernels::Extent& e) { return int64_t{e.x} * e.y * e.z; }

Index unravel(int i, const kernels::Extent& e) {
  return {static_cast<unsigned>(i % e.x), static_cast<unsigned>(i / e.x % e.y),
          static_cast<unsigned>(i / e.x / e.y)};
}

Index as_index(const kernels::Extent& e) {
  return {static_cast<unsigned>(e.x), static_cast<unsigned>(e.y), static_cast<unsigned>(e.z)};
}

// What an H100 holds of it at once.
int64_t resident(const kernels::Launch& shape) {
  const int64_t warps = (volume(shape.block) + 31) / 32;
  const int64_t a_multiprocessor =
      std::min({int64_t{32}, 64 / warps, int64_t{228 * 1024} / (shape.shared_bytes + 1024)});
  return 132 * a_multiprocessor;
}

void check_shape(const kernels::Launch& shape) {
  const auto refuse = [&](const std::string& reason) {
    throw kernels::DeviceError(fmt::format("kernel {}: {}", shape.name, reason));
  };
  const auto text = [](const kernels::Extent& e) {
    return fmt::format("{} x {} x {}", e.x, e.y, e.z);
  };
  const kernels::Extent &grid = shape.grid, &block = shape.block;
  if (std::min({block.x, block.y, block.z}) < 1 || block.z > 64 || volume(block) > 1024)
    refuse(fmt::format("a block of {} threads", text(block)));
  if (std::min({grid.x, grid.y, grid.z}) < 1 || std::max(grid.y, grid.z) > 65535)
    refuse(fmt::format("a grid of {} blocks", text(grid)));
  if (shape.shared_bytes < 0 || shape.shared_bytes > kSharedLimit)
    refuse(fmt::format("{} bytes of shared memory where a block has {}", shape.shared_bytes,
                       kSharedLimit));
  if (shape.cluster < 1 || shape.cluster > 16 || grid.x % shape.cluster)
    refuse(fmt::format("clusters of {} in a grid of {} blocks", shape.cluster, text(grid)));
  if (shape.cooperative && volume(grid) > resident(shape))
    refuse(fmt::format("a cooperative launch of {} blocks where {} fit at once", volume(grid),
                       resident(shape)));
}

void lay_out(Block& block, const kernels::Extent& shape) {
  block.dim = as_index(shape);
  const auto threads = static_cast<size_t>(volume(shape));
  block.threads = std::vector<Thread>(threads);
  block.warps = std::vector<Warp>((threads + 31) / 32);
  for (size_t i = 0; i < threads; ++i) {
    Thread& thread = block.threads[i];
    Warp& warp = block.warps[i / 32];
    if (i % 32 == 0) warp.threads = &thread;
    thread.index = unravel(static_cast<int>(i), shape);
    thread.lane = static_cast<int>(i % 32);
    thread.block = &block;
    thread.warp = &warp;
    warp.lanes |= 1u << thread.lane;
  }
}

void Scheduler::prepare(Block& block, int number) {
  const kernels::Launch& shape = *launch_;
  if (block.dim != as_index(shape.block)) lay_out(block, shape.block);
  block.index = unravel(number, shape.grid);
  block.grid = as_index(shape.grid);
  block.rank = block.index.x % static_cast<unsigned>(shape.cluster);
  block.unfinished = static_cast<int>(block.threads.size());
  for (Thread& thread : block.threads) {
    thread.finished = false;
    if (thread.groups == 0 && thread.copies.empty()) continue;
    thread.copies.clear();
    thread.groups = 0;
  }
  begin_block(block, shape.shared_bytes);
  if (observer) observer->begin_block(block);
}

Fiber& Scheduler::idle_fiber() {
  if (idle_.empty()) {
    fibers_.push_back(std::make_unique<Fiber>(fibers_.size()));
    return *fibers_.back();
  }
  Fiber* fiber = idle_.back();
  idle_.pop_back();
  return *fiber;
}

// A thread that ends hands its stack to the next one that has not begun: a kernel without barriers
// is a plain loop.
void Scheduler::run_threads() {
  Fiber& self = *current->fiber;
  for (;;) {
    (*body_)();
    finish_thread();
    if (failure_.empty() && !ready.empty()) {
      current = ready.pop();
      if (!current->fiber) {
        current->fiber = &self;
        continue;
      }
      idle_.push_back(&self);
      change_stack(self.context, current->fiber->context);
    } else {
      idle_.push_back(&self);
      change_stack(self.context, host_);
    }
  }
}

void Scheduler::finish_thread() {
  current->finished = true;
  current->counted = false;
  current->fiber = nullptr;
  --unfinished_;
  spins_ = 0;
  if (--current->block->unfinished == 0) finish_block(*current->block);
}

void Scheduler::finish_block(Block& block) {
  if (observer) observer->end_block(block);
  const std::string fault = end_block(block);
  if (!fault.empty() && failure_.empty())
    failure_ = fmt::format("kernel {}: block {}, one of its threads: {}", launch_->name,
                           place(block.index), fault);
}

void Scheduler::turn() {
  Fiber& self = *current->fiber;
  if (self.deep()) fail("its stack is deeper than the emulator's");
  if (ready.empty()) return change_stack(self.context, host_);
  current = ready.pop();
  if (!current->fiber) current->fiber = &idle_fiber();
  if (current->fiber != &self) change_stack(self.context, current->fiber->context);
}

void Scheduler::spin() {
  if (++spins_ > kSpinLimit)
    fail(launch_->cooperative ? "waits for ever for what another block should write"
                              : "waits for another block, but the launch is not cooperative");
  ready.push(current);
  turn();
}

void Scheduler::wait(const Site& site, unsigned mask) {
  spins_ = 0;
  current->meets = mask;
  current->waiting = true;
  current->site = site;
  turn();
}

void Scheduler::wake(Thread* threads, size_t count, unsigned mask) {
  for (size_t i = 0; i < count; ++i)
    if (mask >> i % 32 & 1) threads[i].waiting = false;
  ready.push(threads, count, mask);
}

std::string describe(const kernels::Launch& launch, const Thread& thread) {
  return fmt::format("kernel {}: block {}, thread {}: ", launch.name, place(thread.block->index),
                     place(thread.index));
}

std::string Scheduler::describe_current() const { return describe(*launch_, *current); }

void Scheduler::fail(std::string reason) {
  failure_ = describe_current() + reason;
  std::string().swap(reason);  // this stack will never be unwound
  change_stack(current->fiber->context, host_);
}

// Who keeps a waiting thread from going on: one that has ended, or that waits elsewhere.
std::string hindrance(const Thread& thread) {
  for (const Thread& other : thread.block->threads) {
    const bool wanted =
        !thread.meets || (other.warp == thread.warp && (thread.meets >> other.lane & 1));
    if (!wanted) continue;
    if (other.finished) return fmt::format("thread {} has ended without it", place(other.index));
    if (other.waiting && !same(other.site, thread.site))
      return fmt::format("thread {} waits at {}", place(other.index), place(other.site));
  }
  return "";
}

// Nobody can go on: names a thread that waits, and why.
std::string Scheduler::stall() const {
  for (int b = 0; b < together_; ++b)
    for (const Thread& thread : blocks_[static_cast<size_t>(b)]->threads)
      if (thread.waiting)
        if (const std::string reason = hindrance(thread); !reason.empty())
          return fmt::format("{}waits for ever at {}; {}", describe(*launch_, thread),
                             place(thread.site), reason);
  const Thread& first = blocks_[0]->threads[0];
  return describe(*launch_, first) + "waits for ever for threads of another block";
}

// After a failure, stacks with threads in the middle are of no more use.
void Scheduler::forget() {
  fibers_.clear();
  idle_.clear();
  for (const auto& block : blocks_) {
    end_block(*block);
    block->dim = {};  // laid out anew
    block->barrier = block->cluster_barrier = {};
  }
  failure_.clear();
}

void Scheduler::run_together(const std::vector<int>& numbers) {
  const auto count = static_cast<int>(numbers.size());
  together_ = count;
  unfinished_ = spins_ = 0;
  while (static_cast<int>(blocks_.size()) < count) blocks_.push_back(std::make_unique<Block>());
  ready.reset(schedule, schedule.seed + static_cast<uint64_t>(numbers[0]),
              static_cast<size_t>(count) * static_cast<size_t>(volume(launch_->block)));
  for (int i = 0; i < count; ++i) {
    Block& block = *blocks_[static_cast<size_t>(i)];
    prepare(block, numbers[static_cast<size_t>(i)]);
    block.cluster.clear();
    for (int rank = 0; rank < launch_->cluster; ++rank)
      block.cluster.push_back(
          blocks_[static_cast<size_t>(i / launch_->cluster * launch_->cluster + rank)].get());
    unfinished_ += block.unfinished;
  }
  for (int i = 0; i < count; ++i) {
    const bool descending = schedule.order == Schedule::descending;
    Block& block = *blocks_[static_cast<size_t>(descending ? count - 1 - i : i)];
    ready.begin(block.threads.data(), block.threads.size());
  }
  current = ready.pop();
  current->fiber = &idle_fiber();
  change_stack(host_, current->fiber->context);
  current = nullptr;
  if (failure_.empty() && unfinished_ > 0) failure_ = stall();
  if (!failure_.empty()) throw kernels::DeviceError(failure_);
}

// Groups of blocks that must run at once, in the order in which they do.
std::vector<int> order_of(int groups) {
  std::vector<int> order(static_cast<size_t>(groups));
  std::iota(order.begin(), order.end(), 0);
  if (schedule.order == Schedule::descending) std::reverse(order.begin(), order.end());
  if (schedule.order == Schedule::shuffled) {
    Random random(schedule.seed);
    for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  }
  return order;
}

void Scheduler::run(const kernels::Launch& shape, const std::function<void()>& body,
                    Observer* watching) {
  if (launch_) throw std::logic_error("a kernel launches a kernel");
  check_shape(shape);
  launch_ = &shape;
  body_ = &body;
  observer = watching;
  if (observer) observer->begin_launch(shape);
  const auto grid = static_cast<int>(volume(shape.grid));
  const int group = shape.cooperative ? grid : shape.cluster;
  // A shuffled schedule also mixes blocks that need not be.
  const int64_t room = kMixedThreads / (group * volume(shape.block));
  const auto mixed = static_cast<size_t>(
      schedule.order == Schedule::shuffled ? std::clamp<int64_t>(room, 1, kMixedGroups) : 1);
  const std::vector<int> order = order_of(grid / group);
  try {
    std::vector<int> numbers;
    for (size_t i = 0; i < order.size(); ++i) {
      for (int k = 0; k < group; ++k) numbers.push_back(order[i] * group + k);
      if ((order.size() - 1 - i) % mixed) continue;  // the last ones are a full set
      run_together(numbers);
      numbers.clear();
    }
  } catch (...) {
    if (observer) observer->end_launch(true);
    forget();
    launch_ = nullptr;
    throw;
  }
  if (observer) observer->end_launch(false);
  launch_ = nullptr;
}

// Texts are made in functions that return: a failing thread's stack is never unwound.
std::string divergence(const char* what, const Site& here, const Site& others) {
  return fmt::format("divergent {}: it is at {}, others wait at {}", what, place(here),
                     place(others));
}

// The running thread arrives at a barrier; true if it is the last of `expected`.
bool arrive(Barrier& barrier, const Site& site, int expected) {
  if (barrier.waiting > 0 && !same(barrier.site, site))
    fail(divergence("barrier", site, barrier.site));
  barrier.site = site;
  if (++barrier.waiting < expected) return false;
  barrier.waiting = 0;
  return true;
}

// Where lanes of this mask meet now, or else a free place.
Meeting& meeting_of(Warp& warp, unsigned mask) {
  Meeting* free = nullptr;
  for (Meeting& meeting : warp.meetings) {
    if (meeting.come == 0) {
      if (!free) free = &meeting;
      if (meeting.mask == 0) break;  // never used, and so are those behind it
    } else if (meeting.mask == mask) {
      return meeting;
    }
  }
  free->mask = mask;  // a lane waits in one at most, and there are 32
  return *free;
}

#if defined(__SANITIZE_ADDRESS__)
void tell_thread() {
  if (!current) return;
  const std::string text = scheduler.describe_current();
  std::fprintf(stderr, "%sreported by a sanitizer\n", text.c_str());
}
#endif

}  // namespace

void run_fiber() { scheduler.run_threads(); }

void set_schedule(const Schedule& wanted) { schedule = wanted; }

void run_now(const kernels::Launch& shape, const std::function<void()>& body, bool counted) {
  scheduler.run(shape, body, counted ? &counter() : nullptr);
}

Observer* observer() { return scheduler.observer; }

AtomicAccess::AtomicAccess() { current->atomic = true; }
AtomicAccess::~AtomicAccess() { current->atomic = false; }

void enter_counted() { current->counted = true; }

void fail(std::string reason) {
  scheduler.fail(std::move(reason));
  std::abort();  // a thread that has failed is never entered again
}

void fail(const Site& site, std::string reason) {
  reason.insert(0, place(site) + ": ");
  fail(std::move(reason));
}

void spin() { scheduler.spin(); }

void sync_threads(const Site& site) {
  Block& block = *current->block;
  if (!arrive(block.barrier, site, static_cast<int>(block.threads.size())))
    return scheduler.wait(site);
  if (scheduler.observer) scheduler.observer->block_barrier(block);
  scheduler.wake(block.threads.data(), block.threads.size());
  scheduler.turn();
}

void cluster_sync(const Site& site) {
  Block& first = *current->block->cluster[0];
  const auto blocks = static_cast<int>(first.cluster.size());
  if (!arrive(first.cluster_barrier, site, static_cast<int>(first.threads.size()) * blocks))
    return scheduler.wait(site);
  if (scheduler.observer) scheduler.observer->cluster_barrier(first);
  for (int i = 0; i < blocks; ++i) {
    const bool descending = schedule.order == Schedule::descending;
    Block& block = *first.cluster[static_cast<size_t>(descending ? blocks - 1 - i : i)];
    scheduler.wake(block.threads.data(), block.threads.size());
  }
  scheduler.turn();
}

int my_lane() { return current->lane; }
unsigned my_rank() { return current->block->rank; }
Index thread_index() { return current->index; }
Index block_index() { return current->block->index; }
Index block_dim() { return current->block->dim; }
Index grid_dim() { return current->block->grid; }

unsigned present(unsigned mask) { return mask & current->warp->lanes; }

void meet(unsigned mask, const Site& site, void* mine,
          void (*apply)(void* const (&lanes)[32], unsigned mask)) {
  Warp& warp = *current->warp;
  mask &= warp.lanes;
  if (!(mask >> current->lane & 1))
    fail(site, fmt::format("its lane {} is not in the mask", current->lane));
  Meeting& meeting = meeting_of(warp, mask);
  if (meeting.come && !same(meeting.site, site))
    fail(divergence("warp operation", site, meeting.site));
  meeting.site = site;
  meeting.come |= 1u << current->lane;
  warp.brought[current->lane] = mine;
  if (meeting.come != mask) return scheduler.wait(site, mask);
  const bool counted = std::exchange(current->counted, false);
  apply(warp.brought, mask);
  current->counted = counted;
  if (scheduler.observer) scheduler.observer->warp_operation(warp, mask, site);
  meeting.come = 0;
  scheduler.wake(warp.threads, 32, mask);
  scheduler.turn();
}

void copy_later(PendingCopy copy) {
  check_copy(copy);
  copy.group = current->groups;
  copy.done = scheduler.ready.copy_at_once();
  if (scheduler.observer) scheduler.observer->begin_copy(copy);
  current->copies.push_back(copy);
  if (copy.done) return copy_now(copy);
  // What was there is lost from here on.
  std::memset(copy.to, kUnwritten, static_cast<size_t>(copy.bytes + copy.zeros));
}

void commit_copies() { ++current->groups; }

void finish_copies(int64_t newest) {
  auto& copies = current->copies;
  auto copy = copies.begin();
  for (; copy != copies.end() && copy->group < current->groups - newest; ++copy) {
    if (!copy->done) copy_now(*copy);
    if (scheduler.observer) scheduler.observer->end_copy(*copy);
  }
  copies.erase(copies.begin(), copy);
}

}  // namespace etude::emulator

#if defined(__SANITIZE_ADDRESS__)
// The sanitizers call these before their reports.
extern "C" void __asan_on_error() { etude::emulator::tell_thread(); }
extern "C" void __ubsan_on_report() { etude::emulator::tell_thread(); }
#endif
