#include "kernels_templates/loop_program.h"

#include <algorithm>
#include <utility>

#include "base/digest.h"

namespace kiln {
namespace {

// Stands for the kernel's symbol until the digest of the text around it is known.
constexpr std::string_view kPlaceholder = "KILN_P_";

OpCounts CountOf(const std::vector<Stmt>& body) {
  OpCounts sum;
  for (const Stmt& stmt : body) {
    sum += stmt.counts;
    sum += CountOf(stmt.body) * (stmt.kind == Stmt::Kind::kLoop ? stmt.trips : 1.0);
  }
  return sum;
}

void Indent(int depth, std::string& out) { out.append(static_cast<std::size_t>(depth) * 2, ' '); }

void PrintLines(std::string_view text, int depth, std::string& out) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    if (end > 0) {
      Indent(depth, out);
      out.append(text.substr(0, end));
    }
    out += '\n';
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

void Print(const std::vector<Stmt>& body, int depth, std::string& out) {
  for (const Stmt& stmt : body) {
    if (stmt.kind == Stmt::Kind::kText) {
      PrintLines(stmt.text, depth, out);
      continue;
    }
    Indent(depth, out);
    if (stmt.kind == Stmt::Kind::kLoop) out += stmt.text + " ";
    out += "{\n";
    Print(stmt.body, depth + 1, out);
    Indent(depth, out);
    out += "}\n";
  }
}

void PrintInfo(const LoopProgram& program, std::string& out) {
  out += "EXPORT const kiln_info KILN_P_info = {\n  KILN_ABI, 1, " +
         std::to_string(program.phases.size()) + ", 0, " + std::to_string(program.isa) +
         "ull,\n  {";
  for (std::size_t i = 0; i < 4; ++i) {
    out +=
        (i ? ", " : "") + std::to_string(i < program.phases.size() ? program.phases[i].chunks : 0);
  }
  out += "},\n  ";
  out += std::to_string(program.x_bytes) + ", " + std::to_string(program.y_bytes) + ", " +
         std::to_string(program.packed_bytes) + ", " + std::to_string(program.shared_bytes) + ", " +
         std::to_string(program.thread_bytes) + "};\n\n";
}

void PrintRun(const LoopProgram& program, std::string& out) {
  out +=
      "EXPORT void KILN_P_run(const void *packed, const void *x_, void *y_, void *shared_ws,\n"
      "                       void *thread_ws, uint32_t phase, uint32_t begin, uint32_t end) {\n"
      "  const uint8_t *x = x_;\n"
      "  uint8_t *y = y_;\n"
      "  (void)packed, (void)x, (void)y, (void)shared_ws, (void)thread_ws;\n";
  for (std::size_t i = 0; i < program.phases.size(); ++i) {
    out += "  if (phase == " + std::to_string(i) + ") {\n";
    Print(program.phases[i].body, 2, out);
    out += "  }\n";
  }
  out += "}\n";
}

}  // namespace

OpCounts& OpCounts::operator+=(const OpCounts& other) {
  dots += other.dots;
  loads += other.loads;
  broadcasts += other.broadcasts;
  stores += other.stores;
  shuffles += other.shuffles;
  requantizes += other.requantizes;
  copies += other.copies;
  calls += other.calls;
  return *this;
}

OpCounts operator*(OpCounts counts, double times) {
  counts.dots *= times;
  counts.loads *= times;
  counts.broadcasts *= times;
  counts.stores *= times;
  counts.shuffles *= times;
  counts.requantizes *= times;
  counts.copies *= times;
  counts.calls *= times;
  return counts;
}

Stmt Text(std::string c, OpCounts counts) {
  return {Stmt::Kind::kText, std::move(c), 1, counts, {}};
}

Stmt Loop(std::string header, double trips, std::vector<Stmt> body) {
  return {Stmt::Kind::kLoop, std::move(header), trips, {}, std::move(body)};
}

Stmt Block(std::vector<Stmt> body) { return {Stmt::Kind::kBlock, {}, 1, {}, std::move(body)}; }

OpCounts LoopProgram::Count() const {
  OpCounts sum;
  for (const Function& function : functions) sum += CountOf(function.body) * function.calls;
  for (const Phase& phase : phases) sum += CountOf(phase.body);
  return sum;
}

KernelSource EmitC(const LoopProgram& program) {
  std::string text =
      "#include \"kiln_kernel.h\"\n\n"
      "#define EXPORT __attribute__((visibility(\"default\")))\n\n";
  text += program.prelude;
  text += '\n';
  for (const Function& function : program.functions) {
    text += function.signature + " {\n";
    Print(function.body, 1, text);
    text += "}\n\n";
  }
  PrintInfo(program, text);
  text += "EXPORT int KILN_P_pack(const kiln_op *op, void *packed) {\n";
  Print(program.pack, 1, text);
  text += "  return KILN_OK;\n}\n\n";
  PrintRun(program, text);

  KernelSource source;
  source.code_digest = Digest(text);
  source.symbol = "kiln_" + Hex(source.code_digest);
  const std::string prefix = source.symbol + "_";
  std::size_t begin = 0;
  for (std::size_t at; (at = text.find(kPlaceholder, begin)) != std::string::npos;
       begin = at + kPlaceholder.size()) {
    source.c.append(text, begin, at - begin);
    source.c += prefix;
  }
  source.c.append(text, begin, std::string::npos);
  return source;
}

}  // namespace kiln
