#pragma once

#include "toolchain/compile_job.h"

namespace kiln {

// This links kernels with lld in this process. lld knows files only: the object goes in as a memory
// file, and the result comes out of standard output, which is made one; so there is one Linker per
// process, and nothing else may print to standard output.
class Linker {
 public:
  Linker();
  // Replaces the relocatable object in a compiled reply with a shared object that exports P_info,
  // P_pack and P_run and needs nothing; or rejects it.
  void Link(const CompileJob& job, CompileReply& reply);
  // lld lost its balance: this process must not link again.
  bool spent() const { return spent_; }

 private:
  bool spent_ = false;
};

}  // namespace kiln
