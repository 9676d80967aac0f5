#include "apps/kiln_compile_worker/compile.h"

#include <clang/Basic/Diagnostic.h>
#include <clang/Basic/DiagnosticOptions.h>
#include <clang/Basic/Version.h>
#include <clang/CodeGen/CodeGenAction.h>
#include <clang/Frontend/CompilerInstance.h>
#include <clang/Frontend/CompilerInvocation.h>
#include <clang/Frontend/TextDiagnosticPrinter.h>
#include <llvm/ADT/SmallVector.h>
#include <llvm/IR/LLVMContext.h>
#include <llvm/Support/MemoryBuffer.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Support/VirtualFileSystem.h>
#include <llvm/Support/raw_ostream.h>

#include <initializer_list>
#include <iterator>
#include <memory>
#include <utility>

namespace kiln {
namespace {

constexpr char kSourcePath[] = "/kernel.c";
constexpr char kIncludePath[] = "/include";

// All that kiln_kernel.h and kernels need of <stdint.h>: no file of the machine is read.
constexpr char kStdint[] =
    "#pragma once\n"
    "typedef __INT8_TYPE__ int8_t;\n"
    "typedef __INT16_TYPE__ int16_t;\n"
    "typedef __INT32_TYPE__ int32_t;\n"
    "typedef __INT64_TYPE__ int64_t;\n"
    "typedef __UINT8_TYPE__ uint8_t;\n"
    "typedef __UINT16_TYPE__ uint16_t;\n"
    "typedef __UINT32_TYPE__ uint32_t;\n"
    "typedef __UINT64_TYPE__ uint64_t;\n"
    "typedef __INTPTR_TYPE__ intptr_t;\n"
    "typedef __UINTPTR_TYPE__ uintptr_t;\n"
    "#define INT8_MIN (-128)\n"
    "#define INT8_MAX 127\n"
    "#define UINT8_MAX 255\n"
    "#define INT16_MIN (-32768)\n"
    "#define INT16_MAX 32767\n"
    "#define UINT16_MAX 65535\n"
    "#define INT32_MIN (-2147483647 - 1)\n"
    "#define INT32_MAX 2147483647\n"
    "#define UINT32_MAX 4294967295u\n"
    "#define INT64_MIN (-__INT64_MAX__ - 1)\n"
    "#define INT64_MAX __INT64_MAX__\n"
    "#define UINT64_MAX __UINT64_MAX__\n";

// Of clang -cc1: what decides the code of every kernel. Frames over 4 KiB are errors (the kernel
// ABI); products are not fused with sums behind the reference's back; nobody walks the stack of a
// kernel, so frames need no pointers.
constexpr const char* kCodeFlags[] = {
    "-O2",
    "-std=c11",
    "-ffreestanding",
    "-mrelocation-model",
    "pic",
    "-pic-level",
    "2",
    "-fvisibility=hidden",
    "-ffp-contract=off",
    "-mframe-pointer=none",
    "-vectorize-loops",
    "-vectorize-slp",
    "-fwarn-stack-size=4096",
    "-Werror=frame-larger-than",
};

// And what does not.
constexpr const char* kOtherFlags[] = {
    "-Wno-everything",
    "-Wframe-larger-than",
    "-ferror-limit",
    "5",
    "-Qn",
    "-fno-caret-diagnostics",
    "-disable-llvm-verifier",
    "-nostdsysteminc",
    "-nobuiltininc",
    "-discard-value-names",
    "-internal-isystem",
    kIncludePath,
};

std::vector<std::string> Arguments(const CompileJob& job) {
  std::vector<std::string> arguments(std::begin(kOtherFlags), std::end(kOtherFlags));
  arguments.insert(arguments.end(), std::begin(kCodeFlags), std::end(kCodeFlags));
  const auto add = [&arguments](std::initializer_list<std::string> more) {
    arguments.insert(arguments.end(), more);
  };
  add({job.emit == EmitKind::kAssembly ? "-S" : "-emit-obj"});
  add({"-triple", job.arch + "-unknown-linux-gnu"});
  add({"-target-cpu", job.cpu, "-tune-cpu", job.tune_cpu});
  for (const std::string& feature : job.features) add({"-target-feature", feature});
  if (job.vector_bits > 0) add({"-mprefer-vector-width=" + std::to_string(job.vector_bits)});
  if (job.arch == "aarch64") add({"-target-abi", "aapcs", "-fno-signed-char"});
  add({"-x", "c", kSourcePath});
  return arguments;
}

llvm::IntrusiveRefCntPtr<llvm::vfs::FileSystem> Files(const std::string& source) {
  llvm::IntrusiveRefCntPtr<llvm::vfs::InMemoryFileSystem> files(new llvm::vfs::InMemoryFileSystem);
  const auto add = [&files](const std::string& path, llvm::StringRef text) {
    files->addFile(path, 0, llvm::MemoryBuffer::getMemBuffer(text, path));
  };
  add(kSourcePath, source);
  add(std::string(kIncludePath) + "/kiln_kernel.h", kAbiHeader);
  add(std::string(kIncludePath) + "/stdint.h", kStdint);
  return files;
}

// The diagnostics here are for errors in the arguments; those of the source obey the arguments.
bool ParseArguments(const CompileJob& job, clang::CompilerInvocation& invocation,
                    llvm::raw_ostream& messages) {
  llvm::IntrusiveRefCntPtr<clang::DiagnosticOptions> options(new clang::DiagnosticOptions);
  const auto diagnostics = clang::CompilerInstance::createDiagnostics(
      options.get(), new clang::TextDiagnosticPrinter(messages, options.get()));
  const std::vector<std::string> arguments = Arguments(job);
  std::vector<const char*> pointers;
  pointers.reserve(arguments.size());
  for (const std::string& argument : arguments) pointers.push_back(argument.c_str());
  return clang::CompilerInvocation::CreateFromArgs(invocation, pointers, *diagnostics);
}

}  // namespace

std::string DescribeCompiler() {
  std::string text = "clang " CLANG_VERSION_STRING;
  for (const char* flag : kCodeFlags) text.append(" ").append(flag);
  return text;
}

void InitializeCompiler() {
  LLVMInitializeX86TargetInfo();
  LLVMInitializeX86Target();
  LLVMInitializeX86TargetMC();
  LLVMInitializeX86AsmPrinter();
  LLVMInitializeX86AsmParser();
  LLVMInitializeX86Disassembler();
  LLVMInitializeAArch64TargetInfo();
  LLVMInitializeAArch64Target();
  LLVMInitializeAArch64TargetMC();
  LLVMInitializeAArch64AsmPrinter();
  LLVMInitializeAArch64AsmParser();
  LLVMInitializeAArch64Disassembler();
}

CompileReply Compile(const CompileJob& job) {
  CompileReply reply;
  reply.compiler = DescribeCompiler();
  llvm::raw_string_ostream messages(reply.message);
  auto invocation = std::make_shared<clang::CompilerInvocation>();
  if (!ParseArguments(job, *invocation, messages)) {
    reply.outcome = CompileReply::Outcome::kBadJob;
    return reply;
  }

  clang::CompilerInstance compiler;
  compiler.setInvocation(std::move(invocation));
  compiler.createDiagnostics(
      new clang::TextDiagnosticPrinter(messages, &compiler.getDiagnosticOpts()));
  compiler.createFileManager(Files(job.c));
  llvm::SmallVector<char, 0> output;
  compiler.setOutputStream(std::make_unique<llvm::raw_svector_ostream>(output));
  llvm::LLVMContext context;
  std::unique_ptr<clang::CodeGenAction> action;
  if (job.emit == EmitKind::kAssembly) {
    action = std::make_unique<clang::EmitAssemblyAction>(&context);
  } else {
    action = std::make_unique<clang::EmitObjAction>(&context);
  }
  if (compiler.ExecuteAction(*action)) {
    reply.outcome = CompileReply::Outcome::kCompiled;
    reply.output.assign(output.data(), output.size());
  } else {
    // Without a target the job named a processor or a feature that there is not.
    reply.outcome =
        compiler.hasTarget() ? CompileReply::Outcome::kRejected : CompileReply::Outcome::kBadJob;
  }
  return reply;
}

}  // namespace kiln
