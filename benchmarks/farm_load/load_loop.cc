#include "benchmarks/farm_load/load_loop.h"

#include <absl/synchronization/mutex.h>
#include <grpc/grpc_security_constants.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <csignal>
#include <cstdlib>

namespace kiln::load {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kNotice{100};  // how long a signal may go unseen

gpr_timespec ToTimespec(SteadyTime time) {
  // gRPC's monotonic clock is the system's, as steady_clock is.
  const auto since = time.time_since_epoch();
  return gpr_time_from_nanos(std::chrono::duration_cast<std::chrono::nanoseconds>(since).count(),
                             GPR_CLOCK_MONOTONIC);
}

std::shared_ptr<grpc::ChannelCredentials> MakeCredentials(const Credential& credential) {
  if (credential.ca.empty()) return grpc::InsecureChannelCredentials();
  using grpc::experimental::IdentityKeyCertPair;
  grpc::experimental::TlsChannelCredentialsOptions options;
  const std::vector<IdentityKeyCertPair> pairs = {{credential.key, credential.cert}};
  options.set_certificate_provider(
      std::make_shared<grpc::experimental::StaticDataCertificateProvider>(credential.ca, pairs));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  return grpc::experimental::TlsCredentials(options);
}

}  // namespace

std::atomic<int> LoadLoop::interrupted_{0};

void LoadLoop::OnSignal(int) {
  if (interrupted_.exchange(1) != 0) std::_Exit(130);
}

void LoadLoop::CatchSignals() {
  struct sigaction action {};
  action.sa_handler = OnSignal;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

LoadLoop::LoadLoop() {
  // Debian builds abseil with its search for deadlocks: at each lock, in a graph with a lock of its own.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
}

LoadLoop::~LoadLoop() {
  queue_.Shutdown();
  void* tag = nullptr;
  for (bool ok = false; queue_.Next(&tag, &ok);) {
  }
}

// One event, and the timers that are due. False: it is time to return.
bool LoadLoop::Step(SteadyTime until) {
  SteadyTime wake = std::min(until, Now() + kNotice);
  if (!timers_.empty()) wake = std::min(wake, timers_.top().due);
  void* tag = nullptr;
  bool ok = false;
  if (queue_.AsyncNext(&tag, &ok, ToTimespec(wake)) == grpc::CompletionQueue::GOT_EVENT) {
    static_cast<Tag*>(tag)->Done(ok);
  }
  const SteadyTime now = Now();
  while (!timers_.empty() && timers_.top().due <= now) {
    const std::function<void()> work = timers_.top().work;
    timers_.pop();
    work();
  }
  return now < until && (leaving_ || !interrupted());
}

bool LoadLoop::RunFor(std::chrono::nanoseconds time) {
  const SteadyTime until = Now() + time;
  while (Step(until)) {
  }
  return leaving_ || !interrupted();
}

bool LoadLoop::RunUntil(const std::function<bool()>& done, std::chrono::nanoseconds patience) {
  const SteadyTime until = Now() + patience;
  while (!done()) {
    if (!Step(until)) return done();
  }
  return true;
}

std::shared_ptr<grpc::Channel> MakeChannel(const Endpoint& endpoint, const Credential& credential) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // or all would share one connection
  // As proto/transport.cc, since a tracker has to bear it.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 5000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 20'000);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // What the generator can do without.
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_CHANNELZ, 0);
  if (!endpoint.tls_name.empty()) arguments.SetSslTargetNameOverride(endpoint.tls_name);
  return grpc::CreateCustomChannel(endpoint.address, MakeCredentials(credential), arguments);
}

}  // namespace kiln::load
