// The real kiln-compile-worker.

#include <dlfcn.h>
#include <elf.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>

#include "base/paths.h"
#include "kernel_host/kiln_kernel.h"
#include "tests/toolchain/sample_kernel.h"
#include "toolchain/worker_pool.h"

namespace kiln {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class CompileWorkerTest : public testing::Test {
 protected:
  static CompileJob JobFor(const std::string& c) {
    return {.c = c, .symbol = "kiln_1", .arch = "x86_64", .cpu = "x86-64", .tune_cpu = "haswell"};
  }
  static CompileJob ArmJobFor(const std::string& c) {
    return {
        .c = c, .symbol = "kiln_1", .arch = "aarch64", .cpu = "generic", .tune_cpu = "cortex-a72"};
  }

  StatusOr<std::variant<CompiledCode, CompileFailure>> Compile(const CompileJob& job) {
    return pool_->Compile(job);
  }
  std::string OutputOf(const CompileJob& job) {
    auto result = Compile(job);
    EXPECT_TRUE(result.ok()) << result.status();
    if (!result.ok()) return {};
    if (auto* failure = std::get_if<CompileFailure>(&*result)) {
      ADD_FAILURE() << failure->message;
      return {};
    }
    return std::get<CompiledCode>(*result).output;
  }
  std::string FailureOf(const CompileJob& job) {
    auto result = Compile(job);
    EXPECT_TRUE(result.ok()) << result.status();
    if (!result.ok() || !std::holds_alternative<CompileFailure>(*result)) return "compiled";
    return std::get<CompileFailure>(*result).message;
  }

