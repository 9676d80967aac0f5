#pragma once

#include <condition_variable>
#include <mutex>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace kiln {

// This is where other threads leave messages for the one that takes them. Thread-safe.
template <typename Message>
class Mailbox {
 public:
  void Put(Message message) {
    // Notified under the lock: the taker may destroy the mailbox once it has the last message.
    std::lock_guard lock(mutex_);
    messages_.push_back(std::move(message));
    arrived_.notify_one();
  }

  // All messages in order of arrival; waits for the first one no longer than `timeout`.
  std::vector<Message> TakeAll(Nanoseconds timeout) {
    std::unique_lock lock(mutex_);
    arrived_.wait_for(lock, timeout, [this] { return !messages_.empty(); });
    return std::exchange(messages_, {});
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<Message> messages_;
};

}  // namespace kiln
