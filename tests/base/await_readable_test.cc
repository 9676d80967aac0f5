#include "base/await_readable.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <memory>
#include <utility>

namespace kiln {
namespace {

using boost::asio::posix::stream_descriptor;
using ErrorCode = boost::system::error_code;

// A pipe whose reading end is the loop's.
struct Pipe {
  explicit Pipe(boost::asio::io_context& io) : end(io) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    end.assign(ends[0]);
    writing = ends[1];
  }
  ~Pipe() { close(writing); }
  void Fill() const { EXPECT_EQ(write(writing, "x", 1), 1); }

  stream_descriptor end;
  int writing = -1;
};

TEST(AwaitReadableTest, ThereIsSomethingOrTheOtherEndIsClosed) {
  boost::asio::io_context io;
  Pipe full(io);
  auto closed = std::make_unique<Pipe>(io);
  int calls = 0;
  const auto count = [&](const ErrorCode& error) { calls += error ? 100 : 1; };
  AwaitReadable(full.end, count);
  AwaitReadable(closed->end, count);
  io.poll();
  EXPECT_EQ(calls, 0);
  full.Fill();
  close(std::exchange(closed->writing, -1));
  io.restart();
  io.poll();
  EXPECT_EQ(calls, 2);
}

TEST(AwaitReadableTest, CalledOffIsAnError) {
  boost::asio::io_context io;
  Pipe pipe(io);
  ErrorCode told;
  AwaitReadable(pipe.end, [&](const ErrorCode& error) { told = error; });
  pipe.end.cancel();
  io.poll();
  EXPECT_EQ(told, boost::asio::error::operation_aborted);
}

// Two are ready in one round of the loop. Whichever is told first closes the other, and another
// one takes its place, as a program does that is started in the moment in which one has ended.
TEST(AwaitReadableTest, WhatWasReadyBeforeInItsPlaceDoesNotCount) {
  for (int round = 0; round < 10; ++round) {
    boost::asio::io_context io;
    Pipe first(io), second(io);
    std::unique_ptr<Pipe> next;
    bool too_early = false;
    const auto replace = [&](Pipe& other) {
      if (next) return;
      other.end.close();
      next = std::make_unique<Pipe>(io);
      AwaitReadable(next->end, [&](const ErrorCode&) { too_early = true; });
    };
    AwaitReadable(first.end, [&](const ErrorCode&) { replace(second); });
    AwaitReadable(second.end, [&](const ErrorCode&) { replace(first); });
    first.Fill();
    second.Fill();
    io.poll();
    ASSERT_TRUE(next);
    EXPECT_FALSE(too_early);
  }
}

}  // namespace
}  // namespace kiln
