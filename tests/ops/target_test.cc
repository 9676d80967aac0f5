#include "ops/target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "ops/processor.h"

namespace kiln {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

namespace fs = std::filesystem;

// A directory of its own that goes with the test.
class TargetTest : public ::testing::Test {
 protected:
  TargetTest() {
    directory_ = fs::temp_directory_path() /
                 ("kiln_target_test_" + std::to_string(getpid()) + "_" +
                  ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::create_directories(directory_);
  }
  ~TargetTest() override { fs::remove_all(directory_); }

  std::string Write(const std::string& name, const std::string& text) const {
    const fs::path file = directory_ / name;
    fs::create_directories(file.parent_path());
    std::ofstream(file) << text;
    return file.string();
  }

  fs::path directory_;
};

constexpr char kBoard[] = R"({"summary": "a board", "arch": "aarch64", "cpu": "cortex-a72",
  "isa": ["neon"], "cores": 4, "l1_kib": 32, "l2_kib": 1024, "l3_kib": 0, "workspace_kib": 100})";

std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  return text.replace(text.find(from), from.size(), to);
}

TEST_F(TargetTest, ReadsAFileByPath) {
  const auto target = FindTarget(Write("board.json", kBoard));
  ASSERT_TRUE(target.ok()) << target.status();
  EXPECT_EQ(target->name, "board");
  EXPECT_EQ(target->cpu, "cortex-a72");
  EXPECT_EQ(target->isa, Bit(IsaFeature::kNeon));
  EXPECT_EQ(target->cores, 4);
  EXPECT_EQ(target->l2_bytes, 1 << 20);
  EXPECT_EQ(target->l3_bytes, 0);
  EXPECT_EQ(target->workspace_cap, 100 << 10);
}

TEST_F(TargetTest, EmulatedProcessorMayBeNamed) {
  EXPECT_THAT(FindTarget(Write("board.json", kBoard))->emulated_cpu, IsEmpty());
  const std::string with = Replaced(kBoard, "\"isa\"", "\"emulated_cpu\": \"max\", \"isa\"");
  EXPECT_EQ(FindTarget(Write("board.json", with))->emulated_cpu, "max");
  const auto bad = FindTarget(Write("bad.json", Replaced(with, "\"max\"", "4")));
  EXPECT_THAT(Message(bad.status()), HasSubstr("bad.json: \"emulated_cpu\" must be a text"));
}

TEST_F(TargetTest, WhatItIsEstimatedWithMayBeMissing) {
  EXPECT_FALSE(FindTarget(Write("board.json", kBoard))->estimate);
  const auto with = [&](const std::string& estimate) {
    return FindTarget(Write("e.json", Replaced(kBoard, "}", ", \"estimate\": " + estimate + "}")));
  };
  const auto target = with(R"({"mca_cpu": "neoverse-n1", "ghz": 2.25})");
  ASSERT_TRUE(target.ok()) << target.status();
  ASSERT_TRUE(target->estimate);
  EXPECT_EQ(target->estimate->mca_cpu, "neoverse-n1");
  EXPECT_EQ(target->estimate->ghz, 2.25);
  for (const char* bad :
       {"3", "{}", R"({"mca_cpu": "x"})", R"({"mca_cpu": "x", "ghz": 0})",
        R"({"mca_cpu": "x", "ghz": 100})", R"({"mca_cpu": "x", "ghz": "1"})",
        R"({"mca_cpu": "x", "GHz": 1})", R"({"mca_cpu": "x", "ghz": 1, "more": 2})"}) {
    EXPECT_THAT(Message(with(bad).status()), HasSubstr("e.json: \"estimate\" must be like")) << bad;
  }
}

