#include "proto/listener.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <poll.h>
#include <spdlog/details/null_mutex.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/sanitizer.h"
#include "tests/base/temporary_directory.h"

namespace kiln {
namespace {

constexpr std::chrono::seconds kPatience{30};

// Keeps what the log says while it lives.
class LogCapture {
 public:
  LogCapture() : former_(spdlog::default_logger()) {
    spdlog::set_default_logger(std::make_shared<spdlog::logger>("", sink_));
  }
  ~LogCapture() { spdlog::set_default_logger(former_); }
  // How often it has said this.
  int Count(const std::string& text) const { return sink_->Count(text); }
  bool Await(const std::string& text) const { return sink_->Await(text); }

 private:
  class Sink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
   public:
    int Count(const std::string& text) {
      const std::lock_guard lock(lines_mutex_);
      return static_cast<int>(std::count_if(lines_.begin(), lines_.end(), [&](auto& line) {
        return line.find(text) != std::string::npos;
      }));
    }
    bool Await(const std::string& text) {
      std::unique_lock lock(lines_mutex_);
      return changed_.wait_for(lock, kPatience, [&] {
        return std::any_of(lines_.begin(), lines_.end(),
                           [&](auto& line) { return line.find(text) != std::string::npos; });
      });
    }

   private:
    void sink_it_(const spdlog::details::log_msg& line) override {
      const std::lock_guard lock(lines_mutex_);
      lines_.emplace_back(line.payload.data(), line.payload.size());
      changed_.notify_all();
    }
    void flush_() override {}

    std::mutex lines_mutex_;
    std::condition_variable changed_;
    std::vector<std::string> lines_;
  };

  const std::shared_ptr<Sink> sink_ = std::make_shared<Sink>();
  const std::shared_ptr<spdlog::logger> former_;
};

// Lowers this process's limit of descriptors while it lives.
class DescriptorLimit {
 public:
  explicit DescriptorLimit(rlim_t most) {
    getrlimit(RLIMIT_NOFILE, &former_);
    const rlimit lower{most, former_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &lower), 0);
  }
  ~DescriptorLimit() { setrlimit(RLIMIT_NOFILE, &former_); }

 private:
  rlimit former_{};
};

// What a listener has taken.
class Taken {
 public:
  ~Taken() {
    for (const int one : descriptors_) close(one);
  }
  void Add(int descriptor) {
    const std::lock_guard lock(mutex_);
    descriptors_.push_back(descriptor);
    changed_.notify_all();
  }
  bool Await(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return descriptors_.size() >= count; });
  }
  std::size_t size() {
    const std::lock_guard lock(mutex_);
    return descriptors_.size();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<int> descriptors_;
};

