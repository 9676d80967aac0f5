// One device of three that is no good, in each way that one can be: it is passed over, named and put in
// quarantine with the reason, and who needs a device goes on with the others. Real programs on loopback;
// what is wrong with an address is made up by registering it, as a misconfigured server would, what is
// wrong with a device by the kiln-host that its server finds.

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <future>
#include <memory>

#include "tests/integration/farm_client.h"
#include "tests/integration/json_lines.h"
#include "tests/integration/logged_farm.h"
#include "tests/integration/misplaced_device.h"
#include "tests/kernel_host/test_kernels.h"

namespace kiln {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

// With more configs than a test's time is enough for.
constexpr char kConv[] =
    "conv2d/i8/n1h14w14c32/o48/k3x3/s1x1/p1,1,1,1/d1x1/g1/pc/wz0/act=lo/rq=int7/double";
// What a lease on a device that is no good may cost: the connection's 5 s and not the 55 s that it was
// without a limit, on a busy machine.
constexpr seconds kGivenUp{20};
constexpr seconds kTuning{300};

enum class Bad {
  kRefusedPort,
  kSilentPort,
  kAnotherService,
  kHostThatDies,
  kWrongResults,  // which it finds out itself
  kWrongDigests,  // of which it says that all is well
};

struct BadDevice {
  Bad bad;
  const char* name;
  const char* words;  // what is said of it
  // Who runs a kernel there is answered that the kernel is wrong: whose fault that is shows when others
  // are asked, as a tuner does.
  bool answers = false;
};
constexpr BadDevice kBadDevices[] = {
    {Bad::kRefusedPort, "RefusedPort", "nothing listens"},
    {Bad::kSilentPort, "SilentPort", "says nothing"},
    {Bad::kAnotherService, "AnotherService", "another service answers at"},
    {Bad::kHostThatDies, "HostThatDies", "kiln-host"},
    {Bad::kWrongResults, "WrongResults", "gives wrong results: ", true},
    {Bad::kWrongDigests, "WrongDigests", "gives wrong results: ", true},
};
void PrintTo(const BadDevice& device, std::ostream* out) { *out << device.name; }

// This is a port of this machine that takes connections, as far as the system does so by itself, and
// says nothing; or, when it is shut, one that refuses them.
class DeafPort {
 public:
  explicit DeafPort(bool shut) : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const place = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(socket_, place, size), 0);
    EXPECT_TRUE(shut || listen(socket_, 16) == 0);
    EXPECT_EQ(getsockname(socket_, place, &size), 0);
    address_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  }
  ~DeafPort() { close(socket_); }
  DeafPort(const DeafPort&) = delete;
  DeafPort& operator=(const DeafPort&) = delete;
  const std::string& address() const { return address_; }

 private:
  const int socket_;
  std::string address_;
};

class FarmDevicesTest : public LoggedFarmTest, public testing::WithParamInterface<BadDevice> {
 protected:
  void SetUp() override {
    SKIP_WITHOUT_TEST_KERNELS();
    StartTracker();
    for (const char* name : {"good1", "good2"}) servers_.push_back(StartServer(scratch_, name));
    StartBadDevice();
  }

  std::unique_ptr<RunningProgram> StartServer(const Scratch& scratch, const std::string& name) {
    auto server = std::make_unique<RunningProgram>(
        scratch, std::vector<std::string>{"kiln-server", "--tracker", address_, "--target",
                                          "native", "--name", name, "--listen", "127.0.0.1:0"});
    EXPECT_TRUE(Eventually([&] { return LookAt(address_, name).state == "free"; }))
        << server->err();
    return server;
  }
  void StartBadDevice() {
    switch (GetParam().bad) {
      case Bad::kRefusedPort:
        port_ = std::make_unique<DeafPort>(true);
        return RegisterBadDevice(port_->address());
      case Bad::kSilentPort:
        port_ = std::make_unique<DeafPort>(false);
        return RegisterBadDevice(port_->address());
      case Bad::kAnotherService:
        return RegisterBadDevice(address_);
      case Bad::kHostThatDies:
        return StartServerWithHost("/bin/false");
      case Bad::kWrongResults:
        sick_.Set("KILN_TEST_WRONG", "data");
        return StartServerWithHost(ProgramPath("wrong_host"));
      case Bad::kWrongDigests:
        sick_.Set("KILN_TEST_WRONG", "digests");
        return StartServerWithHost(ProgramPath("wrong_host"));
    }
  }
  void RegisterBadDevice(const std::string& address) {
    device_ = RegisterAt(address_, "bad", address);
    EXPECT_TRUE(Eventually([&] { return LookAt(address_, "bad").state == "free"; }));
  }
  void StartServerWithHost(const std::string& host) {
    sick_.SetHost(host);
    servers_.push_back(StartServer(sick_, "bad"));
  }

