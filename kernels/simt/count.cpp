#include "kernels/simt/count.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <unordered_map>
#include <utility>

#include "kernels/simt/accesses.h"
#include "kernels/simt/fiber.h"
#include "kernels/simt/lines.h"
#include "kernels/simt/observer.h"
#include "kernels/simt/requests.h"
#include "kernels/simt/shared_memory.h"

extern "C" char __executable_start, _end;  // the linker's: what lies between is the program

namespace etude::emulator {
namespace {

// One instruction of the running launch.
struct SiteData {
  MemorySite shown;
  uintptr_t instruction = 0;
  uintptr_t array_begin = 0, array_end = 0;  // the one it came to last
};

std::map<uintptr_t, std::string>& names() {
  static std::map<uintptr_t, std::string> all;
  return all;
}

bool in_program(uintptr_t address) {
  return address >= reinterpret_cast<uintptr_t>(&__executable_start) &&
         address < reinterpret_cast<uintptr_t>(&_end);
}

// A cp.async is known by its line, not by an instruction.
uintptr_t key_of(const Site& site) {
  return reinterpret_cast<uintptr_t>(site.file) + static_cast<uintptr_t>(site.line) * 0x100000001b3;
}
std::map<uintptr_t, Site>& copy_sites() {
  static std::map<uintptr_t, Site> all;
  return all;
}

Line source_line(uintptr_t instruction) {
  const auto copy = copy_sites().find(instruction);
  if (copy == copy_sites().end()) return line_of(instruction);
  return {copy->second.file, copy->second.line};
}

std::string place(uintptr_t instruction) {
  const Line line = source_line(instruction);
  if (line.file.empty()) return fmt::format("{:#x}", instruction);
  return fmt::format("{}:{}", line.file.substr(line.file.rfind('/') + 1), line.number);
}

std::string place(const Index& i) { return fmt::format("({}, {}, {})", i.x, i.y, i.z); }

std::string verb(const Access& access) { return access.write ? "writes" : "reads"; }

// The texts of faults. Each is a function of its own: a failing thread's stack is never unwound.

std::string outside_text(const Access& access, const char* of) {
  return fmt::format("{} {} bytes at {}, outside of every {}", verb(access), access.bytes,
                     place(access.instruction), of);
}

std::string misaligned_text(const Access& access) {
  return fmt::format("{} {} bytes at {} from an address that is no multiple of it", verb(access),
                     access.bytes, place(access.instruction));
}

std::string clash_text(const Access& access, const SharedPiece& piece, int64_t offset,
                       const ClashReport& report) {
  const std::string here = fmt::format("{} shared {}, byte {}, at {}", verb(access), piece.name,
                                       offset, place(access.instruction));
  if (report.clash == Clash::unwritten) return here + ", which nobody has written";
  const bool pending = report.clash == Clash::pending;
  const char* did = pending                                   ? "whose cp.async is not waited for"
                    : report.clash == Clash::write_after_read ? "has read it"
                                                              : "has written it";
  return fmt::format("{}, and thread {}{} {}{} at {}", here,
                     report.other.by->block == current->block
                         ? ""
                         : fmt::format("of block {} ", place(report.other.by->block->index)),
                     place(report.other.by->index), did,
                     pending ? "" : " with no barrier in between,",
                     place(report.other.instruction));
}

class Counter : public Observer {
 public:
  void begin_launch(const kernels::Launch& shape) override;
  void end_launch(bool failed) override;
  void begin_block(Block& block) override;
  void end_block(Block& block) override { gather(block); }
  void add_shared(Block& block, const SharedPiece& piece) override;
  void block_barrier(Block& block) override;
  void cluster_barrier(Block& block) override;
  void warp_operation(Warp& warp, unsigned mask, const Site& site) override;
  void begin_copy(const PendingCopy& copy) override;
  void end_copy(const PendingCopy& copy) override;

  void access(const Access& access);
  std::vector<KernelCount> take();
  bool keeping = false;

