#include "tests/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>

namespace etude::tests {
namespace {

std::string field(const std::string& request, const std::string& name) {
  const size_t at = request.find("\r\n" + name + ": ");
  if (at == std::string::npos) return {};
  const size_t begin = at + name.size() + 4;
  return request.substr(begin, request.find("\r\n", begin) - begin);
}

void send_all(int peer, const std::string& bytes) {
  for (size_t sent = 0; sent < bytes.size();) {
    const ssize_t n = ::send(peer, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) return;
    sent += static_cast<size_t>(n);
  }
}

}  // namespace

HttpServer::HttpServer(Bytes file) : file_(std::move(file)) {
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

HttpServer::~HttpServer() {
  ending_ = true;
  thread_.join();
  ::close(listener_);
}

bool HttpServer::readable(int fd) const {
  pollfd poll{fd, POLLIN, 0};
  while (!ending_) {
    if (::poll(&poll, 1, 20) > 0) return true;
  }
  return false;
}

void HttpServer::accept_all() {
  while (readable(listener_)) {
    const int peer = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (peer < 0) continue;
    answer(peer);
    ::close(peer);
  }
}

void HttpServer::answer(int peer) {
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

void HttpServer::respond(int peer, const std::string& request, const Fault& fault) {
  if (fault.status) {
    const std::string where = fault.location.empty() ? "" : "Location: " + fault.location + "\r\n";
    return send_all(peer, "HTTP/1.1 " + std::to_string(fault.status) + " X\r\n" + where +
                              "Content-Length: 5\r\n\r\nerror");
  }
  const std::string range = field(request, "Range"), if_range = field(request, "If-Range");
  size_t first = 0;
  if (range.starts_with("bytes=") && if_range == tag_ && !fault.ignore_range)
    first = std::stoul(range.substr(6));
  const std::string size = std::to_string(file_.size());
  if (first > 0 && first >= file_.size())
    return send_all(
        peer, "HTTP/1.1 416 X\r\nContent-Range: bytes */" + size + "\r\nContent-Length: 0\r\n\r\n");
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

}  // namespace etude::tests
