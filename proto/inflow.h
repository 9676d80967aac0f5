#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace kiln {

// This is what connections have sent, looked up at the kernel when it matters: which of them have
// lately sent most, so that they can be cut off. A descriptor belongs to somebody else, who may have
// closed it; its socket's cookie tells whether it is still the same. Not thread-safe.
class Inflow {
 public:
  // A connection that has just been accepted.
  void Add(int descriptor, std::string peer);

  struct Sender {
    int descriptor = -1;
    std::uint64_t cookie = 0;
    std::string peer;
    std::uint64_t bytes = 0;  // since the last look
  };
  // Those that have sent at least `least` bytes since the last look, the largest first; forgets
  // those that are gone.
  std::vector<Sender> Look(std::uint64_t least);

  // Shuts the connection down. False: it is another one by now.
  static bool Cut(const Sender& sender);

  // As of the last look, with those added since.
  std::size_t size() const { return connections_.size(); }

 private:
  struct Connection {
    int descriptor = -1;
    std::uint64_t cookie = 0;
    std::uint64_t received = 0;
    std::string peer;
  };
  std::vector<Connection> connections_;
};

}  // namespace kiln
