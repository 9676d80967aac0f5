#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/reactor.h"
#include "base/status.h"
#include "measure/measurer.h"
#include "proto/security.h"

// The client's side of the farm: measure's DevicePool and Lease over gRPC. A machine of its
// own and a farm are one code path: StartLocalDevice() starts the device server that a farm's
// machines run, and leases from the small tracker inside of it.

namespace kiln {

// Who leases, shown to others, and with which priority (higher first).
struct ClientIdentity {
  std::string name;  // printable, without spaces; see DefaultClientName()
  std::int32_t priority = 0;
};

// Where a tracker is and how it, and its devices, are reached.
struct TrackerEndpoint {
  // NOLINTNEXTLINE(google-explicit-constructor): in plaintext it is its address
  TrackerEndpoint(std::string place, TlsFiles files = {})
      : address(std::move(place)), tls(std::move(files)) {}
  std::string address;  // HOST:PORT or unix:PATH
  TlsFiles tls;
};

// "user@host:pid".
std::string DefaultClientName();

// Is told, once in a while, what a pool waits for, if it waits for more than a moment: "waiting for a
// rasp4b device: 1 registered, 1 leased by ann@box:12". Where clients take turns, it is told with
// whom, once for each of them, "sharing the rasp4b device with ann@box:12", and that a turn is waited
// for only if that takes longer than turns do. Called on threads that wait, never on two at a time.
using WaitObserver = std::function<void(const std::string& what)>;

// The devices of a tracker. kUnavailable if nothing answers there within some seconds; later on, the
// pool reconnects by itself. Its leases are kept alive in the background until they go; several runs
// of one lease may overlap: the next kernel is then sent while one runs. It asks for no more leases at a time than there are devices; where
// none is registered Acquire() ends after 30 s, whatever its timeout. The reactor must outlive the
// pool.
StatusOr<std::unique_ptr<DevicePool>> ConnectTracker(Reactor& reactor,
                                                     const TrackerEndpoint& endpoint,
                                                     const ClientIdentity& client,
                                                     WaitObserver observer = nullptr);

struct LocalDeviceOptions {
  std::string target;               // name, path or `native`, as kiln-server takes it
  std::vector<std::int32_t> cores;  // to measure on; empty: all
  ClientIdentity client;
  // Run kernels under this program, which emulates this processor; empty: on this machine itself.
  std::string emulator = {}, emulated_cpu = {};
};

// This machine: kiln-server as a child that dies with this program, on a Unix socket in a directory
// that only this user can enter. A server that dies is started again by the next Acquire(), unless
// it dies again and again. kNotFound, kUnavailable: it does not start; the message says why. The
// reactor must outlive the pool.
StatusOr<std::unique_ptr<DevicePool>> StartLocalDevice(Reactor& reactor,
                                                       const LocalDeviceOptions& options);

// What a tracker knows of a device.
struct DeviceInfo {
  std::string name, target, address, build;
  std::vector<std::string> isa;
  std::int32_t cores = 0;
  std::map<std::string, std::string> labels;
  std::string state;   // "free", "offered", "leased", "lost", "quarantined"
  std::string client;  // the holder, if there is one
  std::uint64_t epoch = 0;
  TimeKind time_kind = TimeKind::kMeasured;
  std::int32_t failures = 0;           // leases in a row that ended in a fault of it
  std::string fault;                   // the last of them, in words
  std::chrono::milliseconds retry{0};  // until it is tried again, if it is in quarantine
};

struct FarmInfo {
  std::vector<DeviceInfo> devices;  // in order of name
  std::int32_t waiting = 0;         // clients in the queue
};

StatusOr<FarmInfo> ListDevices(const TrackerEndpoint& endpoint);

}  // namespace kiln
