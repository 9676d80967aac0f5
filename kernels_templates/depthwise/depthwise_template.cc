#include "kernels_templates/depthwise/depthwise_template.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "kernels_templates/depthwise/depthwise_lower.h"
#include "kernels_templates/depthwise/depthwise_schedule.h"
#include "kernels_templates/depthwise/depthwise_slide.h"
#include "kernels_templates/isa/requantize.h"

namespace kiln {
namespace {

// Knobs in this order in every space; configs are read by position. The last is there only where a
// tail can be stacked.
enum KnobIndex {
  kLoop,
  kTileH,
  kTileW,
  kPixels,
  kPad,
  kVec,
  kConv,
  kMethod,
  kGroup,
  kOrder,
  kWeights,
  kSplit,
  kTail,
  kKnobs
};
const std::vector<std::string> kNames = {
    "loop",        "tile_h", "tile_w", "pixels", "data_pad_inline", "data_vec_inline",
    "conv_inline", "method", "group",  "order",  "weights",         "split",
    "tail"};
using Values = std::span<const std::int64_t>;

DepthwiseKnobs FromValues(Values v) {
  DepthwiseKnobs knobs;
  knobs.loop = static_cast<RowLoop>(v[kLoop]);
  knobs.tile_h = static_cast<std::int32_t>(v[kTileH]);
  knobs.tile_w = static_cast<std::int32_t>(v[kTileW]);
  knobs.pixels = static_cast<std::int32_t>(v[kPixels]);
  knobs.pad = static_cast<PadStage>(v[kPad]);
  knobs.vec = static_cast<VecStage>(v[kVec]);
  knobs.conv = static_cast<ConvStage>(v[kConv]);
  knobs.method = static_cast<DepthwiseMethod>(v[kMethod]);
  knobs.group = static_cast<TapGroup>(v[kGroup]);
  knobs.order = static_cast<ChannelOrder>(v[kOrder]);
  knobs.weights = static_cast<WeightStage>(v[kWeights]);
  knobs.split = static_cast<ThreadSplit>(v[kSplit]);
  if (v.size() > kTail) knobs.tail = static_cast<TailForm>(v[kTail]);
  return knobs;
}

DepthwiseKnobs ReadKnobs(const ConfigSpace& space, const Config& config) {
  std::array<std::int64_t, kKnobs> values{};
  const std::span<const Knob> knobs = space.knobs();
  for (std::size_t i = 0; i < knobs.size(); ++i)
    values[i] = knobs[i].values[config.choice[i]].value;
  return FromValues(values);
}

std::vector<std::int64_t> UpTo(std::vector<std::int64_t> values, std::int64_t limit) {
  std::erase_if(values, [&](std::int64_t value) { return value > limit; });
  return values;
}

// The pixels that fill a block: as many as fit, if neighbouring pixels can be read as one vector.
std::vector<std::int64_t> PixelValues(const Workload& w, const VectorIsa& isa) {
  std::vector<std::int64_t> values{1};
  if (w.stride_w != 1) return values;
  for (const auto method : {DepthwiseMethod::kWiden, DepthwiseMethod::kDot}) {
    const auto il = FindInterleave(isa, w, method);
    if (!il) continue;
    const std::int32_t pixels = std::min(il->channels() / w.o, w.out_w());
    if (pixels > values.back()) values.push_back(pixels);
  }
  return values;
}

// Accumulators in use, the operand, and what interleaving and requantizing need besides: more where
// outputs are finished between the dots of others. Limits found by compiling with clang 19:
// docs/kernels.md.
bool FitsRegisters(const DepthwiseSchedule& s) {
  if (s.slides()) return SlideFitsRegisters(s);
  const bool finishes_between = s.k.conv != ConvStage::kTile;
  const std::int32_t others = s.isa.registers >= 32   ? (finishes_between ? 15 : 10)
                              : s.isa.registers >= 16 ? 7
                                                      : 6;
  return s.live_outputs * s.il.vectors + others <= s.isa.registers || s.outputs == 1;
}

// All dots of a tile are written out, at the edges of the image once more: more than so many cost
// more to compile and to fetch than they gain.
constexpr std::int64_t kMaxDots = 640, kMaxDotsOfRuns = 1600;
std::int64_t DotInstructions(const DepthwiseSchedule& s) {
  return std::int64_t{s.tile_dots} * s.il.vectors * s.il.planes;
}

std::int64_t Runs(const DepthwiseSchedule& s) {
  std::int64_t runs = 0;
  for (std::int32_t first = 0; first < s.tiles_w; first += s.RunFrom(first).count) ++runs;
  return runs;
}

bool CodeIsShort(const DepthwiseSchedule& s) {
  if (s.slides()) return WrittenDots(s) <= kMaxDotsOfRuns;
  if (s.outputs > 1 && DotInstructions(s) > kMaxDots) return false;
  return !s.tiles_read_x() || DotInstructions(s) * Runs(s) <= kMaxDotsOfRuns;
}

bool ReadsOnlyTheImage(const DepthwiseSchedule& s) {
  if (s.k.pad != PadStage::kInline) return true;
  const bool fills_block = s.channels >= s.il.channels() || s.stored == s.il.channels();
  if (s.w.multiplier != 1 || !fills_block) return false;
  if (s.k.pixels == 1) return true;
  if (s.k.vec == VecStage::kShift) return s.w.w % s.k.pixels == 0;
  return !s.pads_columns() && (!s.slides() || s.w.out_w() % s.k.pixels == 0);
}

// A walk needs four taps per dot, and results that take a few instructions: a call would move all
// that it keeps in registers to memory.
bool CanSlide(const Workload& w, const VectorIsa& isa) {
  return FindInterleave(isa, w, DepthwiseMethod::kDot).value_or(Interleave{}).group == 4 &&
         RequantizeInstructions(isa, w) < 10;
}
// Shifting moves whole 128-bit blocks, as unpacking stays within them.
bool CanShift(const Workload& w, const VectorIsa& isa) {
  if (!CanSlide(w, isa) || w.stride_w != 1 || w.kh > 4) return false;
  const std::int32_t block = FindInterleave(isa, w, DepthwiseMethod::kDot)->channels();
  return w.o % 16 == 0 && w.o < block && block % w.o == 0;
}
bool CanMix(const Workload& w, const VectorIsa& isa) {
  return CanSlide(w, isa) && w.kh % 4 == 1 && w.kw >= 2 && w.kw <= 8 && w.dilation_w == 1 &&
         w.stride_w <= 2;
}
bool CanPair(const Workload& w, const VectorIsa& isa) {
  return CanSlide(w, isa) && w.kh == 3 && w.kw == 3 && w.stride_w == 2 && w.dilation_w == 1 &&
         w.pad_left <= 1;
}
// Rows of a stack that fills the last block, or 1 if none can.
std::int32_t StackOf(const Workload& w, const VectorIsa& isa) {
  if (!CanSlide(w, isa)) return 1;
  const std::int32_t block = FindInterleave(isa, w, DepthwiseMethod::kDot)->channels();
  const std::int32_t narrow = NarrowBlock(w.o, block);
  return narrow > 0 && w.out_h() >= block / narrow ? block / narrow : 1;
}
bool Slides(std::int64_t loop) { return static_cast<RowLoop>(loop) != RowLoop::kTile; }

// Rules that leave one value to the knobs that mean nothing for a sliding row, and for tiles.
void AddSlideRules(std::vector<Constraint>& rules) {
  rules.push_back({"a sliding row has no tile",
                   {kNames[kLoop], kNames[kTileH], kNames[kTileW]},
                   [](Values v) { return !Slides(v[0]) || v[1] * v[2] == 1; }});
  rules.push_back({"a sliding row interleaves as it goes; only there columns are shifted",
                   {kNames[kLoop], kNames[kVec]},
                   [](Values v) {
                     return static_cast<VecStage>(v[1]) !=
                            (Slides(v[0]) ? VecStage::kRow : VecStage::kShift);
                   }});
  rules.push_back(
      {"a sliding row finishes each output", {kNames[kLoop], kNames[kConv]}, [](Values v) {
         return !Slides(v[0]) || static_cast<ConvStage>(v[1]) == ConvStage::kOutput;
       }});
  rules.push_back(
      {"a sliding row has dots of four taps", {kNames[kLoop], kNames[kMethod]}, [](Values v) {
         return !Slides(v[0]) || static_cast<DepthwiseMethod>(v[1]) == DepthwiseMethod::kDot;
       }});
  rules.push_back(
      {"a sliding row has vertical taps, or of one pixel mixed or paired ones, a tile vertical or "
       "linear ones",
       {kNames[kLoop], kNames[kPixels], kNames[kGroup]},
       [](Values v) {
         const auto group = static_cast<TapGroup>(v[2]);
         const bool slides_only = group == TapGroup::kMixed || group == TapGroup::kPaired;
         if (!Slides(v[0])) return !slides_only;
         return group == TapGroup::kVertical || (slides_only && v[1] == 1);
       }});
  rules.push_back(
      {"pairs are walked with all vectors", {kNames[kLoop], kNames[kGroup]}, [](Values v) {
         return static_cast<TapGroup>(v[1]) != TapGroup::kPaired ||
                static_cast<RowLoop>(v[0]) == RowLoop::kSlide;
       }});
  rules.push_back(
      {"only blocks of several pixels are shifted", {kNames[kPixels], kNames[kVec]}, [](Values v) {
         return static_cast<VecStage>(v[1]) != VecStage::kShift || v[0] > 1;
       }});
  rules.push_back({"the ring of rows serves all blocks of a row",
                   {kNames[kLoop], kNames[kPad], kNames[kOrder]},
                   [](Values v) {
                     return !Slides(v[0]) || static_cast<PadStage>(v[1]) != PadStage::kRow ||
                            static_cast<ChannelOrder>(v[2]) == ChannelOrder::kInner;
                   }});
  rules.push_back(
      {"tiles take weights from memory", {kNames[kLoop], kNames[kWeights]}, [](Values v) {
         return Slides(v[0]) || static_cast<WeightStage>(v[1]) == WeightStage::kMemory;
       }});
}

// Every thread has a row of tiles, and only what can be stacked is.
void AddThreadRules(std::vector<Constraint>& rules, const TaskSpec& spec, const VectorIsa& isa) {
  const Workload& w = spec.workload;
  const std::int64_t images = w.n, rows = w.out_h(), threads = spec.threads;
  const auto feeds_threads = [=](std::int64_t rows_of_chunk) {
    const std::int64_t chunks = images * ((rows + rows_of_chunk - 1) / rows_of_chunk);
    return chunks >= std::min(threads, images * rows);
  };
  rules.push_back({"some threads would have no row of tiles",
                   {kNames[kTileH]},
                   [feeds_threads](Values v) { return feeds_threads(v[0]); }});
  rules.push_back({"blocks are shared out where one call walks all rows of a block",
                   {kNames[kLoop], kNames[kOrder], kNames[kSplit]},
                   [](Values v) {
                     return static_cast<ThreadSplit>(v[2]) == ThreadSplit::kRows ||
                            (static_cast<RowLoop>(v[0]) == RowLoop::kSlide &&
                             static_cast<ChannelOrder>(v[1]) == ChannelOrder::kOuter);
                   }});
  if (StackOf(w, isa) == 1) return;
  rules.push_back({"only sliding rows are stacked, and not out of a ring",
                   {kNames[kLoop], kNames[kPad], kNames[kTail]},
                   [](Values v) {
                     return static_cast<TailForm>(v[2]) == TailForm::kOverlap ||
                            (Slides(v[0]) && static_cast<PadStage>(v[1]) != PadStage::kRow);
                   }});
}

class DepthwiseTemplate final : public KernelTemplate {
 public:
  explicit DepthwiseTemplate(const VectorIsa& isa)
      : isa_(isa), name_("depthwise." + std::string(isa.name)) {}

