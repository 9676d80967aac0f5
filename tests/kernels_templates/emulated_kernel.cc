#include "emulated_kernel.h"

#include <map>
#include <memory>
#include <mutex>
#include <variant>

#include "base/digest.h"
#include "base/paths.h"
#include "kernels_templates/isa/instruction_sets.h"
#include "tests/kernel_host/host_process.h"

#ifndef KILN_AARCH64_HOST_PROGRAM
#define KILN_AARCH64_HOST_PROGRAM ""
#endif

namespace kiln {
namespace {

const std::string& Qemu() {
  static const std::string program = FindProgram("qemu-aarch64").value_or("");
  return program;
}

// One host per processor for the whole program.
HostProcess& HostFor(IsaMask isa) {
  static std::map<std::string, std::unique_ptr<HostProcess>> hosts;
  const std::string processor(RichestSet(isa).processor);
  auto& host = hosts[processor];
  if (!host) {
    host = std::make_unique<HostProcess>(
        std::vector<std::string>{Qemu(), "-cpu", processor, KILN_AARCH64_HOST_PROGRAM});
  }
  return *host;
}

}  // namespace

bool EmulatorRuns(IsaMask isa) {
  return Has(isa, IsaFeature::kNeon) && !Qemu().empty() && *KILN_AARCH64_HOST_PROGRAM != '\0';
}

std::string CheckEmulated(const std::string& object, const std::string& symbol, IsaMask isa,
                          const Workload& workload, const OpCase& op_case,
                          std::span<const std::uint8_t> expected) {
  HostRequest request;
  request.object = object;
  request.symbol = symbol;
  request.workload = workload;
  request.plan.time_out_ns = 60'000'000'000;
  request.plan.time = false;
  HostCase one;
  one.source = HostCase::Source::kExplicit;
  one.explicit_case = Serialize(op_case);
  one.expected_digest =
      Digest(std::string_view(reinterpret_cast<const char*>(expected.data()), expected.size()));
  request.cases.push_back(std::move(one));
  const HostReply reply = HostFor(isa).Ask(request);
  const auto* failure = std::get_if<Failure>(&reply.outcome);
  if (failure == nullptr) return "";
  if (failure->kind == FailureKind::kWrongClass) return "pack returned 1";
  return Summary(reply);
}

}  // namespace kiln
