#include "cost_model/booster.h"

#include <xgboost/c_api.h>

#include <limits>

namespace kiln {
namespace {

Status Check(int code, const char* what) {
  if (code == 0) return absl::OkStatus();
  return Error(StatusCode::kInternal, "XGBoost could not ", what, ": ", XGBGetLastError());
}

struct FreeMatrix {
  void operator()(void* handle) const { XGDMatrixFree(handle); }
};
struct FreeBooster {
  void operator()(void* handle) const { XGBoosterFree(handle); }
};
using Matrix = std::unique_ptr<void, FreeMatrix>;
using Handle = std::unique_ptr<void, FreeBooster>;

StatusOr<Matrix> MakeMatrix(const TrainingSet& data) {
  const std::size_t rows = data.labels.size();
  if (rows == 0 || data.rows.size() != rows * data.columns) {
    return Error(StatusCode::kInvalidArgument, "a training set of ", rows, " labels and ",
                 data.rows.size(), " values is not ", data.columns, " columns wide");
  }
  DMatrixHandle raw = nullptr;
  RETURN_IF_ERROR(Check(XGDMatrixCreateFromMat(data.rows.data(), rows, data.columns,
                                               std::numeric_limits<float>::quiet_NaN(), &raw),
                        "take the training rows"));
  Matrix matrix(raw);
  RETURN_IF_ERROR(
      Check(XGDMatrixSetFloatInfo(raw, "label", data.labels.data(), rows), "take the labels"));
  if (!data.groups.empty()) {
    RETURN_IF_ERROR(
        Check(XGDMatrixSetUIntInfo(raw, "group", data.groups.data(), data.groups.size()),
              "take the groups"));
  }
  return matrix;
}

StatusOr<Handle> MakeBooster(void* matrix, const BoosterOptions& options) {
  BoosterHandle raw = nullptr;
  const DMatrixHandle matrices[] = {matrix};
  RETURN_IF_ERROR(Check(XGBoosterCreate(matrices, 1, &raw), "make a booster"));
  Handle booster(raw);
  const auto set = [raw](const std::string& name, const std::string& value) {
    return Check(XGBoosterSetParam(raw, name.c_str(), value.c_str()), "set a parameter");
  };
  RETURN_IF_ERROR(set("nthread", "1"));
  RETURN_IF_ERROR(set("verbosity", "0"));
  constexpr std::uint64_t kSeedBits = std::numeric_limits<std::int64_t>::max();
  RETURN_IF_ERROR(set("seed", std::to_string(options.seed & kSeedBits)));
  for (const auto& [name, value] : options.parameters) RETURN_IF_ERROR(set(name, value));
  return booster;
}

// The margins of the training rows: XGBoost keeps them between rounds, so this is cheap.
StatusOr<std::span<const float>> TrainingMargins(void* booster, void* matrix) {
  constexpr char kConfig[] =
      R"({"type": 1, "training": false, "iteration_begin": 0, "iteration_end": 0,
          "strict_shape": false})";
  const bst_ulong* shape = nullptr;
  bst_ulong dimensions = 0;
  const float* margins = nullptr;
  RETURN_IF_ERROR(
      Check(XGBoosterPredictFromDMatrix(booster, matrix, kConfig, &shape, &dimensions, &margins),
            "predict the training rows"));
  return std::span<const float>(margins, dimensions == 0 ? 0 : shape[0]);
}

class XgboostBooster final : public Booster {
 public:
  explicit XgboostBooster(Handle handle) : handle_(std::move(handle)) {}

  StatusOr<std::vector<float>> Predict(std::span<const float> rows,
                                       std::size_t columns) const override {
    const std::size_t count = rows.size() / columns;
    const std::string array = R"({"data": [)" +
                              std::to_string(reinterpret_cast<std::uintptr_t>(rows.data())) +
                              R"(, true], "shape": [)" + std::to_string(count) + ", " +
                              std::to_string(columns) + R"(], "typestr": "<f4", "version": 3})";
    constexpr char kConfig[] =
        R"({"type": 1, "iteration_begin": 0, "iteration_end": 0, "strict_shape": false,
            "cache_id": 0, "missing": NaN})";
    const bst_ulong* shape = nullptr;
    bst_ulong dimensions = 0;
    const float* margins = nullptr;
    RETURN_IF_ERROR(Check(XGBoosterPredictFromDense(handle_.get(), array.c_str(), kConfig, nullptr,
                                                    &shape, &dimensions, &margins),
                          "predict"));
    return std::vector<float>(margins, margins + count);
  }

 private:
  Handle handle_;
};

}  // namespace

StatusOr<std::shared_ptr<const Booster>> Booster::Train(const TrainingSet& data,
                                                        const BoosterOptions& options) {
  ASSIGN_OR_RETURN(const Matrix matrix, MakeMatrix(data));
  ASSIGN_OR_RETURN(Handle handle, MakeBooster(matrix.get(), options));
  for (std::int32_t round = 0; round < options.rounds; ++round) {
    RETURN_IF_ERROR(
        Check(XGBoosterUpdateOneIter(handle.get(), round, matrix.get()), "train a round"));
    if (!options.go_on) continue;
    ASSIGN_OR_RETURN(const auto margins, TrainingMargins(handle.get(), matrix.get()));
    if (!options.go_on(round, margins)) break;
  }
  return std::shared_ptr<const Booster>(std::make_shared<XgboostBooster>(std::move(handle)));
}

}  // namespace kiln
