#include "kernels_templates/conv2d/row_gemm_template.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace kiln {
namespace {

// Knobs in this order in every space of these families; configs are read by position.
enum KnobIndex {
  kTileH,
  kTileW,
  kTileC,
  kUnrollK,
  kBlockTiles,
  kOrder,
  kStage,
  kRequantizeAt,
  kStore,
  kBorder,
  kMethod,  // where the instruction set has several
  kKnobs
};

const std::vector<std::string> kOrderLabels = {"block.panel.tile", "block.tile.panel",
                                               "panel.block.tile"};
const std::vector<std::string> kStageLabels = {"raw", "block", "root"};
const std::vector<std::string> kRequantizeLabels = {"tile", "row"};
const std::vector<std::string> kStoreLabels = {"packed", "natural"};
const std::vector<std::string> kBorderLabels = {"summed", "skipped"};

GemmKnobs FromValues(std::span<const std::int64_t> v) {
  GemmKnobs knobs;
  knobs.tile_h = static_cast<std::int32_t>(v[kTileH]);
  knobs.tile_w = static_cast<std::int32_t>(v[kTileW]);
  knobs.tile_c = static_cast<std::int32_t>(v[kTileC]);
  knobs.unroll_k = static_cast<std::int32_t>(v[kUnrollK]);
  knobs.block = static_cast<std::int32_t>(v[kBlockTiles]);
  knobs.order = static_cast<GemmOrder>(v[kOrder]);
  knobs.stage = static_cast<DataStage>(v[kStage]);
  knobs.requantize = static_cast<RequantizeAt>(v[kRequantizeAt]);
  knobs.store = static_cast<StoreForm>(v[kStore]);
  knobs.border = static_cast<BorderForm>(v[kBorder]);
  return knobs;
}

GemmKnobs ReadKnobs(const ConfigSpace& space, const Config& config) {
  std::int64_t values[kKnobs];
  const std::span<const Knob> knobs = space.knobs();
  for (std::size_t i = 0; i < knobs.size(); ++i)
    values[i] = knobs[i].values[config.choice[i]].value;
  return FromValues(values);
}

using Methods = std::vector<const VectorIsa*>;

// Of a template's ways to multiply the one that a config takes.
const VectorIsa& MethodOf(const Methods& methods, const ConfigSpace& space, const Config& config) {
  if (methods.size() == 1) return *methods[0];
  const auto method = space.knobs()[kMethod].values[config.choice[kMethod]].value;
  return *methods[static_cast<std::size_t>(method)];
}

// Whether the workload's class has no weight that `pack` would refuse.
bool IsExact(const VectorIsa& isa, const Workload& w) {
  return isa.lowest_weight <= w.lowest_weight();
}

// The values that are at most `limit`; the smallest if none is.
std::vector<std::int64_t> UpTo(std::vector<std::int64_t> values, std::int64_t limit) {
  std::erase_if(values, [&](std::int64_t value) { return value > limit; });
  if (values.empty()) values.push_back(1);
  return values;
}

// Where activations come in chunks: accumulators, a chunk per pixel, weights; and where a dot is
// several instructions their products and the constants that pick lanes.
bool FitsWithChunks(const VectorIsa& isa, std::int64_t pixels, std::int64_t vectors,
                    std::int64_t unroll) {
  const std::int64_t chunks = unroll >= isa.chunk_steps ? pixels : 1;
  const std::int64_t others = isa.splits_groups ? 10 : 2;
  return pixels * vectors + chunks + others <= isa.registers;
}

// Accumulators, the weights of a step, a broadcast and the constant that flips it. Limits found by
// compiling with clang 19: beyond them it spills (docs/kernels.md). With one pixel, weights are
// read by the dot itself.
bool FitsRegisters(const VectorIsa& isa, std::int64_t pixels, std::int64_t vectors,
                   std::int64_t unroll) {
  if (isa.chunk_steps > 1) return FitsWithChunks(isa, pixels, vectors, unroll);
  const std::int64_t accumulators = pixels * vectors;
  if (isa.registers >= 32) {
    return accumulators <= (vectors == 1 ? 22 : vectors == 2 ? 28 : 24);
  }
  const std::int64_t weights = pixels == 1 ? 1 : vectors;
  return accumulators + weights + (isa.registers >= 16 ? 2 : 1) <= isa.registers;
}

class RowGemmTemplate final : public KernelTemplate {
 public:
  RowGemmTemplate(RowGemmFamily family, Methods methods)
      : family_(std::move(family)),
        methods_(std::move(methods)),
        name_(family_.name + "." + std::string(methods_[0]->name)) {}

  std::string_view name() const override { return name_; }

  bool Supports(const TaskSpec& spec) const override {
    return spec.workload.op == family_.op && (methods_[0]->required & ~spec.target.isa) == 0;
  }

