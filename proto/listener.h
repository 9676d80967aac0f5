#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "base/status.h"

namespace kiln {

// When a server has so much memory resident, whoever has sent most of late is cut off.
struct MemoryLimit {
  std::size_t bytes = 56 << 20;                 // with no connection
  std::size_t bytes_per_connection = 40 << 10;  // and this for each: gRPC takes 37 kB
};

// This is a listening socket in front of a gRPC server, since gRPC 1.51's own
//   - never accepts again after accept() has failed once for want of a descriptor: this one keeps
//     a reserve of descriptors for the program's own files, closes connections that would eat into
//     it, and goes on as soon as there are some;
//   - buffers a message whole, whatever its length and whether or not anybody asked for it: this
//     one looks at the memory of the program and cuts the connections off that fill it;
//   - says nothing of either: this one does, in the log.
// It accepts on a thread of its own.
class Listener {
 public:
  virtual ~Listener() = default;                   // stops; a Unix socket's file goes
  virtual const std::string& address() const = 0;  // the real port

  // Accepts from now on: `take` is given each connection's descriptor, on the listener's thread,
  // and owns it.
  virtual void Start(std::function<void(int descriptor)> take) = 0;
};

// Binds and listens.
//   kInvalidArgument  not an address, or a path that is too long for a socket
//   kUnavailable      what the system says: in use, not of this machine, not permitted, ...
StatusOr<std::unique_ptr<Listener>> OpenListener(const std::string& address,
                                                 const MemoryLimit& limit);

// Lets the program have as many descriptors as the system allows it; the number.
std::size_t RaiseDescriptorLimit();

}  // namespace kiln
