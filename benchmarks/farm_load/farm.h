#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "benchmarks/farm_load/channel.h"
#include "benchmarks/farm_load/lease_clients.h"
#include "benchmarks/farm_load/load_loop.h"
#include "benchmarks/farm_load/simulated_devices.h"
#include "benchmarks/farm_load/tracker_process.h"
#include "proto/security.h"

namespace kiln::load {

// Where credentials come from. With `directory`, as scripts/make-certs fills it: ca.crt, crl.pem,
// tracker.crt, NAME.crt for each device and `client`.crt for the clients, with a .key beside each.
// Else the same files for all. Nothing given: plaintext.
struct CredentialFiles {
  std::string directory, client = "load";
  std::string ca, cert, key, crl;
  std::string tls_name;
  bool enabled() const { return !directory.empty() || !ca.empty(); }
};

// Those of a device or, with its name, of the clients.
TlsFiles FilesOf(const CredentialFiles& files, const std::string& name);

struct FarmOptions {
  TrackerOptions tracker;
  CredentialFiles credentials;
  std::int32_t devices = 1000;
  std::int32_t clients = 50;
  std::string prefix = "sim-";
  std::uint64_t seed = 1;
  DeviceOptions device;  // but for names, seed and credential
  double seconds = 10, warm_up = 2;
};

// The prefix and a number each.
std::vector<std::string> DeviceNames(const FarmOptions& options);

// This is a whole farm under load: tracker, devices, clients.
class Farm {
 public:
  // Raises the limit of descriptors, which a child inherits, then starts or finds the tracker.
  static StatusOr<TrackerProcess> OpenTracker(const FarmOptions& options);
  // No device is connected yet.
  static StatusOr<std::unique_ptr<Farm>> Open(FarmOptions options, TrackerProcess tracker);

  // Connects all devices and waits until the tracker lists them.
  Status ConnectDevices();
  LeaseClient& AddClient(const std::string& name);
  // Ends all connections in order; what is left after that goes with the process.
  void Close();

  LoadLoop& loop() { return loop_; }
  const TrackerProcess& tracker() const { return tracker_; }
  SimulatedDevices& devices() { return *devices_; }
  LeaseLedger& ledger() { return *ledger_; }
  const FarmOptions& options() const { return options_; }
  bool tls() const { return options_.credentials.enabled(); }
  std::uint64_t NextSeed() { return seeds_.Next(); }

 private:
  Farm(FarmOptions options, TrackerProcess tracker);
  Status FindTracker();

  const FarmOptions options_;
  TrackerProcess tracker_;
  LoadLoop loop_;
  Rng seeds_;
  std::unique_ptr<Dialer> dialer_;
  std::unique_ptr<SimulatedDevices> devices_;
  std::unique_ptr<LeaseLedger> ledger_;
  std::vector<std::unique_ptr<LeaseClient>> clients_;
};

// Processor time and wall time of a stretch of work.
class Meter {
 public:
  explicit Meter(const TrackerProcess& tracker)
      : tracker_(tracker),
        began_(LoadLoop::Now()),
        own_(OwnCpuTime()),
        theirs_(tracker.cpu_time()) {}
  struct Reading {
    double seconds = 0;
    CpuTime own, tracker;
  };
  Reading Read() const {
    return {std::chrono::duration<double>(LoadLoop::Now() - began_).count(), OwnCpuTime() - own_,
            tracker_.cpu_time() - theirs_};
  }

 private:
  const TrackerProcess& tracker_;
  const SteadyTime began_;
  const CpuTime own_, theirs_;
};

// The p-th part of the values in order; 0 of none.
double Quantile(std::vector<float> values, double p);
double Median(std::vector<double> values);

std::chrono::nanoseconds Seconds(double seconds);

}  // namespace kiln::load
