#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Who is at fault, the kernel or the device? Pure values, not thread-safe: they are told what
// happens and keep no time.
//
// Kernels from templates are right, so a wrong result speaks against its device as much as against
// its kernel, until somebody else has looked. A kernel that takes machines down is rare too, but
// each time costs a machine: two pieces of evidence are enough.
//
//   standing   what one lease of a device has shown: the device is *proven* once a kernel was right
//   case       what is held against one trial
//   wrong      the device got a wrong result
//   evidence   the device went down, or lost two hosts, while the trial ran on it

namespace kiln {

// So many trials in a row that come to a bad end on a device which is not proven condemn it.
inline constexpr std::size_t kMostDoubts = 3;
// Of one trial, wrong results or lost hosts on devices that prove nothing: then it is given up.
inline constexpr std::size_t kMostOpinions = 4;
// Devices that one trial may lose, though others work meanwhile: then it is given up.
inline constexpr std::int32_t kMostLosses = 16;

// This is what one lease of a device has shown. A trial's case keeps the standings of devices that
// were wrong about it, because what they show later counts as well.
class DeviceStanding {
 public:
  explicit DeviceStanding(std::string device) : device_(std::move(device)) {}

  const std::string& device() const { return device_; }
  // Some kernel was right on it, since it was leased.
  bool is_proven() const { return is_proven_; }
  // Why the device is to be given back and blamed; empty: nothing is held against it.
  const std::string& blame() const { return blame_; }

  // A kernel's results were right.
  void Prove() { is_proven_ = true; }
  // This trial came to a bad end on it: `how`. Says nothing against a device that is proven.
  void Doubt(std::uint64_t trial, std::string_view how);
  // The first reason counts.
  void Accuse(const std::string& why);

 private:
  const std::string device_;
  bool is_proven_ = false;
  std::set<std::uint64_t> doubts_;  // trials
  std::string blame_;
};

// What is to be done with a trial after an answer or a loss.
enum class Verdict : std::uint8_t {
  kCounts,   // the answer is the trial's outcome
  kAgain,    // run it again, on another device if there is one
  kKiller,   // it takes hosts down: its outcome is kHostKilled, with took_down()
  kGivenUp,  // there is no telling: it ends without an outcome, with why_given_up()
};

// This is what is held against one trial.
class TrialCase {
 public:
  // `trial` tells it from others. After `retries` + 1 losses without an answer of any device to
  // any trial in between nothing works, and it is given up.
  TrialCase(std::uint64_t trial, std::int32_t retries) : trial_(trial), retries_(retries) {}

  // The results on this device were right. Devices of other names that found them wrong are
  // accused.
  Verdict OnRight(DeviceStanding& here);

  // They were wrong. kCounts: another time as well, and one of the devices is proven and not
  // accused; or, if `last_resort`, none is proven and none accused. That is: there is no other
  // device and nothing else to run, so no more will ever be known.
  Verdict OnWrong(const std::shared_ptr<DeviceStanding>& here, std::string_view how,
                  bool last_resort);

  // It took down two hosts of the device, which serves on.
  Verdict OnHostKilled(DeviceStanding& here, std::string_view how);

  // The device was lost; `while_running`: while it had this kernel. `answers`: how many all devices
  // have given so far, to whatever trial.
  Verdict OnLost(const DeviceStanding& here, bool while_running, std::string_view how,
                 std::uint64_t answers);

  // The same, where we had this lease already when the trial lost its last device: what ends many
  // leases at once, like a client that was stopped for too long, counts once. The lease is given back,
  // so there are only as many of these as a client has leases.
  Verdict OnLostWithTheLast(const DeviceStanding& here, bool while_running, std::string_view how);

  // The device failed before it had the kernel, with one that was right elsewhere: a loss, and one
  // device less that could say anything about the trial.
  Verdict OnUnwell(const DeviceStanding& here, std::string_view how, std::uint64_t answers);

  // Something is held against the trial, or against who said so.
  bool is_suspect() const { return !wrongs_.empty() || !evidence_.empty(); }
  // Another device is to be asked rather than this one.
  bool Shuns(std::string_view device) const;
  // This device failed a kernel that was right elsewhere.
  bool IsUnwell(std::string_view device) const { return unwell_.contains(device); }
  // Without an answer of any device in between; 0: none was lost yet.
  std::int32_t losses_in_a_row() const { return losses_in_a_row_; }

  // "took down two hosts: pi4: killed by SIGSEGV; pi5: connection reset".
  std::string took_down() const;
  // "lost the device 3 times during one trial, last pi4: connection reset".
  std::string why_given_up() const;

 private:
  struct Wrong {
    std::shared_ptr<DeviceStanding> where;
    std::string how;
  };
  struct Evidence {
    std::string device, how;
  };
  void NoteLoss(const DeviceStanding& here, std::string_view how);
  // Whether that makes two, or one from a device that is well with others.
  bool Convicts(const DeviceStanding& here, std::string_view how);

  const std::uint64_t trial_;
  const std::int32_t retries_;
  std::vector<Wrong> wrongs_;
  std::vector<Evidence> evidence_;
  std::set<std::string, std::less<>> unwell_;  // devices
  std::size_t hosts_killed_ = 0;
  std::int32_t losses_ = 0, losses_in_a_row_ = 0;
  std::uint64_t answers_ = 0;  // at the last loss
  std::string last_;           // what went wrong, and where
};

}  // namespace kiln
