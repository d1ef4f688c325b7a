#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <string>
#include <thread>
#include <vector>

namespace polyak::testing_support {

// A bad network on loopback: forwards bytes both ways between a client and a server, and cuts each
// connection after as many bytes from the server as planned for it; then it takes the next one.
// Serves one connection at a time.
class CutProxy {
 public:
  // server: HOST:PORT with a numeric host.  cuts: bytes from the server after which the first,
  // second, ... connection is cut, 0 or more; what comes after the last of them lives on.
  explicit CutProxy(const std::string& server, std::vector<int64_t> cuts = {});
  ~CutProxy();  // cuts what is open
  CutProxy(const CutProxy&) = delete;
  CutProxy& operator=(const CutProxy&) = delete;

  // HOST:PORT for the client.
  const std::string& address() const { return address_; }
  // Connections taken so far.
  int64_t connection_count() const { return connection_count_; }
  // Bytes from the server that were forwarded so far, over all connections.
  int64_t forwarded_bytes() const { return forwarded_bytes_; }

 private:
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
  void Serve();
  void Forward(int client, int server, int64_t bytes_max);

  std::string server_;
  std::vector<int64_t> cuts_;
  std::string address_;
  int listener_ = -1;
  int stop_ = -1;  // an eventfd: readable once the proxy has to end
  std::atomic<int64_t> connection_count_ = 0;
  std::atomic<int64_t> forwarded_bytes_ = 0;
  std::thread thread_;
};

}  // namespace polyak::testing_support