  StatusOr<ConfigSpace> Space(const TaskSpec& spec) const override {
    return ConfigSpace::Create(Knobs(spec.workload), Constraints(spec));
  }

  StatusOr<LoopProgram> Lower(const TaskSpec& spec, const ConfigSpace& space,
                              const Config& config) const override {
    return LowerRowGemm(
        GemmSchedule(spec.workload, MethodOf(methods_, space, config), ReadKnobs(space, config)));
  }

  Config Default(const TaskSpec&, const ConfigSpace& space) const override {
    for (const GemmKnobs& wish : family_.defaults) {
      if (WidensForEveryPanel(*methods_[0], wish)) continue;
      if (const std::optional<Config> config = Find(space, wish)) return *config;
    }
    return space.At(0);
  }

  void Features(const TaskSpec& spec, const ConfigSpace& space, const Config& config,
                std::span<float> out) const override {
    WriteFeatures(spec, SummarizeRowGemm(spec, methods_, space, config), out);
  }

 private:
  std::vector<Knob> Knobs(const Workload& w) const {
    const std::int32_t lanes = methods_[0]->lanes;
    std::int32_t steps = 1;
    Knob method{"method", {}};
    for (std::size_t i = 0; i < methods_.size(); ++i) {
      if (!IsExact(*methods_[i], w)) continue;
      steps = std::max(steps, GemmSchedule(w, *methods_[i], {.tile_w = 1, .tile_c = 1}).steps);
      method.values.push_back({std::string(methods_[i]->method), static_cast<std::int64_t>(i)});
    }
    const GemmSchedule unit(w, *methods_[0], {.tile_w = 1, .tile_c = 1});
    const std::int64_t vectors = (unit.group_out + lanes - 1) / lanes;
    std::vector<Knob> knobs = {IntKnob("tile_h", UpTo(family_.tile_h, unit.out_h)),
                               IntKnob("tile_w", UpTo(family_.tile_w, unit.out_w)),
                               IntKnob("tile_c", UpTo(family_.tile_c, vectors)),
                               IntKnob("unroll_k", UpTo(family_.unroll_k, steps)),
                               IntKnob("block", UpTo(family_.block, unit.out_w)),
                               ChoiceKnob("order", kOrderLabels),
                               ChoiceKnob("data_stage", kStageLabels),
                               ChoiceKnob("requantize_at", kRequantizeLabels),
                               ChoiceKnob("store", kStoreLabels),
                               ChoiceKnob("border", kBorderLabels)};
    if (methods_.size() > 1) knobs.push_back(std::move(method));
    return knobs;
  }

