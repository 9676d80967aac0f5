#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "measure/measurement.h"

namespace kiln {

// Trials of one task that were proposed together.
struct Batch {
  Batch(std::size_t the_task, std::size_t size) : task(the_task), trials(size), missing(size) {}

  std::size_t task;                          // index
  std::vector<std::optional<Trial>> trials;  // in order of submission; empty: could not be made
  std::size_t missing;                       // neither made nor given up

  std::vector<Trial> Finished() const {
    std::vector<Trial> finished;
    for (const auto& trial : trials) {
      if (trial) finished.push_back(*trial);
    }
    return finished;
  }
};

// These are the batches that were submitted and not yet learnt, in order of submission, at most
// `capacity`. They leave in that order, whole: what is known when a batch is proposed depends on
// its number and not on which device was faster.
class BatchWindow {
 public:
  explicit BatchWindow(std::size_t capacity) : capacity_(capacity) {}

  bool HasRoom() const { return batches_.size() < capacity_; }
  bool OldestIsComplete() const { return !batches_.empty() && batches_.front()->missing == 0; }
  void Push(std::shared_ptr<Batch> batch) { batches_.push_back(std::move(batch)); }
  std::shared_ptr<Batch> PopOldest() {
    std::shared_ptr<Batch> oldest = std::move(batches_.front());
    batches_.pop_front();
    return oldest;
  }

 private:
  std::size_t capacity_;
  std::deque<std::shared_ptr<Batch>> batches_;
};

}  // namespace kiln
