#include "export/library.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/digest.h"
#include "base/rng.h"
#include "export/kernel_files.h"
#include "export/library_files.h"
#include "export/manifest.h"
#include "export/runtime_text.h"
#include "ops/workload_key.h"
#include "tests/export/locks.h"
#include "tests/kernels_templates/fake_template.h"

namespace kiln {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;
using Json = nlohmann::json;

const std::vector<std::string> kWorkloads = {kConvKey, kDenseKey};

StatusOr<Library> Plan(const LockFile& lock, const LibraryRequest& request = {}) {
  return PlanLibrary(Builtins(), lock, request);
}

Library Planned(const LockFile& lock, const LibraryRequest& request = {}) {
  StatusOr<Library> library = Plan(lock, request);
  EXPECT_TRUE(library.ok()) << library.status();
  return library.ok() ? *std::move(library) : Library{};
}

std::vector<std::string> TargetsOf(const Library& library) {
  std::vector<std::string> names;
  for (const Target& target : library.targets) names.push_back(target.name);
  return names;
}

// "target/threads" of the variants of one workload, in their order.
std::vector<std::string> VariantsOf(const Library& library, const std::string& workload) {
  std::vector<std::string> names;
  for (const LibraryVariant& variant : library.variants) {
    if (variant.key.workload != workload) continue;
    names.push_back(variant.key.target + "/" + std::to_string(variant.key.threads));
  }
  return names;
}

const LibraryVariant& VariantFor(const Library& library, const LockKey& key) {
  const auto found = std::ranges::find(library.variants, key, &LibraryVariant::key);
  EXPECT_NE(found, library.variants.end()) << Describe(key);
  return found == library.variants.end() ? library.variants.at(0) : *found;
}

Network NetworkOf(const std::vector<std::pair<std::string, std::string>>& layers) {
  Network network;
  for (const auto& [name, key] : layers) network.layers.push_back({name, *ParseWorkload(key), {}});
  return network;
}

TEST(PlanLibraryTest, TargetsOfSeveralArchitecturesAreRefusedWithWhatToDo) {
  const auto library = Plan(TunedLock(kWorkloads, {"rasp4b", "x86-64-v3", "cascadelake"}));
  EXPECT_EQ(library.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(Message(library.status()),
              AllOf(HasSubstr("aarch64: rasp4b"), HasSubstr("x86_64: cascadelake, x86-64-v3"),
                    HasSubstr("--arch or --target")));
  const auto named = Plan(TunedLock(kWorkloads, {"rasp4b"}), {.targets = {"rasp4b", "x86-64-v3"}});
  EXPECT_EQ(named.status().code(), StatusCode::kInvalidArgument);
}

TEST(PlanLibraryTest, TheArchitecturePicksItsTargets) {
  const LockFile lock = TunedLock(kWorkloads, {"rasp4b", "x86-64-v3", "cascadelake"});
  const Library arm = Planned(lock, {.arch = "aarch64"}), x86 = Planned(lock, {.arch = "x86_64"});
  EXPECT_EQ(arm.arch, "aarch64");
  EXPECT_THAT(TargetsOf(arm), ElementsAre("rasp4b"));
  EXPECT_EQ(x86.arch, "x86_64");
  EXPECT_THAT(TargetsOf(x86), ElementsAre("cascadelake", "x86-64-v3"));
}

TEST(PlanLibraryTest, AnArchitectureWithoutTargetsIsNotFound) {
  const auto library = Plan(TunedLock(kWorkloads, {"rasp4b"}), {.arch = "x86_64"});
  EXPECT_EQ(library.status().code(), StatusCode::kNotFound);
  EXPECT_THAT(Message(library.status()), HasSubstr("no entries for x86_64"));
  EXPECT_EQ(Plan({}).status().code(), StatusCode::kNotFound);
}

TEST(PlanLibraryTest, ATargetThatIsNotKnownIsNotFound) {
  const auto library = Plan(TunedLock(kWorkloads, {"rasp4b"}), {.targets = {"nonesuch"}});
  EXPECT_EQ(library.status().code(), StatusCode::kNotFound);
  EXPECT_THAT(Message(library.status()), HasSubstr("nonesuch"));
}

TEST(PlanLibraryTest, NamedTargetsThatNeedTheSameInstructionsAreRefused) {
  // Both have NEON and no dot product.
  const LockFile lock = TunedLock(kWorkloads, {"rasp4b", "armv8-a"});
  const auto library = Plan(lock, {.targets = {"rasp4b", "armv8-a"}});
  EXPECT_EQ(library.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(Message(library.status()),
              AllOf(HasSubstr("armv8-a and rasp4b"), HasSubstr("choose one with --target")));
  EXPECT_THAT(TargetsOf(Planned(lock, {.targets = {"rasp4b"}})), ElementsAre("rasp4b"));
}

TEST(PlanLibraryTest, OfTargetsThatNobodyChoseTheOneOfWhichMostIsMeasuredStays) {
  LockFile lock = TunedLock(kWorkloads, {"rasp4b", "armv8-a"});
  const Library equal = Planned(lock);
  EXPECT_THAT(TargetsOf(equal), ElementsAre("armv8-a"));  // by name
  EXPECT_THAT(equal.notes, ElementsAre(HasSubstr("rasp4b is left out")));
  for (auto& [key, entry] : lock.entries) {
    if (key.target == "armv8-a") entry.time.reset();
  }
  const Library measured = Planned(lock);
  EXPECT_THAT(TargetsOf(measured), ElementsAre("rasp4b"));
  EXPECT_THAT(measured.notes, ElementsAre(HasSubstr("armv8-a is left out")));
  for (const LibraryVariant& variant : measured.variants) EXPECT_EQ(variant.key.target, "rasp4b");
}

TEST(PlanLibraryTest, ATargetNamedTwiceIsOne) {
  const LockFile lock = TunedLock(kWorkloads, {"rasp4b"});
  EXPECT_THAT(TargetsOf(Planned(lock, {.targets = {"rasp4b", "rasp4b"}})), ElementsAre("rasp4b"));
}

// The order in which a program tries them.
TEST(PlanLibraryTest, TheRichestTargetComesFirst) {
  const Library x86 =
      Planned(TunedLock(kWorkloads, {"alderlake", "cascadelake", "x86-64", "x86-64-v3"}));
  EXPECT_THAT(TargetsOf(x86), ElementsAre("cascadelake", "alderlake", "x86-64-v3", "x86-64"));
  for (const std::string& workload : kWorkloads) {
    EXPECT_THAT(VariantsOf(x86, workload),
                ElementsAre("cascadelake/1", "cascadelake/4", "alderlake/1", "alderlake/4",
                            "x86-64-v3/1", "x86-64-v3/4", "x86-64/1", "x86-64/4"));
  }
  EXPECT_THAT(TargetsOf(Planned(TunedLock(kWorkloads, {"pixel6", "rasp4b"}))),
              ElementsAre("pixel6", "rasp4b"));
}

TEST(PlanLibraryTest, WhatIsLockedIsTakenAsItIs) {
  const LockFile lock = TunedLock(kWorkloads, {"cascadelake", "x86-64-v3"}, true);
  const Library library = Planned(lock, {.portable = false});
  EXPECT_EQ(library.variants.size(), lock.entries.size());
  for (const LibraryVariant& variant : library.variants) {
    const LockEntry& entry = lock.entries.at(variant.key);
    EXPECT_EQ(variant.entry.code_digest, entry.code_digest);
    EXPECT_EQ(variant.entry.labels, entry.labels);
    EXPECT_EQ(variant.entry.time, entry.time);
    EXPECT_EQ(library.codes.at(variant.code).kernel.source.code_digest, entry.code_digest);
    EXPECT_THAT(variant.why, IsEmpty());
    EXPECT_FALSE(variant.stale);
  }
}

TEST(PlanLibraryTest, TheLastResortRunsOnEveryMachineOfTheArchitecture) {
  const Library x86 = Planned(TunedLock(kWorkloads, {"cascadelake", "x86-64-v3"}));
  for (const std::string& workload : kWorkloads) {
    EXPECT_THAT(VariantsOf(x86, workload).back(), "x86-64/4");  // one, for the most threads
    EXPECT_THAT(VariantsOf(x86, workload), SizeIs(5));
    const LibraryVariant& last = VariantFor(x86, {workload, "x86-64", 4, CacheState::kHot});
    EXPECT_EQ(last.entry.origin, Origin::kDefault);
    EXPECT_EQ(x86.codes[last.code].kernel.task.target().isa, 0u);
    EXPECT_THAT(last.why, IsEmpty());  // nobody asked for it
  }
  const Library arm = Planned(TunedLock(kWorkloads, {"pixel6"}));
  EXPECT_THAT(VariantsOf(arm, kConvKey), ElementsAre("pixel6/1", "pixel6/4", "armv8-a/4"));
  EXPECT_EQ(TallyOf(x86).defaults + TallyOf(arm).defaults, 0u);
}

TEST(PlanLibraryTest, TheLastResortCanBeLeftOut) {
  const Library library = Planned(TunedLock(kWorkloads, {"cascadelake"}), {.portable = false});
  EXPECT_THAT(VariantsOf(library, kConvKey), ElementsAre("cascadelake/1", "cascadelake/4"));
}

TEST(PlanLibraryTest, WhereATargetRunsEverywhereThereIsNoOtherLastResort) {
  EXPECT_THAT(VariantsOf(Planned(TunedLock(kWorkloads, {"x86-64", "x86-64-v3"})), kConvKey),
              ElementsAre("x86-64-v3/1", "x86-64-v3/4", "x86-64/1", "x86-64/4"));
  EXPECT_THAT(VariantsOf(Planned(TunedLock(kWorkloads, {"rasp4b"})), kConvKey),
              ElementsAre("rasp4b/1", "rasp4b/4"));
}

TEST(PlanLibraryTest, WhatIsNotLockedIsTheDefaultAndSaysSo) {
  LockFile lock = TunedLock(kWorkloads, {"rasp4b"});
  const LockKey gone{kConvKey, "rasp4b", 4, CacheState::kHot};
  lock.entries.erase(gone);
  const Library library = Planned(lock);
  const LibraryVariant& variant = VariantFor(library, gone);
  EXPECT_EQ(variant.why, "it is not locked");
  EXPECT_EQ(variant.entry.origin, Origin::kDefault);
  EXPECT_FALSE(variant.entry.time);
  EXPECT_FALSE(variant.stale);
  EXPECT_EQ(variant.entry.code_digest,
            LowerDefault(Builtins(), TargetNamed("rasp4b"), gone)->source.code_digest);
  const LibraryTally tally = TallyOf(library);
  EXPECT_EQ(tally.hits, 3u);
  EXPECT_EQ(tally.defaults, 1u);
  EXPECT_EQ(tally.stale, 0u);
  EXPECT_EQ(tally.largest, &variant);
}

TEST(PlanLibraryTest, WhatIsStaleIsTheDefaultAndSaysWhy) {
  LockFile lock = TunedLock(kWorkloads, {"rasp4b"}, true);
  const LockKey stale{kDenseKey, "rasp4b", 1, CacheState::kHot};
  lock.entries.at(stale).code_digest ^= 1;
  const Library library = Planned(lock);
  const LibraryVariant& variant = VariantFor(library, stale);
  EXPECT_THAT(variant.why, AllOf(StartsWith("stale: "), HasSubstr("other code")));
  EXPECT_TRUE(variant.stale);
  EXPECT_EQ(variant.entry.origin, Origin::kDefault);
  for (const LibraryVariant& other : library.variants) {
    EXPECT_EQ(other.stale, other.key == stale) << Describe(other.key);
  }
  EXPECT_EQ(TallyOf(library).stale, 1u);
  EXPECT_EQ(TallyOf(library).defaults, 1u);
}

TEST(PlanLibraryTest, ALockedDefaultCountsAsOneThatNobodyTuned) {
  LockFile lock = TunedLock(kWorkloads, {"rasp4b"});
  for (auto& [key, entry] : lock.entries) {
    entry.time.reset();
    entry.origin = Origin::kDefault;
  }
  const Library library = Planned(lock);
  for (const LibraryVariant& variant : library.variants)
    EXPECT_EQ(variant.why, "it is locked as a default");
  EXPECT_EQ(TallyOf(library).hits, 0u);
  EXPECT_EQ(TallyOf(library).defaults, 4u);
}

TEST(PlanLibraryTest, TheSlowestDefaultIsTheOneWithTheMostMultiplications) {
  LockFile lock = TunedLock({kDenseKey}, {"rasp4b"});
  const Network network = NetworkOf({{"d", kDenseKey}, {"c", kConvKey}, {"dw", kDepthwiseKey}});
  const Library library = Planned(lock, {.network = network});
  const LibraryTally tally = TallyOf(library);
  EXPECT_EQ(tally.hits, 2u);
  EXPECT_EQ(tally.defaults, 4u);
  ASSERT_NE(tally.largest, nullptr);
  EXPECT_EQ(tally.largest->key.workload, kConvKey);
  EXPECT_EQ(TallyOf(Planned(lock)).largest, nullptr);
}

// Templates of one op, on targets of any instruction set.
TEST(PlanLibraryTest, WhatIsStaleAndNotServedAnyMoreMakesNoOtherKernelStale) {
  TemplateRegistry registry;
  registry.Register(std::make_shared<FakeTemplate>());
  const Target target = TargetNamed("rasp4b");
  const LockKey conv{kConvKey, "rasp4b", 1, CacheState::kHot};
  const LockKey dense{kDenseKey, "rasp4b", 1, CacheState::kHot};
  LockFile lock;
  lock.entries[conv] = TunedEntry(registry, target, conv);
  lock.entries[dense] = TunedEntry(Builtins(), target, dense);
  const auto library = PlanLibrary(registry, lock, {});
  ASSERT_TRUE(library.ok()) << library.status();
  ASSERT_THAT(library->variants, SizeIs(1));
  EXPECT_FALSE(library->variants[0].stale) << "another workload's entry is stale, not this one's";
  EXPECT_THAT(library->workloads, ElementsAre(kConvKey));
  EXPECT_THAT(library->unserved,
              ElementsAre(HasSubstr("no template computes " + std::string(kDenseKey))));
}

TEST(PlanLibraryTest, WithoutAnyKernelThereIsNoLibrary) {
  TemplateRegistry registry;
  registry.Register(std::make_shared<FakeTemplate>());
  LockFile lock;
  const LockKey dense{kDenseKey, "rasp4b", 1, CacheState::kHot};
  lock.entries[dense] = TunedEntry(Builtins(), TargetNamed("rasp4b"), dense);
  const Status status = PlanLibrary(registry, lock, {}).status();
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_THAT(Message(status), HasSubstr("no template computes"));
}

TEST(PlanLibraryTest, CodeThatVariantsShareIsThereOnce) {
  const LockFile lock = TunedLock({kConvKey, kDepthwiseKey, kDenseKey},
                                  {"alderlake", "cascadelake", "x86-64-v3"}, true);
  LockFile shared = lock;
  for (auto& [key, entry] : shared.entries) {
    if (key.threads == 4) entry = shared.entries.at({key.workload, key.target, 1, key.cache});
  }
  for (const LockFile& file : {lock, shared}) {
    const Library library = Planned(file);
    EXPECT_TRUE(std::ranges::is_sorted(library.codes, std::less<>(), &LibraryCode::symbol));
    std::set<std::string> symbols;
    for (const LibraryCode& code : library.codes) symbols.insert(code.symbol());
    EXPECT_EQ(symbols.size(), library.codes.size());
    std::set<std::size_t> used;
    for (const LibraryVariant& variant : library.variants) {
      ASSERT_LT(variant.code, library.codes.size());
      used.insert(variant.code);
      EXPECT_EQ(library.codes[variant.code].symbol(),
                "kiln_" + kiln::Hex(variant.entry.code_digest));
    }
    EXPECT_EQ(used.size(), library.codes.size());
  }
  EXPECT_EQ(Planned(shared, {.portable = false}).codes.size(), 9u);
}

TEST(PlanLibraryTest, ANetworkSaysWhichWorkloadsAreInIt) {
  const LockFile lock = TunedLock({kConvKey, kDenseKey}, {"rasp4b"});
  const Library library =
      Planned(lock, {.network = NetworkOf({{"fc", kDenseKey}, {"dw", kDepthwiseKey}})});
  EXPECT_THAT(library.workloads, ElementsAre(kDenseKey, kDepthwiseKey));
  EXPECT_THAT(VariantsOf(library, kDepthwiseKey), ElementsAre("rasp4b/1", "rasp4b/4"));
}

TEST(PlanLibraryTest, OnlyTheCacheStateThatIsAskedForIsTaken) {
  LockFile lock = TunedLock({kConvKey}, {"rasp4b"});
  const LockKey cold{kDenseKey, "rasp4b", 2, CacheState::kCold};
  lock.entries[cold] = TunedEntry(Builtins(), TargetNamed("rasp4b"), cold);
  EXPECT_THAT(Planned(lock).workloads, ElementsAre(kConvKey));
  const Library library = Planned(lock, {.cache = CacheState::kCold});
  EXPECT_THAT(library.workloads, ElementsAre(kDenseKey));
  EXPECT_THAT(VariantsOf(library, kDenseKey), ElementsAre("rasp4b/2"));
}

TEST(PlanLibraryTest, LayersAreSortedAndTheSameNameTwiceIsNoted) {
  const LockFile lock = TunedLock({kConvKey, kDenseKey}, {"rasp4b"});
  const Library library =
      Planned(lock, {.network = NetworkOf(
                         {{"z", kConvKey}, {"a", kDenseKey}, {"M", kConvKey}, {"z", kDenseKey}})});
  EXPECT_THAT(library.layers, ElementsAre(std::pair("M", kConvKey), std::pair("a", kDenseKey),
                                          std::pair("z", kConvKey)));
  EXPECT_THAT(library.notes, ElementsAre(HasSubstr("two layers are named z")));
  const Library again = Planned(lock, {.network = NetworkOf({{"z", kConvKey}, {"z", kConvKey}})});
  EXPECT_THAT(again.layers, SizeIs(1));
  EXPECT_THAT(again.notes, IsEmpty());  // the same kernel either way
}

// --- what is written of it

LibraryStyle Style(LibraryForm form, const std::string& name = "net") {
  return {.name = name, .form = form, .compiler = "clang 19.1.7 -O2 of a test"};
}

Library SomeLibrary() {
  return Planned(TunedLock(kWorkloads, {"alderlake", "x86-64-v3"}, true),
                 {.network = NetworkOf({{"conv \"1\"", kConvKey}, {"fc", kDenseKey}})});
}

TEST(LibraryFilesTest, EqualLibrariesHaveEqualFiles) {
  for (const LibraryForm form : {LibraryForm::kObject, LibraryForm::kC}) {
    const Files files = TextFilesOf(SomeLibrary(), Style(form));
    EXPECT_GT(files.size(), 8u);
    EXPECT_EQ(TextFilesOf(SomeLibrary(), Style(form)), files);
  }
}

TEST(LibraryFilesTest, NoMarkOfATemplateIsLeft) {
  for (const LibraryForm form : {LibraryForm::kObject, LibraryForm::kC}) {
    for (const auto& [path, text] : TextFilesOf(SomeLibrary(), Style(form))) {
      for (const char* mark : {"LIBNAME", "LIBGUARD", "@NAME", "@GUARD", "@LICENCE", "@VERSION",
                               "@ARCH", "@PROCESSORS", "@BUILT", "@PRIVATE_INCLUDES"}) {
        EXPECT_THAT(text, Not(HasSubstr(mark))) << path;
      }
    }
  }
}

TEST(LibraryFilesTest, TheHeaderDeclaresTheFunctionsByName) {
  const Files files = TextFilesOf(SomeLibrary(), Style(LibraryForm::kObject, "my_Net2"));
  const std::string& header = files.at("include/my_Net2.h");
  for (const char* line :
       {"void my_Net2_init(kiln_context* context, uint32_t threads);",
        "const kiln_kernel* my_Net2_find(const kiln_context* context, const char* workload);",
        "const kiln_kernel* my_Net2_find_layer(const kiln_context* context, const char* layer);",
        "const kiln_kernel* my_Net2_kernels(size_t* count);", "#ifndef KILN_LIB_MY_NET2_H_"}) {
    EXPECT_THAT(header, HasSubstr(line));
  }
  EXPECT_THAT(header, Not(HasSubstr("#include \"")));  // it needs no file of Kiln's
}

TEST(LibraryFilesTest, ObjectsAreNamedByLibraryAndCode) {
  const Library library = SomeLibrary();
  const LibraryStyle style = Style(LibraryForm::kObject);
  const Files files = TextFilesOf(library, style);
  std::string objects;
  for (const LibraryCode& code : library.codes) {
    const std::string digest = Hex(code.kernel.source.code_digest);
    const std::string path = KernelPathOf(code, style);
    EXPECT_THAT(path, AllOf(StartsWith("kernels/"), EndsWith("/net_" + digest + ".o")));
    EXPECT_FALSE(files.contains(path)) << "an object is no text";
    EXPECT_THAT(files.at("Makefile"), HasSubstr(path));
    EXPECT_THAT(files.at("CMakeLists.txt"), HasSubstr(path));
    EXPECT_THAT(files.at("src/net.c"), HasSubstr("net_" + digest + "_run HIDDEN"));
    objects += path + "\n";

    const CompileJob job = ObjectJobOf(code, style);
    EXPECT_EQ(job.symbol, "net_" + digest);
    EXPECT_EQ(job.emit, EmitKind::kRelocatable);
    EXPECT_THAT(job.c, HasSubstr(code.kernel.source.c)) << "not the code that was measured";
    EXPECT_THAT(job.c, HasSubstr("#define kiln_" + digest + "_run net_" + digest + "_run\n"));
  }
  EXPECT_EQ(files.at("objects.txt"), objects);
}

TEST(LibraryTest, ThreadsChooseAmongTheLockedOnes) {
  LockFile lock = TunedLock({kConvKey}, {"cascadelake"});
  for (const std::int32_t threads : {2, 4}) {
    lock.entries[{kConvKey, "cascadelake", threads, CacheState::kHot}] =
        lock.entries.begin()->second;
  }
  LibraryRequest request;
  request.portable = false;
  EXPECT_EQ(Planned(lock, request).variants.size(), 3u);
  request.threads = {2};
  EXPECT_THAT(VariantsOf(Planned(lock, request), kConvKey), ElementsAre("cascadelake/2"));
}

TEST(LibraryFilesTest, CFilesAreNamedByLibraryAndCodeAndSayThatTheyAreNotWhatWasMeasured) {
  const Library library = SomeLibrary();
  const LibraryStyle style = Style(LibraryForm::kC);
  const Files files = TextFilesOf(library, style);
  std::size_t sources = 0;
  for (const auto& [path, text] : files) {
    sources += path.starts_with("kernels/") && path.ends_with(".c");
  }
  EXPECT_EQ(sources, library.codes.size());
  for (const LibraryCode& code : library.codes) {
    const std::string path = KernelPathOf(code, style);
    EXPECT_THAT(path, EndsWith("/net_" + Hex(code.kernel.source.code_digest) + ".c"));
    EXPECT_THAT(files.at(path), HasSubstr(code.kernel.source.c));
  }
  EXPECT_FALSE(files.contains("objects.txt"));
  EXPECT_THAT(files.at("src/net.c"), HasSubstr("not the code that was measured"));
  EXPECT_THAT(files.at("README.md"), HasSubstr("it is not the code that was measured"));
  EXPECT_THAT(TextFilesOf(library, Style(LibraryForm::kObject)).at("README.md"),
              Not(HasSubstr("not the code that was measured")));
}

// compilers_test.py compiles with the header's.
TEST(LibraryFilesTest, FlagsOfCFilesAreThoseThatTheHeaderForOtherCompilersNames) {
  const std::string makefile = TextFilesOf(SomeLibrary(), Style(LibraryForm::kC)).at("Makefile");
  const std::string header(CompatHeaderText());
  std::size_t lines = 0;
  for (const std::string_view set : {"kernel_flags = ", "kernel_flags += "}) {
    const std::size_t at = makefile.find(set);
    ASSERT_NE(at, std::string::npos) << set;
    const std::size_t begin = at + set.size(), end = makefile.find('\n', begin);
    EXPECT_THAT(header, HasSubstr(makefile.substr(begin, end - begin)));
    ++lines;
  }
  EXPECT_EQ(lines, 2u);
}

// The compiler may use all that a target has, whatever the template needs: a processor with less must
// not be given the kernel. Here AVX-512 without VNNI, whose kernels are the AVX2 template's.
TEST(LibraryFilesTest, AKernelNeedsAllInstructionsThatItIsCompiledWith) {
  Target skylake = TargetNamed("cascadelake");
  skylake.name = "skylake";
  skylake.isa = Bit(IsaFeature::kAvx2) | Bit(IsaFeature::kAvx512);
  LockFile lock;
  lock.targets["skylake"] = skylake;
  const LockKey key{kConvKey, "skylake", 1, CacheState::kHot};
  lock.entries[key] = TunedEntry(Builtins(), skylake, key);
  LibraryRequest request;
  request.portable = false;
  const Library library = Planned(lock, request);
  ASSERT_THAT(library.codes, SizeIs(1));
  const LockedKernel& kernel = library.codes[0].kernel;
  EXPECT_EQ(kernel.task.kernel_template().name(), "conv2d.avx2");
  EXPECT_THAT(kernel.source.c, HasSubstr("0, " + std::to_string(skylake.isa) + "ull,\n"));
}

// Two targets whose best feature is the same are compiled with flags of their own.
TEST(LibraryFilesTest, CodesOfOneDirectoryHaveTheSameFlags) {
  LockFile lock = TunedLock({kConvKey}, {"cascadelake"});
  Target richer = TargetNamed("cascadelake");
  richer.name = "richer";
  richer.isa |= Bit(IsaFeature::kAvxVnni);
  lock.targets["richer"] = richer;
  const LockKey key{kConvKey, "richer", 1, CacheState::kHot};
  lock.entries[key] = TunedEntry(Builtins(), richer, key);
  std::map<std::string, std::string> flags;
  const Library library = Planned(lock);
  ASSERT_THAT(library.targets, SizeIs(2));
  for (const LibraryCode& code : library.codes) {
    const std::string own = CompilerFlagsOf(library.arch, code.kernel.task.target().isa);
    EXPECT_EQ(flags.try_emplace(InstructionSetOf(code), own).first->second, own);
  }
}

TEST(LibraryFilesTest, KernelsLieByInstructionSet) {
  const Library library = SomeLibrary();
  std::set<std::string> sets;
  for (const LibraryCode& code : library.codes) sets.insert(InstructionSetOf(code));
  EXPECT_THAT(sets, ElementsAre("avx2", "avx2_avxvnni", "portable"));
}

// The tables are looked up by bisection: see compare() in runtime/library.c.
TEST(LibraryFilesTest, TablesAreInTheOrderOfTheirBytes) {
  const Library library = Planned(
      TunedLock({kConvKey, kDenseKey, kDepthwiseKey}, {"rasp4b"}),
      {.network = NetworkOf({{"b", kConvKey}, {"B", kDenseKey}, {"\xc3\xa4", kDepthwiseKey}})});
  EXPECT_TRUE(std::ranges::is_sorted(library.workloads));
  EXPECT_THAT(library.layers, ElementsAre(std::pair("B", kDenseKey), std::pair("b", kConvKey),
                                          std::pair("\xc3\xa4", kDepthwiseKey)));
  const std::string source = TextFilesOf(library, Style(LibraryForm::kObject)).at("src/net.c");
  EXPECT_LT(source.find("{\"B\", 1}"), source.find("{\"b\", 0}"));
  EXPECT_LT(source.find("{\"b\", 0}"), source.find("{\"\\303\\244\", 2}"));
  EXPECT_NE(source.find("{\"\\303\\244\", 2}"), std::string::npos);
}

TEST(LibraryFilesTest, NamesOfLayersAreQuoted) {
  const Library library = Planned(TunedLock({kConvKey}, {"rasp4b"}),
                                  {.network = NetworkOf({{"a\"b\\c\n\t?\?/d", kConvKey}})});
  EXPECT_THAT(TextFilesOf(library, Style(LibraryForm::kObject)).at("src/net.c"),
              HasSubstr("{\"a\\\"b\\\\c\\012\\011\\077\\077/d\", 0}"));
}

TEST(LibraryFilesTest, NamesThatCannotBeginANameOfCAreRefused) {
  for (const std::string name : {"net", "Net_2", "n", "kilns", "kiln2", "for_me"}) {
    EXPECT_TRUE(IsLibraryName(name)) << name;
  }
  EXPECT_TRUE(IsLibraryName(std::string(64, 'n')));
  EXPECT_FALSE(IsLibraryName(std::string(65, 'n')));
  for (const std::string name :
       {"",       "2net",      "_net",     "my-net", "my net",  "n\xc3\xa4", "net.h",
        "../net", "kiln",      "kiln_net", "int",    "for",     "net\n",     "register",
        "class",  "namespace", "xor",      "test",   "install", "all"}) {
    EXPECT_FALSE(IsLibraryName(name)) << name;
  }
  EXPECT_FALSE(IsLibraryName(std::string("n\0t", 3)));
}

// --- its manifest

ObjectRecords SomeRecords(const Library& library, const LibraryStyle& style) {
  ObjectRecords records;
  std::uint64_t number = 0xfedcba9876543210;
  for (const LibraryCode& code : library.codes) {
    records[KernelPathOf(code, style)] = {number, ~number};
    number = number * 3 + 1;
  }
  return records;
}

TEST(ManifestTest, ReadsBackWhatTheNextExportNeeds) {
  const Library library = SomeLibrary();
  const LibraryStyle style = Style(LibraryForm::kObject);
  const ObjectRecords records = SomeRecords(library, style);
  const auto read = ParseManifest(PrintManifest(library, style, records));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->style.name, style.name);
  EXPECT_EQ(read->style.form, style.form);
  EXPECT_EQ(read->style.compiler, style.compiler);
  ASSERT_EQ(read->objects.size(), records.size());
  for (const auto& [path, record] : records) {
    EXPECT_EQ(read->objects.at(path).job_digest, record.job_digest);
    EXPECT_EQ(read->objects.at(path).object_digest, record.object_digest);
  }
  const auto c = ParseManifest(PrintManifest(library, Style(LibraryForm::kC), {}));
  EXPECT_EQ(c->style.form, LibraryForm::kC);
  EXPECT_THAT(c->objects, IsEmpty());
}

TEST(ManifestTest, SaysOfEachKernelWhereItComesFrom) {
  LockFile lock = TunedLock({kConvKey}, {"rasp4b"}, true);
  const LockKey stale{kConvKey, "rasp4b", 4, CacheState::kHot};
  lock.entries.at(stale).code_digest ^= 1;
  const Library library = Planned(lock);
  const LibraryStyle style = Style(LibraryForm::kObject);
  const Json json = Json::parse(PrintManifest(library, style, {}));
  ASSERT_EQ(json["kernels"].size(), 2u);
  const Json& tuned = json["kernels"][0];
  const LibraryVariant& variant = library.variants[0];
  EXPECT_EQ(tuned["workload"], kConvKey);
  EXPECT_EQ(tuned["target"], "rasp4b");
  EXPECT_EQ(tuned["threads"], 1);
  EXPECT_EQ(tuned["origin"], "tuned");
  EXPECT_EQ(tuned["min_ns"], 1000.0);
  EXPECT_EQ(tuned["kind"], "measured");
  EXPECT_EQ(tuned["confirmed"], true);
  EXPECT_EQ(tuned["device"], "board-1");
  EXPECT_EQ(tuned["measurement"], SomeTime().uuid);
  EXPECT_EQ(tuned["code_digest"], Hex(variant.entry.code_digest));
  EXPECT_EQ(tuned["file"], KernelPathOf(library.codes[variant.code], style));
  EXPECT_EQ(tuned["config"].size(), variant.entry.labels.size());
  EXPECT_EQ(tuned["config_id"], ConfigId(variant.entry.labels));
  EXPECT_TRUE(tuned["why"].is_null());
  const Json& fallback = json["kernels"][1];
  EXPECT_EQ(fallback["origin"], "default");
  EXPECT_TRUE(fallback["min_ns"].is_null());
  EXPECT_TRUE(fallback["device"].is_null());
  EXPECT_THAT(fallback["why"].get<std::string>(), StartsWith("stale: "));
}

TEST(ManifestTest, WhatIsNoManifestIsRefused) {
  for (const char* text : {"", "{", "[]", "3", "null", "\"kiln_library\"", "{\"name\": \"net\"}",
                           "{\"kiln_library\": 1}", "{\"kiln_library\": 1, \"name\": 3}",
                           "{\"kiln_library\": 1, \"name\": \"\"}"}) {
    EXPECT_EQ(ParseManifest(text).status().code(), StatusCode::kInvalidArgument) << text;
  }
}

// An object whose digests are not understood is compiled again.
TEST(ManifestTest, RecordsOfObjectsThatAreDamagedAreNoRecords) {
  const auto objects = [](const std::string& record) {
    const auto read =
        ParseManifest(R"({"kiln_library": 1, "name": "net", "objects": [)" + record + "]}");
    EXPECT_TRUE(read.ok()) << read.status();
    return read.ok() ? read->objects : ObjectRecords{};
  };
  EXPECT_THAT(objects(R"({"file": "f", "job_digest": "0f", "object_digest": "1"})"), SizeIs(1));
  for (const char* record :
       {"3", "null", "[]", "{}", R"({"file": "f"})",
        R"({"file": 3, "job_digest": "0f", "object_digest": "1"})",
        R"({"file": "f", "job_digest": "0f"})",
        R"({"file": "f", "job_digest": 15, "object_digest": "1"})",
        R"({"file": "f", "job_digest": null, "object_digest": "1"})",
        R"({"file": "f", "job_digest": "", "object_digest": "1"})",
        R"({"file": "f", "job_digest": "0g", "object_digest": "1"})",
        R"({"file": "f", "job_digest": "-1", "object_digest": "1"})",
        R"({"file": "f", "job_digest": "10000000000000000", "object_digest": "1"})"}) {
    EXPECT_THAT(objects(record), IsEmpty()) << record;
  }
}

TEST(ManifestTest, DamageIsRefusedOrReadAndNeverEndsTheProgram) {
  const Library library = SomeLibrary();
  const LibraryStyle style = Style(LibraryForm::kObject);
  const std::string text = PrintManifest(library, style, SomeRecords(library, style));
  for (std::size_t size = 0; size + 2 < text.size(); ++size) {
    EXPECT_FALSE(ParseManifest(text.substr(0, size)).ok()) << size;
  }
  static constexpr std::string_view kMarks = "{}[]\",:0-eE.\\u\0\xff\xc3ntf ";
  for (std::uint64_t seed = 0; seed < 3000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Rng rng(seed);
    std::string damaged = text;
    for (std::uint64_t left = 1 + rng.Below(4); left > 0; --left) {
      const std::size_t at = rng.Below(damaged.size());
      const char byte =
          rng.Below(2) == 0 ? static_cast<char>(rng.Next()) : kMarks[rng.Below(kMarks.size())];
      switch (rng.Below(4)) {
        case 0:
          damaged[at] = byte;
          break;
        case 1:
          damaged.insert(at, 1, byte);
          break;
        case 2:
          damaged.erase(at, 1 + rng.Below(20));
          break;
        default:
          damaged.insert(rng.Below(damaged.size()), damaged.substr(at, rng.Below(200)));
      }
    }
    const auto read = ParseManifest(damaged);
    EXPECT_TRUE(read.ok() || read.status().code() == StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace kiln
