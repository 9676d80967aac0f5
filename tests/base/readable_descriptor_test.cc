#include "base/readable_descriptor.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <memory>
#include <optional>
#include <utility>

namespace kiln {
namespace {

// A pipe whose reading end is the loop's.
class Pipe {
 public:
  explicit Pipe(boost::asio::io_context& io) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    end.emplace(io, ends[0]);
    writing_ = ends[1];
  }
  ~Pipe() { CloseWriting(); }
  void Fill() const { EXPECT_EQ(write(writing_, "x", 1), 1); }
  void CloseWriting() {
    if (writing_ >= 0) close(std::exchange(writing_, -1));
  }

  std::optional<ReadableDescriptor> end;

 private:
  int writing_ = -1;
};

TEST(ReadableDescriptorTest, ThereIsSomethingOrTheOtherEndIsClosed) {
  boost::asio::io_context io;
  Pipe full(io), closed(io);
  int calls = 0;
  const auto count = [&](bool is_readable) { calls += is_readable ? 1 : 100; };
  full.end->Await(count);
  closed.end->Await(count);
  io.poll();
  EXPECT_EQ(calls, 0);
  full.Fill();
  closed.CloseWriting();
  io.restart();
  io.poll();
  EXPECT_EQ(calls, 2);
}

TEST(ReadableDescriptorTest, ClosedMeanwhileIsTold) {
  boost::asio::io_context io;
  Pipe pipe(io), gone(io);
  int told = 0;
  const auto count = [&](bool is_readable) { told += is_readable ? 100 : 1; };
  pipe.end->Await(count);
  gone.end->Await(count);
  pipe.end->Close();
  gone.end.reset();
  io.poll();
  EXPECT_EQ(told, 2);
  EXPECT_EQ(pipe.end->fd(), -1);
}

// The loop knows already that there is something when it is closed.
TEST(ReadableDescriptorTest, ClosedWhileItIsBeingToldIsNotReadable) {
  boost::asio::io_context io;
  Pipe first(io), second(io);
  int readable = 0;
  first.end->Await([&](bool is_readable) {
    readable += is_readable;
    second.end.reset();
  });
  second.end->Await([&](bool is_readable) {
    readable += is_readable;
    first.end.reset();
  });
  first.Fill();
  second.Fill();
  io.poll();
  EXPECT_EQ(readable, 1);
}

// Two are ready in one round of the loop. Whichever is told first closes the other, and another
// one takes its place, as a program does that is started in the moment in which one has ended.
TEST(ReadableDescriptorTest, WhatWasReadyBeforeInItsPlaceDoesNotCount) {
  for (int round = 0; round < 10; ++round) {
    boost::asio::io_context io;
    Pipe first(io), second(io);
    std::unique_ptr<Pipe> next;
    bool too_early = false;
    const auto replace = [&](Pipe& other) {
      if (next) return;
      other.end->Close();
      next = std::make_unique<Pipe>(io);
      next->end->Await([&](bool) { too_early = true; });
    };
    first.end->Await([&](bool) { replace(second); });
    second.end->Await([&](bool) { replace(first); });
    first.Fill();
    second.Fill();
    io.poll();
    ASSERT_TRUE(next);
    EXPECT_FALSE(too_early);
  }
}

}  // namespace
}  // namespace kiln
