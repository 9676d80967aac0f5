#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "export/lock_file.h"
#include "export/locked_kernel.h"
#include "kernels_templates/kernel_template.h"

namespace kiln {

inline constexpr const char* kConvKey =
    "conv2d/i8/n1h6w6c8/o16/k3x3/s1x1/p1,1,1,1/d1x1/g1/pc/wz0/act=none/rq=gen/double";
inline constexpr const char* kDepthwiseKey =
    "depthwise/i8/n1h6w6c16/m1/k3x3/s1x1/p1,1,1,1/d1x1/pc/wz0/act=none/rq=gen/double";
inline constexpr const char* kDenseKey = "dense/i8/n1c24/o16/pc/wz0/act=none/rq=gen/double";

inline const TemplateRegistry& Builtins() {
  static const TemplateRegistry registry = [] {
    TemplateRegistry builtins;
    RegisterBuiltinTemplates(builtins);
    return builtins;
  }();
  return registry;
}

inline Target TargetNamed(const std::string& name) { return *FindTarget(name); }

// The same as another target but for its name, as if `native` of a machine that ours are not.
inline Target Renamed(const std::string& from, const std::string& name) {
  Target target = TargetNamed(from);
  target.name = name;
  return target;
}

inline LockedTime SomeTime(double min_ns = 1000) {
  return {.min_ns = min_ns,
          .kind = TimeKind::kMeasured,
          .confirmed = true,
          .device = "board-1",
          .uuid = "00000000-0000-4000-8000-000000000001"};
}

// An entry as `kiln lock` writes one for a config that was tuned; which config, `index` says.
inline LockEntry TunedEntry(const TemplateRegistry& registry, const Target& target,
                            const LockKey& key, std::uint64_t index = 0) {
  LockedKernel kernel = *LowerDefault(registry, target, key);
  if (index > 0) {
    kernel.config = kernel.task.space().At(index % kernel.task.space().size());
    kernel.source = *kernel.task.Emit(kernel.config);
  }
  LockEntry entry = EntryOf(kernel, Origin::kTuned);
  entry.time = SomeTime();
  return entry;
}

// A lock file with tuned entries of all these workloads, on all these targets, for 1 thread and 4.
// Each is another config if `spread`.
inline LockFile TunedLock(const std::vector<std::string>& workloads,
                          const std::vector<std::string>& targets, bool spread = false) {
  LockFile lock;
  std::uint64_t index = 0;
  for (const std::string& name : targets) {
    for (const std::string& workload : workloads) {
      for (const std::int32_t threads : {1, 4}) {
        index += spread ? 7 : 0;
        const LockKey key{workload, name, threads, CacheState::kHot};
        lock.entries[key] = TunedEntry(Builtins(), TargetNamed(name), key, index);
      }
    }
  }
  return lock;
}

// The lines of a text, without their ends; the first one is [0].
inline std::vector<std::string> LinesOf(const std::string& text) {
  std::vector<std::string> lines(1);
  for (const char c : text) {
    if (c == '\n') {
      lines.emplace_back();
    } else {
      lines.back() += c;
    }
  }
  if (lines.back().empty()) lines.pop_back();
  return lines;
}

// A template as another Kiln has it: what it lowers to is changed by a function of the config.
class ChangedTemplate final : public KernelTemplate {
 public:
  using Change = std::function<void(const ConfigLabels&, LoopProgram&)>;
  ChangedTemplate(std::shared_ptr<const KernelTemplate> base, Change change)
      : base_(std::move(base)), change_(std::move(change)) {}

  std::string_view name() const override { return base_->name(); }
  bool Supports(const TaskSpec& spec) const override { return base_->Supports(spec); }
  StatusOr<ConfigSpace> Space(const TaskSpec& spec) const override { return base_->Space(spec); }
  StatusOr<LoopProgram> Lower(const TaskSpec& spec, const ConfigSpace& space,
                              const Config& config) const override {
    ASSIGN_OR_RETURN(LoopProgram program, base_->Lower(spec, space, config));
    change_(space.Labels(config), program);
    return program;
  }
  Config Default(const TaskSpec& spec, const ConfigSpace& space) const override {
    return base_->Default(spec, space);
  }
  void Features(const TaskSpec& spec, const ConfigSpace& space, const Config& config,
                std::span<float> out) const override {
    base_->Features(spec, space, config, out);
  }

 private:
  std::shared_ptr<const KernelTemplate> base_;
  Change change_;
};

}  // namespace kiln
