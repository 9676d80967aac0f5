#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels_templates/conv2d/row_gemm_template.h"
#include "template_checks.h"

namespace kiln {
namespace {

std::vector<const VectorIsa*> MethodsOf(const VectorIsa& isa) {
  return RichestSet(isa.required).methods;
}

Task MakeTask(const Workload& workload, const VectorIsa& isa, std::int32_t threads = 1) {
  auto family = workload.op == OpKind::kDense ? DenseFamily() : Conv2dFamily();
  auto task = Task::Create(NewRowGemmTemplate(std::move(family), MethodsOf(isa)),
                           {workload, TestTarget(isa.required), threads});
  EXPECT_TRUE(task.ok()) << Key(workload) << ": " << Message(task.status());
  return *std::move(task);
}

// Any convolution or dense layer that is canonical: odd shapes, all types and classes.
Workload DrawWorkload(Rng& rng) {
  const auto between = [&rng](std::int64_t low, std::int64_t high) {
    return static_cast<std::int32_t>(rng.Between(low, high));
  };
  for (;;) {
    Workload w;
    w.type = static_cast<DataType>(rng.Below(3));
    w.n = between(1, 2);
    if (rng.Below(5) == 0) {
      w.op = OpKind::kDense;
      w.n = between(1, 5);
    } else {
      w.h = between(1, 14), w.w = between(1, 17);
      if (rng.Below(2) == 0) {
        w.kh = between(1, 5), w.kw = between(1, 5);
        w.pad_top = between(0, 4), w.pad_left = between(0, 4);
        w.pad_bottom = between(0, 4), w.pad_right = between(0, 4);
        w.dilation_h = between(1, 2), w.dilation_w = between(1, 2);
      }
      w.stride_h = rng.Below(2) == 0 ? 1 : between(1, 3);
      w.stride_w = rng.Below(2) == 0 ? w.stride_h : between(1, 3);
      w.groups = rng.Below(3) == 0 ? between(2, 3) : 1;
    }
    w.c = w.groups * between(1, 70);
    w.o = w.groups * between(1, 150);
    w.per_channel = rng.Below(2) == 0;
    w.weight_zero_point = w.type == DataType::kU8 && rng.Below(3) > 0;
    w.act = static_cast<Activation>(rng.Below(3));
    w.rq = static_cast<RequantizeForm>(rng.Below(8));
    w.rounding =
        w.rq == RequantizeForm::kFloat ? Rounding::kFloat : static_cast<Rounding>(rng.Below(2));
    const auto canonical = Canonical(w);
    if (canonical.ok() && canonical->op != OpKind::kDepthwise) return *canonical;
  }
}

using RowGemmTest = TemplateTest;
INSTANTIATE_TEST_SUITE_P(All, RowGemmTest, kEveryIsa,
                         [](const auto& param_info) { return param_info.param; });

TEST_P(RowGemmTest, RandomConfigsOfRandomWorkloadsAreBitExact) {
  SKIP_WITHOUT_MACHINE();
  ExpectRandomConfigsExact(isa(), Rng(40 + isa().lanes), 80, [this](Rng& rng) {
    return MakeTask(DrawWorkload(rng), isa(), static_cast<std::int32_t>(rng.Between(1, 3)));
  });
}

// The sums of activations that a weight zero point needs leave out what the taps leave out.
TEST_P(RowGemmTest, RandomSkippedBordersOfWeightsWithAZeroPointAreBitExact) {
  SKIP_WITHOUT_MACHINE();
  const auto draw = [this](Rng& rng) {
    for (;;) {
      Workload w = DrawWorkload(rng);
      w.type = DataType::kU8;
      w.weight_zero_point = true;
      const auto canonical = Canonical(w);
      if (!canonical.ok() || canonical->pad_top + canonical->pad_left == 0) continue;
      return MakeTask(*canonical, isa(), static_cast<std::int32_t>(rng.Between(1, 2)));
    }
  };
  ExpectRandomConfigsExact(isa(), Rng(43), 48, draw, [](const Task& task, const Config& config) {
    return task.space().Label(config, "border") == "skipped";
  });
}

// Shapes that between them have every knob.
const char* const kShapes[] = {
    "conv2d/i8/n1h14w14c32/o96/k3x3/s1x1/p1,1,1,1/d1x1/g1/pc/wz0/act=lo/rq=int7/double",
    "conv2d/u8/n1h20w20c48/o80/k1x1/s1x1/p0,0,0,0/d1x1/g1/pt/wz/act=lohi/rq=gen/double",
    "conv2d/u8s8/n2h9w9c24/o72/k3x2/s2x2/p0,1,0,0/d2x1/g3/pc/wz0/act=none/rq=int9/double",
    "dense/i8/n6c100/o300/pc/wz0/act=none/rq=int9/double",
};

TEST_P(RowGemmTest, EveryKnobAloneChangesTheCode) {
  std::set<std::string> changed;
  for (const char* shape : kShapes) {
    changed.merge(ExpectKnobsChangeCode(MakeTask(Parse(shape), isa()), 10));
  }
  std::vector<std::string> knobs = {"tile_h", "tile_w",     "tile_c",        "unroll_k", "block",
                                    "order",  "data_stage", "requantize_at", "border"};
  if (isa().max_store_group > 1) knobs.push_back("store");  // else there is one form
  if (MethodsOf(isa()).size() > 1) knobs.push_back("method");
  EXPECT_THAT(changed, testing::IsSupersetOf(knobs));
}

TEST_P(RowGemmTest, SummariesAreWhatTheProgramShows) {
  Rng rng(5);
  for (int i = 0; i < 150; ++i) {
    const Task task = MakeTask(DrawWorkload(rng), isa());
    for (int j = 0; j < 4; ++j) {
      const Config config = task.space().Sample(rng);
      const auto program = task.kernel_template().Lower(task.spec(), task.space(), config);
      ASSERT_TRUE(program.ok());
      const ScheduleSummary summary =
          SummarizeRowGemm(task.spec(), MethodsOf(isa()), task.space(), config);
      ExpectSummaryShows(summary, *program, Describe(task, config));
    }
  }
}

TEST_P(RowGemmTest, DefaultIsLegal) {
  Rng rng(6);
  for (int i = 0; i < 200; ++i) {
    const Task task = MakeTask(DrawWorkload(rng), isa(), 2);
    const Config config = task.kernel_template().Default(task.spec(), task.space());
    EXPECT_TRUE(task.space().Contains(config)) << task.Key();
  }
}

TEST_P(RowGemmTest, WorkspacesKeepTheTargetsCap) {
  TaskSpec spec{Parse(kShapes[0]), TestTarget(isa().required), 2};
  spec.target.workspace_cap = 8000;
  const auto task = Task::Create(NewRowGemmTemplate(Conv2dFamily(), MethodsOf(isa())), spec);
  ASSERT_TRUE(task.ok()) << Message(task.status());
  ASSERT_LT(task->space().size(), MakeTask(spec.workload, isa(), 2).space().size());
  Rng rng(1);
  for (int i = 0; i < 500; ++i) {
    const auto program =
        task->kernel_template().Lower(spec, task->space(), task->space().Sample(rng));
    EXPECT_LE(program->shared_bytes + 2 * program->thread_bytes, spec.target.workspace_cap);
  }
}

// Zero points are data: S6 of the mission.
TEST_P(RowGemmTest, SymmetricAndAsymmetricValuesHaveOneKernel) {
  SKIP_WITHOUT_MACHINE();
  const Task task = MakeTask(Parse(kShapes[0]), isa());
  const Config config = task.kernel_template().Default(task.spec(), task.space());
  const auto kernels =
      CompileAndLoad(std::vector<KernelSource>{*task.Emit(config)}, task.target().isa);
  ASSERT_TRUE(kernels.ok()) << Message(kernels.status());
  for (const std::int32_t x_zp : {0, -128, 127, 5}) {
    OpCase op_case = MakeCase(task.workload(), DataSet::kUniform, 3);
    op_case.values.x_zp = x_zp;
    const auto expected = RunReference(task.workload(), op_case.values, op_case.x);
    EXPECT_EQ(CheckKernel(kernels->front(), task.workload(), op_case, expected), "")
        << "x_zp " << x_zp;
  }
}

}  // namespace
}  // namespace kiln
