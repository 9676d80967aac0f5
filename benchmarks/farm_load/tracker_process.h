#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace kiln::load {

// Processor time of a process so far, in seconds.
struct CpuTime {
  double user = 0, system = 0;
  double total() const { return user + system; }
  CpuTime operator-(const CpuTime& other) const {
    return {user - other.user, system - other.system};
  }
};

CpuTime OwnCpuTime();
std::size_t OwnDescriptors();
std::size_t OwnRssKib();

// Raises the limit of descriptors to `wanted`, beyond the hard limit if the system allows it, and
// returns what it is now.
std::size_t RaiseDescriptorLimit(std::size_t wanted);

struct TrackerOptions {
  std::string program;                 // kiln-tracker; unused with `address`
  std::vector<std::string> arguments;  // beside --listen
  std::string log;                     // file for its standard error
  std::string address;                 // of one that runs already
  pid_t pid = 0;                       // of that one; 0: not on this machine, or nobody knows
};

// This is the tracker under load: a child, ended by the destructor, or one that runs already.
class TrackerProcess {
 public:
  static StatusOr<TrackerProcess> Open(const TrackerOptions& options);
  TrackerProcess(TrackerProcess&& other) noexcept;
  TrackerProcess& operator=(TrackerProcess&&) = delete;
  ~TrackerProcess();

  const std::string& address() const { return address_; }
  pid_t pid() const { return pid_; }
  // Whether the following are known.
  bool visible() const { return pid_ != 0; }
  CpuTime cpu_time() const;  // in steps of 10 ms
  std::size_t rss_kib() const;
  std::size_t threads() const;
  std::size_t descriptors() const;
  // Established connections to the tracker's port, by distinct address of the peer.
  std::size_t connections() const;

 private:
  TrackerProcess(std::string address, pid_t pid, bool child, int output)
      : address_(std::move(address)), pid_(pid), child_(child), output_(output) {}
  std::string address_;
  pid_t pid_ = 0;
  bool child_ = false;
  int output_ = -1;  // its standard output, so that it never writes into a closed pipe
};

}  // namespace kiln::load