int ConnectTo(const std::string& address, int made = -1) {
  const int client = made >= 0 ? made : socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  name.sin_port =
      htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
  EXPECT_EQ(connect(client, reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
  return client;
}

int HighestDescriptor() {
  const int next = open("/dev/null", O_RDONLY | O_CLOEXEC);
  close(next);
  return next;
}

// Closed by the other end.
bool IsRefused(int client) {
  pollfd ready{client, POLLIN, 0};
  char byte = 0;
  return poll(&ready, 1, static_cast<int>(std::chrono::milliseconds(kPatience).count())) == 1 &&
         recv(client, &byte, 1, MSG_DONTWAIT) <= 0;
}

TEST(ListenerTest, GivesConnectionsAway) {
  Taken taken;
  const auto listener = OpenListener("127.0.0.1:0", {});
  ASSERT_TRUE(listener.ok()) << listener.status();
  (*listener)->Start([&](int one) { taken.Add(one); });
  const int client = ConnectTo((*listener)->address());
  EXPECT_TRUE(taken.Await(1));
  close(client);
}

TEST(ListenerTest, AcceptThatFailsForWantOfDescriptorsIsTriedAgain) {
  if (kHasAddressSanitizer) {  // and UBSan with it
    GTEST_SKIP()
        << "SKIPPED: UBSan looks at objects through a pipe, for which no descriptor is left";
  }
  LogCapture log;
  Taken taken;
  {
    const auto listener = OpenListener("127.0.0.1:0", {});
    ASSERT_TRUE(listener.ok()) << listener.status();
    const int sockets[] = {socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
                           socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    std::optional<DescriptorLimit> none(std::in_place, 3);  // accept4() itself says EMFILE
    (*listener)->Start([&](int one) { taken.Add(one); });
    for (const int one : sockets) ConnectTo((*listener)->address(), one);
    EXPECT_TRUE(log.Await("cannot accept connections now: Too many open files"));
    EXPECT_EQ(taken.size(), 0u);
    none.reset();
    EXPECT_TRUE(taken.Await(2)) << "those that waited in the backlog";
    for (const int one : sockets) close(one);
  }
  EXPECT_EQ(log.Count("cannot accept"), 1) << "it says so once";
}

TEST(ListenerTest, ConnectionsDoNotGetTheLastDescriptors) {
  LogCapture log;
  Taken taken;
  {
    const auto listener = OpenListener("127.0.0.1:0", {});
    ASSERT_TRUE(listener.ok()) << listener.status();
    const int before = ConnectTo((*listener)->address());
    const int reserved = ConnectTo((*listener)->address());
    std::optional<DescriptorLimit> few(std::in_place, HighestDescriptor() + 64);
    (*listener)->Start([&](int one) { taken.Add(one); });
    EXPECT_TRUE(IsRefused(before));
    EXPECT_TRUE(IsRefused(reserved));
    few.reset();
    const int after = ConnectTo((*listener)->address());
    EXPECT_TRUE(taken.Await(1));
    for (const int one : {before, reserved, after}) close(one);
  }
  EXPECT_EQ(log.Count("descriptors are in use"), 1) << "it says so once";
}

TEST(ListenerTest, WhoFillsTheMemoryIsCutOff) {
  LogCapture log;
  Taken taken;
  {
    // All that this program has is too much.
    const auto listener = OpenListener("127.0.0.1:0", {.bytes = 1, .bytes_per_connection = 0});
    ASSERT_TRUE(listener.ok()) << listener.status();
    std::mutex mutex;
    std::vector<int> accepted;
    (*listener)->Start([&](int one) {
      const std::lock_guard lock(mutex);
      accepted.push_back(one);
      taken.Add(one);
    });
    const int quiet = ConnectTo((*listener)->address());
    const int loud = ConnectTo((*listener)->address());
    ASSERT_TRUE(taken.Await(2));
    // Nobody reads it, so that the system takes what its buffers hold and then waits: a megabyte and
    // more has come by the time that the connection is cut.
    const std::string block(1 << 16, 'x');
    while (send(loud, block.data(), block.size(), MSG_NOSIGNAL) > 0) {
      char sink[1 << 16];
      const std::lock_guard lock(mutex);
      for (const int one : accepted) {
        while (recv(one, sink, sizeof sink, MSG_DONTWAIT) > 0) {
        }
      }
    }
    char byte = 0;
    EXPECT_LT(recv(quiet, &byte, 1, MSG_DONTWAIT), 0) << "it has sent nothing";
    EXPECT_TRUE(errno == EAGAIN);
    close(quiet);
    close(loud);
  }
  EXPECT_EQ(log.Count("cut off"), 1);
}

TEST(ListenerTest, UnixSocketGoesWithItsListener) {
  const TemporaryDirectory directory;
  const std::string address = "unix:" + directory.File("socket");
  {
    const auto listener = OpenListener(address, {});
    ASSERT_TRUE(listener.ok()) << listener.status();
    EXPECT_EQ((*listener)->address(), address);
    EXPECT_EQ(directory.Count(), 1);
  }
  EXPECT_EQ(directory.Count(), 0);
}

TEST(ListenerTest, UnixSocketOfALivingServerIsNotTakenOver) {
  const TemporaryDirectory directory;
  const std::string address = "unix:" + directory.File("socket");
  const auto first = OpenListener(address, {});
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = OpenListener(address, {});
  EXPECT_EQ(second.status().code(), StatusCode::kUnavailable);
  EXPECT_THAT(Message(second.status()), testing::HasSubstr("another program listens there"));
  EXPECT_EQ(directory.Count(), 1);
}

TEST(ListenerTest, UnixSocketOfADeadServerIsTakenOver) {
  const TemporaryDirectory directory;
  const std::string path = directory.File("socket");
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  path.copy(name.sun_path, sizeof name.sun_path - 1);
  const int dead = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(bind(dead, reinterpret_cast<const sockaddr*>(&name), sizeof name), 0);
  close(dead);
  ASSERT_EQ(directory.Count(), 1);
  EXPECT_TRUE(OpenListener("unix:" + path, {}).ok());
}

}  // namespace
}  // namespace kiln
