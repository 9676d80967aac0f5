#include "export/lock_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/export/locks.h"
#include "tests/kernels_templates/fake_template.h"

namespace kiln {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::vector<std::string> kTargets = {"alderlake", "armv8-a", "cascadelake", "pixel6",
                                           "rasp4b",    "x86-64",  "x86-64-v3"};

// What a build reads: tuned entries for many targets, each another config, with their lines.
const LockFile& Locked() {
  static const LockFile lock =
      *ParseLock(PrintLock(TunedLock({kConvKey, kDepthwiseKey, kDenseKey}, kTargets, true)));
  return lock;
}

// The built-in templates, of which one lowers to something else.
TemplateRegistry Changed(const std::string& name, ChangedTemplate::Change change) {
  TemplateRegistry registry = Builtins();
  registry.Register(std::make_shared<ChangedTemplate>(*registry.Find(name), std::move(change)));
  return registry;
}

// The keys of entries for which `holds` is true, by the line that they stand in.
template <typename Predicate>
std::map<std::int64_t, LockKey> LinesWhere(const LockFile& lock, Predicate holds) {
  std::map<std::int64_t, LockKey> lines;
  for (const auto& [key, entry] : lock.entries) {
    if (holds(entry)) lines.emplace(entry.line, key);
  }
  return lines;
}

std::map<std::int64_t, LockKey> LinesOf(const std::vector<LockFault>& faults) {
  std::map<std::int64_t, LockKey> lines;
  for (const LockFault& fault : faults) lines.emplace(fault.line, fault.key);
  return lines;
}

std::set<std::string> LockedTemplates() {
  std::set<std::string> names;
  for (const auto& [key, entry] : Locked().entries) names.insert(entry.kernel_template);
  return names;
}

TEST(LockCheckTest, WhatThisKilnLockedIsClean) {
  const auto faults = CheckLock(Builtins(), Locked(), {});
  for (const LockFault& fault : faults) ADD_FAILURE() << Describe(fault.key) << ": " << fault.why;
  EXPECT_EQ(Locked().entries.size(), kTargets.size() * 3 * 2);
  EXPECT_GE(LockedTemplates().size(), 15u);  // of several instruction sets
}

TEST(LockCheckTest, WhatAMachineOfItsOwnLockedIsCleanEverywhere) {
  const Target machine = Renamed("cascadelake", "a-machine-of-theirs");
  LockFile lock;
  lock.targets[machine.name] = machine;
  const LockKey key{kConvKey, machine.name, 2, CacheState::kHot};
  lock.entries[key] = TunedEntry(Builtins(), machine, key, 11);
  EXPECT_THAT(CheckLock(Builtins(), *ParseLock(PrintLock(lock)), {}), IsEmpty());
}

// An update of Kiln that changes what one template makes of all its configs.
TEST(LockCheckTest, ChangedCodeOfATemplateMakesExactlyItsEntriesStale) {
  for (const std::string& name : LockedTemplates()) {
    const TemplateRegistry registry = Changed(
        name, [](const ConfigLabels&, LoopProgram& program) { program.prelude += "/* new */\n"; });
    const auto faults = CheckLock(registry, Locked(), {});
    EXPECT_EQ(
        LinesOf(faults),
        LinesWhere(Locked(), [&](const LockEntry& entry) { return entry.kernel_template == name; }))
        << name;
    for (const LockFault& fault : faults) {
      EXPECT_THAT(fault.why, HasSubstr("makes other code of its config")) << name;
    }
  }
}

// One that changes what a value of a knob means: in everything else the code is the measured one.
TEST(LockCheckTest, ChangedCodeOfAKnobsValueMakesExactlyTheEntriesWithItStale) {
  std::set<std::pair<std::string, std::string>> knobs_seen;
  int partly = 0;
  for (const std::string& name : LockedTemplates()) {
    LockFile of_template = Locked();
    std::erase_if(of_template.entries,
                  [&](const auto& entry) { return entry.second.kernel_template != name; });
    for (const auto& [key, of_key] : of_template.entries) {
      for (const auto& chosen : of_key.labels) {
        if (!knobs_seen.insert({name, chosen.first + "=" + chosen.second}).second) continue;
        const auto has = [&](const ConfigLabels& labels) {
          return std::ranges::find(labels, chosen) != labels.end();
        };
        const TemplateRegistry registry =
            Changed(name, [&](const ConfigLabels& labels, LoopProgram& program) {
              if (has(labels)) program.pack.push_back(Text("/* new */"));
            });
        const auto stale =
            LinesWhere(of_template, [&](const LockEntry& entry) { return has(entry.labels); });
        EXPECT_EQ(LinesOf(CheckLock(registry, of_template, {})), stale)
            << name << " " << chosen.first << "=" << chosen.second;
        partly += stale.size() < of_template.entries.size();
      }
      break;  // the knobs of one entry
    }
  }
  EXPECT_GT(partly, 20) << "too few knobs that only some entries have";
}

TEST(LockCheckTest, FaultsAreInTheOrderOfTheFile) {
  LockFile lock = Locked();
  for (const std::int32_t threads : {2, 16, 128}) {  // in another order by their bytes
    const LockKey key{kConvKey, "rasp4b", threads, CacheState::kHot};
    lock.entries[key] = lock.entries.at({kConvKey, "rasp4b", 1, CacheState::kHot});
  }
  const std::string text = PrintLock(lock);
  const std::vector<std::string> lines = kiln::LinesOf(text);
  const TemplateRegistry none;
  const auto faults = CheckLock(none, *ParseLock(text), {});
  ASSERT_EQ(faults.size(), lock.entries.size());
  EXPECT_TRUE(std::ranges::is_sorted(faults, std::less<>(), &LockFault::line));
  for (const LockFault& fault : faults) {
    EXPECT_THAT(lines[static_cast<std::size_t>(fault.line) - 1],
                HasSubstr(Describe(fault.key) + " "));
  }
}

// The one entry of a small lock, to be spoilt.
struct OneEntry {
  OneEntry() {
    LockFile lock;
    lock.entries[key] = TunedEntry(Builtins(), target, key);
    file = *ParseLock(PrintLock(lock));
  }
  LockEntry& entry() { return file.entries.at(key); }

