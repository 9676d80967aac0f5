#include <fmt/format.h>

#include <algorithm>

#include "benchmarks/farm_load/workloads.h"

namespace kiln::load {

Status RunHeartbeats(Farm& farm, const HeartbeatsOptions& options) {
  const TrackerProcess& tracker = farm.tracker();
  const std::size_t empty_kib = tracker.rss_kib();
  const std::size_t own_empty_kib = OwnRssKib();
  const Meter connecting(tracker);
  RETURN_IF_ERROR(farm.ConnectDevices());
  const Meter::Reading connected = connecting.Read();
  const auto devices = static_cast<double>(farm.options().devices);
  PrintHeading(farm, "heartbeats");
  fmt::print("connected in {:.1f} s; us of CPU per device: tracker {:.0f}, load {:.0f}\n",
             connected.seconds, connected.tracker.total() * 1e6 / devices,
             connected.own.total() * 1e6 / devices);
  const auto per_device = [&](std::size_t kib, std::size_t before) {
    return (static_cast<double>(kib) - static_cast<double>(before)) / devices;
  };
  fmt::print("{:>6}{:>12}{:>14}{:>14}{:>12}{:>14}{:>12}{:>10}{:>11}\n", "s", "tracker MB",
             "kB per device", "descriptors", "connected", "load kB/dev.", "load fds", "tracker",
             "load cores");
  const auto began = LoadLoop::Now();
  std::size_t first_kib = 0, last_kib = 0, most_descriptors = 0;
  for (bool going = true; going;) {
    const double since = std::chrono::duration<double>(LoadLoop::Now() - began).count();
    const double left = farm.options().seconds - since;
    const Meter meter(tracker);
    going = left > 0.5 && farm.loop().RunFor(Seconds(std::min(options.interval, left)));
    const Meter::Reading reading = meter.Read();
    last_kib = tracker.rss_kib();
    if (first_kib == 0) first_kib = last_kib;
    most_descriptors = std::max({most_descriptors, tracker.descriptors(), OwnDescriptors()});
    if (!going) break;
    fmt::print("{:>6.0f}{:>12.1f}{:>14.2f}{:>14}{:>12}{:>14.2f}{:>12}{:>10.3f}{:>11.3f}\n",
               since + reading.seconds, static_cast<double>(last_kib) / 1024,
               per_device(last_kib, empty_kib), tracker.descriptors(), farm.devices().connected(),
               per_device(OwnRssKib(), own_empty_kib), OwnDescriptors(),
               reading.tracker.total() / reading.seconds, reading.own.total() / reading.seconds);
    std::fflush(stdout);
  }
  fmt::print(
      "tracker: {:.1f} MB without devices, {:.2f} kB per device; from the first line to the "
      "last {:+.1f} MB\n",
      static_cast<double>(empty_kib) / 1024, per_device(last_kib, empty_kib),
      (static_cast<double>(last_kib) - static_cast<double>(first_kib)) / 1024);
  fmt::print("descriptors: {} at most in one program: ulimit -n {} will do\n", most_descriptors,
             (most_descriptors / 256 + 1) * 256);
  return PrintFaults(farm);
}

}  // namespace kiln::load
