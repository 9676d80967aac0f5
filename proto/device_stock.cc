#include "proto/device_stock.h"

#include <cmath>
#include <sstream>
#include <utility>

namespace kiln {
namespace {

// Of the devices in quarantine; a word for each of a whole farm would be a page.
constexpr std::size_t kTroublesNamed = 3;

std::string WishFor(const std::string& target, const std::string& time_kind) {
  return time_kind == "measured" ? target : time_kind + " " + target;
}

}  // namespace

std::string DescribeTime(std::chrono::milliseconds time) {
  double seconds = std::chrono::duration<double>(time).count();
  if (seconds >= 1) seconds = std::round(seconds * 10) / 10;
  std::ostringstream text;
  text << seconds << " s";
  return text.str();
}

DeviceStock::DeviceStock(std::string target, std::string time_kind)
    : target_(std::move(target)), time_kind_(std::move(time_kind)) {}

void DeviceStock::Add(const std::string& target, const std::string& time_kind,
                      const std::string& client, bool lost) {
  if (target != target_ || time_kind != time_kind_) {
    ++others_[WishFor(target, time_kind)];
    return;
  }
  ++(lost ? lost_ : registered_);
  if (!lost && !client.empty()) ++holders_[client];
}

void DeviceStock::AddQuarantined(const std::string& device, const std::string& why) {
  ++registered_;
  ++quarantined_;
  if (troubles_.size() < kTroublesNamed) troubles_.push_back(device + ": " + why);
}

std::string DeviceStock::Wish() const { return WishFor(target_, time_kind_); }

std::string DeviceStock::Describe() const {
  std::ostringstream text;
  text << registered_ << " registered";
  for (const auto& [client, count] : holders_) text << ", " << count << " leased by " << client;
  if (quarantined_ > 0) text << ", " << quarantined_ << " quarantined";
  for (std::size_t i = 0; i < troubles_.size(); ++i) text << (i == 0 ? ": " : "; ") << troubles_[i];
  if (lost_ > 0) text << ", " << lost_ << " lost";
  if (registered_ + lost_ == 0 && !others_.empty()) {
    text << "; there are devices for";
    for (const auto& [wish, count] : others_) text << " " << wish;
  }
  return text.str();
}

Status DeviceStock::NoDevice(std::chrono::milliseconds waited) const {
  return Error(StatusCode::kDeadlineExceeded, "no device for ", Wish(), " within ",
               DescribeTime(waited), " (", Describe(), ")");
}

}  // namespace kiln
