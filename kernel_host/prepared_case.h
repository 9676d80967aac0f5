#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>

#include "kernel_host/guarded_buffer.h"
#include "kernel_host/host_protocol.h"
#include "kernel_host/kiln_kernel.h"
#include "kernel_host/memory_file.h"
#include "ops/op_data.h"
#include "ops/workload.h"

namespace kiln {

// Where the arrays of a case lie in a file, in the order of the enum below, each once low- and once
// high-aligned in pages of its own. Plain bytes.
struct CaseLayout {
  std::array<std::uint64_t, 6> bytes{};  // of an array; 0: the op has none
  std::int32_t x_zp = 0, w_zp = 0, y_zp = 0, act_min = 0, act_max = 0;
};

// These are the inputs of one case as a kernel is given them: read-only, each array between
// inaccessible pages, once low- and once high-aligned. They lie in a file, which a runner maps, too.
class PreparedCase {
 public:
  // What the arrays of a case of this workload take, in both alignments.
  static std::int64_t BytesOf(const Workload& workload);
  // nullptr with `error` if the arrays do not have the sizes that the workload says, or the system
  // has no memory.
  static std::unique_ptr<PreparedCase> Create(const Workload& workload, const OpCase& op_case,
                                              std::string& error);
  // One that another process has made; nullptr if the system has no memory.
  static std::unique_ptr<PreparedCase> Attach(const CaseLayout& layout, MemoryFile file);

  const CaseLayout& layout() const { return layout_; }
  int fd() const { return file_.fd(); }
  kiln_op op(Placement placement) const;
  const std::uint8_t* x(Placement placement) const;
  // To FaultTrap.
  void Declare(Placement placement) const;
  std::size_t bytes() const;

 private:
  enum Array { kX, kW, kBias, kMultiplier, kShift, kScale, kArrays };
  using Copies = std::array<GuardedBuffer, kArrays>;

  PreparedCase(const CaseLayout& layout, MemoryFile file);
  bool Map(GuardedBuffer::Access access);
  bool Copy(Array array, const void* data);
  const Copies& at(Placement placement) const {
    return copies_[static_cast<std::size_t>(placement)];
  }
  template <typename T>
  const T* ArrayOrNull(Placement placement, Array array) const;

  const CaseLayout layout_;
  const MemoryFile file_;
  std::array<Copies, 2> copies_;  // by Placement; an array that the op does not have is not mapped
};

// This is what was last prepared: making the data of a large layer takes longer than a trial, and
// hundreds of trials in a row use the same.
class CaseCache {
 public:
  // nullptr with `error` as PreparedCase::Create, or if an explicit case cannot be read.
  std::shared_ptr<const PreparedCase> Get(const Workload& workload, const HostCase& host_case,
                                          std::string& error);
  // The cases and so many bytes of others' are no more than a trial may have.
  void LeaveRoom(std::size_t bytes);

 private:
  struct Entry {
    Workload workload;
    HostCase::Source source;
    DataSet set;
    std::uint64_t seed;         // kRecipe
    std::string explicit_case;  // kExplicit
    std::shared_ptr<const PreparedCase> prepared;
  };
  static bool Matches(const Entry& entry, const Workload& workload, const HostCase& host_case);
  void EvictFor(std::size_t cases, std::size_t bytes);

  std::list<Entry> entries_;  // the last used first
  std::size_t others_bytes_ = 0;
};

}  // namespace kiln
