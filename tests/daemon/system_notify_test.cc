#include "daemon/system_notify.h"

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "tests/base/temporary_directory.h"

namespace kiln {
namespace {

using std::chrono::seconds;

// A service manager: what it is told, each message once; "" where nothing was.
class Manager {
 public:
  // `address` as in $NOTIFY_SOCKET.
  explicit Manager(const std::string& address)
      : fd_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un place{};
    place.sun_family = AF_UNIX;
    std::memcpy(place.sun_path, address.data(), address.size());
    if (address[0] == '@') place.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
    EXPECT_EQ(bind(fd_, reinterpret_cast<const sockaddr*>(&place), size), 0);
  }
  ~Manager() { close(fd_); }
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;

  // What is sent is there when Send() has returned.
  std::string Hear() const {
    char text[256];
    const ssize_t size = recv(fd_, text, sizeof text, MSG_DONTWAIT);
    return {text, size > 0 ? static_cast<std::size_t>(size) : 0};
  }

 private:
  const int fd_;
};

class SystemNotifyTest : public testing::Test {
 protected:
  SystemNotifyTest() { Forget(); }
  ~SystemNotifyTest() override { Forget(); }

  static void Forget() {
    for (const char* variable : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) {
      unsetenv(variable);
    }
  }
  static std::optional<std::chrono::nanoseconds> IntervalFor(const std::string& usec,
                                                             const std::string& pid) {
    setenv("WATCHDOG_USEC", usec.c_str(), 1);
    if (!pid.empty()) setenv("WATCHDOG_PID", pid.c_str(), 1);
    return NewSystemNotify()->watchdog_interval();
  }

  const TemporaryDirectory place_;
};

TEST_F(SystemNotifyTest, ManagerIsToldWhatIsSentInOrder) {
  const Manager manager(place_.File("notify"));
  setenv("NOTIFY_SOCKET", place_.File("notify").c_str(), 1);
  const auto notify = NewSystemNotify();
  notify->Send("READY=1\nSTATUS=good");
  notify->Send("WATCHDOG=1");
  EXPECT_EQ(manager.Hear(), "READY=1\nSTATUS=good");
  EXPECT_EQ(manager.Hear(), "WATCHDOG=1");
  EXPECT_EQ(manager.Hear(), "");
}

TEST_F(SystemNotifyTest, ManagerMayListenInTheAbstractNamespace) {
  const std::string address = "@kiln-test-" + std::to_string(getpid());
  const Manager manager(address);
  setenv("NOTIFY_SOCKET", address.c_str(), 1);
  NewSystemNotify()->Send("READY=1");
  EXPECT_EQ(manager.Hear(), "READY=1");
}

TEST_F(SystemNotifyTest, WithoutAManagerNothingIsSentAndNothingFails) {
  NewSystemNotify()->Send("READY=1");
  EXPECT_FALSE(NewSystemNotify()->watchdog_interval());
  setenv("NOTIFY_SOCKET", place_.File("nobody").c_str(), 1);
  NewSystemNotify()->Send("READY=1");
  setenv("NOTIFY_SOCKET", ("/" + std::string(200, 'x')).c_str(), 1);
  NewSystemNotify()->Send("READY=1");
}

TEST_F(SystemNotifyTest, ManagerThatDoesNotReadHoldsNobodyUp) {
  const Manager manager(place_.File("notify"));
  setenv("NOTIFY_SOCKET", place_.File("notify").c_str(), 1);
  const auto notify = NewSystemNotify();
  for (int i = 0; i < 10'000; ++i) notify->Send("WATCHDOG=1");
  EXPECT_EQ(manager.Hear(), "WATCHDOG=1");
}

TEST_F(SystemNotifyTest, WatchdogIsDueAtHalfOfWhatIsAllowed) {
  EXPECT_EQ(IntervalFor("60000000", ""), seconds(30));
  EXPECT_EQ(IntervalFor("60000000", std::to_string(getpid())), seconds(30));
}

TEST_F(SystemNotifyTest, WatchdogOfAnotherProgramOrOfNoTimeIsNone) {
  EXPECT_FALSE(IntervalFor("60000000", std::to_string(getppid())));
  for (const char* usec : {"0", "-5", "soon", ""}) EXPECT_FALSE(IntervalFor(usec, "")) << usec;
}

TEST_F(SystemNotifyTest, VariablesAreNotLeftForChildren) {
  setenv("NOTIFY_SOCKET", place_.File("nobody").c_str(), 1);
  setenv("WATCHDOG_USEC", "1000", 1);
  setenv("WATCHDOG_PID", "1", 1);
  const auto notify = NewSystemNotify();
  for (const char* variable : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) {
    EXPECT_EQ(std::getenv(variable), nullptr) << variable;
  }
}

}  // namespace
}  // namespace kiln