 private:
  size_t site_of(uintptr_t key, const Access& access, bool shared);
  void check_shared(Block& block, const Access& access);
  void check_global(SiteData& site, const Access& access);
  void count(size_t site, const void* address);
  void gather(Block& block);
  void gather(Warp& warp);
  void finish(Warp& warp, SiteData& site, const Request& request);
  Touch touch(const Access& access) const;

  KernelCount kernel_;
  std::vector<SiteData> sites_;
  std::unordered_map<uintptr_t, size_t> numbers_;  // of sites, by instruction
  std::vector<KernelCount> kept_;
  std::unordered_map<const Block*, std::unique_ptr<WatchedBlock>> blocks_;
};

thread_local Counter the_counter;

void Counter::begin_launch(const kernels::Launch& shape) {
  kernel_ = {};
  kernel_.name = shape.name;
  kernel_.grid = shape.grid;
  kernel_.block = shape.block;
  kernel_.cluster = shape.cluster;
  kernel_.cooperative = shape.cooperative;
  kernel_.dynamic_bytes = shape.shared_bytes;
  kernel_.launches = 1;
  sites_.clear();
  numbers_.clear();
}

bool same_extent(const kernels::Extent& a, const kernels::Extent& b) {
  return a.x == b.x && a.y == b.y && a.z == b.z;
}

bool same_kernel(const KernelCount& a, const KernelCount& b) {
  return a.name == b.name && same_extent(a.grid, b.grid) && same_extent(a.block, b.block) &&
         a.dynamic_bytes == b.dynamic_bytes;
}

bool same_site(const MemorySite& a, const MemorySite& b) {
  return a.file == b.file && a.line == b.line && a.shared == b.shared && a.write == b.write &&
         a.bytes == b.bytes && a.array == b.array && a.pattern == b.pattern;
}

void add(MemorySite& to, const MemorySite& site) {
  to.requests += site.requests;
  to.lanes += site.lanes;
  to.whole += site.whole;
  to.sectors += site.sectors;
  to.ideal_sectors += site.ideal_sectors;
  to.passes += site.passes;
  to.ideal_passes += site.ideal_passes;
  to.worst_passes = std::max(to.worst_passes, site.worst_passes);
}

void add(std::vector<MemorySite>& to, const MemorySite& site) {
  const auto old = std::find_if(to.begin(), to.end(),
                                [&](const MemorySite& one) { return same_site(one, site); });
  if (old == to.end())
    to.push_back(site);
  else
    add(*old, site);
}

void add(std::vector<Operations>& to, const std::string& what, int64_t warps) {
  for (Operations& one : to)
    if (one.what == what) {
      one.warps += warps;
      return;
    }
  to.push_back({what, warps});
}

void Counter::end_launch(bool failed) {
  blocks_.clear();
  if (failed || !keeping) return;
  auto kept = std::find_if(kept_.begin(), kept_.end(),
                           [&](const KernelCount& one) { return same_kernel(one, kernel_); });
  if (kept == kept_.end()) {
    kept_.push_back(kernel_);
    kept = kept_.end() - 1;
  } else {
    ++kept->launches;
    kept->barriers += kernel_.barriers;
    kept->cluster_barriers += kernel_.cluster_barriers;
    for (const Operations& one : kernel_.operations) add(kept->operations, one.what, one.warps);
  }
  for (SiteData& site : sites_) {
    const Line line = source_line(site.instruction);
    site.shown.file = line.file.substr(line.file.rfind('/') + 1);
    site.shown.line = line.number;
    if (site.shown.requests) add(kept->sites, site.shown);
  }
  std::stable_sort(kept->sites.begin(), kept->sites.end(),
                   [](const MemorySite& a, const MemorySite& b) {
                     return std::tie(a.file, a.line) < std::tie(b.file, b.line);
                   });
}

void Counter::begin_block(Block& block) {
  auto& watched = blocks_[&block];
  watched = std::make_unique<WatchedBlock>();
  watched->warps.resize(block.warps.size());
  for (size_t i = 0; i < block.warps.size(); ++i) block.warps[i].watched = &watched->warps[i];
  block.watched = watched.get();
}

void Counter::add_shared(Block& block, const SharedPiece& piece) {
  block.watched->shadow.clear(piece.offset, piece.bytes);
  kernel_.static_bytes = std::max(kernel_.static_bytes, block.static_bytes);
}

void Counter::block_barrier(Block& block) {
  ++kernel_.barriers;
  ++block.watched->time;
  gather(block);
}

void Counter::cluster_barrier(Block& block) {
  ++kernel_.cluster_barriers;
  for (Block* one : block.cluster) {
    ++one->watched->cluster_time;
    gather(*one);
  }
}

void Counter::warp_operation(Warp& warp, unsigned mask, const Site& site) {
  add(kernel_.operations, site.what, 1);
  warp.watched->clock.meet(mask);
  if (mask == warp.lanes) gather(warp);
}

void Counter::gather(Block& block) {
  for (Warp& warp : block.warps) gather(warp);
}

// What lanes have done apart belongs together up to here.
void Counter::gather(Warp& warp) {
  auto& sites = warp.watched->sites;
  for (size_t i = 0; i < sites.size(); ++i) {
    for (const Request& request : sites[i].open) finish(warp, sites_[i], request);
    sites[i] = {};
  }
}

void Counter::finish(Warp& warp, SiteData& site, const Request& request) {
  MemorySite& shown = site.shown;
  ++shown.requests;
  shown.lanes += std::popcount(request.lanes);
  shown.whole += std::popcount(warp.lanes);
  if (shown.shared) {
    const Cost cost = bank_passes(request, shown.bytes);
    shown.passes += cost.now;
    shown.ideal_passes += cost.ideal;
    shown.worst_passes = std::max(shown.worst_passes, (cost.now + cost.ideal - 1) / cost.ideal);
  } else {
    const Cost cost = sectors(request, shown.bytes);
    shown.sectors += cost.now;
    shown.ideal_sectors += cost.ideal;
  }
  if (shown.pattern.empty() || shown.pattern == "one lane")
    shown.pattern = pattern_of(request, shown.bytes);
}

size_t Counter::site_of(uintptr_t key, const Access& access, bool shared) {
  const auto [at, fresh] = numbers_.try_emplace(key * 2 + shared, sites_.size());
  if (fresh) {
    sites_.emplace_back();
    SiteData& site = sites_.back();
    site.instruction = access.instruction;
    site.shown.shared = shared;
    site.shown.write = access.write;
    site.shown.bytes = access.bytes;
  }
  return at->second;
}

void Counter::count(size_t site, const void* address) {
  auto& sites = current->warp->watched->sites;
  if (sites.size() <= site) sites.resize(site + 1);
  Visits& visits = sites[site];
  const auto lane = static_cast<size_t>(current->lane);
  const uint32_t number = visits.count[lane]++ - visits.first;
  while (visits.open.size() <= number) visits.open.emplace_back();
  Request& request = visits.open[number];
  request.lanes |= 1u << lane;
  request.address[lane] = reinterpret_cast<uintptr_t>(address);
  if (number != 0 || request.lanes != current->warp->lanes) return;
  finish(*current->warp, sites_[site], request);
  visits.open.pop_front();
  ++visits.first;
}

Touch Counter::touch(const Access& access) const {
  const WatchedBlock& block = *current->block->watched;
  Touch touch;
  touch.by = current;
  touch.block_time = block.time;
  touch.cluster_time = block.cluster_time;
  touch.warp_time = current->warp->watched->clock.now(current->lane);
  touch.instruction = access.instruction;
  touch.atomic = current->atomic;
  return touch;
}

bool untouched(const Access& access) {
  const auto* bytes = static_cast<const unsigned char*>(access.address);
  return std::all_of(bytes, bytes + access.bytes, [](int byte) { return byte == kUnwritten; });
}

void Counter::check_shared(Block& block, const Access& access) {
  const SharedPiece* piece = holding(block, access.address);
  const int64_t at = static_cast<const unsigned char*>(access.address) - block.shared.get();
  if (!piece || at + access.bytes > piece->offset + piece->bytes)
    fail(outside_text(access, "piece of shared memory"));
  SharedShadow& shadow = block.watched->shadow;
  ClashReport report = shadow.access(touch(access), at, access.bytes, access.write);
  // GCC reports no store of a structure that a call returns; but then it is no NaN any more.
  if (report.clash == Clash::unwritten && !untouched(access)) {
    shadow.excuse(at, access.bytes);
    report = shadow.access(touch(access), at, access.bytes, access.write);
  }
  if (report.clash != Clash::none) fail(clash_text(access, *piece, at - piece->offset, report));
}

void note_array(MemorySite& site, const std::string& name) {
  if (site.array.empty())
    site.array = name;
  else if (site.array != name)
    site.array = "several";
}

void Counter::check_global(SiteData& site, const Access& access) {
  const auto address = reinterpret_cast<uintptr_t>(access.address);
  const uintptr_t end = address + static_cast<uintptr_t>(access.bytes);
  if (address >= site.array_begin && end <= site.array_end) return;
  const auto& arrays = device_arrays();
  auto array = arrays.upper_bound(address);
  if (array == arrays.begin() || end > std::prev(array)->first + std::prev(array)->second)
    fail(outside_text(access, "array of the device"));
  --array;
  site.array_begin = array->first;
  site.array_end = array->first + array->second;
  const auto name = names().find(array->first);
  note_array(site.shown,
             name != names().end() ? name->second : fmt::format("{} bytes", array->second));
}

Block* shared_of(const void* address) {
  if (in_shared(*current->block, address)) return current->block;
  for (Block* block : current->block->cluster)
    if (in_shared(*block, address)) return block;
  return nullptr;
}

void Counter::access(const Access& access) {
  const auto address = reinterpret_cast<uintptr_t>(access.address);
  if (on_fiber_stack(access.address) || in_program(address)) return;
  if (access.aligned && address % static_cast<uintptr_t>(access.bytes))
    fail(misaligned_text(access));
  Block* owner = shared_of(access.address);
  const size_t site = site_of(access.instruction, access, owner != nullptr);
  if (owner) {
    check_shared(*owner, access);
    note_array(sites_[site].shown, holding(*owner, access.address)->name);
  } else {
    check_global(sites_[site], access);
  }
  count(site, access.address);
}

// Counted as a read of global memory and a write of shared memory at the copy's place.
void Counter::begin_copy(const PendingCopy& copy) {
  const int bytes = copy.bytes + copy.zeros;
  const uintptr_t key = key_of(copy.site);
  copy_sites().emplace(key, copy.site);
  if (copy.bytes) {
    const Access read{const_cast<void*>(copy.from), copy.bytes, key, false, true};
    const size_t number = site_of(key, read, false);
    sites_[number].shown.asynchronous = true;
    check_global(sites_[number], read);
    count(number, copy.from);
  }
  const Access write{copy.to, bytes, key, true, true};
  const size_t number = site_of(key, write, true);
  sites_[number].shown.asynchronous = true;
  const SharedPiece& piece = *holding(*current->block, copy.to);
  const int64_t at = static_cast<unsigned char*>(copy.to) - current->block->shared.get();
  Touch pending = touch(write);
  pending.pending = true;
  const ClashReport report = current->block->watched->shadow.access(pending, at, bytes, true);
  if (report.clash != Clash::none) fail(clash_text(write, piece, at - piece.offset, report));
  note_array(sites_[number].shown, piece.name);
  count(number, copy.to);
}

void Counter::end_copy(const PendingCopy& copy) {
  const int bytes = copy.bytes + copy.zeros;
  const int64_t at = static_cast<unsigned char*>(copy.to) - current->block->shared.get();
  current->block->watched->shadow.arrived(touch({copy.to, bytes, key_of(copy.site), true, true}),
                                          at, bytes);
}

std::vector<KernelCount> Counter::take() {
  keeping = false;
  return std::exchange(kept_, {});
}

}  // namespace

Observer& counter() { return the_counter; }

void observe(const Access& access) {
  if (current && current->counted) the_counter.access(access);
}

void start_counting() {
  the_counter.take();
  the_counter.keeping = true;
}

std::vector<KernelCount> stop_counting() { return the_counter.take(); }

void name_array(const void* begin, const std::string& name) {
  names()[reinterpret_cast<uintptr_t>(begin)] = name;
}

}  // namespace etude::emulator