  // What `kiln devices --json` says.
  nlohmann::json Listed(const std::string& name) const {
    for (const auto& device :
         JsonLines(ExpectKiln(0, {"devices", "--json", "--tracker", address_}).out)) {
      if (device.value("name", "") == name) return device;
    }
    ADD_FAILURE() << name << " is not listed";
    return nlohmann::json::object();
  }
  bool IsQuarantined() const { return LookAt(address_, "bad").state == "quarantined"; }

  // Goes on to so many trials in all, wherever they were begun. All of them must go well, and what was
  // measured on the bad device must not be among them.
  void Tune(int trials) {
    const auto begun = std::chrono::steady_clock::now();
    const Outcome tuned =
        ExpectKiln(0,
                   {"tune", "--tracker", address_, "--trials", std::to_string(trials), "--policy",
                    "random", "--json", "--workload", kConv},
                   kTuning);
    const auto took = std::chrono::steady_clock::now() - begun;
    std::cout << trials << " trials with " << GetParam().name << ": "
              << std::chrono::duration<double>(took).count() << " s\n";
    for (const auto& line : JsonLines(tuned.out)) {
      if (!line.contains("trials")) continue;
      EXPECT_EQ(line["trials"], trials) << line;
      EXPECT_EQ(line["failed"], 0) << "a bad device says nothing of a config: " << line;
    }
    std::size_t stored = 0;
    for (const auto& trial :
         JsonLines(ExpectKiln(0, {"history", "--workload", kConv, "--json"}).out)) {
      ++stored;
      EXPECT_NE(trial["device"], "bad") << trial;
    }
    EXPECT_GE(stored, static_cast<std::size_t>(trials));
    const auto best = JsonLines(ExpectKiln(0, {"best", "--workload", kConv, "--json"}).out);
    ASSERT_EQ(best.size(), 1u);
    EXPECT_NE(best[0]["device"], "bad");
  }
  // Until it is in quarantine: by somebody who runs kernels there while the good ones are in use; if
  // that tells nothing of it, by a tuner.
  void UseUntilQuarantined() {
    {
      const auto ann = HolderOfAGoodOne("ann"), bob = HolderOfAGoodOne("bob");
      const auto client = NewFarmClient(address_, "client");
      for (int tries = 0; tries < 3 && !IsQuarantined(); ++tries) {
        const Status status = client->Acquire();
        ASSERT_TRUE(status.ok()) << status;
        EXPECT_NE(Try(*client), "ok") << "the good ones are in use";
        client->GiveBack();
        EXPECT_TRUE(Eventually([&] { return LookAt(address_, "bad").state != "leased"; }));
      }
    }
    RecordProperty("seconds_lost", std::to_string(lost_));
    std::cout << "seconds lost with " << GetParam().name << ": " << lost_ << "\n";
    EXPECT_EQ(IsQuarantined(), !GetParam().answers);
    for (int trials = 24; trials <= 72 && !IsQuarantined(); trials += 24) Tune(trials);
  }

