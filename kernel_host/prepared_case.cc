#include "kernel_host/prepared_case.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernel_host/fault.h"

namespace kiln {
namespace {

constexpr std::size_t kMaxCachedCases = 8;
constexpr std::size_t kMaxCachedBytes = 256 << 20;

// What is wrong with the sizes; empty if nothing.
std::string WrongSize(const Workload& workload, const OpCase& op_case) {
  const auto differs = [](std::size_t size, std::int64_t expected) {
    return static_cast<std::int64_t>(size) != expected;
  };
  const OpValues& values = op_case.values;
  const bool is_float = workload.rounding == Rounding::kFloat;
  if (differs(op_case.x.size(), workload.x_bytes())) return "x";
  if (differs(values.w.size(), workload.w_bytes())) return "w";
  if (!values.bias.empty() && differs(values.bias.size(), workload.o)) return "bias";
  if (differs(values.multiplier.size(), is_float ? 0 : workload.o)) return "multiplier";
  if (differs(values.shift.size(), is_float ? 0 : workload.o)) return "shift";
  if (differs(values.scale.size(), is_float ? workload.o : 0)) return "scale";
  return {};
}

}  // namespace

std::unique_ptr<PreparedCase> PreparedCase::Create(const Workload& workload, const OpCase& op_case,
                                                   std::string& error) {
  if (const std::string wrong = WrongSize(workload, op_case); !wrong.empty()) {
    error = "the case's " + wrong + " does not have the size that the workload says";
    return nullptr;
  }
  auto prepared = std::make_unique<PreparedCase>();
  const OpValues& values = op_case.values;
  const auto copy = [&prepared](Array array, const auto& data) {
    return prepared->Copy(array, data.data(), data.size() * sizeof data[0]);
  };
  if (!copy(kX, op_case.x) || !copy(kW, values.w) || !copy(kBias, values.bias) ||
      !copy(kMultiplier, values.multiplier) || !copy(kShift, values.shift) ||
      !copy(kScale, values.scale)) {
    error = "no memory for the case's data";
    return nullptr;
  }
  kiln_op& scalars = prepared->scalars_;
  scalars.x_zp = values.x_zp;
  scalars.w_zp = values.w_zp;
  scalars.y_zp = values.y_zp;
  scalars.act_min = values.act_min;
  scalars.act_max = values.act_max;
  return prepared;
}

bool PreparedCase::Copy(Array array, const void* data, std::size_t bytes) {
  if (bytes == 0) return true;
  for (const Placement placement : {Placement::kLow, Placement::kHigh}) {
    GuardedBuffer& buffer = copies_[static_cast<std::size_t>(placement)][array];
    buffer = GuardedBuffer::Map(bytes, 1, GuardedBuffer::Sharing::kShared);
    if (!buffer.mapped()) return false;
    std::memcpy(buffer.At(placement), data, bytes);
    if (!buffer.ProtectReadOnly()) return false;
    bytes_ += bytes;
  }
  return true;
}

template <typename T>
const T* PreparedCase::ArrayOrNull(Placement placement, Array array) const {
  const GuardedBuffer& buffer = at(placement)[array];
  return buffer.mapped() ? reinterpret_cast<const T*>(buffer.At(placement)) : nullptr;
}

kiln_op PreparedCase::op(Placement placement) const {
  kiln_op op = scalars_;
  op.w = ArrayOrNull<void>(placement, kW);
  op.bias = ArrayOrNull<std::int32_t>(placement, kBias);
  op.mult = ArrayOrNull<std::int32_t>(placement, kMultiplier);
  op.shift = ArrayOrNull<std::int32_t>(placement, kShift);
  op.scale = ArrayOrNull<float>(placement, kScale);
  return op;
}

const std::uint8_t* PreparedCase::x(Placement placement) const {
  return ArrayOrNull<std::uint8_t>(placement, kX);
}

void PreparedCase::Declare(Placement placement) const {
  static constexpr BufferName kNames[kArrays] = {BufferName::kX,     BufferName::kWeights,
                                                 BufferName::kBias,  BufferName::kMultiplier,
                                                 BufferName::kShift, BufferName::kScale};
  for (std::size_t i = 0; i < kArrays; ++i) {
    FaultTrap::Declare(kNames[i], at(placement)[i], placement);
  }
}

std::shared_ptr<const PreparedCase> CaseCache::Get(const Workload& workload,
                                                   const HostCase& host_case, std::string& error) {
  const auto known = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return Matches(entry, workload, host_case);
  });
  if (known != entries_.end()) {
    entries_.splice(entries_.begin(), entries_, known);
    return known->prepared;
  }
  OpCase op_case;
  if (host_case.source == HostCase::Source::kRecipe) {
    op_case = MakeCase(workload, host_case.set, host_case.seed);
  } else if (!Deserialize(host_case.explicit_case, op_case)) {
    error = "the explicit case cannot be read";
    return nullptr;
  }
  std::shared_ptr<const PreparedCase> prepared = PreparedCase::Create(workload, op_case, error);
  if (!prepared) return nullptr;
  entries_.push_front({workload, host_case.source, host_case.set, host_case.seed,
                       host_case.explicit_case, prepared});
  Evict();
  return prepared;
}

bool CaseCache::Matches(const Entry& entry, const Workload& workload, const HostCase& host_case) {
  if (entry.source != host_case.source || entry.workload != workload) return false;
  return host_case.source == HostCase::Source::kExplicit
             ? entry.explicit_case == host_case.explicit_case
             : entry.set == host_case.set && entry.seed == host_case.seed;
}

void CaseCache::Evict() {
  std::size_t bytes = 0;
  for (const Entry& entry : entries_) bytes += entry.prepared->bytes() + entry.explicit_case.size();
  while (entries_.size() > 1 && (entries_.size() > kMaxCachedCases || bytes > kMaxCachedBytes)) {
    bytes -= entries_.back().prepared->bytes() + entries_.back().explicit_case.size();
    entries_.pop_back();
  }
}

}  // namespace kiln
