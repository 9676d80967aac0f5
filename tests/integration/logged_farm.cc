#include "tests/integration/logged_farm.h"

#include <csignal>
#include <fstream>

#include "rpc_tracker/event_check.h"

namespace kiln {

void LoggedFarmTest::TearDown() {
  if (!tracker_) return;
  tracker_->Signal(SIGTERM);  // it writes the rest of its log
  EXPECT_EQ(tracker_->Wait().status, 0);
  std::ifstream log(scratch_.Path("events"));
  const Status held = CheckEventLog(log);
  EXPECT_TRUE(held.ok()) << "a device was held by two: " << held;
}

void LoggedFarmTest::StartTracker(const std::string& address,
                                  const std::vector<std::string>& more) {
  std::vector<std::string> command = {
      "kiln-tracker",         "--listen", address, "--state", scratch_.Path("state"), "--event-log",
      scratch_.Path("events")};
  command.insert(command.end(), more.begin(), more.end());
  tracker_ = std::make_unique<RunningProgram>(scratch_, command);
  address_ = tracker_->Address();
}

bool LoggedFarmTest::Eventually(const std::function<bool()>& condition) const {
  return tracker_->WaitUntil(condition);
}

std::vector<LeaseEvent> LoggedFarmTest::Events() const {
  std::vector<LeaseEvent> events;
  std::ifstream log(scratch_.Path("events"));
  for (std::string line; std::getline(log, line) && !log.eof();) {
    const auto event = ParseLeaseEvent(line);
    EXPECT_TRUE(event.ok()) << event.status() << line;
    if (event.ok()) events.push_back(*event);
  }
  return events;
}

}  // namespace kiln
