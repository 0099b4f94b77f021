#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "apps/commands.h"
#include "apps/datasets.h"
#include "apps/download.h"
#include "apps/messages.h"
#include "apps/stop_request.h"
#include "engine/error.h"
#include "midi/archive.h"
#include "midi/error.h"
#include "midi/files.h"

namespace etude::apps {
namespace {

namespace fs = std::filesystem;

constexpr const char* kExamples =
    R"(The MIDI files of MAESTRO (200 hours of piano performances; CC BY-NC-SA 4.0, not for commercial use) are
downloaded into $XDG_CACHE_HOME/etude (or ~/.cache/etude), checked, and unpacked there. A download that was
broken off is gone on with. After that, --data maestro names them.

Examples:
  etude fetch maestro
  etude fetch maestro --from maestro-v3.0.0-midi.zip     an archive that you downloaded yourself
  etude fetch maestro --url https://mirror.example/maestro.zip --sha256 70470ee2...)";

struct Options {
  int version = 3;
  std::string url, sha256;
  fs::path from;
  int retries = 5;
  int timeout = 30;
};

// Held while the cache is written: a second process waits.
class CacheLock {
 public:
  CacheLock(const fs::path& path, StopRequest& stop) {
    fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd_ < 0) fail(path);
    for (bool told = false; ::flock(fd_, LOCK_EX | LOCK_NB) != 0; told = true) {
      if (errno != EWOULDBLOCK && errno != EINTR) fail(path);
      if (!told) tell_line("another `etude fetch` is at work; waiting for it");
      if (stop.signal()) throw Interrupted(stop.signal(), "interrupted");
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }
  ~CacheLock() { ::close(fd_); }
  CacheLock(const CacheLock&) = delete;
  CacheLock& operator=(const CacheLock&) = delete;

 private:
  [[noreturn]] static void fail(const fs::path& path) {
    throw Error(fmt::format("{}: cannot be locked: {}", path.string(), std::strerror(errno)));
  }
  int fd_;
};

std::vector<uint8_t> archive_bytes(const fs::path& file) {
  return midi::read_file(file, midi::kMaxArchiveBytes);
}

Installed fetch(const KnownDataset& dataset, const Options& options, const std::string& sha256,
                StopRequest& stop) {
  const std::string url = options.url.empty() ? dataset.url : options.url;
  const fs::path part = fetched_folder() / (dataset.folder + std::string(".zip.part"));
  tell_line(fmt::format("fetching {}", url));
  try {
    download(url, part,
             {.title = "maestro",
              .limit = midi::kMaxArchiveBytes,
              .stalled_after = options.timeout,
              .retries = options.retries},
             stop);
  } catch (const Error& error) {
    if (!std::string(error.what()).starts_with(url)) throw;  // not the network's fault
    throw Error(
        fmt::format("{} (by hand: download it elsewhere, then `etude fetch maestro --from "
                    "FILE.zip`)",
                    error.what()));
  }
  try {
    const Installed result = install(dataset, archive_bytes(part), url, sha256);
    remove_download(part);
    return result;
  } catch (const Error&) {  // it would be no better the next time
    remove_download(part);
    throw;
  } catch (const midi::Error& error) {
    if (error.file == url) remove_download(part);
    throw;
  }
}

void report(const KnownDataset& dataset, const Installed& result) {
  const std::string text = fmt::format(
      "{}: {} pieces, in {}\nUse them as --data maestro:\n"
      "  etude dataset maestro\n"
      "  etude train --model triple --data maestro --split train --sample 100 --out out/triple\n",
      dataset.title, result.pieces, result.table.parent_path().string());
  std::fwrite(text.data(), 1, text.size(), stdout);
}

void run(const Options& options) {
  const auto versions = maestro_versions();
  const auto dataset = std::ranges::find(versions, options.version, &KnownDataset::version);
  if (dataset == versions.end())
    throw CLI::ValidationError("--version", "only version 3 is known here");
  const std::string sha256 = options.sha256.empty() ? dataset->sha256 : options.sha256;
  StopRequest stop;
  fs::create_directories(fetched_folder());
  const CacheLock lock(fetched_folder() / "lock", stop);
  Installed result = installed(*dataset, sha256);
  if (result.fault.empty()) {
    tell_line("it is there already");
  } else if (!options.from.empty()) {
    result = install(*dataset, archive_bytes(options.from), options.from.string(), sha256);
  } else {
    result = fetch(*dataset, options, sha256, stop);
  }
  report(*dataset, result);
}

std::string not_a_sha256(std::string& text) {
  const bool good = text.size() == 64 &&
                    std::ranges::all_of(text, [](unsigned char c) { return std::isxdigit(c); });
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  return good ? "" : "64 hexadecimal digits are wanted";
}

}  // namespace

void add_fetch(CLI::App& program) {
  auto* fetch_command = program.add_subcommand("fetch", "Download a data set into the cache");
  fetch_command->footer(kExamples);
  fetch_command->require_subcommand(1);
  auto* command = fetch_command->add_subcommand("maestro", "MAESTRO's MIDI files");
  command->footer(kExamples);
  const auto options = std::make_shared<Options>();
  command->add_option("--version", options->version, "Of MAESTRO; only 3 is known")
      ->capture_default_str();
  auto* url = command->add_option("--url", options->url,
                                  "Another place of the archive: http://, https:// or file://");
  auto* sha256 = command->add_option("--sha256", options->sha256, "Of that archive")
                     ->check(CLI::Validator(not_a_sha256, "HEX"));
  command->add_option("--from", options->from, "An archive that is here already")->excludes(url);
  command->add_option("--retries", options->retries, "After so many tries without a byte it ends")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command
      ->add_option("--timeout", options->timeout,
                   "Seconds without a byte after which a connection is given up")
      ->capture_default_str()
      ->check(CLI::Range(1, 3600));
  url->needs(sha256);
  command->callback([options] { run(*options); });
}

}  // namespace etude::apps
