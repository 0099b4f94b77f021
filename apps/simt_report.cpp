#include "apps/simt_report.h"

#include <fmt/format.h>

#include <algorithm>

namespace etude::apps {

using emulator::KernelCount;
using emulator::MemorySite;
using Json = nlohmann::ordered_json;

const char* const kSimtLegend =
    R"(A warp is 32 threads, its lanes, that run in step. When they come to an instruction that reads or
writes memory, their addresses go out together: a request.

  lanes      that take part, of those that the warp has. Fewer: an if or a loop parted the warp, and
             the others waited.
  sectors    Global memory moves in sectors of 32 bytes. Lanes that read 4 bytes each, side by side,
             need 4 sectors; 128 bytes apart, 32. In brackets, as few as hold the bytes asked for.
             "used" is the share of the bytes moved that some lane asked for.
  turns      Shared memory has 32 banks, each 4 bytes wide, which serve one address each at a time.
             Lanes that want different words of one bank take turns: a conflict. 1.0 is none.
  barriers   How often each thread waits for its whole block; in a warp operation (a shuffle, a
             vote, a tensor core's product) only lanes of one warp meet.

"lanes lie" is the pattern of a request's addresses; of turns the worst request's stand in brackets.
An array is "several" where a line reads more than one; (dynamic) is shared memory without a name. A
place is "?" where the compiler kept no line. Plain matrix products are cuBLAS's on a GPU: they are
not kernels of ours, and not counted.

Registers, occupancy and time are known to the compiler and the GPU alone: nvcc -Xptxas -v, ncu.
)";

namespace {
double ratio(int64_t a, int64_t b) {
  return b == 0 ? 0 : static_cast<double>(a) / static_cast<double>(b);
}

std::string text(const kernels::Extent& e) {
  if (e.z > 1) return fmt::format("{} x {} x {}", e.x, e.y, e.z);
  return e.y > 1 ? fmt::format("{} x {}", e.x, e.y) : fmt::format("{}", e.x);
}

int64_t volume(const kernels::Extent& e) { return int64_t{e.x} * e.y * e.z; }

std::string heading(const KernelCount& kernel) {
  std::string line = fmt::format("{}: {} block{} of {} threads", kernel.name, text(kernel.grid),
                                 volume(kernel.grid) == 1 ? "" : "s", text(kernel.block));
  if (kernel.cluster > 1) line += fmt::format(", in clusters of {}", kernel.cluster);
  if (kernel.cooperative) line += ", all at once";
  if (const int64_t shared = kernel.static_bytes + kernel.dynamic_bytes)
    line += fmt::format(", {} bytes of shared memory each", shared);
  if (kernel.launches > 1) line += fmt::format(", launched {} times", kernel.launches);
  return line + "\n";
}

std::string place(const MemorySite& site) {
  return site.file.empty() ? "?" : fmt::format("{}:{}", site.file, site.line);
}

std::string access(const MemorySite& site) {
  return fmt::format("{} {} B{}", site.write ? "write" : "read", site.bytes,
                     site.asynchronous ? ", async" : "");
}

struct Widths {
  size_t place = 4, array = 5, access = 6, pattern = 7;
};

Widths widths(const std::vector<MemorySite>& sites) {
  Widths w;
  for (const MemorySite& site : sites) {
    w.place = std::max(w.place, place(site).size());
    w.array = std::max(w.array, site.array.size());
    w.access = std::max(w.access, access(site).size());
    w.pattern = std::max(w.pattern, site.pattern.size());
  }
  return w;
}

std::string lanes(const MemorySite& site) {
  return fmt::format("{:.0f} %", 100 * ratio(site.lanes, site.whole));
}

std::string table(const std::vector<MemorySite>& sites, const Widths& w, bool shared) {
  std::string out;
  for (const MemorySite& site : sites) {
    if (site.shared != shared) continue;
    if (out.empty())
      out = fmt::format("  {:<{}}  {:<{}}  {:<{}}  {:<{}}  {:>8}  {:>6}  {}\n",
                        shared ? "shared" : "global", w.place, "array", w.array, "access", w.access,
                        "lanes lie", w.pattern, "requests", "lanes",
                        shared ? "turns (worst)" : "sectors (ideal)   used");
    out += fmt::format("  {:<{}}  {:<{}}  {:<{}}  {:<{}}  {:>8}  {:>6}  ", place(site), w.place,
                       site.array, w.array, access(site), w.access, site.pattern, w.pattern,
                       site.requests, lanes(site));
    if (shared)
      out += fmt::format("{:>5.1f} {:>7}\n", ratio(site.passes, site.ideal_passes),
                         fmt::format("({})", site.worst_passes));
    else
      out += fmt::format("{:>7.1f} {:>7} {:>5.0f} %\n", ratio(site.sectors, site.requests),
                         fmt::format("({:.1f})", ratio(site.ideal_sectors, site.requests)),
                         100 * ratio(site.ideal_sectors, site.sectors));
  }
  return out;
}

std::string meetings(const KernelCount& kernel) {
  const int64_t blocks = volume(kernel.grid) * kernel.launches;
  const int64_t warps = blocks * ((volume(kernel.block) + 31) / 32);
  std::string line = fmt::format("  barriers a thread: {:.4g}", ratio(kernel.barriers, blocks));
  if (kernel.cluster_barriers)
    line += fmt::format("; of the cluster: {:.4g}",
                        ratio(kernel.cluster_barriers * kernel.cluster, blocks));
  for (const auto& operation : kernel.operations)
    line += fmt::format("; {} a warp: {:.4g}", operation.what, ratio(operation.warps, warps));
  return line + "\n";
}

// The one sentence that matters most, if there is one.
std::string verdict(const KernelCount& kernel) {
  int64_t moved = 0, used = 0;
  const MemorySite *waste = nullptr, *conflict = nullptr;
  const auto wasted = [](const MemorySite& s) { return s.sectors - s.ideal_sectors; };
  const auto waited = [](const MemorySite& s) { return s.passes - s.ideal_passes; };
  for (const MemorySite& site : kernel.sites) {
    if (site.shared) {
      if (!conflict || waited(site) > waited(*conflict)) conflict = &site;
      continue;
    }
    moved += site.sectors;
    used += site.ideal_sectors;
    if (!waste || wasted(site) > wasted(*waste)) waste = &site;
  }
  std::string out = fmt::format(
      "  {} KB move between the blocks and global memory, {:.0f} % of "
      "them used",
      (moved * 32 + 1023) / 1024, 100 * ratio(used, moved));
  if (waste && 10 * wasted(*waste) > moved)
    out += fmt::format("; the most waste is at {}, with lanes lying {}", place(*waste),
                       waste->pattern);
  out += ".\n";
  if (conflict && waited(*conflict) > 0)
    out += fmt::format("  Banks conflict most at {}: {:.1f} turns where 1 would do.\n",
                       place(*conflict), ratio(conflict->passes, conflict->ideal_passes));
  return out;
}

}  // namespace

std::string describe(const KernelCount& kernel) {
  const Widths w = widths(kernel.sites);
  return heading(kernel) + table(kernel.sites, w, false) + table(kernel.sites, w, true) +
         meetings(kernel) + verdict(kernel);
}

Json to_json(const KernelCount& kernel) {
  const auto extent = [](const kernels::Extent& e) { return Json{e.x, e.y, e.z}; };
  Json operations = Json::object(), sites = Json::array();
  for (const auto& operation : kernel.operations) operations[operation.what] = operation.warps;
  for (const MemorySite& site : kernel.sites) {
    Json one = {{"file", site.file},
                {"line", site.line},
                {"memory", site.shared ? "shared" : "global"},
                {"array", site.array},
                {"access", site.write ? "write" : "read"},
                {"async", site.asynchronous},
                {"bytes", site.bytes},
                {"pattern", site.pattern},
                {"requests", site.requests},
                {"lanes", site.lanes},
                {"lanes_of_warps", site.whole}};
    if (site.shared)
      one.update({{"passes", site.passes},
                  {"ideal_passes", site.ideal_passes},
                  {"worst_passes", site.worst_passes}});
    else
      one.update({{"sectors", site.sectors}, {"ideal_sectors", site.ideal_sectors}});
    sites.push_back(one);
  }
  return {{"kernel", kernel.name},
          {"grid", extent(kernel.grid)},
          {"block", extent(kernel.block)},
          {"cluster", kernel.cluster},
          {"cooperative", kernel.cooperative},
          {"launches", kernel.launches},
          {"static_shared_bytes", kernel.static_bytes},
          {"dynamic_shared_bytes", kernel.dynamic_bytes},
          {"block_barriers", kernel.barriers},
          {"cluster_barriers", kernel.cluster_barriers},
          {"warp_operations", operations},
          {"memory_instructions", sites}};
}

}  // namespace etude::apps
