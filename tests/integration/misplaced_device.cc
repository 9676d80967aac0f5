#include "tests/integration/misplaced_device.h"

#include <gtest/gtest.h>

#include "ops/target.h"
#include "rpc_server/tracker_link.h"

namespace kiln {
namespace {

class LinkedDevice final : public MisplacedDevice {
 public:
  explicit LinkedDevice(const TrackerLinkOptions& options)
      : link_(NewTrackerLink(*reactor_, fence_, options)) {}

 private:
  const std::unique_ptr<Reactor> reactor_ = NewReactor();
  LeaseFence fence_;
  const std::unique_ptr<TrackerLink> link_;
};

}  // namespace

std::unique_ptr<MisplacedDevice> RegisterAt(const std::string& tracker, const std::string& name,
                                            const std::string& address) {
  const auto target = DetectNative();
  EXPECT_TRUE(target.ok()) << target.status();
  if (!target.ok()) return nullptr;
  TrackerLinkOptions options;
  options.tracker = tracker;
  options.address = address;
  options.identity = {name, target->name, {}, {0}, {}, "test", TimeKind::kMeasured};
  return std::make_unique<LinkedDevice>(options);
}

}  // namespace kiln
