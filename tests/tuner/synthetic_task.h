#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "kernels_templates/task.h"
#include "measure/measurement.h"
#include "ops/workload.h"

// A search problem without hardware: a template whose configs have a known, noise-free time. The
// surface has what makes real ones hard: knobs that only matter together (tile and register
// budget), a roofline of two resources, cache cliffs, a categorical choice that depends on the
// shape, ruggedness that no feature explains, and configs that fail.

namespace kiln::testing {

struct SyntheticOptions {
  std::int64_t extra_values = 0;  // more values for two knobs: makes the space large
  bool small = false;             // these two have one value and the extra ones
  bool failures = true;
  double ruggedness = 0.05;  // relative, different for every config, unknown to the features
};

class SyntheticTemplate final : public KernelTemplate {
 public:
  explicit SyntheticTemplate(SyntheticOptions options = {}) : options_(options) {}

  std::string_view name() const override { return "conv2d.synthetic"; }
  bool Supports(const TaskSpec&) const override { return true; }

  StatusOr<ConfigSpace> Space(const TaskSpec&) const override {
    std::vector<std::int64_t> blocks = {1, 2, 4, 8, 16}, chunks = {1, 2, 4, 8};
    if (options_.small) blocks.resize(1), chunks.resize(1);
    for (std::int64_t i = 0; i < options_.extra_values; ++i) {
      blocks.push_back(24 + 8 * i);
      chunks.push_back(12 + 4 * i);
    }
    return ConfigSpace::Create(
        {IntKnob("tile_w", {1, 2, 3, 4, 6, 8}), IntKnob("tile_c", {1, 2, 3, 4}),
         IntKnob("unroll", {1, 2, 4, 8}), IntKnob("block", blocks), IntKnob("chunk", chunks),
         ChoiceKnob("order", {"pixels", "channels"}),
         ChoiceKnob("stage", {"inline", "ring", "copy"})},
        {{"the accumulators do not fit 28 registers",
          {"tile_w", "tile_c"},
          [](std::span<const std::int64_t> v) { return v[0] * v[1] <= 28; }}});
  }

  // Enough of a program to give every config a code digest of its own.
  StatusOr<LoopProgram> Lower(const TaskSpec& spec, const ConfigSpace& space,
                              const Config& config) const override {
    LoopProgram program;
    program.pack = {Text("(void)ops; (void)packed; /* " + space.Id(config) + " */\n")};
    program.phases.push_back({1, {Text("(void)begin;\n")}});
    program.x_bytes = spec.workload.x_bytes();
    program.y_bytes = spec.workload.y_bytes();
    return program;
  }

  Config Default(const TaskSpec&, const ConfigSpace& space) const override {
    return space.Nearest(Config{{1, 1, 0, 1, 0, 0, 0}});
  }

  void Features(const TaskSpec& spec, const ConfigSpace& space, const Config& config,
                std::span<float> out) const override {
    const Shape s(spec, space, config);
    std::ranges::fill(out, 0.0F);
    const double features[] = {std::log2(s.macs),
                               std::log2(s.channels),
                               std::log2(s.outputs),
                               s.tile_w,
                               s.tile_c,
                               s.tile_w * s.tile_c,
                               s.loads_per_dot,
                               s.unroll,
                               std::log2(s.footprint),
                               s.order,
                               s.stage,
                               std::log2(s.chunk),
                               s.waste,
                               std::log2(s.block)};
    std::ranges::transform(features, out.begin(), [](double f) { return static_cast<float>(f); });
  }

  // The exact time.
  double Nanoseconds(const TaskSpec& spec, const ConfigSpace& space, const Config& config) const {
    const Shape s(spec, space, config);
    const double dots = s.macs / 64 * s.waste;
    const double latency = std::max(1.0, 8.0 / (s.tile_w * s.tile_c));
    const double loads = dots * s.loads_per_dot * (s.footprint > 32768 ? 2.2 : 1.0) *
                         (s.footprint > 262144 ? 2.0 : 1.0);
    const double loop = dots * 0.4 / s.unroll * (s.unroll * s.tile_w * s.tile_c > 64 ? 3.0 : 1.0);
    const double staging = s.stage == 0   ? 0.3 * dots / s.tile_c
                           : s.stage == 1 ? 0.1 * dots + 400
                                          : 40 * s.channels;
    const double order = s.order == (s.channels > 128 ? 1 : 0) ? 1.0 : 1.25;
    const double ns = (std::max(dots * latency, loads) + loop + staging) * order / 3 + 30 * s.chunk;
    const std::uint64_t hash = Digest(space.Id(config) + Key(spec.workload));
    return ns * (1 + options_.ruggedness * static_cast<double>(hash >> 11) * 0x1.0p-53);
  }

