#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "base/rng.h"
#include "kernel_harness.h"
#include "kernels_templates/features.h"
#include "kernels_templates/isa/avx.h"
#include "kernels_templates/isa/instruction_sets.h"
#include "kernels_templates/isa/neon.h"
#include "kernels_templates/task.h"
#include "ops/reference.h"
#include "ops/workload_key.h"

// What the tests of all template families ask of them.

namespace kiln {

inline Workload Parse(const std::string& key) {
  auto workload = ParseWorkload(key);
  EXPECT_TRUE(workload.ok()) << key << ": " << Message(workload.status());
  return workload.ok() ? *workload : Workload{};
}

inline std::string Describe(const Task& task, const Config& config) {
  std::string text = task.Key();
  for (const auto& [name, label] : task.space().Labels(config)) text += " " + name + "=" + label;
  return text;
}

inline const InstructionSet& SetNamed(const std::string& name) {
  const auto sets = InstructionSets();
  return *std::ranges::find_if(sets, [&](const auto& set) { return set.isa().name == name; });
}

inline std::vector<std::string> SetNames() {
  std::vector<std::string> names;
  for (const InstructionSet& set : InstructionSets()) names.emplace_back(set.isa().name);
  return names;
}

// Each test runs once per instruction set.
inline const auto kEveryIsa = testing::ValuesIn(SetNames());
class TemplateTest : public testing::TestWithParam<std::string> {
 protected:
  const InstructionSet& set() const { return SetNamed(GetParam()); }
  const VectorIsa& isa() const { return set().isa(); }
};
#define SKIP_WITHOUT_MACHINE()                                                                   \
  if (!MachineRuns(isa().required)) GTEST_SKIP() << "SKIPPED: nothing here runs " << GetParam(); \
  if (!HasCompiler()) GTEST_SKIP() << "SKIPPED: clang-19 is not installed"

struct NamedWorkload {
  std::string name;
  Workload workload;
};

// Kernels against the reference, on both data sets.
inline void ExpectExact(const std::vector<NamedWorkload>& trials,
                        const std::vector<KernelSource>& sources, const VectorIsa& isa) {
  const auto kernels = CompileAndLoad(sources, isa.required);
  ASSERT_TRUE(kernels.ok()) << Message(kernels.status());
  for (std::size_t i = 0; i < trials.size(); ++i) {
    for (const DataSet set : {DataSet::kUniform, DataSet::kEdges}) {
      const OpCase op_case = MakeCase(trials[i].workload, set, 1000 + i);
      const auto expected = RunReference(trials[i].workload, op_case.values, op_case.x);
      EXPECT_EQ(CheckKernel((*kernels)[i], trials[i].workload, op_case, expected), "")
          << trials[i].name << (set == DataSet::kEdges ? " edges" : " uniform");
    }
  }
}

// How many of `count` draws a test makes: a third where the instruction set runs in C.
inline std::size_t Draws(const VectorIsa& isa, std::size_t count) {
  return RunsInC(isa.required) ? count / 3 : count;
}

inline bool AnyConfig(const Task&, const Config&) { return true; }

// One random config of each of Draws(`count`) drawn tasks, all of different code, is bit-exact.
// Configs that are not `wanted` are drawn again, with their task.
template <typename DrawTask>
void ExpectRandomConfigsExact(const VectorIsa& isa, Rng rng, std::size_t count, DrawTask draw,
                              bool (*wanted)(const Task&, const Config&) = AnyConfig) {
  std::vector<NamedWorkload> trials;
  std::vector<KernelSource> sources;
  std::set<std::uint64_t> digests;
  while (trials.size() < Draws(isa, count)) {
    const Task task = draw(rng);
    const Config config = task.space().Sample(rng);
    if (!wanted(task, config)) continue;
    auto source = task.Emit(config);
    ASSERT_TRUE(source.ok()) << Message(source.status());
    if (!digests.insert(source->code_digest).second) continue;
    trials.push_back({Describe(task, config), task.workload()});
    sources.push_back(*std::move(source));
  }
  ExpectExact(trials, sources, isa);
}

// Changing one knob alone changes the code: of `config` and all its neighbours. Returns the names
// of the knobs that were changed.
inline std::set<std::string> ExpectNeighboursOfOtherCode(const Task& task, const Config& config) {
  std::set<std::string> changed;
  const auto source = task.Emit(config);
  EXPECT_TRUE(source.ok());
  for (const Config& neighbour : task.space().Neighbours(config)) {
    const auto other = task.Emit(neighbour);
    EXPECT_TRUE(other.ok());
    EXPECT_NE(source->code_digest, other->code_digest)
        << Describe(task, config) << " and " << Describe(task, neighbour);
    for (std::size_t k = 0; k < config.choice.size(); ++k) {
      if (config.choice[k] != neighbour.choice[k]) changed.insert(task.space().knobs()[k].name);
    }
  }
  return changed;
}

// The same for `samples` random configs.
inline std::set<std::string> ExpectKnobsChangeCode(const Task& task, int samples) {
  std::set<std::string> changed;
  Rng rng(7);
  for (int i = 0; i < samples; ++i) {
    changed.merge(ExpectNeighboursOfOtherCode(task, task.space().Sample(rng)));
  }
  return changed;
}

inline void ExpectSameCounts(const OpCounts& a, const OpCounts& b, const std::string& what) {
  const auto near = [&](double x, double y, const char* name) {
    EXPECT_NEAR(x, y, 1e-6 * y) << name << " of " << what;
  };
  near(a.dots, b.dots, "dots");
  near(a.loads, b.loads, "loads");
  near(a.broadcasts, b.broadcasts, "broadcasts");
  near(a.stores, b.stores, "stores");
  near(a.shuffles, b.shuffles, "shuffles");
  near(a.requantizes, b.requantizes, "requantizes");
  near(a.copies, b.copies, "copies");
  near(a.calls, b.calls, "calls");
}

// What a summary says in closed form is what the lowered program shows.
inline void ExpectSummaryShows(const ScheduleSummary& summary, const LoopProgram& program,
                               const std::string& what) {
  ExpectSameCounts(summary.counts, program.Count(), what);
  EXPECT_EQ(summary.packed_bytes, static_cast<double>(program.packed_bytes)) << what;
  EXPECT_EQ(summary.workspace_bytes,
            static_cast<double>(program.shared_bytes + program.thread_bytes))
      << what;
  EXPECT_EQ(summary.phases, static_cast<double>(program.phases.size())) << what;
  EXPECT_EQ(summary.chunks, program.phases.back().chunks) << what;
}

}  // namespace kiln
