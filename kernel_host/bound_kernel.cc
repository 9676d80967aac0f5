#include "kernel_host/bound_kernel.h"

#include <cstring>

#include "kernel_host/kiln_driver.h"

namespace kiln {
namespace {

constexpr std::uint64_t kMaxBufferBytes = std::uint64_t{1} << 30;

Failure BadObject(std::string message) {
  return {Stage::kLoad, FailureKind::kBadObject, std::move(message)};
}

// The names of features, known and unknown ones.
std::string NamesWithBits(IsaMask features) {
  std::string names;
  for (int bit = 0; bit < 64; ++bit) {
    if (!(features >> bit & 1)) continue;
    const std::string name(Name(static_cast<IsaFeature>(bit)));
    names += " " + (name.empty() ? "bit " + std::to_string(bit) : name);
  }
  return names;
}

std::optional<Failure> CheckBytes(const char* name, std::uint64_t bytes, std::int64_t expected) {
  if (bytes == static_cast<std::uint64_t>(expected)) return std::nullopt;
  return BadObject(std::string(name) + " has " + std::to_string(bytes) +
                   " bytes, the workload says " + std::to_string(expected));
}

std::optional<Failure> CheckInfo(const kiln_info& info, const KernelDemands& demands) {
  if (info.abi != KILN_ABI) {
    return BadObject("ABI " + std::to_string(info.abi) + ", this host runs " +
                     std::to_string(KILN_ABI));
  }
  if (const IsaMask missing = info.isa & ~demands.machine) {
    return Failure{Stage::kLoad, FailureKind::kUnsupportedIsa,
                   "this machine lacks" + NamesWithBits(missing)};
  }
  if (info.n_ops != 1) {
    return BadObject("computes " + std::to_string(info.n_ops) + " operators, not 1");
  }
  if (info.n_phases < 1 || info.n_phases > KILN_MAX_PHASES) {
    return BadObject("has " + std::to_string(info.n_phases) + " phases");
  }
  if (auto failure = CheckBytes("x", info.x_bytes, demands.workload.x_bytes())) return failure;
  if (auto failure = CheckBytes("y", info.y_bytes, demands.workload.y_bytes())) return failure;
  if (info.packed_bytes > kMaxBufferBytes || info.shared_bytes > kMaxBufferBytes ||
      info.thread_bytes > kMaxBufferBytes / static_cast<std::uint64_t>(demands.threads)) {
    return BadObject("wants a buffer of more than 1 GiB");
  }
  return std::nullopt;
}

// One of the ABI's names at a time; remembers the first that is missing.
class NameFinder {
 public:
  NameFinder(const LoadedObject& object, const std::string& symbol)
      : object_(object), symbol_(symbol) {}

  const void* Data(const char* suffix, std::size_t size) {
    return Find(suffix, LoadedObject::SymbolKind::kData, size);
  }
  template <typename Function>
  Function* Code(const char* suffix) {
    const void* code = Find(suffix, LoadedObject::SymbolKind::kFunction, 1);
    return reinterpret_cast<Function*>(const_cast<void*>(code));
  }
  const std::string& missing() const { return missing_; }

 private:
  const void* Find(const char* suffix, LoadedObject::SymbolKind kind, std::size_t size) {
    const std::string name = symbol_ + suffix;
    const void* address = object_.Find(name, kind, size);
    if (!address && missing_.empty()) missing_ = name;
    return address;
  }

  const LoadedObject& object_;
  const std::string& symbol_;
  std::string missing_;
};

}  // namespace

std::optional<Failure> Bind(const LoadedObject& object, const std::string& symbol,
                            const KernelDemands& demands, BoundKernel& kernel) {
  NameFinder names(object, symbol);
  if (const void* info = names.Data("_info", sizeof kernel.info)) {
    std::memcpy(&kernel.info, info, sizeof kernel.info);
    if (auto failure = CheckInfo(kernel.info, demands)) return failure;
  }
  kernel.pack = names.Code<kiln_pack_fn>("_pack");
  kernel.run = names.Code<kiln_run_fn>("_run");
  if (names.missing().empty()) return std::nullopt;
  return BadObject("has no " + names.missing() + " as the ABI wants it");
}

void CallShare(const BoundKernel& kernel, ThreadPool& pool, int thread) {
  const kiln_call call = {&kernel.info, kernel.run, kernel.packed,
                          kernel.x,     kernel.y,   kernel.shared_ws};
  const auto barrier = [](void* self) { static_cast<ThreadPool*>(self)->Barrier(); };
  kiln_run_share(&call, static_cast<std::uint32_t>(thread),
                 static_cast<std::uint32_t>(pool.threads()),
                 kernel.thread_ws[static_cast<std::size_t>(thread)], barrier, &pool);
}

}  // namespace kiln
