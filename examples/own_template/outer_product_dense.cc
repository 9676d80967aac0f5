#include "outer_product_dense.h"

#include <string>
#include <utility>

#include "kernels_templates/features.h"
#include "kernels_templates/isa/requantize.h"
#include "kernels_templates/isa/vector_isa.h"

// The idea: a tile is `rows` rows of x by one block of `lanes` output channels, with an accumulator
// per row. For each input channel k it adds x[row][k], in all lanes, times the block's weights of
// k: an outer product. P_pack lays the weights out in the order in which tiles read them:
//
//   packed   header (64 bytes: act_min, act_max) | block 0 | block 1 | ...
//   block    requantize constants of its channels | weights of k = 0 | weights of k = 1 | ...

namespace {

using namespace kiln;

const VectorIsa& Isa() { return Portable(); }

// One config with its workload: every number of the kernel follows from these.
struct Schedule {
  const Workload& w;
  std::int32_t rows = 1;    // of a tile
  std::int32_t unroll = 1;  // of the loop over input channels

  std::int32_t blocks() const { return (w.o + Isa().lanes - 1) / Isa().lanes; }
  std::int32_t row_tiles() const { return (w.n + rows - 1) / rows; }
  double tiles() const { return double(blocks()) * row_tiles(); }
  std::int64_t block_bytes() const {
    return kConstantVectors * Isa().vector_bytes() +
           std::int64_t{w.c} * Isa().weight_vector_bytes();
  }
  std::int64_t packed_bytes() const { return 64 + blocks() * block_bytes(); }
};

// Sizes as names, so that the C below reads like the schedule; then the instruction set's words.
std::string Definitions(const Schedule& s) {
  std::string text;
  const auto define = [&](const char* name, std::int64_t value) {
    text += std::string("#define ") + name + " " + std::to_string(value) + "\n";
  };
  define("N", s.w.n);
  define("C", s.w.c);
  define("O", s.w.o);
  define("ROWS", s.rows);
  define("BLOCKS", s.blocks());
  define("BLOCK_BYTES", s.block_bytes());
  define("PACKED_BYTES", s.packed_bytes());
  define("CONSTANTS_BYTES", kConstantVectors * Isa().vector_bytes());
  define("WEIGHTS_BYTES", Isa().weight_vector_bytes());
  define("QMIN", s.w.qmin());
  define("QMAX", s.w.qmax());
  text += "#define UNROLL _Pragma(\"unroll " + std::to_string(s.unroll) + "\")\n";
  text +=
      std::string("typedef ") + (s.w.type == DataType::kU8 ? "uint8_t" : "int8_t") + " weight;\n";
  return text + Prelude(Isa(), s.w);
}

// The micro-kernel. Accumulators are spelled out, c0, c1, ...: then they live in registers. The
// counts beside the text are what the cost model learns from.
Function Tile(const Schedule& s) {
  std::string start, step;
  std::string finish = "const k_range range = {header[0], header[1], header[2]};\n";
  for (std::int32_t r = 0; r < s.rows; ++r) {
    const std::string row = std::to_string(r), c = "c" + row;
    start += "kv " + c + " = k_load(constants);\n";
    step += c + " = k_dot(" + c + ", k_broadcast_raw(x + " + row + " * C + k), w);\n";
    finish += "k_store1_n(y + " + row + " * O, range, n, k_requantize(" + c + ", constants));\n";
  }
  const double rows = s.rows;
  Function f;
  f.signature =
      "NOINLINE void tile(const int32_t *header, const uint8_t *block, const uint8_t *x, uint8_t "
      "*y, "
      "int32_t n)";
  f.body = {
      Text("const int32_t *constants = (const int32_t *)block;\n"
           "const uint8_t *weights = block + CONSTANTS_BYTES;\n" +
               start,
           {.loads = 1, .calls = 1}),
      Loop("UNROLL for (int32_t k = 0; k < C; ++k)", s.w.c,
           {Text("const kop w = k_weights(weights + k * WEIGHTS_BYTES);\n" + step,
                 {.dots = rows, .loads = 1, .broadcasts = rows})}),
      Text(finish, {.stores = rows, .requantizes = rows}),
  };
  f.calls = s.tiles();
  return f;
}

// The body of P_pack. The bias takes in the zero point of x, and weights are packed as their
// difference to theirs, so that a tile only multiplies and adds. `low` and `high` are what the
// accumulator can reach: with them k_pack_constants proves that its arithmetic is exact.
Stmt Pack() {
  return Text(R"(int32_t *header = packed;
__builtin_memset(packed, 0, PACKED_BYTES);
header[0] = op->act_min;
header[1] = op->act_max;
header[2] = op->y_zp;
for (int32_t i = 0; i < BLOCKS * LANES; ++i) {
  uint8_t *block = (uint8_t *)packed + 64 + i / LANES * (int64_t)BLOCK_BYTES;
  int16_t *weights = (int16_t *)(block + CONSTANTS_BYTES);
  const int32_t channel = i < O ? i : -1, lane = i % LANES;
  int64_t bias = 0, low = 0, high = 0;
  if (channel >= 0) {
    const weight *from = (const weight *)op->w + (int64_t)channel * C;
    bias = low = high = op->bias ? op->bias[channel] : 0;
    for (int32_t k = 0; k < C; ++k) {
      const int32_t w = from[k] - op->w_zp;
      const int32_t a = (QMIN - op->x_zp) * w, b = (QMAX - op->x_zp) * w;
      low += a < b ? a : b;
      high += a < b ? b : a;
      bias -= op->x_zp * w;
      weights[k * LANES + lane] = (int16_t)w;
    }
  }
  const int error = k_pack_constants(op, channel, lane, (int32_t)bias, low, high, (int32_t *)block);
  if (error != KILN_OK) return error;
}
)");
}

// A chunk is what one thread does at a time: here a tile of rows, with all channels. The last tile
// ends with the last row and so computes some rows twice.
LoopProgram::Phase Rows(const Schedule& s) {
  LoopProgram::Phase phase;
  phase.chunks = static_cast<std::uint32_t>(s.row_tiles());
  const Stmt block =
      Text(R"(const uint8_t *block = (const uint8_t *)packed + 64 + b * (int64_t)BLOCK_BYTES;
const int32_t left = O - b * LANES;
tile(packed, block, x + row * C, y + row * O + b * LANES, left < LANES ? left : LANES);
)");
  const Stmt place = Text(R"(const int32_t first = (int32_t)chunk * ROWS;
const int64_t row = first < N - ROWS ? first : N - ROWS;
)");
  phase.body = {Loop("for (uint32_t chunk = begin; chunk < end; ++chunk)", s.row_tiles(),
                     {place, Loop("for (int32_t b = 0; b < BLOCKS; ++b)", s.blocks(), {block})})};
  return phase;
}

class OuterProductDense final : public KernelTemplate {
 public:
  std::string_view name() const override { return "dense.outer_product"; }