  std::string_view name() const override { return name_; }

  bool Supports(const TaskSpec& spec) const override {
    const Workload& w = spec.workload;
    return w.op == OpKind::kDepthwise && std::max(w.kh, w.kw) <= kMaxKernel &&
           w.taps() <= kMaxKernelTaps && (isa_.required & ~spec.target.isa) == 0;
  }

  StatusOr<ConfigSpace> Space(const TaskSpec& spec) const override {
    return ConfigSpace::Create(Knobs(spec), Constraints(spec));
  }

  StatusOr<LoopProgram> Lower(const TaskSpec& spec, const ConfigSpace& space,
                              const Config& config) const override {
    return LowerDepthwise(DepthwiseSchedule(spec.workload, isa_, ReadKnobs(space, config)));
  }

  Config Default(const TaskSpec& spec, const ConfigSpace& space) const override {
    if (const auto config = FindSlide(spec.workload, space)) return *config;
    // The widest tile that is legal, padded rows in a ring, everything else at the tile.
    for (const bool flat : {true, false}) {
      for (const std::int64_t tile_w : {4, 3, 2, 1}) {
        if (const auto config = Find(space, tile_w, flat)) return *config;
      }
    }
    return space.At(0);
  }

  void Features(const TaskSpec& spec, const ConfigSpace& space, const Config& config,
                std::span<float> out) const override {
    WriteFeatures(spec, SummarizeDepthwise(spec, isa_, space, config), out);
  }

