#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "kernels_templates/loop_program.h"
#include "ops/target.h"
#include "ops/workload.h"
#include "search_space/config_space.h"

namespace kiln {

// What a template is asked about: a workload on a target with a number of threads.
struct TaskSpec {
  Workload workload;
  Target target;
  std::int32_t threads = 1;
};

// This is a family of kernels: it says which knobs a workload has, writes the program that a config
// stands for, and describes that program to the cost model. Stateless, so safe to share between
// threads.
class KernelTemplate {
 public:
  virtual ~KernelTemplate() = default;

  // "conv2d.avx512vnni": the family and the instruction set. Stored with every record.
  virtual std::string_view name() const = 0;

  // Whether it can compute this workload with the target's instructions.
  virtual bool Supports(const TaskSpec& spec) const = 0;

  // The knobs and the legal configs. Errors as ConfigSpace::Create.
  virtual StatusOr<ConfigSpace> Space(const TaskSpec& spec) const = 0;

  // The program of one legal config.
  virtual StatusOr<LoopProgram> Lower(const TaskSpec& spec, const ConfigSpace& space,
                                      const Config& config) const = 0;

  // The config that a user gets who never tunes: a sensible fixed choice, clipped to what is legal.
  virtual Config Default(const TaskSpec& spec, const ConfigSpace& space) const = 0;

  // Writes kFeatureCount numbers that describe the program of `config` in closed form, without
  // lowering it: no allocation, at most 2 us. FeatureNames() says what they are.
  virtual void Features(const TaskSpec& spec, const ConfigSpace& space, const Config& config,
                        std::span<float> out) const = 0;
};

// Features have one meaning and order for all templates, so that one model serves them all.
inline constexpr std::size_t kFeatureCount = 40;
std::span<const std::string_view> FeatureNames();

// The templates that a program knows. Filled once at start, then only read.
class TemplateRegistry {
 public:
  // Takes the place of a template of the same name, at the end of the order.
  void Register(std::shared_ptr<const KernelTemplate> kernel_template);
  // kNotFound lists the known names.
  StatusOr<std::shared_ptr<const KernelTemplate>> Find(std::string_view name) const;
  // The template for a task: of those that support it the one registered last, so that a template
  // of one's own takes precedence. kUnimplemented: none; lists what there is.
  StatusOr<std::shared_ptr<const KernelTemplate>> For(const TaskSpec& spec) const;
  std::span<const std::shared_ptr<const KernelTemplate>> all() const { return templates_; }

 private:
  std::vector<std::shared_ptr<const KernelTemplate>> templates_;
};

// All templates that come with Kiln: conv2d, depthwise and dense for each of InstructionSets()
// (isa/instruction_sets.h), in this order: For() then takes the richest that the target has.
void RegisterBuiltinTemplates(TemplateRegistry& registry);

}  // namespace kiln
