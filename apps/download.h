#pragma once

// One file from the network (http, https) or from this machine (file), by libcurl.

#include <cstdint>
#include <filesystem>
#include <string>

#include "apps/stop_request.h"

namespace etude::apps {

struct DownloadOptions {
  std::string title;       // of the progress on stderr
  uint64_t limit;          // bytes; more are refused
  int stalled_after = 30;  // seconds without a byte, or without a connection
  int retries = 5;         // in a row without a byte of progress
};

// Leaves the whole file at `part`. If one is there of an earlier download that was broken off, only
// the rest is asked for, provided that the server still has the same file (If-Range; what names
// it is kept in PART.from). Throws Error naming the URL and the reason, as of a file without a
// byte; what came stays for the next time, and so it does with Interrupted.
void download(const std::string& url, const std::filesystem::path& part,
              const DownloadOptions& options, StopRequest& stop);

// Both files of a download.
void remove_download(const std::filesystem::path& part);

}  // namespace etude::apps
