#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "ops/trial_limits.h"

// How a kernel is timed and what came of it: plain values shared by the program that runs kernels
// (kernel_host) and the one that asks (measure). Times are nanoseconds.

namespace kiln {

enum class CacheState : std::uint8_t { kHot, kCold };

// How a time came about. Times of different kinds are never compared with each other: an emulator
// does not run at the pace of the machine that it stands for.
enum class TimeKind : std::uint8_t { kMeasured, kEmulated, kEstimated };

struct MeasurePlan {
  std::int32_t threads = 1;
  CacheState cache = CacheState::kHot;
  std::int32_t samples = 10;        // the rank time is the minimum of the first 10: docs/search.md
  std::int64_t sample_ns = 20'000;  // a sample is the mean of as many calls as last this long
  std::int64_t warm_up_ns = 200'000;  // calls before the first sample
  std::int64_t cut_off_ns = 0;        // stop if the minimum of 3 samples exceeds it; 0: never
  std::int64_t time_out_ns = 2'000'000'000;  // for the whole trial on the device
  bool time = true;                          // false: verify only
};

// Why no device measures by this plan; empty: each with as many cores does.
std::string Objection(const MeasurePlan& plan);

enum class Stage : std::uint8_t { kLower, kCompile, kLoad, kPack, kRun, kVerify, kDevice };
enum class FailureKind : std::uint8_t {
  kInvalidConfig,   // lowering refused it
  kCompileError,    // or the compiler crashed, or a stack frame is too large
  kUnsupportedIsa,  // the device lacks an instruction; nothing was run
  kBadObject,       // wrong machine, relocations or ABI
  kWrongClass,      // pack returned KILN_E_CLASS
  kRuntimeError,    // a signal, an access outside its buffers, a refused system call
  kTimeout,
  kWrongResult,  // not bit-exact, at once or after many calls
  kDeviceLost,   // nothing is known about the kernel: try again
  kHostKilled,   // took down two hosts, which are well with other kernels: never to be tried again
};

struct Timings {
  std::vector<double> samples_ns;  // in order; each the mean of calls_per_sample calls
  std::int32_t calls_per_sample = 1;
  double min_ns() const;  // of the first 10; 0 without samples
  double median_ns() const;
};
struct Censored {  // stopped early: `bound_ns` is a lower bound of its rank time, never a result
  Timings partial;
  double bound_ns = 0;
};
struct Failure {
  Stage stage = Stage::kRun;
  FailureKind kind = FailureKind::kRuntimeError;
  std::string message;  // "SIGSEGV: read past the end of x by 1 byte"
};
using Outcome = std::variant<Timings, Censored, Failure>;

// What a machine says of itself around a measurement; zero where it does not.
struct DeviceState {
  double frequency_mhz = 0;  // of the first core that is measured on
  double temperature_c = 0;  // of the hottest thermal zone
  double load_1min = 0;      // processes that run or want to, the mean of the last minute
};

// "RUNTIME_ERROR", "run": the names that are stored and shown.
const char* Name(FailureKind kind);
const char* Name(Stage stage);
const char* Name(CacheState state);
const char* Name(TimeKind kind);
// The kind with this name; nullopt: there is none.
std::optional<TimeKind> TimeKindNamed(std::string_view name);

}  // namespace kiln