  // Some combinations do not work, as real ones.
  bool Fails(const TaskSpec& spec, const ConfigSpace& space, const Config& config) const {
    const Shape s(spec, space, config);
    return options_.failures && s.stage == 2 && s.unroll == 8;
  }

 private:
  struct Shape {
    Shape(const TaskSpec& spec, const ConfigSpace& space, const Config& config) {
      const auto value = [&](std::size_t k) {
        return static_cast<double>(space.knobs()[k].values[config.choice[k]].value);
      };
      tile_w = value(0), tile_c = value(1), unroll = value(2), block = value(3), chunk = value(4);
      order = value(5), stage = value(6);
      macs = static_cast<double>(spec.workload.macs());
      outputs = static_cast<double>(spec.workload.outputs());
      channels = spec.workload.c;
      loads_per_dot = 1 / tile_w + 1 / tile_c;
      footprint = channels * (tile_c * 16 * block + tile_w * 4);
      const double width = spec.workload.out_w();
      waste = std::ceil(width / tile_w) * tile_w / width;
    }
    double tile_w, tile_c, unroll, block, chunk, order, stage;
    double macs, outputs, channels, loads_per_dot, footprint, waste;
  };

  SyntheticOptions options_;
};

// The synthetic problem of a 1x1 convolution of this shape.
inline Task SyntheticTask(std::int32_t channels = 128, std::int32_t width = 14,
                          SyntheticOptions options = {}) {
  TaskSpec spec;
  spec.workload.h = spec.workload.w = width;
  spec.workload.c = spec.workload.o = channels;
  spec.target.name = "synthetic";
  return *Task::Create(std::make_shared<SyntheticTemplate>(options), spec);
}

inline const SyntheticTemplate& TemplateOf(const Task& task) {
  return static_cast<const SyntheticTemplate&>(task.kernel_template());
}

// The time of a config; infinity if it fails.
inline double SyntheticTime(const Task& task, const Config& config) {
  const SyntheticTemplate& synthetic = TemplateOf(task);
  if (synthetic.Fails(task.spec(), task.space(), config)) {
    return std::numeric_limits<double>::infinity();
  }
  return synthetic.Nanoseconds(task.spec(), task.space(), config);
}

// The smallest time in the space.
inline double SyntheticBest(const Task& task) {
  double best = std::numeric_limits<double>::infinity();
  for (std::uint64_t i = 0; i < task.space().size(); ++i) {
    best = std::min(best, SyntheticTime(task, task.space().At(i)));
  }
  return best;
}

// What a trial of the config finds: equal samples, a failure, or a bound if `cut_off_ns` (0: none)
// is exceeded.
inline Outcome SyntheticOutcome(const Task& task, const Config& config, std::int32_t samples,
                                std::int64_t cut_off_ns) {
  const double ns = SyntheticTime(task, config);
  if (!std::isfinite(ns)) {
    return Failure{Stage::kVerify, FailureKind::kWrongResult, "byte 7 is 1 instead of 2"};
  }
  if (cut_off_ns > 0 && ns > static_cast<double>(cut_off_ns)) {
    return Censored{Timings{{ns, ns, ns}, 1}, ns};
  }
  return Timings{std::vector<double>(static_cast<std::size_t>(samples), ns), 1};
}

inline Trial SyntheticTrial(const Task& task, const Config& config) {
  Trial trial;
  trial.uuid = task.Key() + task.space().Id(config);
  trial.config = config;
  trial.outcome = SyntheticOutcome(task, config, 10, 0);
  return trial;
}

}  // namespace kiln::testing