TEST_F(TargetTest, ErrorsNameTheFileAndTheKey) {
  const auto expect = [&](const std::string& from, const std::string& to,
                          const std::string& message) {
    const auto target = FindTarget(Write("bad.json", Replaced(kBoard, from, to)));
    ASSERT_FALSE(target.ok()) << to;
    EXPECT_EQ(target.status().code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(Message(target.status()), HasSubstr("bad.json: " + message));
  };
  expect("\"cores\": 4, ", "", "\"cores\" is missing");
  expect("\"cores\"", "\"coers\"", "\"coers\" is not a key of a target");
  expect(": 4", ": 0", "\"cores\" must be a whole number from 1 to 1024, not 0");
  expect(": 4", ": \"4\"", "\"cores\" must be a whole number");
  expect(": 4", ": 1e30", "\"cores\" must be a whole number");
  expect("aarch64", "arm", "\"arch\" must be x86_64 or aarch64, not arm");
  expect("\"cortex-a72\"", "72", "\"cpu\" must be a text");
  expect("neon", "noen", "\"isa\" has an unknown feature \"noen\"");
  expect("[\"neon\"]", "\"neon\"", "\"isa\" must be a list");
  expect("}", "", "[json.exception.parse_error");
  expect(kBoard, "[]", "not a JSON object");
}

TEST_F(TargetTest, APathThatIsNotThereIsNotFound) {
  const auto target = FindTarget((directory_ / "none.json").string());
  EXPECT_EQ(target.status().code(), StatusCode::kNotFound);
}

TEST_F(TargetTest, ShippedTargetsAreKnownInOrder) {
  const auto targets = KnownTargets();
  ASSERT_TRUE(targets.ok()) << targets.status();
  std::vector<std::string> names;
  for (const Target& target : *targets) {
    names.push_back(target.name);
    EXPECT_EQ(FindTarget(target.name)->summary, target.summary);
  }
  EXPECT_THAT(names, ElementsAre("alderlake", "armv8-a", "cascadelake", "pixel6", "pixel6-a55",
                                 "pixel6-a76", "rasp4b", "x86-64", "x86-64-v3"));
}

TEST_F(TargetTest, AnUnknownNameIsToldTheKnownOnes) {
  const auto target = FindTarget("rasp5");
  EXPECT_EQ(target.status().code(), StatusCode::kNotFound);
  EXPECT_THAT(
      Message(target.status()),
      HasSubstr("no target named \"rasp5\"; known are native, alderlake, armv8-a, cascadelake, "));
}

TEST_F(TargetTest, NativeIsFoundByWhatItIsCalled) {
  const auto native = FindTarget("native");
  ASSERT_TRUE(native.ok()) << native.status();
  EXPECT_EQ(native->isa, DetectIsa());
  EXPECT_GE(native->cores, 1);
  EXPECT_GT(native->l1_bytes, 0);
  EXPECT_THAT(native->name, HasSubstr(native->cpu));
  const auto again = FindTarget(native->name);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->name, native->name);
}

TEST(BaselineTargetTest, EveryTargetOfTheArchitectureRunsItsCode) {
  const auto targets = KnownTargets();
  ASSERT_TRUE(targets.ok()) << targets.status();
  for (const Target& target : *targets) {
    const auto baseline = BaselineTarget(target.arch);
    ASSERT_TRUE(baseline.ok()) << baseline.status();
    EXPECT_EQ(baseline->arch, target.arch);
    EXPECT_TRUE(CanRun(target, *baseline)) << target.name;
  }
}

TEST(BaselineTargetTest, HasWhatTheArchitectureAlwaysHas) {
  const auto x86 = BaselineTarget("x86_64"), arm = BaselineTarget("aarch64");
  ASSERT_TRUE(x86.ok()) << x86.status();
  ASSERT_TRUE(arm.ok()) << arm.status();
  EXPECT_EQ(x86->name, "x86-64");
  EXPECT_EQ(x86->isa, 0u);
  EXPECT_EQ(arm->name, "armv8-a");
  EXPECT_EQ(arm->isa, Bit(IsaFeature::kNeon));
}

TEST(BaselineTargetTest, AnArchitectureThatIsNotKnownHasNone) {
  for (const char* arch : {"", "riscv64", "arm", "x86-64"}) {
    EXPECT_EQ(BaselineTarget(arch).status().code(), StatusCode::kNotFound) << arch;
  }
}

