#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "rpc_tracker/lease_event.h"
#include "tests/integration/programs.h"

namespace kiln {

// A test with a kiln-tracker that keeps its state and logs what happens, over its restarts. At the
// end of the test the log must prove that no device was held by two.
class LoggedFarmTest : public KilnTest {
 protected:
  void TearDown() override;

  // Where the former one listened, to start it again. `more`: further arguments.
  void StartTracker(const std::string& address = "127.0.0.1:0",
                    const std::vector<std::string>& more = {});
  // Asked again and again, since nobody tells: false if it does not come true within kPatience.
  bool Eventually(const std::function<bool()>& condition) const;
  std::vector<LeaseEvent> Events() const;  // so far

  std::unique_ptr<RunningProgram> tracker_;  // null: none was started
  std::string address_;                      // the tracker's
};

}  // namespace kiln
