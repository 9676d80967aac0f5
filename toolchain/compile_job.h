#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// What the tool and kiln-compile-worker say to each other, one frame (base/frame.h) each way per
// job; an empty frame is answered with the compiler's name alone, by a worker that has started
// well. Plain C++, because the worker links LLVM and nothing else. estimate_job.h has the other
// kind of job.

namespace kiln {

// The first byte of every job.
enum class JobKind : std::uint8_t { kCompile, kEstimate };

// kObject: a shared object that exports P_info, P_pack and P_run. kRelocatable: what that is linked
// from, for other linkers.
enum class EmitKind : std::uint8_t { kObject, kAssembly, kRelocatable };

// One kernel to compile. The source is freestanding C11 and may include "kiln_kernel.h" and
// <stdint.h>, which the worker brings along; it sees no other file.
struct CompileJob {
  std::string c;
  std::string symbol{};    // P of the kernel ABI: P_info, P_pack and P_run are exported
  std::string arch{};      // "x86_64", "aarch64"
  std::string cpu{};       // decides which instructions there are: clang's -march
  std::string tune_cpu{};  // decides how they are scheduled: clang's -mtune
  std::vector<std::string>
      features{};                // added to those of cpu or taken away: "+dotprod", "-avx512f"
  std::int32_t vector_bits = 0;  // widest vectors; 0: what tune_cpu prefers
  EmitKind emit = EmitKind::kObject;
};

struct CompileReply {
  enum class Outcome : std::uint8_t {
    kCompiled,
    kRejected,  // the source is at fault: an error, a large stack frame, an undefined symbol
    kBadJob,    // whoever wrote the job is: an unknown processor or feature
  };
  Outcome outcome = Outcome::kBadJob;
  std::string output;    // kCompiled: the ELF object, or assembly
  std::string message;   // else: the first errors, one per line
  std::string compiler;  // its name, version and flags
};

std::string Serialize(const CompileJob& job);
bool Deserialize(std::string_view bytes, CompileJob& job);
std::string Serialize(const CompileReply& reply);
bool Deserialize(std::string_view bytes, CompileReply& reply);

}  // namespace kiln