  bool Supports(const TaskSpec& spec) const override { return spec.workload.op == OpKind::kDense; }

  StatusOr<ConfigSpace> Space(const TaskSpec& spec) const override {
    const std::int64_t n = spec.workload.n, c = spec.workload.c;
    const Constraint rows_exist = {
        "x has fewer rows", {"rows"}, [n](auto value) { return value[0] <= n; }};
    const Constraint channels_exist = {
        "x has fewer channels", {"unroll"}, [c](auto value) { return value[0] <= c; }};
    return ConfigSpace::Create({IntKnob("rows", {1, 2, 4}), IntKnob("unroll", {1, 2, 4, 8})},
                               {rows_exist, channels_exist});
  }

  StatusOr<LoopProgram> Lower(const TaskSpec& spec, const ConfigSpace& space,
                              const Config& config) const override {
    const Schedule s = ScheduleOf(spec, space, config);
    LoopProgram program;
    program.isa = Isa().required;
    program.prelude = Definitions(s);
    program.functions = {Tile(s)};
    program.pack = {Pack()};
    program.phases = {Rows(s)};
    program.x_bytes = s.w.x_bytes();
    program.y_bytes = s.w.y_bytes();
    program.packed_bytes = s.packed_bytes();
    return program;
  }

  Config Default(const TaskSpec&, const ConfigSpace& space) const override {
    return space.Nearest(Config{{1, 2}});  // two rows, unrolled by four, where that is legal
  }

  void Features(const TaskSpec& spec, const ConfigSpace& space, const Config& config,
                std::span<float> out) const override {
    const Schedule s = ScheduleOf(spec, space, config);
    ScheduleSummary summary;
    summary.counts.dots = summary.counts.broadcasts = s.tiles() * s.w.c * s.rows;
    summary.counts.loads = s.tiles() * (s.w.c + 1);
    summary.counts.stores = summary.counts.requantizes = s.tiles() * s.rows;
    summary.counts.calls = s.tiles();
    summary.requantize_instructions = RequantizeInstructions(Isa(), s.w);
    summary.lanes = Isa().lanes;
    summary.registers = Isa().registers;
    summary.tile_w = summary.accumulators = s.rows;
    summary.unroll = s.unroll;
    summary.computed_outputs = s.tiles() * s.rows * Isa().lanes;
    summary.panel_bytes = double(s.block_bytes());
    summary.packed_bytes = double(s.packed_bytes());
    summary.chunks = s.row_tiles();
    WriteFeatures(spec, summary, out);
  }

 private:
  static Schedule ScheduleOf(const TaskSpec& spec, const ConfigSpace& space, const Config& config) {
    return {spec.workload, static_cast<std::int32_t>(space.Value(config, "rows")),
            static_cast<std::int32_t>(space.Value(config, "unroll"))};
  }
};

}  // namespace

std::shared_ptr<const KernelTemplate> NewOuterProductDense() {
  return std::make_shared<OuterProductDense>();
}
