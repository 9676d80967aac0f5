#include "proto/inflow.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace kiln {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

// A TCP connection with both its ends here.
class Connection {
 public:
  Connection() {
    const int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof name;
    EXPECT_EQ(bind(listening, reinterpret_cast<sockaddr*>(&name), size), 0);
    EXPECT_EQ(listen(listening, 1), 0);
    EXPECT_EQ(getsockname(listening, reinterpret_cast<sockaddr*>(&name), &size), 0);
    client_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(connect(client_, reinterpret_cast<sockaddr*>(&name), size), 0);
    server_ = accept(listening, nullptr, nullptr);
    close(listening);
  }
  ~Connection() { Close(); }

  int server() const { return server_; }
  void Close() {
    if (client_ >= 0) close(client_);
    if (server_ >= 0) close(server_);
    client_ = server_ = -1;
  }
  // And takes it at the other end.
  void Send(std::size_t bytes) const {
    const std::string block(bytes, 'x');
    std::string taken(bytes, ' ');
    ASSERT_EQ(send(client_, block.data(), bytes, 0), static_cast<ssize_t>(bytes));
    ASSERT_EQ(recv(server_, taken.data(), bytes, MSG_WAITALL), static_cast<ssize_t>(bytes));
  }
  // Whether the other end has been shut down.
  bool IsCut() const {
    char byte = 0;
    return recv(client_, &byte, 1, MSG_DONTWAIT) == 0;
  }

 private:
  int client_ = -1, server_ = -1;
};

TEST(InflowTest, NamesThoseThatHaveSentMostSinceTheLastLook) {
  Connection little, much, more;
  Inflow inflow;
  inflow.Add(little.server(), "little");
  inflow.Add(much.server(), "much");
  inflow.Add(more.server(), "more");
  little.Send(10);
  much.Send(1000);
  more.Send(2000);
  const auto senders = inflow.Look(100);
  ASSERT_THAT(senders, SizeIs(2));
  EXPECT_EQ(senders[0].peer, "more");
  EXPECT_EQ(senders[0].bytes, 2000u);
  EXPECT_EQ(senders[1].peer, "much");
  EXPECT_THAT(inflow.Look(100), IsEmpty()) << "since the last look";
  much.Send(200);
  EXPECT_THAT(inflow.Look(100), SizeIs(1));
  EXPECT_EQ(inflow.size(), 3u);
}

TEST(InflowTest, CutsTheConnectionThatItMeans) {
  Connection loud, quiet;
  Inflow inflow;
  inflow.Add(loud.server(), "loud");
  inflow.Add(quiet.server(), "quiet");
  loud.Send(100);
  const auto senders = inflow.Look(1);
  ASSERT_THAT(senders, SizeIs(1));
  EXPECT_TRUE(Inflow::Cut(senders[0]));
  EXPECT_TRUE(loud.IsCut());
  EXPECT_FALSE(quiet.IsCut());
}

TEST(InflowTest, DescriptorThatHasBecomeAnotherConnectionIsLeftAlone) {
  Connection gone;
  Inflow inflow;
  inflow.Add(gone.server(), "gone");
  gone.Send(100);
  const auto senders = inflow.Look(1);
  ASSERT_THAT(senders, SizeIs(1));
  const int number = gone.server();
  gone.Close();
  EXPECT_FALSE(Inflow::Cut(senders[0])) << "of a closed descriptor";
  Connection other;
  ASSERT_EQ(dup2(other.server(), number), number);
  EXPECT_FALSE(Inflow::Cut(senders[0]));
  EXPECT_FALSE(other.IsCut());
  inflow.Look(1);
  EXPECT_EQ(inflow.size(), 0u) << "and forgotten";
  if (number != other.server()) close(number);
}

TEST(InflowTest, UnixSocketsCountNothingAndAreForgottenAllTheSame) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  Inflow inflow;
  inflow.Add(ends[0], "this machine");
  EXPECT_EQ(inflow.size(), 1u);
  ASSERT_EQ(write(ends[1], "0123456789", 10), 10);
  EXPECT_THAT(inflow.Look(1), IsEmpty());
  close(ends[0]);
  close(ends[1]);
  inflow.Look(1);
  EXPECT_EQ(inflow.size(), 0u);
}

}  // namespace
}  // namespace kiln