  const std::unique_ptr<Reactor> reactor_ = NewReactor();
  const std::unique_ptr<Compiler> pool_ =
      NewWorkerPool(*reactor_, {.program = *FindHelper("kiln-compile-worker"), .workers = 1});
};

Elf64_Ehdr HeaderOf(const std::string& object) {
  Elf64_Ehdr header{};
  if (object.size() >= sizeof header) std::memcpy(&header, object.data(), sizeof header);
  return header;
}

// The dynamic section's entries and the names in the dynamic symbol table.
struct Dynamic {
  std::set<std::int64_t> tags;
  std::set<std::string> symbols;
  std::set<std::string> sections;
};
Dynamic DynamicOf(const std::string& object) {
  Dynamic out;
  const char* base = object.data();
  const Elf64_Ehdr header = HeaderOf(object);
  const auto* sections = reinterpret_cast<const Elf64_Shdr*>(base + header.e_shoff);
  for (int i = 0; i < header.e_shnum; ++i) {
    const Elf64_Shdr& section = sections[i];
    out.sections.insert(base + sections[header.e_shstrndx].sh_offset + section.sh_name);
    if (section.sh_type == SHT_DYNAMIC) {
      const auto* entry = reinterpret_cast<const Elf64_Dyn*>(base + section.sh_offset);
      for (; entry->d_tag != DT_NULL; ++entry) out.tags.insert(entry->d_tag);
    }
    if (section.sh_type == SHT_DYNSYM) {
      const char* names = base + sections[section.sh_link].sh_offset;
      const auto* symbol = reinterpret_cast<const Elf64_Sym*>(base + section.sh_offset);
      for (std::size_t n = section.sh_size / sizeof *symbol; n > 0; --n, ++symbol) {
        if (symbol->st_name != 0) out.symbols.insert(names + symbol->st_name);
      }
    }
  }
  return out;
}

TEST_F(CompileWorkerTest, ObjectsExportTheAbiAndNeedNothing) {
  const std::string object =
      OutputOf(JobFor(SampleKernel("kiln_1", "int helper(void) { return 1; }")));
  const Elf64_Ehdr header = HeaderOf(object);
  EXPECT_EQ(header.e_type, ET_DYN);
  EXPECT_EQ(header.e_machine, EM_X86_64);
  const Dynamic dynamic = DynamicOf(object);
  EXPECT_THAT(dynamic.symbols, testing::ElementsAre("kiln_1_info", "kiln_1_pack", "kiln_1_run"));
  EXPECT_FALSE(dynamic.tags.contains(DT_NEEDED));
  EXPECT_FALSE(dynamic.sections.contains(".symtab"));
  EXPECT_FALSE(dynamic.sections.contains(".note.gnu.build-id"));
}

TEST_F(CompileWorkerTest, ObjectsRun) {
#if !defined(__x86_64__)
  GTEST_SKIP() << "the test runs an x86-64 object";
#endif
  const fs::path file = fs::temp_directory_path() / ("kernel." + std::to_string(getpid()) + ".so");
  std::ofstream(file, std::ios::binary) << OutputOf(JobFor(SampleKernel("kiln_1")));
  void* library = dlopen(file.c_str(), RTLD_NOW);
  fs::remove(file);
  ASSERT_NE(library, nullptr) << dlerror();
  const auto* info = static_cast<const kiln_info*>(dlsym(library, "kiln_1_info"));
  EXPECT_EQ(info->abi, std::uint32_t{KILN_ABI});
  EXPECT_EQ(info->x_bytes, 64u);
  auto* run = reinterpret_cast<kiln_run_fn*>(dlsym(library, "kiln_1_run"));
  std::uint8_t x[64], y[64] = {};
  for (int i = 0; i < 64; ++i) x[i] = static_cast<std::uint8_t>(200 + i);
  run(nullptr, x, y, nullptr, nullptr, 0, 0, 4);
  for (int i = 0; i < 64; ++i) EXPECT_EQ(y[i], static_cast<std::uint8_t>(201 + i));
  dlclose(library);
}

TEST_F(CompileWorkerTest, CompilesForAnotherArchitecture) {
  const std::string object = OutputOf(ArmJobFor(SampleKernel("kiln_1")));
  EXPECT_EQ(HeaderOf(object).e_machine, EM_AARCH64);
  EXPECT_THAT(DynamicOf(object).symbols,
              testing::ElementsAre("kiln_1_info", "kiln_1_pack", "kiln_1_run"));
}

TEST_F(CompileWorkerTest, SameJobSameBytes) {
  const CompileJob job = JobFor(SampleKernel("kiln_1"));
  const std::string first = OutputOf(job);
  OutputOf(ArmJobFor(SampleKernel("kiln_1")));
  FailureOf(JobFor("int"));
  EXPECT_EQ(OutputOf(job), first);
  const auto other = NewWorkerPool(*reactor_, {.program = *FindHelper("kiln-compile-worker")});
  EXPECT_EQ(std::get<CompiledCode>(*other->Compile(job)).output, first) << "another process";
}

TEST_F(CompileWorkerTest, NamesItself) {
  auto result = Compile(JobFor(SampleKernel("kiln_1")));
  ASSERT_TRUE(result.ok());
  EXPECT_THAT(std::get<CompiledCode>(*result).compiler, StartsWith("clang 19."));
}

TEST_F(CompileWorkerTest, EmitsAssembly) {
  CompileJob job = JobFor(SampleKernel("kiln_1"));
  job.emit = EmitKind::kAssembly;
  EXPECT_THAT(OutputOf(job), HasSubstr("kiln_1_run:"));
}

TEST_F(CompileWorkerTest, FeaturesReachTheCodeGenerator) {
  CompileJob job = JobFor(SampleKernel("kiln_1"));  // its loop is vectorized
  job.emit = EmitKind::kAssembly;
  EXPECT_THAT(OutputOf(job), Not(HasSubstr("%ymm")));
  job.features = {"+avx2"};
  EXPECT_THAT(OutputOf(job), HasSubstr("%ymm"));
  job.features = {};
  job.cpu = "x86-64-v4";
  job.tune_cpu = "cascadelake";  // which prefers 256 bits
  EXPECT_THAT(OutputOf(job), AllOf(HasSubstr("%ymm"), Not(HasSubstr("%zmm"))));
  job.vector_bits = 512;
  EXPECT_THAT(OutputOf(job), HasSubstr("%zmm"));
}

TEST_F(CompileWorkerTest, SyntaxErrorNamesTheLine) {
  EXPECT_THAT(FailureOf(JobFor("int a;\nint b = ;\n")),
              StartsWith("/kernel.c:2:9: error: expected expression"));
}

TEST_F(CompileWorkerTest, OnlyTheFirstErrorsAreTold) {
  std::string c;
  for (int i = 0; i < 100; ++i) c += "int f" + std::to_string(i) + " = ;\n";
  const std::string message = FailureOf(JobFor(c));
  EXPECT_THAT(message, Not(HasSubstr("/kernel.c:50")));
  EXPECT_THAT(message, HasSubstr("too many errors"));
}

TEST_F(CompileWorkerTest, LargeStackFrameIsRejected) {
  const std::string touch =
      "volatile uint8_t a[5 * 1024]; for (int i = 0; i < 5 * 1024; ++i) a[i] = 1;";
  EXPECT_THAT(FailureOf(JobFor(SampleKernel("kiln_1", "", touch))),
              HasSubstr("exceeds limit (4096) in 'kiln_1_run'"));
  EXPECT_THAT(FailureOf(ArmJobFor(SampleKernel("kiln_1", "", touch))),
              HasSubstr("exceeds limit (4096) in 'kiln_1_run'"));
}

TEST_F(CompileWorkerTest, UndefinedSymbolIsRejected) {
  EXPECT_THAT(FailureOf(JobFor(SampleKernel("kiln_1", "void nowhere(void);", "nowhere();"))),
              HasSubstr("undefined symbol: nowhere"));
}

TEST_F(CompileWorkerTest, MissingEntryPointIsRejected) {
  EXPECT_THAT(FailureOf(JobFor("int unrelated;\n")), HasSubstr("kiln_1_info"));
}

TEST_F(CompileWorkerTest, SeesNoFileOfThisMachine) {
  EXPECT_THAT(FailureOf(JobFor("#include \"/etc/hostname\"\n")), HasSubstr("file not found"));
  EXPECT_THAT(FailureOf(JobFor("#include <stdio.h>\n")), HasSubstr("file not found"));
}

TEST_F(CompileWorkerTest, UnknownProcessorIsAnError) {
  CompileJob job = JobFor(SampleKernel("kiln_1"));
  job.tune_cpu = "cray-1";
  auto result = Compile(job);
  EXPECT_EQ(result.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(Message(result.status()), HasSubstr("cray-1"));
  job.arch = "vax";
  EXPECT_THAT(Message(Compile(job).status()), HasSubstr("vax"));
}

}  // namespace
}  // namespace kiln
