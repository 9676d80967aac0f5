// What a person types: help, versions, mistakes, and the commands that need no device.

#include <elf.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "ops/workload_key.h"
#include "tests/integration/json_lines.h"
#include "tests/integration/programs.h"
#include "tests/models/tflite_writer.h"

namespace kiln {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr char kConv[] =
    "conv2d/i8/n1h9w9c8/o16/k3x3/s1x1/p1,1,1,1/d1x1/g1/pc/wz0/act=lo/rq=int7/double";

class CliTest : public KilnTest {
 protected:
  // The command fails with this status, prints nothing, and says why in one line, which is
  // returned.
  std::string ErrorOf(int status, std::vector<std::string> arguments) const {
    const Outcome outcome = ExpectKiln(status, std::move(arguments));
    EXPECT_EQ(outcome.out, "");
    EXPECT_TRUE(IsOneLine(outcome.err)) << outcome.err;
    EXPECT_THAT(outcome.err, StartsWith("kiln: "));
    return outcome.err;
  }
};

TEST_F(CliTest, EveryCommandHelps) {
  EXPECT_THAT(ExpectKiln(0, {"--help"}).out, HasSubstr("Examples:"));
  for (const char* command :
       {"tune", "best", "history", "bench", "verify", "space", "workloads", "devices", "targets"}) {
    const Outcome outcome = ExpectKiln(0, {command, "--help"});
    // With its own help: that of the program names all of them.
    EXPECT_THAT(outcome.out, HasSubstr(std::string("Usage: kiln ") + command + " "));
    EXPECT_THAT(outcome.out, HasSubstr(std::string("Examples:\n  kiln ") + command + " "));
    EXPECT_EQ(outcome.err, "");
  }
}

TEST_F(CliTest, EveryProgramSaysItsVersion) {
  for (const std::string program : {"kiln", "kiln-server", "kiln-tracker"}) {
    const Outcome outcome = RunProgram(scratch_, {program, "--version"});
    EXPECT_EQ(outcome.status, 0);
    EXPECT_THAT(outcome.out, StartsWith(program + " "));
    EXPECT_TRUE(IsOneLine(outcome.out));
  }
}

TEST_F(CliTest, MistypedCommandLinesAreStatus2AndNameTheMistake) {
  EXPECT_THAT(ErrorOf(2, {"--nonsense"}), HasSubstr("--nonsense"));
  EXPECT_THAT(ErrorOf(2, {"nonsense"}), HasSubstr("nonsense"));
  EXPECT_THAT(ErrorOf(2, {}), HasSubstr("--help"));
  EXPECT_THAT(ErrorOf(2, {"tune", "--nonsense"}), HasSubstr("--nonsense"));
  EXPECT_THAT(ErrorOf(2, {"tune", "--threads", "0", "--workload", kConv}), HasSubstr("--threads"));
  EXPECT_THAT(ErrorOf(2, {"tune", "--policy", "luck", "--workload", kConv}), HasSubstr("luck"));
  EXPECT_THAT(ErrorOf(2, {"tune", "--time-budget", "soon", "--workload", kConv}),
              HasSubstr("`soon` is not a time"));
  EXPECT_THAT(ErrorOf(2, {"tune", "--deadline", "24:00", "--workload", kConv}),
              HasSubstr("`24:00` is not a time of day"));
  EXPECT_THAT(ErrorOf(2, {"best", "--all", "--json", "--csv"}), HasSubstr("--csv"));
  EXPECT_THAT(ErrorOf(2, {"verify", "--workload", kConv, "--golden", "x"}), HasSubstr("--model"));
  EXPECT_THAT(ErrorOf(2, {"devices"}), HasSubstr("--tracker"));
}

TEST_F(CliTest, NumberOptionsTakeFiniteNumbersInTheirRange) {
  struct Option {
    const char* command;
    const char* name;
    std::vector<const char*> wrong;
  };
  const std::vector<const char*> odd{"nan",  "inf", "-inf",  "",    "1e3",
                                     "0x10", "1.5", "seven", "3 4", "99999999999999999999"};
  for (const Option& option : {Option{"tune", "--trials", {"-1"}},
                               {"tune", "--trials-per-task", {"-1"}},
                               {"tune", "--early-stop", {"0", "-1"}},
                               {"tune", "--batch", {"0", "1025"}},
                               {"tune", "--seed", {"-1", "18446744073709551616"}},
                               {"tune", "--threads", {"0", "257"}},
                               {"verify", "--samples", {"-1", "2147483648"}},
                               {"verify", "--seed", {"-1"}},
                               {"bench", "--rounds", {"0", "1001"}},
                               {"best", "--threads", {"0", "-1"}},
                               {"history", "--threads", {"0"}},
                               {"space", "--threads", {"0", "257"}}}) {
    std::vector<const char*> values = odd;
    values.insert(values.end(), option.wrong.begin(), option.wrong.end());
    for (const std::string value : values) {
      const std::string error =
          ErrorOf(2, {option.command, "--workload", kConv, option.name + ("=" + value)});
      EXPECT_THAT(error, HasSubstr(option.name));
      EXPECT_LT(error.size(), 140u) << "ranges are for people: " << error;
    }
  }
  for (const char* value : {"nan", "inf", "0.05", "3601", ""}) {
    const Outcome outcome =
        RunProgram(scratch_, {"kiln-tracker", std::string("--lease-ttl=") + value});
    EXPECT_EQ(outcome.status, 2) << value;
    EXPECT_THAT(outcome.err, HasSubstr("--lease-ttl"));
    EXPECT_TRUE(IsOneLine(outcome.err)) << outcome.err;
  }
}

TEST_F(CliTest, TrackerThatCannotBeDialledIsRefusedByEveryProgram) {
  for (const char* address : {"localhost", "127.0.0.1:0", "127.0.0.1:99999", "unix:", ""}) {
    for (const char* command : {"tune", "verify", "bench", "devices"}) {
      EXPECT_THAT(ErrorOf(2, {command, std::string("--tracker=") + address}),
                  HasSubstr("--tracker"))
          << command << address;
    }
    const Outcome server = RunProgram(
        scratch_, {"kiln-server", "--target=native", std::string("--tracker=") + address});
    EXPECT_EQ(server.status, 2) << address;
    EXPECT_TRUE(IsOneLine(server.err)) << server.err;
  }
}

TEST_F(CliTest, TuningWithoutTrialsShowsWhatIsStored) {
  const auto trials = [&](const char* limit, const char* count) {
    return Kiln({"tune", "--workload", kConv, limit, count, "--policy", "random"});
  };
  const Outcome nothing = trials("--trials", "0");
  EXPECT_EQ(nothing.status, 1);
  EXPECT_THAT(nothing.err, HasSubstr("not tried"));
  EXPECT_THAT(nothing.err, testing::Not(HasSubstr("0.00 us")));
  EXPECT_THAT(nothing.out, HasSubstr("nothing was tried"));
  ASSERT_EQ(trials("--trials", "2").status, 0);
  for (const char* limit : {"--trials", "--trials-per-task"}) {
    const Outcome stored = trials(limit, "0");
    EXPECT_EQ(stored.status, 0) << stored.err;
    EXPECT_THAT(stored.out, HasSubstr("2 trials, 2 of them stored before"));
  }
}

TEST_F(CliTest, EverySeedTunes) {
  for (const char* seed : {"9223372036854775807", "9223372036854775808", "18446744073709551615"}) {
    const std::string database = scratch_.Path(std::string("seed") + seed);
    ExpectKiln(0, {"tune", "--workload", kConv, "--trials", "8", "--batch", "4", "--seed", seed,
                   "--db", database});
    ExpectKiln(0, {"verify", "--workload", kConv, "--samples", "1", "--seed", seed});
  }
}

TEST_F(CliTest, ModelWithoutATunedOperatorIsSaidToBeOne) {
  TfliteWriter writer;
  const WrittenScale scale = Scale(0.5f, 0);
  const auto input = writer.Tensor("input", ElementType::kInt8, {1, 8}, scale);
  writer.Operator(TfliteWriter::kSoftmax, {input},
                  {writer.Tensor("output", ElementType::kInt8, {1, 8}, Scale(1 / 256.0f, -128))});
  writer.SetInput(input);
  const std::vector<std::uint8_t> bytes = writer.File();
  const std::string file = scratch_.Write("softmax.tflite", {bytes.begin(), bytes.end()});
  for (const char* command : {"tune", "best", "bench", "verify"}) {
    EXPECT_THAT(ErrorOf(1, {command, "--model", file}),
                HasSubstr(" has no layer that Kiln tunes, only 1 x SOFTMAX"))
        << command;
  }
  EXPECT_THAT(ExpectKiln(0, {"workloads", "--model", file}).out,
              testing::AllOf(HasSubstr("0 layers"), HasSubstr("not tuned: 1 x SOFTMAX")));
}

TEST_F(CliTest, EmptyWordIsNoCommand) {
  for (const char* command : {"tune", "best", "bench", "verify", "workloads", "targets"}) {
    EXPECT_THAT(ErrorOf(2, {command, "", "--json"}), HasSubstr("not expected")) << command;
  }
}

TEST_F(CliTest, WhatToWorkOnIsSaidExactlyOnce) {
  for (const char* command : {"tune", "best", "bench", "verify", "workloads"}) {
    EXPECT_THAT(ErrorOf(2, {command}), HasSubstr("--network")) << command;
    EXPECT_THAT(ErrorOf(2, {command, "--network", "mobilenet_v1", "--workload", kConv}),
                HasSubstr("one of"))
        << command;
  }
  EXPECT_THAT(ErrorOf(2, {"best", "--all", "--network", "mobilenet_v1"}), HasSubstr("one of"));
}

TEST_F(CliTest, LayerListsCanBeGivenATypeAndAnActivation) {
  const std::string list = scratch_.Write(
      "list.csv", "name,h,w,ic,oc,kh,kw,stride,pad,groups,act\ndw,14,14,24,24,3,3,1,1,24,lo\n");
  EXPECT_THAT(ExpectKiln(0, {"workloads", "--layers", list}).out,
              HasSubstr("depthwise/i8/n1h14w14c24/m1/k3x3/s1x1/p1,1,1,1/d1x1/pc/wz0/act=lo/"));
  EXPECT_THAT(ExpectKiln(0, {"workloads", "--layers", list, "--layers-type", "u8s8", "--layers-act",
                             "none"})
                  .out,
              HasSubstr("depthwise/u8s8/n1h14w14c24/m1/k3x3/s1x1/p1,1,1,1/d1x1/pc/wz0/act=none/"));
  EXPECT_THAT(ExpectKiln(0, {"workloads", "--layers", list, "--layers-type", "u8"}).out,
              HasSubstr("depthwise/u8/n1h14w14c24/m1/k3x3/s1x1/p1,1,1,1/d1x1/pt/wz/act=lo/"));
  EXPECT_THAT(ErrorOf(2, {"workloads", "--network", "mobilenet_v1", "--layers-act", "none"}),
              HasSubstr("go with --layers"));
  EXPECT_THAT(ErrorOf(2, {"workloads", "--layers", list, "--layers-type", "s8"}),
              HasSubstr("--layers-type"));
}

TEST_F(CliTest, BadKeyIsPointedAt) {
  EXPECT_THAT(ErrorOf(2, {"space", "--workload", "conv2d/i8/n1h9w9cX8/o16"}),
              HasSubstr("character 18: expected a number"));
  EXPECT_THAT(ErrorOf(2, {"tune", "--workload", "pool/i8"}), HasSubstr("character 1"));
}

TEST_F(CliTest, UnknownNamesListTheKnownOnes) {
  EXPECT_THAT(ErrorOf(2, {"workloads", "--network", "lenet"}), HasSubstr("mobilenet_v1"));
  EXPECT_THAT(ErrorOf(2, {"space", "--workload", kConv, "--target", "vax"}),
              HasSubstr("x86-64-v3"));
}

TEST_F(CliTest, WithoutADatabaseReadersSayWhatMakesOne) {
  for (const std::vector<std::string>& command : {std::vector<std::string>{"best", "--all"},
                                                  {"best", "--workload", kConv},
                                                  {"history", "--workload", kConv},
                                                  {"bench", "--all"}}) {
    const std::string error = ErrorOf(1, command);
    EXPECT_THAT(error, HasSubstr(scratch_.database()));
    EXPECT_THAT(error, HasSubstr("`kiln tune`"));
  }
  EXPECT_FALSE(std::filesystem::exists(scratch_.database())) << "a reader made it";
}

TEST_F(CliTest, FileThatIsNoDatabaseIsLeftAlone) {
  const std::string file = scratch_.Write("notes.txt", "Tea, then tuning.\n");
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"best", "--all", "--db", file},
        {"tune", "--workload", kConv, "--trials", "1", "--db", file}}) {
    EXPECT_THAT(ErrorOf(1, command), HasSubstr("notes.txt is not a database"));
  }
  EXPECT_EQ(std::filesystem::file_size(file), 18u);
}

