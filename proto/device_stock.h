#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"

namespace kiln {

// "30 s", "0.25 s": a time for people, to a tenth of a second from one second on.
std::string DescribeTime(std::chrono::milliseconds time);

// What a farm has for a wish, a target and a kind of times, in words for those who wait.
class DeviceStock {
 public:
  DeviceStock(std::string target, std::string time_kind);

  // One device of the farm. `client`: who has it; empty: nobody. `lost`: its connection is gone.
  void Add(const std::string& target, const std::string& time_kind, const std::string& client,
           bool lost);
  // One of the wish that is connected but in quarantine; why, in words.
  void AddQuarantined(const std::string& device, const std::string& why);

  int registered() const { return registered_; }    // devices of the wish that are not lost
  int quarantined() const { return quarantined_; }  // of those
  std::string Wish() const;                         // "rasp4b", "emulated rasp4b"
  // "2 registered, 1 leased by ann@box:12, 1 lost"; "0 registered; there are devices for pixel6";
  // "1 registered, 1 quarantined: pi4: nothing answers at 10.0.0.4:9191".
  std::string Describe() const;
  // kDeadlineExceeded: none came free within this time.
  Status NoDevice(std::chrono::milliseconds waited) const;

 private:
  std::string target_, time_kind_;
  int registered_ = 0, lost_ = 0, quarantined_ = 0;
  std::vector<std::string> troubles_;            // "pi4: ..." of the first quarantined ones
  std::map<std::string, int> holders_, others_;  // by client; by wish
};

}  // namespace kiln
