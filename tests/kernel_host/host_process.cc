#include "host_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>
#include <variant>

#include "base/digest.h"
#include "base/frame.h"
#include "base/rng.h"
#include "ops/reference.h"
#include "test_kernels.h"

namespace kiln {

HostProcess::HostProcess(std::vector<std::string> command) {
  int ends[2];
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  // Away from 3, so that dup2 to it in the child is a real one and clears close-on-exec.
  const int theirs = fcntl(ends[1], F_DUPFD_CLOEXEC, 10);
  close(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, theirs, kHelperSocket);
  std::vector<char*> arguments;
  for (std::string& argument : command) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  EXPECT_EQ(posix_spawn(&pid_, arguments[0], &actions, nullptr, arguments.data(), environ), 0);
  posix_spawn_file_actions_destroy(&actions);
  close(theirs);
  socket_ = ends[0];
}

HostProcess::~HostProcess() { Close(); }

int HostProcess::Close() {
  if (socket_ < 0) return -1;
  close(std::exchange(socket_, -1));
  int status = 0;
  waitpid(pid_, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void HostProcess::Send(std::string_view frame) { EXPECT_TRUE(WriteFrame(socket_, frame)); }

HostReply HostProcess::AskRaw(std::string_view frame) {
  Send(frame);
  HostReply reply;
  std::string answer;
  EXPECT_TRUE(ReadFrame(socket_, answer)) << "kiln-host has died";
  EXPECT_TRUE(Deserialize(answer, reply));
  return reply;
}

HostReply HostProcess::Ask(const HostRequest& request) { return AskRaw(Serialize(request)); }

Workload NaiveWorkload() {
  Workload workload;
  workload.h = 6;
  workload.w = 7;
  workload.c = 3;
  workload.o = 5;
  workload.kh = workload.kw = 3;
  workload.pad_top = workload.pad_left = workload.pad_bottom = workload.pad_right = 1;
  return workload;
}

OpCase NaiveCase(std::uint64_t seed) {
  const Workload workload = NaiveWorkload();
  Rng rng(seed);
  OpCase op_case;
  OpValues& values = op_case.values;
  for (std::int64_t i = 0; i < workload.w_bytes(); ++i) {
    values.w.push_back(static_cast<std::uint8_t>(rng.Between(-127, 127)));
  }
  for (std::int32_t i = 0; i < workload.o; ++i) {
    values.bias.push_back(static_cast<std::int32_t>(rng.Between(-2000, 2000)));
    values.multiplier.push_back(static_cast<std::int32_t>(rng.Between(1 << 30, INT32_MAX)));
    values.shift.push_back(static_cast<std::int32_t>(rng.Between(-10, -5)));
  }
  values.x_zp = static_cast<std::int32_t>(rng.Between(-128, 127));
  values.y_zp = static_cast<std::int32_t>(rng.Between(-128, 127));
  for (std::int64_t i = 0; i < workload.x_bytes(); ++i) {
    op_case.x.push_back(static_cast<std::uint8_t>(rng.Next()));
  }
  return op_case;
}

HostCase CheckedCase(const OpCase& op_case) {
  const auto y = RunReference(NaiveWorkload(), op_case.values, op_case.x);
  HostCase host_case;
  host_case.source = HostCase::Source::kExplicit;
  host_case.explicit_case = Serialize(op_case);
  host_case.expected_digest = Digest(y.data(), y.size());
  return host_case;
}

HostRequest NaiveRequest(const std::string& kernel) {
  HostRequest request;
  request.object = TestKernel(kernel);
  request.symbol = kTestSymbol;
  request.workload = NaiveWorkload();
  request.cases = {CheckedCase(NaiveCase(1)), CheckedCase(NaiveCase(2))};
  request.plan.time = false;
  request.plan.time_out_ns = 5'000'000'000;
  return request;
}

std::string Summary(const HostReply& reply) {
  if (!reply.objection.empty()) return "refused: " + reply.objection;
  if (std::holds_alternative<Timings>(reply.outcome)) return "ok";
  if (std::holds_alternative<Censored>(reply.outcome)) return "censored";
  const auto& failure = std::get<Failure>(reply.outcome);
  return std::string(Name(failure.kind)) + " " + Name(failure.stage) + ": " + failure.message;
}

}  // namespace kiln
