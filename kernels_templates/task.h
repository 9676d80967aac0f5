#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "kernels_templates/kernel_template.h"

namespace kiln {

// This is one thing to tune: a workload on a target with a number of threads, the template that
// serves it and the space that the template gives it. Immutable; cheap to copy; safe to share.
class Task {
 public:
  // kInvalidArgument: fewer than one thread; kUnimplemented: no template computes it;
  // kFailedPrecondition: no legal config.
  static StatusOr<Task> Create(const TemplateRegistry& registry, TaskSpec spec);
  static StatusOr<Task> Create(std::shared_ptr<const KernelTemplate> kernel_template,
                               TaskSpec spec);

  const KernelTemplate& kernel_template() const { return *template_; }
  const TaskSpec& spec() const { return *spec_; }
  const Workload& workload() const { return spec_->workload; }
  const Target& target() const { return spec_->target; }
  std::int32_t threads() const { return spec_->threads; }
  const ConfigSpace& space() const { return space_; }

  // "<workload key>|<target name>|t<threads>|<template>": the same for the same task in every run.
  const std::string& Key() const { return *key_; }

  // Lowers and prints a legal config. Errors as KernelTemplate::Lower; kInvalidArgument: illegal.
  StatusOr<KernelSource> Emit(const Config& config) const;
  void Features(const Config& config, std::span<float> out) const;

 private:
  Task() = default;
  std::shared_ptr<const KernelTemplate> template_;
  std::shared_ptr<const TaskSpec> spec_;
  std::shared_ptr<const std::string> key_;
  ConfigSpace space_;
};

// The config with these labels, if lowering it today gives the code that was measured (`measured`,
// its digest; 0: lowering refused it, as it still must). This alone decides what is stale:
// kFailedPrecondition: it is, and why. Costs one lowering, some tens of microseconds.
StatusOr<Config> CurrentConfig(const Task& task, const ConfigLabels& labels,
                               std::uint64_t measured);

}  // namespace kiln
