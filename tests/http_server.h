#pragma once

// A small HTTP/1.1 server for one file, with the faults that servers have. One connection at a
// time, one request a connection.

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/midi_files.h"

namespace etude::tests {

// What is done with one request instead of answering it well.
struct Fault {
  int status = 0;             // this answer, with a text that is no file
  std::string location = {};  // of a redirect (status 302)
  int64_t break_after = -1;   // so many bytes of the body, then the connection is closed ...
  bool stall = false;         // ... or left open and silent
  int64_t declare = -1;       // Content-Length
  bool ignore_range = false;
  bool wrong_range = false;  // 206 with the file's beginning
};

class HttpServer {
 public:
  explicit HttpServer(Bytes file);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::string url(const std::string& path = "/maestro.zip") const {
    return "http://127.0.0.1:" + std::to_string(port_) + path;
  }
  // The next requests get these, one each; those after them are answered well.
  void next(std::vector<Fault> faults) {
    const std::lock_guard lock(mutex_);
    faults_.assign(faults.begin(), faults.end());
  }
  void serve(Bytes file, const std::string& tag) {
    const std::lock_guard lock(mutex_);
    file_ = std::move(file);
    tag_ = tag;
  }
  std::vector<std::string> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  int64_t body_bytes() const { return body_bytes_; }

 private:
  bool readable(int fd) const;  // or the test ends
  void accept_all();
  void answer(int peer);
  void respond(int peer, const std::string& request, const Fault& fault);

  mutable std::mutex mutex_;
  Bytes file_;
  std::string tag_ = "\"one\"";
  std::deque<Fault> faults_;
  std::vector<std::string> requests_;
  std::atomic<int64_t> body_bytes_ = 0;
  std::atomic<bool> ending_ = false;
  int listener_ = -1;
  int port_ = 0;
  std::thread thread_;
};

}  // namespace etude::tests
