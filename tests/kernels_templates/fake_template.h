#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels_templates/task.h"

namespace kiln {

// A template for tests of what surrounds templates: three knobs, one rule, and a kernel that does
// nothing but name its config. Not for running.
class FakeTemplate final : public KernelTemplate {
 public:
  struct Options {
    std::string name = "fake.portable";
    OpKind op = OpKind::kConv2d;                  // what it supports
    IsaMask isa = 0;                              // and needs
    std::vector<std::int64_t> tiles = {1, 2, 4};  // 11 legal configs
    std::string body = "copy";                    // a word of the generated code
    std::int64_t refused_tile = 0;                // lowering fails for it
  };
  FakeTemplate() : FakeTemplate(Options()) {}
  explicit FakeTemplate(Options options) : options_(std::move(options)) {}

  std::string_view name() const override { return options_.name; }

  bool Supports(const TaskSpec& spec) const override {
    return spec.workload.op == options_.op && (spec.target.isa & options_.isa) == options_.isa;
  }

  StatusOr<ConfigSpace> Space(const TaskSpec&) const override {
    return ConfigSpace::Create(
        {IntKnob("tile", options_.tiles), ChoiceKnob("order", {"rc", "cr"}),
         IntKnob("unroll", {1, 2})},
        {{"a tile of four is not unrolled in order cr", {"tile", "order", "unroll"}, [](auto v) {
            return v[0] != 4 || v[1] == 0 || v[2] == 1;
          }}});
  }

  StatusOr<LoopProgram> Lower(const TaskSpec& spec, const ConfigSpace& space,
                              const Config& config) const override {
    if (space.Value(config, "tile") == options_.refused_tile) {
      return Error(StatusCode::kInvalidArgument, "a tile of ", options_.refused_tile,
                   " is refused");
    }
    LoopProgram program;
    std::string comment = "/* " + options_.body;
    for (const auto& [knob, label] : space.Labels(config)) comment += " " + knob + "=" + label;
    program.phases.push_back({.chunks = 1, .body = {Text(comment + " */")}});
    program.x_bytes = spec.workload.x_bytes();
    program.y_bytes = spec.workload.y_bytes();
    return program;
  }

  Config Default(const TaskSpec&, const ConfigSpace& space) const override { return space.At(0); }

  void Features(const TaskSpec&, const ConfigSpace&, const Config& config,
                std::span<float> out) const override {
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] = i < config.choice.size() ? static_cast<float>(config.choice[i]) : 0.0f;
    }
  }

 private:
  Options options_;
};

inline TaskSpec FakeSpec(std::int32_t threads = 1) {
  TaskSpec spec;
  spec.workload.h = spec.workload.w = 8;
  spec.workload.c = spec.workload.o = 16;
  spec.target.name = "testbed";
  spec.threads = threads;
  return spec;
}

inline Task FakeTask(FakeTemplate::Options options = {}, TaskSpec spec = FakeSpec()) {
  return *Task::Create(std::make_shared<FakeTemplate>(std::move(options)), std::move(spec));
}

}  // namespace kiln