 private:
  std::vector<Knob> Knobs(const TaskSpec& spec) const {
    const Workload& w = spec.workload;
    Knob method{kNames[kMethod], {}};
    if (FindInterleave(isa_, w, DepthwiseMethod::kDot)) method.values.push_back({"dot", 0});
    method.values.push_back({"widen", 1});
    const bool slides = CanSlide(w, isa_);
    Knob loop = ChoiceKnob(kNames[kLoop], {"tile", "slide", "halves"});
    Knob vec = ChoiceKnob(kNames[kVec], {"inline", "row", "shift"});
    Knob group = ChoiceKnob(kNames[kGroup], {"vertical", "linear", "mixed", "paired"});
    std::erase_if(group.values, [&](const KnobValue& v) {
      const auto value = static_cast<TapGroup>(v.value);
      return (value == TapGroup::kMixed && !CanMix(w, isa_)) ||
             (value == TapGroup::kPaired && !CanPair(w, isa_));
    });
    Knob weights = ChoiceKnob(kNames[kWeights], {"memory", "registers"});
    Knob split = ChoiceKnob(kNames[kSplit], {"rows", "blocks"});
    if (!slides) loop.values.resize(1), weights.values.resize(1);
    if (!slides || spec.threads == 1) split.values.resize(1);
    if (!CanShift(w, isa_)) vec.values.pop_back();
    std::vector<Knob> knobs = {
        loop,
        IntKnob(kNames[kTileH], UpTo({1, 2, 3, 4}, w.out_h())),
        IntKnob(kNames[kTileW], UpTo({1, 2, 3, 4, 5, 6, 7, 8, 14}, w.out_w())),
        IntKnob(kNames[kPixels], PixelValues(w, isa_)),
        ChoiceKnob(kNames[kPad], {"inline", "row", "root"}),
        vec,
        ChoiceKnob(kNames[kConv], {"tile", "output", "row"}),
        method,
        group,
        ChoiceKnob(kNames[kOrder], {"inner", "outer"}),
        weights,
        split};
    if (StackOf(w, isa_) > 1) knobs.push_back(ChoiceKnob(kNames[kTail], {"overlap", "rows"}));
    return knobs;
  }