TEST(CanRunTest, NeedsTheArchitectureAndEveryFeature) {
  Target machine, target;
  machine.arch = target.arch = "x86_64";
  machine.isa = Bit(IsaFeature::kAvx2) | Bit(IsaFeature::kAvx512);
  target.isa = Bit(IsaFeature::kAvx2);
  EXPECT_TRUE(CanRun(machine, target));
  EXPECT_FALSE(CanRun(target, machine));
  target.arch = "aarch64", target.isa = 0;
  EXPECT_FALSE(CanRun(machine, target));
}

TEST(ProcessorTest, SignaturesFoldTheExtendedFields) {
  const X86Signature emerald = DecodeX86Signature("GenuineIntel", 0x000C06F2);
  EXPECT_EQ(emerald.family, 6u);
  EXPECT_EQ(emerald.model, 0xCFu);
  EXPECT_EQ(emerald.stepping, 2u);
  const X86Signature zen = DecodeX86Signature("AuthenticAMD", 0x00A20F10);
  EXPECT_EQ(zen.family, 0x19u);
  EXPECT_EQ(zen.model, 0x21u);
}

TEST(ProcessorTest, NamesAreThoseOfClang) {
  const auto intel = [](std::uint32_t eax) {
    return X86CpuName(DecodeX86Signature("GenuineIntel", eax));
  };
  const auto amd = [](std::uint32_t eax) {
    return X86CpuName(DecodeX86Signature("AuthenticAMD", eax));
  };
  EXPECT_EQ(intel(0x000306F2), "haswell");
  EXPECT_EQ(intel(0x00050654), "skylake-avx512");
  EXPECT_EQ(intel(0x00050657), "cascadelake");
  EXPECT_EQ(intel(0x0005065B), "cooperlake");
  EXPECT_EQ(intel(0x000606A6), "icelake-server");
  EXPECT_EQ(intel(0x000806F8), "sapphirerapids");
  EXPECT_EQ(intel(0x000C06F2), "emeraldrapids");
  EXPECT_EQ(amd(0x00830F10), "znver2");
  EXPECT_EQ(amd(0x00A20F10), "znver3");
  EXPECT_EQ(amd(0x00A10F11), "znver4");
  EXPECT_EQ(amd(0x00A60F12), "znver4");
  EXPECT_EQ(amd(0x00B40F40), "znver5");
  EXPECT_EQ(ArmCpuName(0x410FD083), "cortex-a72");
  EXPECT_EQ(ArmCpuName(0x411FD440), "cortex-x1");
}

TEST(ProcessorTest, UnknownProcessorsHaveNoName) {
  EXPECT_THAT(X86CpuName({"GenuineIntel", 6, 0x0F, 0}), IsEmpty());
  EXPECT_THAT(X86CpuName({"SomeoneElse!", 0x19, 0x21, 0}), IsEmpty());
  EXPECT_THAT(ArmCpuName(0x51AF8014), IsEmpty());
}

TEST_F(TargetTest, CachesAreReadAsLinuxListsThem) {
  const auto cache = [&](const std::string& index, const std::string& level,
                         const std::string& type, const std::string& size) {
    Write("cache/" + index + "/level", level + "\n");
    Write("cache/" + index + "/type", type + "\n");
    Write("cache/" + index + "/size", size + "\n");
  };
  cache("index0", "1", "Data", "48K");
  cache("index1", "1", "Instruction", "32K");
  cache("index2", "2", "Unified", "2048K");
  cache("index3", "3", "Unified", "32M");
  const CacheSizes sizes = ReadCacheSizes((directory_ / "cache").string());
  EXPECT_EQ(sizes.l1_bytes, 48 << 10);
  EXPECT_EQ(sizes.l2_bytes, 2 << 20);
  EXPECT_EQ(sizes.l3_bytes, 32 << 20);
}

TEST_F(TargetTest, CachesThatAreNotListedAreZero) {
  const CacheSizes sizes = ReadCacheSizes((directory_ / "none").string());
  EXPECT_EQ(sizes.l1_bytes, 0);
  EXPECT_EQ(sizes.l3_bytes, 0);
}

}  // namespace
}  // namespace kiln
