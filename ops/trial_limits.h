#pragma once

#include <cstddef>
#include <cstdint>

// The most that one trial may ask of a device, in one place: clients, the wire, servers and the
// programs that run kernels all mean these. proto/device.proto tells them to others.

namespace kiln {

inline constexpr std::size_t kMaxObjectBytes = 16 << 20;
inline constexpr std::size_t kMaxSymbolBytes = 256;
inline constexpr std::size_t kMaxKeyBytes = 512;  // of a workload
inline constexpr std::size_t kMaxCases = 8;
// Of a trial, that come back: an answer is on its way in several copies.
inline constexpr std::int64_t kMaxOutputBytes = 16 << 20;
// Of all cases, as the device holds them: twice what the largest layers of known networks take.
inline constexpr std::int64_t kMaxDataBytes = 512 << 20;

// Of a plan.
inline constexpr std::int32_t kMaxThreads = 128;
inline constexpr std::int32_t kMaxSamples = 4096;
inline constexpr std::int64_t kMaxPlanNs = 600'000'000'000;  // each of its times

}  // namespace kiln
