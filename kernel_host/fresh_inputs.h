#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/rng.h"
#include "kernel_host/guarded_buffer.h"
#include "kernel_host/kiln_kernel.h"
#include "kernel_host/memory_file.h"
#include "ops/workload.h"

namespace kiln {

// Places for the inputs and outputs of some calls in a row in one file: first all x, then all y.
// Plain bytes.
struct FreshLayout {
  std::uint32_t calls = 0;
  std::uint64_t x_bytes = 0, y_bytes = 0;

  // For as many calls as have little data, and for one at least.
  static FreshLayout For(const Workload& workload);
  bool operator==(const FreshLayout&) const = default;
  std::size_t x_stride() const { return Stride(x_bytes); }
  std::size_t y_stride() const { return Stride(y_bytes); }
  std::size_t y_offset() const { return GuardedBuffer::FileBytes(calls * x_stride()); }
  std::size_t file_bytes() const {
    return y_offset() + GuardedBuffer::FileBytes(calls * y_stride());
  }

 private:
  static std::size_t Stride(std::uint64_t bytes) {
    constexpr std::uint64_t kLine = 64;
    return static_cast<std::size_t>((bytes + kLine - 1) / kLine * kLine);
  }
};

// This is what no kernel can have seen: inputs drawn at random by the supervisor just before a call,
// whose outputs it works out by itself, a few of each call at random places. A kernel that computes
// less than all outputs of new inputs is found out sooner or later, whatever it keeps and whatever
// it recognises (the idea is Freivalds', 1977: checking a product is cheaper than computing it).
class FreshInputs {
 public:
  // Nothing is mapped if the system has no memory.
  FreshInputs() = default;
  static FreshInputs Make(const FreshLayout& layout);

  bool mapped() const { return x_.mapped() && y_.mapped(); }
  const FreshLayout& layout() const { return layout_; }
  int fd() const { return file_.fd(); }

  // New inputs for the first `calls` of the layout, and outputs that hold none of their values.
  void Draw(std::uint32_t calls, Rng& rng) const;
  // After that many calls with the values of `op`: "output 17 of call 2 is 5 instead of -3".
  std::optional<std::string> Objection(std::uint32_t calls, const Workload& workload,
                                       const kiln_op& op, Rng& rng) const;

 private:
  FreshLayout layout_;
  MemoryFile file_;
  GuardedBuffer x_, y_;
};

// One output of the operator by its definition (ops/reference.h), number `index` of y.
std::uint8_t OutputAt(const Workload& workload, const kiln_op& op, const std::uint8_t* x,
                      std::int64_t index);

}  // namespace kiln
