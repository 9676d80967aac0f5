#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ops/isa.h"

namespace kiln {

// What one execution of a piece of kernel code does, in vector instructions of its instruction set.
// The features of the cost model are sums of these; a test holds the closed forms to the program.
struct OpCounts {
  double dots = 0;         // multiply-accumulate instructions (vpdpbusd, vpmaddwd, ...)
  double loads = 0;        // full-width vector loads of weights, constants, activations
  double broadcasts = 0;   // one group of activations into all lanes
  double stores = 0;       // stores of results, counted per instruction
  double shuffles = 0;     // unpacks, interleaves, widenings, xors that prepare activations
  double requantizes = 0;  // vectors of accumulators requantized
  double copies = 0;       // vectors moved by a data stage (padding, packing, xor)
  double calls = 0;        // micro-kernel calls: loop overhead

  OpCounts& operator+=(const OpCounts& other);
  friend OpCounts operator*(OpCounts counts, double times);
};

// A statement tree that is printed as C. Loops carry their trip count and blocks what they cost, so
// that the counts of a whole kernel follow from the same tree that is compiled.
struct Stmt {
  enum class Kind : std::uint8_t { kBlock, kLoop, kText };
  Kind kind = Kind::kBlock;
  std::string text;  // kText: lines of C. kLoop: the header, "for (int32_t r = b; r < e; ++r)"
  double trips = 1;  // kLoop: how often the body runs, on average over the calls of its function
  OpCounts counts;   // kText: of one execution
  std::vector<Stmt> body;  // kBlock, kLoop
};

Stmt Text(std::string c, OpCounts counts = {});
Stmt Loop(std::string header, double trips, std::vector<Stmt> body);
Stmt Block(std::vector<Stmt> body);  // in braces: declarations are local to it

// A function of the kernel's source. `calls` is how often one run of the kernel calls it.
struct Function {
  std::string signature;  // "static void tile(const uint8_t *a, ...)"
  std::vector<Stmt> body;
  double calls = 1;
};

// A lowered kernel: all that P_info says (kernel_host/kiln_kernel.h), P_pack's body and the
// functions that P_run's phases call.
struct LoopProgram {
  IsaMask isa = 0;                  // required features
  std::string prelude;              // vector types and operations of the back end, as C
  std::vector<Function> functions;  // in order of definition; static
  std::vector<Stmt> pack;           // body of P_pack(const kiln_op *ops, void *packed)
  struct Phase {
    std::uint32_t chunks = 1;  // independent pieces
    std::vector<Stmt>
        body;  // runs chunks [begin, end): packed, x, y, shared_ws, thread_ws in scope
  };
  std::vector<Phase> phases;  // 1 to 4, a barrier between
  std::int64_t x_bytes = 0, y_bytes = 0, packed_bytes = 0, shared_bytes = 0, thread_bytes = 0;

  // Of one run over all chunks of all phases.
  OpCounts Count() const;
};

// The C translation unit: prelude, functions, P_info, P_pack, P_run behind the ABI. Every name of
// it that is visible outside begins with `kiln_` + the code digest. Deterministic.
struct KernelSource {
  std::string c;
  std::string symbol;             // "kiln_0123456789abcdef": P of the ABI
  std::uint64_t code_digest = 0;  // of the C before its symbol was put in
};
KernelSource EmitC(const LoopProgram& program);

}  // namespace kiln