TEST_F(CliTest, DamagedDatabaseIsOneErrorAndLeftAsItIs) {
  ExpectKiln(0, {"tune", "--workload", kConv, "--trials", "2", "--policy", "random"});
  const std::uintmax_t size = std::filesystem::file_size(scratch_.database());
  constexpr std::uintmax_t kWhole = 5 * 4096;  // its head: it is one, and of this version
  ASSERT_GT(size, kWhole);
  std::string bytes(size, '\xa5');
  std::ifstream(scratch_.database(), std::ios::binary).read(bytes.data(), kWhole);
  scratch_.Write("tuning.db", bytes);
  for (const std::vector<std::string>& command : {std::vector<std::string>{"best", "--all"},
                                                  {"history", "--workload", kConv},
                                                  {"tune", "--workload", kConv, "--trials", "4"}}) {
    EXPECT_THAT(ErrorOf(1, command), HasSubstr("tuning.db is damaged")) << command[0];
  }
  std::string after(size, ' ');
  std::ifstream(scratch_.database(), std::ios::binary)
      .read(after.data(), static_cast<std::streamsize>(size));
  EXPECT_EQ(std::filesystem::file_size(scratch_.database()), size);
  EXPECT_TRUE(after == bytes) << "something was written";
}

TEST_F(CliTest, DirectoryThatCannotBeWrittenIsNamedBeforeAnythingIsMeasured) {
  // Nobody, not even root, makes files in /proc.
  EXPECT_THAT(ErrorOf(1, {"tune", "--workload", kConv, "--trials", "1", "--db", "/proc/kiln.db"}),
              HasSubstr("/proc"));
  if (geteuid() == 0) return;
  const std::string directory = scratch_.Path("read-only");
  std::filesystem::create_directory(directory);
  std::filesystem::permissions(
      directory, std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  EXPECT_THAT(
      ErrorOf(1, {"tune", "--workload", kConv, "--trials", "1", "--db", directory + "/t.db"}),
      HasSubstr(directory));
}

TEST_F(CliTest, DamagedOrMissingModelIsOneLine) {
  const std::string noise = scratch_.Write("noise.tflite", std::string(3000, '\x5a'));
  const std::string cut = scratch_.Write("cut.tflite", std::string("\x1c\0\0\0TFL3\x14\0\0\0", 12));
  for (const std::string& file : {noise, cut}) {
    for (const char* command : {"workloads", "tune", "best", "bench", "verify"}) {
      EXPECT_THAT(ErrorOf(1, {command, "--model", file}), HasSubstr(file)) << command;
    }
  }
  EXPECT_THAT(ErrorOf(1, {"workloads", "--model", scratch_.Path("absent.tflite")}),
              HasSubstr("absent.tflite"));
}

TEST_F(CliTest, TargetsAreListedWithThisMachine) {
  const auto lines = JsonLines(ExpectKiln(0, {"targets", "--json"}).out);
  ASSERT_GT(lines.size(), 1u);
  EXPECT_EQ(lines[0]["name"], "native");
  EXPECT_EQ(lines[0]["runs_here"], true);
  const std::string table = ExpectKiln(0, {"targets"}).out;
  for (const auto& line : lines) EXPECT_THAT(table, HasSubstr(line["resolved"].get<std::string>()));
}

TEST_F(CliTest, WorkloadsOfANetworkHaveCanonicalKeysAndAllItsWork) {
  std::int64_t macs = 0;
  for (const auto& line :
       JsonLines(ExpectKiln(0, {"workloads", "--network", "mobilenet_v1", "--json"}).out)) {
    const std::string key = line["workload"];
    const auto workload = ParseWorkload(key);
    ASSERT_TRUE(workload.ok()) << workload.status();
    EXPECT_EQ(line["macs"], workload->macs());
    EXPECT_EQ(line["layers"].size(), line["count"].get<std::size_t>());
    macs += line["count"].get<std::int64_t>() * workload->macs();
  }
  EXPECT_EQ(macs, 568'740'352);  // the published count for 224x224, width 1
}

TEST_F(CliTest, SpaceIsDescribed) {
  const std::string text = ExpectKiln(0, {"space", "--workload", kConv}).out;
  EXPECT_THAT(text, HasSubstr("legal configs"));
  const auto space = JsonLines(ExpectKiln(0, {"space", "--workload", kConv, "--json"}).out);
  ASSERT_EQ(space.size(), 1u);
  EXPECT_GT(space[0]["size"], 1);
  EXPECT_FALSE(space[0]["knobs"].empty());
  EXPECT_FALSE(space[0]["constraints"].empty());
}

TEST_F(CliTest, ConfigIsTheSameByIdAndByItsKnobs) {
  // "<id>  knob=label knob=label ..."
  const std::string line = ExpectKiln(0, {"space", "--workload", kConv, "--config", "default"}).out;
  const std::string id = line.substr(0, 16);
  std::string knobs = line.substr(18, line.size() - 19);
  for (char& c : knobs) c = c == ' ' ? ',' : c;
  EXPECT_EQ(ExpectKiln(0, {"space", "--workload", kConv, "--config", id}).out, line);
  EXPECT_EQ(ExpectKiln(0, {"space", "--workload", kConv, "--config", knobs}).out, line);
  EXPECT_THAT(ErrorOf(2, {"space", "--workload", kConv, "--config", "0123456789abcdef"}),
              HasSubstr("0123456789abcdef"));
  EXPECT_THAT(ErrorOf(2, {"space", "--workload", kConv, "--config", "luck=1"}), HasSubstr("luck"));
}

TEST_F(CliTest, CodeOfAConfigComesInThreeForms) {
  const std::vector<std::string> command{"space", "--workload", kConv, "--emit"};
  const auto emit = [&](std::vector<std::string> more) {
    more.insert(more.begin(), command.begin(), command.end());
    return ExpectKiln(0, std::move(more)).out;
  };
  EXPECT_THAT(emit({"c"}), HasSubstr("kiln_kernel.h"));
  EXPECT_THAT(emit({"asm"}), HasSubstr(".globl"));
  const std::string object = emit({"object"});
  EXPECT_THAT(object, StartsWith("\x7f"
                                 "ELF"));
  const std::string file = scratch_.Path("kernel.so");
  EXPECT_EQ(emit({"object", "-o", file}), "");
  EXPECT_EQ(std::filesystem::file_size(file), object.size());
  EXPECT_THAT(ErrorOf(1, {"space", "--workload", kConv, "--emit", "c", "-o", "/proc/kernel.c"}),
              HasSubstr("/proc/kernel.c"));
}

TEST_F(CliTest, EveryKnownTargetCompiles) {
  for (const auto& target : JsonLines(ExpectKiln(0, {"targets", "--json"}).out)) {
    const std::string name = target["name"];
    const std::string object =
        ExpectKiln(0, {"space", "--workload", kConv, "--target", name, "--emit", "object"}).out;
    ASSERT_GT(object.size(), sizeof(Elf64_Ehdr)) << name;
    Elf64_Ehdr header;
    std::memcpy(&header, object.data(), sizeof header);
    EXPECT_EQ(std::memcmp(header.e_ident, ELFMAG, SELFMAG), 0) << name;
    EXPECT_EQ(header.e_machine, target["arch"] == "aarch64" ? EM_AARCH64 : EM_X86_64) << name;
  }
}

}  // namespace
}  // namespace kiln
