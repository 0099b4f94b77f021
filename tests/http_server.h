#pragma once

// A small HTTP/1.1 server for one file, with the faults that servers have. One connection at a
// time, one request a connection.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
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
  explicit HttpServer(Bytes file) : file_(std::move(file)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener_, generic, size) != 0 || ::listen(listener_, 16) != 0 ||
        ::getsockname(listener_, generic, &size) != 0)
      throw std::runtime_error("the test's server cannot listen");
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { accept_all(); });
  }
  ~HttpServer() {
    ending_ = true;
    thread_.join();
    ::close(listener_);
  }
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
  bool readable(int fd) const {  // or the test ends
    pollfd poll{fd, POLLIN, 0};
    while (!ending_) {
      if (::poll(&poll, 1, 20) > 0) return true;
    }
    return false;
  }

  void accept_all() {
    while (readable(listener_)) {
      const int peer = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (peer < 0) continue;
      answer(peer);
      ::close(peer);
    }
  }

  void answer(int peer) {
    std::string request;
    char piece[4096];
    while (request.find("\r\n\r\n") == std::string::npos) {
      const ssize_t n = readable(peer) ? ::recv(peer, piece, sizeof piece, 0) : 0;
      if (n <= 0) return;
      request.append(piece, static_cast<size_t>(n));
    }
    const std::unique_lock lock(mutex_);
    requests_.push_back(request);
    Fault fault;
    if (!faults_.empty()) {
      fault = faults_.front();
      faults_.pop_front();
    }
    respond(peer, request, fault);
  }

  static std::string field(const std::string& request, const std::string& name) {
    const size_t at = request.find("\r\n" + name + ": ");
    if (at == std::string::npos) return {};
    const size_t begin = at + name.size() + 4;
    return request.substr(begin, request.find("\r\n", begin) - begin);
  }

  void respond(int peer, const std::string& request, const Fault& fault) {
    if (fault.status) {
      const std::string where =
          fault.location.empty() ? "" : "Location: " + fault.location + "\r\n";
      return send_all(peer, "HTTP/1.1 " + std::to_string(fault.status) + " X\r\n" + where +
                                "Content-Length: 5\r\n\r\nerror");
    }
    const std::string range = field(request, "Range"), if_range = field(request, "If-Range");
    size_t first = 0;
    if (range.starts_with("bytes=") && if_range == tag_ && !fault.ignore_range)
      first = std::stoul(range.substr(6));
    const std::string size = std::to_string(file_.size());
    if (first > 0 && first >= file_.size())
      return send_all(peer, "HTTP/1.1 416 X\r\nContent-Range: bytes */" + size +
                                "\r\nContent-Length: 0\r\n\r\n");
    std::string head = first ? "HTTP/1.1 206 X\r\n" : "HTTP/1.1 200 X\r\n";
    if (fault.wrong_range) first = 0;
    if (head.find(" 206 ") != std::string::npos)
      head += "Content-Range: bytes " + std::to_string(first) + "-" +
              std::to_string(file_.size() - 1) + "/" + size + "\r\n";
    std::string body(file_.begin() + static_cast<ptrdiff_t>(first), file_.end());
    const auto length = fault.declare < 0 ? body.size() : static_cast<size_t>(fault.declare);
    head += "ETag: " + tag_ + "\r\nContent-Length: " + std::to_string(length) + "\r\n";
    if (fault.break_after >= 0) body.resize(static_cast<size_t>(fault.break_after));
    body_bytes_ += static_cast<int64_t>(body.size());
    send_all(peer, head + "Connection: close\r\n\r\n" + body);
    if (fault.stall) {
      char byte;
      while (readable(peer) && ::recv(peer, &byte, 1, 0) > 0) {
      }
    }
  }

  static void send_all(int peer, const std::string& bytes) {
    for (size_t sent = 0; sent < bytes.size();) {
      const ssize_t n = ::send(peer, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) return;
      sent += static_cast<size_t>(n);
    }
  }

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
