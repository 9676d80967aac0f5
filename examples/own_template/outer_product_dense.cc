#include "outer_product_dense.h"

#include <string>

#include "kernels_templates/features.h"
#include "kernels_templates/isa/requantize.h"
#include "kernels_templates/isa/vector_isa.h"

namespace {

using namespace kiln;

// The numbers of one schedule: everything else is computed from them.
struct Schedule {
  Schedule(const Workload& w, std::int32_t rows_at_once, std::int32_t unroll_k)
      : rows(rows_at_once), unroll(unroll_k), blocks((w.o + isa.lanes - 1) / isa.lanes), w(w) {}

  const VectorIsa& isa = Portable();
  std::int32_t rows, unroll, blocks;
  const Workload& w;

  // Constants, then a vector of weights per input channel.
  std::int64_t block_bytes() const {
    return kConstantVectors * isa.vector_bytes() + std::int64_t{w.c} * isa.weight_vector_bytes();
  }
  std::int64_t packed_bytes() const { return 64 + blocks * block_bytes(); }
  std::int32_t row_tiles() const { return (w.n + rows - 1) / rows; }
};

// Small helpers that make C.
std::string Number(std::int64_t value) { return std::to_string(value); }
std::string Define(const char* name, std::int64_t value) {
  return std::string("#define ") + name + " " + Number(value) + "\n";
}

// The micro-kernel: `rows` accumulators, one block of channels.
Function Tile(const Schedule& s) {
  OpCounts step{.dots = double(s.rows), .loads = 1, .broadcasts = double(s.rows)};
  std::string start, one, finish;
  for (std::int32_t r = 0; r < s.rows; ++r) {
    const std::string c = "c" + Number(r);
    start += "kv " + c + " = k_load(constants);\n";
    one += c + " = k_dot(" + c + ", k_broadcast_raw(x + " + Number(r) + " * C + k), w);\n";
    finish +=
        "k_store1_n(y + " + Number(r) + " * O, lo, hi, n, k_requantize(" + c + ", constants));\n";
  }
  const std::string load = "const kop w = k_weights(weights + k * WEIGHT_VECTOR);\n";
  Function f;
  f.signature =
      "NOINLINE void tile(const uint8_t *x, const uint8_t *block, const int32_t *header, uint8_t "
      "*y, int32_t n)";
  f.body.push_back(
      Text("const int32_t *constants = (const int32_t *)block;\n"
           "const uint8_t *weights = block + CONSTANTS * LANES * 4;\n"
           "const int32_t lo = header[0], hi = header[1];\n" +
               start,
           {.loads = 1, .calls = 1}));
  f.body.push_back(
      Loop("UNROLL\nfor (int32_t k = 0; k < C; ++k)", s.w.c, {Text(load + one, step)}));
  f.body.push_back(Text(finish, {.stores = double(s.rows), .requantizes = double(s.rows)}));
  f.calls = double(s.blocks) * s.row_tiles();
  return f;
}

// P_pack: canonical weights are [O][C]; a block wants [C][LANES]. Zero points are folded into the
// bias.
std::vector<Stmt> Pack(const Schedule& s) {
  return {
      Text("int32_t *header = packed;\n"
           "__builtin_memset(packed, 0, " +
           Number(s.packed_bytes()) +
           ");\n"
           "header[0] = op->act_min;\n"
           "header[1] = op->act_max;\n"
           "for (int32_t i = 0; i < BLOCKS * LANES; ++i) {\n"
           "  uint8_t *block = (uint8_t *)packed + 64 + i / LANES * (int64_t)BLOCK_BYTES;\n"
           "  int16_t *weights = (int16_t *)(block + CONSTANTS * LANES * 4);\n"
           "  const int32_t channel = i < O ? i : -1, lane = i % LANES;\n"
           "  int64_t low = 0, high = 0, bias = 0;\n"
           "  if (channel >= 0) {\n"
           "    const K_WEIGHT *from = (const K_WEIGHT *)op->w + (int64_t)channel * C;\n"
           "    low = high = bias = op->bias ? op->bias[channel] : 0;\n"
           "    for (int32_t k = 0; k < C; ++k) {\n"
           "      const int32_t value = from[k] - op->w_zp;\n"
           "      const int32_t a = (QMIN - op->x_zp) * value, b = (QMAX - op->x_zp) * value;\n"
           "      low += a < b ? a : b;\n"
           "      high += a < b ? b : a;\n"
           "      bias -= (int64_t)op->x_zp * value;\n"
           "      weights[k * LANES + lane] = (int16_t)value;\n"
           "    }\n"
           "  }\n"
           "  const int error = k_pack_constants(op, channel, lane, (int32_t)bias, high > -low ? "
           "high : -low,\n"
           "                                     (int32_t *)block);\n"
           "  if (error != KILN_OK) return error;\n"
           "}\n")};
}

LoopProgram Program(const Schedule& s) {
  LoopProgram p;
  p.prelude =
      Define("C", s.w.c) + Define("O", s.w.o) + Define("N", s.w.n) + Define("ROWS", s.rows) +
      Define("BLOCKS", s.blocks) + Define("BLOCK_BYTES", s.block_bytes()) +
      Define("WEIGHT_VECTOR", s.isa.weight_vector_bytes()) + Define("CONSTANTS", kConstantVectors) +
      Define("QMIN", s.w.qmin()) + Define("QMAX", s.w.qmax()) + "#define UNROLL _Pragma(\"unroll " +
      Number(s.unroll) + "\")\n#define K_WEIGHT " +
      (s.w.type == DataType::kU8 ? "uint8_t" : "int8_t") + "\n" + Prelude(s.isa, s.w);
  p.functions.push_back(Tile(s));
  p.pack = Pack(s);
  // A chunk is a tile of rows. The last one overlaps its neighbour: it computes some rows twice.
  LoopProgram::Phase phase;
  phase.chunks = static_cast<std::uint32_t>(s.row_tiles());
  phase.body.push_back(Loop("for (uint32_t chunk = begin; chunk < end; ++chunk)", s.row_tiles(),
                            {Text("const int32_t row = (int32_t)chunk * ROWS < N - ROWS ? "
                                  "(int32_t)chunk * ROWS : N - ROWS;\n"),
                             Loop("for (int32_t b = 0; b < BLOCKS; ++b)", s.blocks,
                                  {Text("tile(x + (int64_t)row * C, (const uint8_t *)packed + 64 + "
                                        "b * (int64_t)BLOCK_BYTES, packed,\n"
                                        "     y + (int64_t)row * O + b * LANES, O - b * LANES < "
                                        "LANES ? O - b * LANES : LANES);\n")})}));
  p.phases.push_back(std::move(phase));
  p.x_bytes = s.w.x_bytes();
  p.y_bytes = s.w.y_bytes();
  p.packed_bytes = s.packed_bytes();
  return p;
}

class OuterProductDense final : public KernelTemplate {
 public:
  std::string_view name() const override { return "dense.outer_product"; }

