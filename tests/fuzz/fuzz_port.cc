// Bytes into the port of a farm of one that serves in this process, with the methods of tracker and
// device: in plaintext, or with KILN_FUZZ_TLS over TLS, before any handshake. Each input is a
// connection of its own. What it must do is live on.

#include <arpa/inet.h>
#include <grpcpp/grpcpp.h>
#include <netinet/in.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

#include "proto/peer.h"
#include "proto/tracker.grpc.pb.h"
#include "proto/transport.h"
#include "rpc_server/device_service.h"
#include "rpc_tracker/tracker_service.h"

#ifdef KILN_FUZZ_TLS
#include "tests/base/temporary_directory.h"
#endif

namespace kiln {
namespace {

void Need(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "no server: %s\n", Message(status).c_str());
  std::abort();
}

// Measurements are made at once, and come to nothing.
class NoQueue final : public MeasureQueue {
 public:
  void Submit(MeasureJob job) override {
    HostReply reply;
    reply.outcome = Timings{{1}, 1};
    reply.digests.resize(job.request.cases.size());
    job.done(std::move(reply));
  }
  void DropUnwanted() override {}
};

// After libFuzzer's alarm has interrupted connect(), which goes on.
bool IsConnected(int socket) {
  pollfd ready{socket, POLLOUT, 0};
  int error = 0;
  socklen_t size = sizeof error;
  return poll(&ready, 1, 10'000) == 1 &&
         getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
}

class Farm {
 public:
  Farm() {
    spdlog::set_level(spdlog::level::off);
    ListenOptions listen;
#ifdef KILN_FUZZ_TLS
    const std::string make = "'" KILN_SOURCE_DIR
                             "/scripts/make-certs' farm --tracker localhost --dir '" +
                             place_.path().string() + "' >/dev/null";
    if (std::system(make.c_str()) != 0) std::abort();
    listen.tls = {place_.File("ca.crt"), place_.File("tracker.crt"), place_.File("tracker.key"),
                  place_.File("crl.pem")};
#endif
    listen.traffic.memory.bytes = std::size_t{4} << 30;  // the fuzzer's own is in it
    auto peers = NewPeerCheck(listen.tls, SystemClock());
    Need(peers.status());
    peers_ = *std::move(peers);
    service_ = NewTrackerService(*reactor_, SystemClock(), *peers_, {}, nullptr);
    fence_.Grant({"l", "client", 1});  // which measurements in the corpus name
    device_ = NewDeviceService({"device", "target", {}, {0}, {}, "fuzz"}, fence_, *peers_,
                               std::make_unique<NoQueue>());
    auto server = Listen(listen, {&service_->service(), &device_->service()});
    Need(server.status());
    server_ = *std::move(server);
    const std::string address = server_->address();
    name_.sin_family = AF_INET;
    name_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    name_.sin_port =
        htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
  }

  void Take(const std::uint8_t* data, std::size_t size) {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(socket, reinterpret_cast<const sockaddr*>(&name_), sizeof name_) != 0 &&
        !(errno == EINTR && IsConnected(socket))) {
      std::fprintf(stderr, "the server takes no connections any more: %s\n", std::strerror(errno));
      std::abort();
    }
    // So that thousands of connections a second do not use up the ports.
    const linger reset{1, 0};
    setsockopt(socket, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    (void)!send(socket, data, size, MSG_NOSIGNAL);
    shutdown(socket, SHUT_WR);
    // Until it closes, or says nothing more for a moment.
    char block[4096];
    pollfd ready{socket, POLLIN, 0};
    while (poll(&ready, 1, 20) == 1 && recv(socket, block, sizeof block, 0) > 0) {
    }
    close(socket);
  }

 private:
#ifdef KILN_FUZZ_TLS
  const TemporaryDirectory place_;
#endif
  const std::unique_ptr<Reactor> reactor_ = NewReactor();
  std::unique_ptr<PeerCheck> peers_;
  std::unique_ptr<TrackerService> service_;
  LeaseFence fence_;
  std::unique_ptr<DeviceService> device_;
  std::unique_ptr<RpcServer> server_;
  sockaddr_in name_{};
};

}  // namespace
}  // namespace kiln

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static kiln::Farm farm;
  farm.Take(data, size);
  return 0;
}
