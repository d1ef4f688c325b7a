#include "tests/support/cut_proxy.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace polyak::testing_support {
namespace {

void Require(bool condition, const char* what) {
  if (!condition) {
    perror(what);
    std::abort();
  }
}

sockaddr_in Loopback(int port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// A connection to HOST:PORT, or -1.
int Connect(const std::string& server) {
  const size_t colon = server.rfind(':');
  sockaddr_in address = Loopback(std::atoi(server.c_str() + colon + 1));
  Require(inet_pton(AF_INET, server.substr(0, colon).c_str(), &address.sin_addr) == 1, "inet_pton");
  const int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  Require(connection >= 0, "socket");
  if (connect(connection, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    close(connection);
    return -1;
  }
  return connection;
}

bool SendAll(int connection, const char* data, ssize_t count) {
  while (count > 0) {
    const ssize_t sent = send(connection, data, static_cast<size_t>(count), MSG_NOSIGNAL);
    if (sent <= 0) {
      return false;
    }
    data += sent;
    count -= sent;
  }
  return true;
}

}  // namespace

CutProxy::CutProxy(const std::string& server, std::vector<int64_t> cuts)
    : server_(server), cuts_(std::move(cuts)) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  stop_ = eventfd(0, EFD_CLOEXEC);
  Require(listener_ >= 0 && stop_ >= 0, "socket");
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  Require(bind(listener_, reinterpret_cast<const sockaddr*>(&address), size) == 0, "bind");
  Require(listen(listener_, 16) == 0, "listen");
  Require(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0, "getsockname");
  address_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  thread_ = std::thread([this] { Serve(); });
}

CutProxy::~CutProxy() {
  const uint64_t one = 1;
  Require(write(stop_, &one, sizeof(one)) == sizeof(one), "write");
  thread_.join();
  close(listener_);
  close(stop_);
}

void CutProxy::Serve() {
  while (true) {
    std::array<pollfd, 2> waits = {pollfd{listener_, POLLIN, 0}, pollfd{stop_, POLLIN, 0}};
    poll(waits.data(), waits.size(), -1);
    if (waits[1].revents != 0) {
      return;
    }
    const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) {
      continue;
    }
    const auto number = static_cast<size_t>(connection_count_++);
    const int server = Connect(server_);
    if (server >= 0) {
      Forward(client, server, number < cuts_.size() ? cuts_[number] : kNever);
      close(server);
    }
    close(client);
  }
}

void CutProxy::Forward(int client, int server, int64_t bytes_max) {
  std::array<char, 65536> part;
  int64_t left = bytes_max;
  bool cut = false;
  while (true) {
    if (left == 0 && !cut) {
      // The bytes sent so far arrive, and then the end of the file: closing with unread input
      // would throw them away. The client closes when it sees the end.
      shutdown(client, SHUT_WR);
      shutdown(server, SHUT_RDWR);
      cut = true;
    }
    std::array<pollfd, 3> waits = {pollfd{stop_, POLLIN, 0}, pollfd{client, POLLIN, 0},
                                   pollfd{cut ? -1 : server, POLLIN, 0}};
    poll(waits.data(), waits.size(), -1);
    if (waits[0].revents != 0) {
      return;
    }
    if (waits[1].revents != 0) {
      const ssize_t count = read(client, part.data(), part.size());
      if (count <= 0 || (!cut && !SendAll(server, part.data(), count))) {
        return;
      }
    }
    if (waits[2].revents != 0) {
      const auto wanted = static_cast<size_t>(std::min<int64_t>(left, part.size()));
      const ssize_t count = read(server, part.data(), wanted);
      if (count <= 0 || !SendAll(client, part.data(), count)) {
        return;
      }
      left -= count;
      forwarded_bytes_ += count;
    }
  }
}

}  // namespace polyak::testing_support