  // Leases until it is a good device, and holds that.
  std::unique_ptr<FarmClient> HolderOfAGoodOne(const std::string& name) {
    auto client = NewFarmClient(address_, name);
    for (int tries = 0; tries < 4; ++tries) {
      const Status status = client->Acquire();
      EXPECT_TRUE(status.ok()) << status;
      if (Try(*client) == "ok") return client;
      client->GiveBack();
    }
    ADD_FAILURE() << "no good device";
    return client;
  }
  // A run, which ends soon.
  std::string Try(FarmClient& client) {
    const auto begun = std::chrono::steady_clock::now();
    std::string result = client.Run("good");
    const auto took = std::chrono::steady_clock::now() - begun;
    EXPECT_LT(took, kGivenUp) << result;
    if (result == "ok") return result;
    lost_ = std::max(lost_, std::chrono::duration<double>(took).count());
    if (GetParam().answers) {
      EXPECT_EQ(result, "WRONG_RESULT");
      return result;
    }
    EXPECT_THAT(result, HasSubstr("UNAVAILABLE: device bad at 127.0.0.1:"));
    EXPECT_THAT(result, HasSubstr(GetParam().words));
    return result;
  }

  Scratch sick_;  // of the bad one's server
  std::unique_ptr<DeafPort> port_;
  std::vector<std::unique_ptr<RunningProgram>> servers_;
  std::unique_ptr<MisplacedDevice> device_;
  double lost_ = 0;  // seconds, of the longest run in vain
};

TEST_P(FarmDevicesTest, BadDeviceIsPassedOverNamedAndQuarantined) {
  ASSERT_NO_FATAL_FAILURE(UseUntilQuarantined());
  const nlohmann::json listed = Listed("bad");
  EXPECT_EQ(listed.value("state", ""), "quarantined");
  EXPECT_GE(listed.value("failures", 0), 3);
  EXPECT_THAT(listed.value("fault", ""), HasSubstr(GetParam().words));
  EXPECT_GT(listed.value("retry_ms", 0), 0);
  const std::string table = ExpectKiln(0, {"devices", "--tracker", address_}).out;
  EXPECT_THAT(table, HasSubstr("quarantined"));
  EXPECT_THAT(table, HasSubstr("; tried again in "));
  constexpr char kWords[] = "quarantine of bad for 30 s: 3 failures in a row";
  EXPECT_TRUE(tracker_->WaitUntil([&] {
    return tracker_->err().find(kWords) != std::string::npos;
  })) << tracker_->err();

  // Who waits now waits for the good ones.
  const auto ann = HolderOfAGoodOne("ann"), bob = HolderOfAGoodOne("bob");
  const auto client = NewFarmClient(address_, "client");
  auto next = std::async(std::launch::async, [&] { return client->Acquire(); });
  ann->GiveBack();
  const Status status = next.get();
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(Try(*client), "ok");
  client->GiveBack();
  bob->GiveBack();
  for (int lease = 0; lease < 4; ++lease) {
    ASSERT_TRUE(client->Acquire().ok());
    EXPECT_EQ(Try(*client), "ok");
    client->GiveBack();
  }

  // What it was there for is not forgotten over a restart of the tracker, and that a lease is cut off by
  // the tracker's end is nobody's failure.
  ASSERT_TRUE(client->Acquire().ok());
  const std::string fault = listed.value("fault", "");
  tracker_->Signal(SIGTERM);
  EXPECT_EQ(tracker_->Wait().status, 0);
  StartTracker(address_);
  for (const char* name : {"bad", "good1", "good2"}) {
    EXPECT_TRUE(Eventually([&] {
      const auto device = LookAt(address_, name);
      return device.epoch > 0 && device.state != "lost";
    })) << name;
  }
  EXPECT_EQ(Listed("bad").value("state", ""), "quarantined");
  EXPECT_EQ(Listed("bad").value("fault", ""), fault);
  for (const char* good : {"good1", "good2"}) {
    EXPECT_EQ(Listed(good).value("failures", -1), 0) << Listed(good);
  }
  client->GiveBack();
}

TEST_P(FarmDevicesTest, TuningGoesOnWithTheOthers) {
  Tune(24);
  EXPECT_THAT(Listed("bad").value("fault", ""), HasSubstr(GetParam().words));
}

INSTANTIATE_TEST_SUITE_P(Kinds, FarmDevicesTest, testing::ValuesIn(kBadDevices),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace kiln