  // A rule over whole schedules reads all knobs and is checked last; the cheap ones before prune.
  std::vector<Constraint> Constraints(const TaskSpec& spec) const {
    const Workload w = spec.workload;
    const VectorIsa& isa = isa_;
    std::vector<Constraint> rules;
    rules.push_back({"the tile is wider than a row of outputs",
                     {kNames[kTileW], kNames[kPixels]},
                     [w](Values v) { return v[0] * v[1] <= w.out_w(); }});
    rules.push_back({"one output is the whole tile",
                     {kNames[kLoop], kNames[kTileH], kNames[kTileW], kNames[kConv]},
                     [](Values v) {
                       return static_cast<ConvStage>(v[3]) != ConvStage::kOutput || Slides(v[0]) ||
                              v[1] * v[2] > 1;
                     }});
    AddSlideRules(rules);
    rules.push_back({"a block has room for fewer pixels",
                     {kNames[kPixels], kNames[kMethod]},
                     [w, &isa](Values v) {
                       const auto il = FindInterleave(isa, w, static_cast<DepthwiseMethod>(v[1]));
                       return v[0] == 1 || v[0] * w.o <= il->channels();
                     }});
    rules.push_back({"the taps of one kernel column, or of dots of one tap, are vertical",
                     {kNames[kMethod], kNames[kGroup]},
                     [w, &isa](Values v) {
                       if (static_cast<TapGroup>(v[1]) != TapGroup::kLinear) return true;
                       return w.kw > 1 &&
                              FindInterleave(isa, w, static_cast<DepthwiseMethod>(v[0]))->group > 1;
                     }});
    rules.push_back({"rows of operands hold the taps of one column",
                     {kNames[kVec], kNames[kGroup]},
                     [](Values v) {
                       return static_cast<VecStage>(v[0]) != VecStage::kRow ||
                              static_cast<TapGroup>(v[1]) != TapGroup::kLinear;
                     }});
    AddThreadRules(rules, spec, isa);
    std::vector<std::string> names = kNames;
    if (StackOf(w, isa) == 1) names.pop_back();
    const auto whole = [&](const char* reason, auto holds) {
      rules.push_back({reason, names, [w, &isa, holds](Values v) {
                         return holds(DepthwiseSchedule(w, isa, FromValues(v)));
                       }});
    };
    whole("the accumulators do not fit the registers", FitsRegisters);
    whole("the code of a tile or row is too long", CodeIsShort);
    whole("it would read outside of the image: a stage must copy it", ReadsOnlyTheImage);
    whole("with one tile of one block there is no order", [](const DepthwiseSchedule& s) {
      const bool has_others = s.k.loop != RowLoop::kHalves && s.tiles_w > 1;
      return s.k.order == ChannelOrder::kInner || s.blocks > 1 || has_others;
    });
    const std::int64_t threads = spec.threads, cap = spec.target.workspace_cap;
    whole("some threads would have no block", [threads](const DepthwiseSchedule& s) {
      return s.k.split == ThreadSplit::kRows || s.blocks >= threads;
    });
    whole("the workspaces exceed the target's cap", [cap, threads](const DepthwiseSchedule& s) {
      return s.shared_bytes + threads * s.thread_bytes <= cap;
    });
    return rules;
  }