  // Each rule reads as few knobs as it can, so that enumeration prunes early.
  std::vector<Constraint> Constraints(const TaskSpec& spec) const {
    const Workload w = spec.workload;
    const VectorIsa& first = *methods_[0];  // what all methods have in common
    using Values = std::span<const std::int64_t>;
    const GemmSchedule unit(w, first, {.tile_w = 1, .tile_c = 1});
    const std::int64_t out_w = unit.out_w,
                       vectors = (unit.group_out + first.lanes - 1) / first.lanes;
    const std::int64_t groups = w.groups;
    const auto ceil_div = [](std::int64_t a, std::int64_t b) { return (a + b - 1) / b; };
    std::vector<Constraint> rules;
    // A rule that differs from method to method.
    const auto by_method = [&](const char* reason, std::vector<std::string> knobs, auto holds) {
      if (methods_.size() == 1) {
        rules.push_back(
            {reason, std::move(knobs), [&first, holds](Values v) { return holds(first, v); }});
        return;
      }
      knobs.emplace_back("method");
      rules.push_back({reason, std::move(knobs), [methods = methods_, holds](Values v) {
                         return holds(*methods[static_cast<std::size_t>(v.back())], v);
                       }});
    };
    by_method(
        "the accumulators do not fit the registers", {"tile_h", "tile_w", "tile_c", "unroll_k"},
        [](const VectorIsa& isa, Values v) { return FitsRegisters(isa, v[0] * v[1], v[2], v[3]); });
    if (methods_.size() > 1) {  // otherwise the knob has no such values
      by_method("the method has fewer steps to unroll", {"unroll_k"},
                [w](const VectorIsa& isa, Values v) {
                  const GemmSchedule one(w, isa, {.tile_w = 1, .tile_c = 1});
                  return v[0] == 1 || v[0] <= one.steps;
                });
    }
    rules.push_back({"a block of so many tiles is the whole row",
                     {"tile_w", "block"},
                     [=](Values v) { return v[1] == 0 || v[1] < ceil_div(out_w, v[0]); }});
    rules.push_back({"with one panel or one tile in a block the order is the same",
                     {"tile_c", "tile_w", "block", "order"},
                     [=](Values v) {
                       const auto order = static_cast<GemmOrder>(v[3]);
                       if (order == GemmOrder::kBlockPanelTile) return true;
                       const std::int64_t panels = ceil_div(vectors, v[0]);
                       if (order == GemmOrder::kPanelBlockTile) return panels * groups > 1;
                       const std::int64_t tiles = ceil_div(out_w, v[1]);
                       return panels > 1 && tiles > 1;
                     }});
    by_method("the stage cannot serve this operator in this order",
              {"order", "data_stage", "border"}, [w](const VectorIsa& isa, Values v) {
                return StageIsLegal(w, isa, static_cast<DataStage>(v[1]),
                                    static_cast<GemmOrder>(v[0]), static_cast<BorderForm>(v[2]));
              });
    by_method("there are no taps to skip, or not with such tiles",
              {"tile_h", "tile_w", "data_stage", "border"}, [w](const VectorIsa& isa, Values v) {
                const GemmKnobs knobs{.tile_h = static_cast<std::int32_t>(v[0]),
                                      .tile_w = static_cast<std::int32_t>(v[1]),
                                      .stage = static_cast<DataStage>(v[2]),
                                      .border = static_cast<BorderForm>(v[3])};
                return knobs.border == BorderForm::kSummed || SkippingIsLegal(w, isa, knobs);
              });
    rules.push_back({"a row of accumulators needs the tiles of a panel one after the other",
                     {"order", "requantize_at"},
                     [](Values v) {
                       return static_cast<RequantizeAt>(v[1]) == RequantizeAt::kTile ||
                              static_cast<GemmOrder>(v[0]) != GemmOrder::kBlockTilePanel;
                     }});
    rules.push_back({"one vector is stored the same way in either form",
                     {"tile_c", "store"},
                     [&first](Values v) {
                       return static_cast<StoreForm>(v[1]) == StoreForm::kPacked ||
                              (first.max_store_group > 1 && v[0] > 1);
                     }});
    const std::int64_t cap = spec.target.workspace_cap, threads = spec.threads;
    by_method("the workspaces exceed the target's cap",
              {"tile_h", "tile_w", "tile_c", "unroll_k", "block", "order", "data_stage",
               "requantize_at", "store", "border"},
              [w, cap, threads](const VectorIsa& isa, Values v) {
                const GemmSchedule s(w, isa, FromValues(v));
                return s.shared_bytes + threads * s.thread_bytes <= cap;
              });
    return rules;
  }

  // Widening several values is an instruction beside each broadcast; a stage has it once for all
  // panels, where panels are not outermost.
  static bool WidensForEveryPanel(const VectorIsa& isa, const GemmKnobs& wish) {
    return wish.stage == DataStage::kRaw && wish.order != GemmOrder::kPanelBlockTile &&
           isa.activation_bytes > 1 && isa.group > 1;
  }

  static std::optional<Config> Find(const ConfigSpace& space, const GemmKnobs& wish) {
    const std::int64_t values[] = {wish.tile_h,
                                   wish.tile_w,
                                   wish.tile_c,
                                   wish.unroll_k,
                                   wish.block,
                                   static_cast<std::int64_t>(wish.order),
                                   static_cast<std::int64_t>(wish.stage),
                                   static_cast<std::int64_t>(wish.requantize),
                                   static_cast<std::int64_t>(wish.store),
                                   static_cast<std::int64_t>(wish.border)};
    Config config;
    for (std::size_t i = 0; i < std::size(values); ++i) {
      const auto& choices = space.knobs()[i].values;
      // Clipped to the largest value that the space still has: a tile of 4 columns in a row of 3.
      std::size_t best = 0;
      for (std::size_t j = 0; j < choices.size(); ++j) {
        if (choices[j].value <= values[i] && choices[j].value >= choices[best].value) best = j;
      }
      config.choice.push_back(static_cast<std::uint16_t>(best));
    }
    config.choice.resize(space.knobs().size());  // the first method
    return space.Contains(config) ? std::optional<Config>(config) : std::nullopt;
  }

  const RowGemmFamily family_;
  const Methods methods_;
  const std::string name_;
};

}  // namespace

std::shared_ptr<const KernelTemplate> NewRowGemmTemplate(RowGemmFamily family,
                                                         std::vector<const VectorIsa*> methods) {
  return std::make_shared<RowGemmTemplate>(std::move(family), std::move(methods));
}

ScheduleSummary SummarizeRowGemm(const TaskSpec& spec, const std::vector<const VectorIsa*>& methods,
                                 const ConfigSpace& space, const Config& config) {
  return GemmSchedule(spec.workload, MethodOf(methods, space, config), ReadKnobs(space, config))
      .Summary();
}

}  // namespace kiln