  bool Supports(const TaskSpec& spec) const override {
    const RequantizeForm rq = spec.workload.rq;
    return spec.workload.op == OpKind::kDense &&
           (rq == RequantizeForm::kInt7 || rq == RequantizeForm::kInt9 ||
            rq == RequantizeForm::kGen || rq == RequantizeForm::kFloat);
  }

  StatusOr<ConfigSpace> Space(const TaskSpec& spec) const override {
    const std::int64_t n = spec.workload.n, c = spec.workload.c;
    return ConfigSpace::Create(
        {IntKnob("rows", {1, 2, 4}), IntKnob("unroll", {1, 2, 4, 8})},
        {{"there are fewer rows",
          {"rows"},
          [n](std::span<const std::int64_t> v) { return v[0] <= n; }},
         {"there are fewer channels", {"unroll"}, [c](std::span<const std::int64_t> v) {
            return v[0] <= c;
          }}});
  }

  StatusOr<LoopProgram> Lower(const TaskSpec& spec, const ConfigSpace& space,
                              const Config& config) const override {
    return Program(ScheduleOf(spec, space, config));
  }

  Config Default(const TaskSpec&, const ConfigSpace& space) const override { return space.At(0); }

  void Features(const TaskSpec& spec, const ConfigSpace& space, const Config& config,
                std::span<float> out) const override {
    const Schedule s = ScheduleOf(spec, space, config);
    const double calls = double(s.blocks) * s.row_tiles();
    ScheduleSummary summary;
    summary.counts.dots = calls * s.w.c * s.rows;
    summary.counts.loads = calls * (s.w.c + 1);
    summary.counts.broadcasts = calls * s.w.c * s.rows;
    summary.counts.stores = summary.counts.requantizes = calls * s.rows;
    summary.counts.calls = calls;
    summary.requantize_instructions = RequantizeInstructions(s.w);
    summary.lanes = s.isa.lanes;
    summary.tile_w = summary.accumulators = s.rows;
    summary.registers = s.isa.registers;
    summary.unroll = s.unroll;
    summary.computed_outputs = calls * s.rows * s.isa.lanes;
    summary.panel_bytes = double(s.block_bytes());
    summary.packed_bytes = double(s.packed_bytes());
    summary.chunks = s.row_tiles();
    WriteFeatures(spec, summary, out);
  }

 private:
  static Schedule ScheduleOf(const TaskSpec& spec, const ConfigSpace& space, const Config& config) {
    return Schedule(spec.workload, static_cast<std::int32_t>(space.Value(config, "rows")),
                    static_cast<std::int32_t>(space.Value(config, "unroll")));
  }
};

}  // namespace

std::shared_ptr<const KernelTemplate> NewOuterProductDense() {
  return std::make_shared<OuterProductDense>();
}
