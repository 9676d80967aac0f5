// kiln-count-host: runs kernels one after the other on one thread, under an emulator whose plugin
// counts what they execute (count_marker.h), and checks their output. `kiln` starts it and talks to
// it on a socket that it finds as file descriptor 3: a frame each way per kernel, as kiln-host does
// (kernel_host/host_protocol.h), but nothing is timed; an empty frame is answered with the
// instruction-set features of the machine (ops/isa.h). No sandbox: the emulated process is the
// victim of a bad kernel, and `kiln` sees how it died.

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>

#include "apps/kiln_count_host/count_marker.h"
#include "base/digest.h"
#include "base/frame.h"
#include "base/standard_streams.h"
#include "base/version.h"
#include "kernel_host/bound_kernel.h"
#include "kernel_host/elf_loader.h"
#include "kernel_host/host_protocol.h"
#include "kernel_host/prepared_case.h"
#include "kernel_host/thread_pool.h"

namespace kiln {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::uint8_t kUnwritten = 0x5A;  // what y holds before a call

void Mark(long command, std::uintptr_t begin = 0, std::uintptr_t end = 0) {
  syscall(KILN_COUNT_SYSCALL, command, begin, end);
}

Failure Wrong(Stage stage, FailureKind kind, std::string message) {
  return {stage, kind, std::move(message)};
}

// The buffers of one kernel.
struct Buffers {
  GuardedBuffer packed, shared_ws, thread_ws, y;
  bool Map(const kiln_info& info) {
    using Sharing = GuardedBuffer::Sharing;
    packed = GuardedBuffer::Map(info.packed_bytes, kAlignment, Sharing::kPrivate);
    shared_ws = GuardedBuffer::Map(info.shared_bytes, kAlignment, Sharing::kPrivate);
    thread_ws = GuardedBuffer::Map(info.thread_bytes, kAlignment, Sharing::kPrivate);
    y = GuardedBuffer::Map(info.y_bytes, 1, Sharing::kPrivate);
    return packed.mapped() && shared_ws.mapped() && thread_ws.mapped() && y.mapped();
  }
};

// Runs what it is asked to. The data of a task are made once.
class CountHost {
 public:
  explicit CountHost(std::unique_ptr<ThreadPool> pool) : pool_(std::move(pool)) {}

  HostReply Run(const HostRequest& request) {
    HostReply reply;
    if (auto failure = TryRun(request, reply)) reply.outcome = *std::move(failure);
    return reply;
  }

 private:
  std::optional<Failure> TryRun(const HostRequest& request, HostReply& reply) {
    if (request.plan.threads != 1 || request.cases.empty()) {
      return Wrong(Stage::kLoad, FailureKind::kBadObject,
                   "counting takes one thread and at least one case");
    }
    std::string error;
    const std::optional<LoadedObject> object = LoadedObject::Load(request.object, error);
    if (!object) return Wrong(Stage::kLoad, FailureKind::kBadObject, error);
    Mark(KILN_COUNT_WATCH, object->begin(), object->end());
    BoundKernel kernel;
    if (auto failure = Bind(*object, request.symbol,
                            {.workload = request.workload, .machine = DetectIsa()}, kernel)) {
      return failure;
    }
    Buffers buffers;
    if (!buffers.Map(kernel.info)) {
      return Wrong(Stage::kRun, FailureKind::kRuntimeError, "no memory for the kernel's buffers");
    }
    for (std::size_t i = 0; i < request.cases.size(); ++i) {
      const auto prepared = cases_.Get(request.workload, request.cases[i], error);
      if (!prepared) return Wrong(Stage::kLoad, FailureKind::kBadObject, error);
      if (auto failure = Pack(*prepared, buffers, kernel)) return failure;
      if (i == 0) Mark(KILN_COUNT_START);
      CallShare(kernel, *pool_, 0);
      if (i == 0) Mark(KILN_COUNT_STOP);
      const std::uint64_t digest = Digest(kernel.y, buffers.y.size());
      reply.digests.push_back(digest);
      if (request.cases[i].check && digest != request.cases[i].expected_digest) {
        return Wrong(Stage::kVerify, FailureKind::kWrongResult,
                     "case " + std::to_string(i) + ": digest " + Hex(digest) + " instead of " +
                         Hex(request.cases[i].expected_digest));
      }
    }
    return std::nullopt;
  }

  static std::optional<Failure> Pack(const PreparedCase& prepared, const Buffers& buffers,
                                     BoundKernel& kernel) {
    const Placement placement = Placement::kLow;
    const kiln_op op = prepared.op(placement);
    if (const int status = kernel.pack(&op, buffers.packed.At(placement)); status != KILN_OK) {
      return Wrong(Stage::kPack,
                   status == KILN_E_CLASS ? FailureKind::kWrongClass : FailureKind::kRuntimeError,
                   "pack returned " + std::to_string(status));
    }
    buffers.y.Fill(kUnwritten);
    kernel.packed = buffers.packed.At(placement);
    kernel.x = prepared.x(placement);
    kernel.y = buffers.y.At(placement);
    kernel.shared_ws = buffers.shared_ws.At(placement);
    kernel.thread_ws[0] = buffers.thread_ws.At(placement);
    return std::nullopt;
  }

  const std::unique_ptr<ThreadPool> pool_;
  CaseCache cases_;
};

bool IsSocket(int fd) {
  struct stat status {};
  return fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
}

std::string GreetingOf(IsaMask machine) {
  return {reinterpret_cast<const char*>(&machine), sizeof machine};
}

int Serve() {
  std::string log, error;
  auto pool = ThreadPool::Start(1, {}, log, error);
  if (!pool) {
    WriteError("kiln-count-host: " + error + "\n");
    return EXIT_FAILURE;
  }
  CountHost host(std::move(pool));
  std::string frame;
  while (ReadFrame(kHelperSocket, frame)) {
    HostRequest request;
    std::string answer;
    if (frame.empty()) {
      answer = GreetingOf(DetectIsa());
    } else if (Deserialize(frame, request)) {
      answer = Serialize(host.Run(request));
    } else {
      WriteError("kiln-count-host: not a request of this version\n");
      return EXIT_FAILURE;
    }
    if (!WriteFrame(kHelperSocket, answer)) return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace kiln

int main(int argc, char** argv) {
  kiln::PrepareStandardStreams();
  if (argc == 2 && std::strcmp(argv[1], "--version") == 0) {
    kiln::WriteOutputLine(std::string("kiln-count-host ") + kiln::kVersion);
    return kiln::FinishOutput("kiln-count-host", EXIT_SUCCESS);
  }
  if (argc != 1 || !kiln::IsSocket(kiln::kHelperSocket)) {
    kiln::WriteError(
        "kiln-count-host: a helper that kiln starts for estimates (kiln tune --estimate)\n");
    return 2;
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  constexpr rlimit kNoCore{0, 0};
  setrlimit(RLIMIT_CORE, &kNoCore);
  return kiln::Serve();
}