  // Why it is stale: by the check of the file and by the lowering alone.
  std::string Why(const TemplateRegistry& registry = Builtins()) {
    const auto kernel = LowerEntry(registry, target, key, entry());
    EXPECT_EQ(kernel.status().code(), StatusCode::kFailedPrecondition) << kernel.status();
    const auto faults = CheckLock(registry, file, {});
    EXPECT_EQ(faults.size(), 1u);
    if (faults.empty()) return "";
    EXPECT_EQ(faults[0].line, 3);
    EXPECT_EQ(faults[0].key, key);
    EXPECT_EQ(faults[0].why, Message(kernel.status()));
    return faults[0].why;
  }

  Target target = TargetNamed("rasp4b");
  LockKey key{kConvKey, "rasp4b", 1, CacheState::kHot};
  LockFile file;
};

TEST(LockCheckTest, LoweringGivesTheCodeThatWasLocked) {
  OneEntry one;
  const auto kernel = LowerEntry(Builtins(), one.target, one.key, one.entry());
  ASSERT_TRUE(kernel.ok()) << kernel.status();
  EXPECT_EQ(kernel->source.code_digest, one.entry().code_digest);
  const LockEntry again = EntryOf(*kernel, Origin::kTuned);
  EXPECT_EQ(again.labels, one.entry().labels);
  EXPECT_EQ(again.kernel_template, one.entry().kernel_template);
  EXPECT_EQ(again.code_digest, one.entry().code_digest);
  EXPECT_FALSE(again.time);
}

TEST(LockCheckTest, OtherCodeIsStaleAndSaysBothDigests) {
  OneEntry one;
  const std::string today = LowerDefault(Builtins(), one.target, one.key)->source.symbol;
  one.entry().code_digest = 0xabc;
  EXPECT_THAT(one.Why(), AllOf(HasSubstr("0000000000000abc"),
                               HasSubstr(today.substr(std::string("kiln_").size()))));
}

TEST(LockCheckTest, ALabelThatTheSpaceDoesNotKnowAnyMoreIsStale) {
  OneEntry one;
  ASSERT_FALSE(one.entry().labels.empty());
  auto& [knob, label] = one.entry().labels[0];
  const std::string before = std::exchange(label, "from-before");
  EXPECT_THAT(one.Why(), AllOf(HasSubstr(knob), HasSubstr("from-before")));
  label = before;
  knob = "knob-from-before";
  EXPECT_THAT(one.Why(), HasSubstr("knob-from-before"));
}

TEST(LockCheckTest, AKnobThatIsNewOrTwiceIsStale) {
  OneEntry one;
  const ConfigLabels labels = one.entry().labels;
  one.entry().labels.pop_back();
  EXPECT_THAT(one.Why(), HasSubstr(labels.back().first));
  one.entry().labels = labels;
  one.entry().labels.push_back(labels.back());
  EXPECT_THAT(one.Why(), HasSubstr(labels.back().first));
}

TEST(LockCheckTest, ATemplateThatIsGoneIsStale) {
  OneEntry one;
  TemplateRegistry others;
  for (const auto& known : Builtins().all()) {
    if (known->name() != one.entry().kernel_template) others.Register(known);
  }
  EXPECT_THAT(one.Why(others), HasSubstr("no template named " + one.entry().kernel_template));
}

TEST(LockCheckTest, ATemplateThatDoesNotServeTheTargetAnyMoreIsStale) {
  OneEntry one;
  one.entry().kernel_template = "conv2d.avx2";
  EXPECT_THAT(one.Why(), HasSubstr("conv2d.avx2 does not compute"));
}

TEST(LockCheckTest, AnEntryOfATargetThatIsNotKnownIsAFault) {
  OneEntry one;
  const LockKey key{kConvKey, "nonesuch", 1, CacheState::kHot};
  LockFile lock;
  lock.entries[key] = one.entry();
  lock.entries[key].line = 7;
  const auto faults = CheckLock(Builtins(), lock, {});
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_EQ(faults[0].line, 7);
  EXPECT_THAT(faults[0].why, HasSubstr("no target named \"nonesuch\""));
}

TEST(LockCheckTest, WantedKeysThatAreNotThereAreMissingAndComeLast) {
  OneEntry one;
  one.entry().code_digest = 1;
  LockKey threads = one.key, cold = one.key, target = one.key, workload = one.key;
  threads.threads = 2;
  cold.cache = CacheState::kCold;
  target.target = "cascadelake";
  workload.workload = kDenseKey;
  const std::vector<LockKey> wanted = {threads, one.key, cold, target, workload};
  const auto faults = CheckLock(Builtins(), one.file, wanted);
  ASSERT_EQ(faults.size(), 5u);
  EXPECT_EQ(faults[0].key, one.key);
  EXPECT_EQ(faults[0].line, 3);
  const std::vector<LockKey> missing = {threads, cold, target, workload};
  for (std::size_t i = 0; i < missing.size(); ++i) {
    EXPECT_EQ(faults[i + 1].key, missing[i]);
    EXPECT_EQ(faults[i + 1].line, 0);
    EXPECT_EQ(faults[i + 1].why, "there is no entry for it");
  }
}

// Nobody could lock them: a check that is red for them could never be green.
TEST(LockCheckTest, WantedKeysThatNoTemplateServesAreNotMissing) {
  TemplateRegistry convolutions;
  convolutions.Register(std::make_shared<FakeTemplate>());
  const std::vector<LockKey> wanted = {{kDenseKey, "rasp4b", 1, CacheState::kHot},
                                       {kConvKey, "rasp4b", 1, CacheState::kHot},
                                       {kConvKey, "nonesuch", 1, CacheState::kHot},
                                       {"conv4d/i8", "rasp4b", 1, CacheState::kHot}};
  const auto faults = CheckLock(convolutions, {}, wanted);
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_EQ(faults[0].key, wanted[1]);
}

TEST(LockCheckTest, TheDefaultIsThatOfTheTemplateThatServesTheTarget) {
  const LockKey key{kConvKey, "any", 1, CacheState::kHot};
  for (const auto& [target, name] :
       std::vector<std::pair<std::string, std::string>>{{"x86-64-v3", "conv2d.avx2"},
                                                        {"rasp4b", "conv2d.neon"},
                                                        {"x86-64", "conv2d.portable"}}) {
    const auto kernel = LowerDefault(Builtins(), TargetNamed(target), key);
    ASSERT_TRUE(kernel.ok()) << kernel.status();
    EXPECT_EQ(kernel->task.kernel_template().name(), name);
    EXPECT_EQ(kernel->config,
              kernel->task.kernel_template().Default(kernel->task.spec(), kernel->task.space()));
  }
  EXPECT_EQ(LowerDefault({}, TargetNamed("rasp4b"), key).status().code(),
            StatusCode::kUnimplemented);
}

}  // namespace
}  // namespace kiln
