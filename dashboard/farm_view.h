#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace kiln {

// Question 5, as far as a tracker knows: what devices are doing now.
struct FarmView {
  std::string tracker;  // its address
  std::string trouble;  // why it says nothing; empty: it does
  struct Row {
    std::string device, target, state, holder;
    std::string fault;  // the last one, and when it is tried again; empty: none
  };
  std::vector<Row> rows;
  std::int64_t waiting = 0;  // clients
};

}  // namespace kiln