  // A walk with most of its weights in registers, with the fewest dots and copies. With few
  // registers, weights in memory are better than two walks.
  std::optional<Config> FindSlide(const Workload& w, const ConfigSpace& space) const {
    if (space.knobs()[kLoop].values.size() == 1) return std::nullopt;
    constexpr auto kRegisters = WeightStage::kRegisters, kMemory = WeightStage::kMemory;
    if (auto config = FindWalk(w, space, RowLoop::kSlide, kRegisters)) return config;
    if (isa_.registers < 32) {
      if (auto config = FindWalk(w, space, RowLoop::kSlide, kMemory)) return config;
    }
    return FindWalk(w, space, RowLoop::kHalves, kRegisters);
  }

  std::optional<Config> FindWalk(const Workload& w, const ConfigSpace& space, RowLoop loop,
                                 WeightStage weights) const {
    for (const TapGroup group : {TapGroup::kPaired, TapGroup::kMixed, TapGroup::kVertical}) {
      for (const VecStage vec : {VecStage::kShift, VecStage::kInline}) {
        for (const PadStage pad : {PadStage::kInline, PadStage::kRow}) {
          for (const TailForm tail : {TailForm::kRows, TailForm::kOverlap}) {
            const Config config = Slide(space, loop, group, vec, pad, tail, weights);
            if (!space.Contains(config)) continue;
            const DepthwiseSchedule s(w, isa_, ReadKnobs(space, config));
            if (weights == WeightStage::kMemory || 2 * s.register_sets >= s.sets) return config;
          }
        }
      }
    }
    return std::nullopt;
  }

  // With the most pixels per block; values that a space leaves out are those at a knob's end.
  static Config Slide(const ConfigSpace& space, RowLoop loop, TapGroup group, VecStage vec,
                      PadStage pad, TailForm tail, WeightStage weights) {
    Config config;
    config.choice.resize(space.knobs().size());
    const auto choose = [&](KnobIndex knob, auto value) {
      config.choice[knob] = static_cast<std::uint16_t>(value);
    };
    choose(kLoop, loop);
    choose(kPixels, space.knobs()[kPixels].values.size() - 1);
    choose(kPad, pad);
    choose(kVec, vec);
    choose(kConv, ConvStage::kOutput);
    const auto& groups = space.knobs()[kGroup].values;
    choose(kGroup, std::ranges::find(groups, static_cast<std::int64_t>(group), &KnobValue::value) -
                       groups.begin());
    choose(kWeights, weights);
    if (config.choice.size() > kTail) choose(kTail, tail);
    return config;
  }

  static std::optional<Config> Find(const ConfigSpace& space, std::int64_t tile_w, bool flat) {
    Config config;
    config.choice.resize(space.knobs().size());
    const auto& widths = space.knobs()[kTileW].values;
    const auto width = std::find_if(widths.begin(), widths.end(),
                                    [&](const KnobValue& v) { return v.value == tile_w; });
    if (width == widths.end()) return std::nullopt;
    config.choice[kTileW] = static_cast<std::uint16_t>(width - widths.begin());
    if (flat)
      config.choice[kPixels] = static_cast<std::uint16_t>(space.knobs()[kPixels].values.size() - 1);
    config.choice[kPad] = static_cast<std::uint16_t>(PadStage::kRow);
    return space.Contains(config) ? std::optional<Config>(config) : std::nullopt;
  }

  const VectorIsa& isa_;
  const std::string name_;
};

}  // namespace

std::shared_ptr<const KernelTemplate> NewDepthwiseTemplate(const VectorIsa& isa) {
  return std::make_shared<DepthwiseTemplate>(isa);
}

ScheduleSummary SummarizeDepthwise(const TaskSpec& spec, const VectorIsa& isa,
                                   const ConfigSpace& space, const Config& config) {
  return DepthwiseSchedule(spec.workload, isa, ReadKnobs(space, config)).Summary();
}

}  // namespace kiln
