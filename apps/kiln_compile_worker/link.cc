#include "apps/kiln_compile_worker/link.h"

#include <lld/Common/Driver.h>
#include <llvm/Support/raw_ostream.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "apps/kiln_compile_worker/memory_file.h"

LLD_HAS_DRIVER(elf)

namespace kiln {
namespace {

MemoryFile& StandardOutput() {
  static MemoryFile file;
  return file;
}

std::string VersionScript(const std::string& symbol) {
  return "{ global: " + symbol + "_info; " + symbol + "_pack; " + symbol + "_run; local: *; };";
}

}  // namespace

Linker::Linker() { dup2(StandardOutput().fd(), STDOUT_FILENO); }

void Linker::Link(const CompileJob& job, CompileReply& reply) {
  const MemoryFile object(reply.output);
  const MemoryFile script(VersionScript(job.symbol));
  const std::string object_path = object.path();
  const std::string script_option = "--version-script=" + script.path();
  const char* emulation = job.arch == "aarch64" ? "-maarch64linux" : "-melf_x86_64";
  const char* page = job.arch == "aarch64" ? "max-page-size=16384" : "max-page-size=4096";
  const std::vector<const char*> arguments = {"ld.lld",
                                              emulation,
                                              "-shared",
                                              "-Bsymbolic",
                                              "--no-undefined",
                                              "--no-undefined-version",
                                              "--hash-style=sysv",
                                              "--build-id=none",
                                              "--strip-all",
                                              "--threads=1",
                                              "-z",
                                              page,
                                              script_option.c_str(),
                                              object_path.c_str(),
                                              "-o",
                                              "-"};
  std::string errors;
  llvm::raw_string_ostream error_stream(errors);
  const lld::Result result =
      lld::lldMain(arguments, llvm::outs(), error_stream, {{lld::Gnu, &lld::elf::link}});
  llvm::outs().flush();
  reply.output = StandardOutput().Drain();
  spent_ = !result.canRunAgain;
  if (result.retCode != 0) {
    reply.outcome = CompileReply::Outcome::kRejected;
    reply.output.clear();
    reply.message = errors;
  }
}

}  // namespace kiln
