#include "kernel_host/prepared_case.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernel_host/fault.h"
#include "ops/trial_limits.h"

namespace kiln {
namespace {

constexpr std::size_t kMaxCachedCases = 8;
// At least what one trial needs, or a large layer's data would be made anew for each.
constexpr std::size_t kMaxCachedBytes = kMaxDataBytes;

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

constexpr int kPlacements = 2;

template <typename T>
std::uint64_t BytesIn(const std::vector<T>& values) {
  return values.size() * sizeof(T);
}

std::size_t FileBytes(const CaseLayout& layout) {
  std::size_t bytes = 0;
  for (const std::uint64_t array : layout.bytes) {
    bytes += kPlacements * GuardedBuffer::FileBytes(static_cast<std::size_t>(array));
  }
  return bytes;
}

}  // namespace

std::unique_ptr<PreparedCase> PreparedCase::Create(const Workload& workload, const OpCase& op_case,
                                                   std::string& error) {
  if (const std::string wrong = WrongSize(workload, op_case); !wrong.empty()) {
    error = "the case's " + wrong + " does not have the size that the workload says";
    return nullptr;
  }
  const OpValues& values = op_case.values;
  const CaseLayout layout{
      .bytes = {BytesIn(op_case.x), BytesIn(values.w), BytesIn(values.bias),
                BytesIn(values.multiplier), BytesIn(values.shift), BytesIn(values.scale)},
      .x_zp = values.x_zp,
      .w_zp = values.w_zp,
      .y_zp = values.y_zp,
      .act_min = values.act_min,
      .act_max = values.act_max};
  std::unique_ptr<PreparedCase> prepared(
      new PreparedCase(layout, MemoryFile::Make("kiln-case", FileBytes(layout))));
  if (!prepared->file_.is_open() || !prepared->Map(GuardedBuffer::Access::kReadWrite) ||
      !prepared->Copy(kX, op_case.x.data()) || !prepared->Copy(kW, values.w.data()) ||
      !prepared->Copy(kBias, values.bias.data()) ||
      !prepared->Copy(kMultiplier, values.multiplier.data()) ||
      !prepared->Copy(kShift, values.shift.data()) ||
      !prepared->Copy(kScale, values.scale.data())) {
    error = "no memory for the case's data";
    return nullptr;
  }
  return prepared;
}

std::unique_ptr<PreparedCase> PreparedCase::Attach(const CaseLayout& layout, MemoryFile file) {
  std::unique_ptr<PreparedCase> prepared(new PreparedCase(layout, std::move(file)));
  return prepared->Map(GuardedBuffer::Access::kReadOnly) ? std::move(prepared) : nullptr;
}

PreparedCase::PreparedCase(const CaseLayout& layout, MemoryFile file)
    : layout_(layout), file_(std::move(file)) {}

std::int64_t PreparedCase::BytesOf(const Workload& workload) {
  constexpr std::int64_t kPerChannel = 3 * sizeof(std::int32_t);  // bias, multiplier and shift
  return kPlacements * (workload.x_bytes() + workload.w_bytes() + workload.o * kPerChannel);
}

std::size_t PreparedCase::bytes() const { return FileBytes(layout_); }

bool PreparedCase::Map(GuardedBuffer::Access access) {
  // One reservation for all: every runner maps them.
  std::size_t reserved = 0, offset = 0;
  for (const std::uint64_t bytes : layout_.bytes) {
    if (bytes > 0) reserved += kPlacements * GuardedBuffer::MappingBytes(bytes);
  }
  void* memory = mmap(nullptr, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return false;
  auto* next = static_cast<std::uint8_t*>(memory);
  for (Copies& copies : copies_) {
    for (std::size_t array = 0; array < kArrays; ++array) {
      const auto bytes = static_cast<std::size_t>(layout_.bytes[array]);
      if (bytes == 0) continue;
      copies[array] = GuardedBuffer::MapFile(file_.fd(), offset, bytes, access,
                                             GuardedBuffer::Pages::kWhenTouched, next);
      if (!copies[array].mapped()) return false;
      next += GuardedBuffer::MappingBytes(bytes);
      offset += GuardedBuffer::FileBytes(bytes);
    }
  }
  return true;
}

bool PreparedCase::Copy(Array array, const void* data) {
  if (layout_.bytes[array] == 0) return true;
  for (const Placement placement : {Placement::kLow, Placement::kHigh}) {
    const GuardedBuffer& buffer = at(placement)[array];
    std::memcpy(buffer.At(placement), data, buffer.size());
    if (!buffer.ProtectReadOnly()) return false;
  }
  return true;
}

template <typename T>
const T* PreparedCase::ArrayOrNull(Placement placement, Array array) const {
  const GuardedBuffer& buffer = at(placement)[array];
  return buffer.mapped() ? reinterpret_cast<const T*>(buffer.At(placement)) : nullptr;
}

kiln_op PreparedCase::op(Placement placement) const {
  kiln_op op{};
  op.x_zp = layout_.x_zp;
  op.w_zp = layout_.w_zp;
  op.y_zp = layout_.y_zp;
  op.act_min = layout_.act_min;
  op.act_max = layout_.act_max;
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
  // Before it is made: a device may not have memory for both.
  EvictFor(1, static_cast<std::size_t>(PreparedCase::BytesOf(workload)) +
                  host_case.explicit_case.size());
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
  return prepared;
}

void CaseCache::LeaveRoom(std::size_t bytes) {
  others_bytes_ = bytes;
  EvictFor(0, 0);
}

bool CaseCache::Matches(const Entry& entry, const Workload& workload, const HostCase& host_case) {
  if (entry.source != host_case.source || entry.workload != workload) return false;
  return host_case.source == HostCase::Source::kExplicit
             ? entry.explicit_case == host_case.explicit_case
             : entry.set == host_case.set && entry.seed == host_case.seed;
}

void CaseCache::EvictFor(std::size_t cases, std::size_t bytes) {
  bytes += others_bytes_;
  for (const Entry& entry : entries_) bytes += entry.prepared->bytes() + entry.explicit_case.size();
  while (!entries_.empty() &&
         (entries_.size() + cases > kMaxCachedCases || bytes > kMaxCachedBytes)) {
    bytes -= entries_.back().prepared->bytes() + entries_.back().explicit_case.size();
    entries_.pop_back();
  }
}

}  // namespace kiln
