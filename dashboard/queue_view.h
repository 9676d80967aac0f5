#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace kiln {

// Question 7: what runs next, why does each wait, when will it be done? Only a daemon knows; it fills
// this.
struct QueueView {
  struct Row {
    std::int64_t id = 0;
    std::string name, user, target;
    std::string state, why;  // "queued", "window night opens at 22:00 (in 3h12)"
    std::string done;        // when, and what that is made of; or why nobody can tell
    std::int64_t trials = 0;
    std::int64_t since_ms = 0;             // of its state
    std::vector<std::string> wishes = {};  // that can be had of it: "pause", "resume", "cancel"
  };
  std::vector<Row> waiting;  // those that have not ended: what runs, then what is next
  std::vector<Row> ended;    // the newest
  std::size_t left_out = 0;  // of those that have not ended
  struct Window {
    std::string name, text;  // "open until Fri 06:00 CET (in 3h12)"
    bool is_open = false;
  };
  std::vector<Window> windows;
  std::vector<std::string> troubles;  // of the daemon
  std::string daemon, local;          // its name, and what its clocks show
};

}  // namespace kiln
