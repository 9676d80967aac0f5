// Layer tables. Two formats, told by the first column of the header:
//   name,h,w,ic,oc,kh,kw,stride,pad,groups,...,act    a list of layers, one per row
//   op,count,n,h,w,ci,co,...,fused_activation,macs    a network's distinct layers, how many of each
// Columns are found by name; others than those used are ignored. Fields are plain: no quotes.
#include <charconv>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/read_file.h"
#include "models/classes.h"
#include "models/model.h"
#include "models/output_sizes.h"

namespace kiln {
namespace {

constexpr std::uint64_t kLargestFile = 16 << 20;
constexpr std::int32_t kLargestNumber = 1'000'000;  // that a workload's key allows
constexpr std::int32_t kLargestCount = 10'000;

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

// One row, its fields by column name. The first error is kept: read everything, then ask.
class Row {
 public:
  Row(const std::map<std::string_view, std::size_t>& columns, std::vector<std::string_view> fields)
      : columns_(columns), fields_(std::move(fields)) {}

  std::string_view Text(std::string_view column) const { return fields_[columns_.at(column)]; }
  bool Empty(std::string_view column) const { return Text(column).empty(); }

  std::int32_t Number(std::string_view column, std::int32_t least, std::int32_t most) {
    const std::int64_t number = Number64(column);
    if (number < least || number > most) {
      Fail(column, "a number from " + std::to_string(least) + " to " + std::to_string(most));
      return least;
    }
    return static_cast<std::int32_t>(number);
  }
  std::int64_t Number64(std::string_view column) {
    const std::string_view text = Text(column);
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) Fail(column, "a number");
    return number;
  }
  template <typename T>
  T OneOf(std::string_view column, std::initializer_list<std::pair<std::string_view, T>> values) {
    std::string wish;
    for (const auto& [name, value] : values) {
      if (name == Text(column)) return value;
      wish += (wish.empty() ? "" : " or ") + std::string(name);
    }
    Fail(column, wish);
    return values.begin()->second;
  }
  void Fail(std::string_view column, const std::string& wish) {
    if (!status_.ok()) return;
    status_ = Error(StatusCode::kInvalidArgument, "column ", column, " is \"", Text(column),
                    "\", must be ", wish);
  }
  const Status& status() const { return status_; }

 private:
  const std::map<std::string_view, std::size_t>& columns_;
  std::vector<std::string_view> fields_;
  Status status_;
};

StatusOr<Layer> Classified(std::string name, const Workload& shape, Activation act) {
  ASSIGN_OR_RETURN(Workload workload, WithDefaultClasses(shape, act));
  RETURN_IF_ERROR(CheckOutput(workload, OutputSizesOf(shape)));
  return Layer{.name = std::move(name), .workload = workload, .values = std::nullopt};
}

Status ReadLayerRow(Row& row, const LayerListOptions& options, Network& network) {
  const auto positive = [&](std::string_view column) {
    return row.Number(column, 1, kLargestNumber);
  };
  Workload shape;
  shape.type = options.type.value_or(DataType::kI8);
  shape.weight_zero_point = shape.type == DataType::kU8;
  shape.per_channel = shape.type != DataType::kU8;
  shape.h = positive("h");
  shape.w = positive("w");
  shape.c = positive("ic");
  shape.o = positive("oc");
  shape.kh = positive("kh");
  shape.kw = positive("kw");
  shape.stride_h = shape.stride_w = positive("stride");
  shape.pad_top = shape.pad_left = shape.pad_bottom = shape.pad_right =
      row.Number("pad", 0, kLargestNumber);
  shape.groups = positive("groups");
  const auto act = row.OneOf<Activation>(
      "act", {{"none", Activation::kNone}, {"lo", Activation::kLo}, {"lohi", Activation::kLoHi}});
  if (row.Empty("name")) row.Fail("name", "the layer's name");
  RETURN_IF_ERROR(row.status());
  ASSIGN_OR_RETURN(Layer layer,
                   Classified(std::string(row.Text("name")), shape, options.act.value_or(act)));
  network.layers.push_back(std::move(layer));
  return {};
}

DataType ReadDataType(Row& row) {
  const auto input =
      row.OneOf<DataType>("in_dtype", {{"int8", DataType::kI8}, {"uint8", DataType::kU8}});
  const auto weights =
      row.OneOf<DataType>("w_dtype", {{"int8", DataType::kI8}, {"uint8", DataType::kU8}});
  if (row.Text("out_dtype") != row.Text("in_dtype")) row.Fail("out_dtype", "that of in_dtype");
  if (input == weights) return input;
  if (input == DataType::kI8) row.Fail("w_dtype", "int8 where the input is int8");
  return DataType::kU8S8;
}

// "conv3x3s2_224x224_3to32"
std::string ShapeName(const Workload& w) {
  const std::string size = "_" + std::to_string(w.h) + "x" + std::to_string(w.w) + "_";
  const std::string channels = std::to_string(w.c) + "to" + std::to_string(w.o);
  if (w.op == OpKind::kDense) return "fc_" + channels;
  const std::string stride = w.stride_h == 1 ? "" : "s" + std::to_string(w.stride_h);
  const std::string window = std::to_string(w.kh) + "x" + std::to_string(w.kw) + stride;
  if (w.op == OpKind::kDepthwise) return "dw" + window + size + std::to_string(w.c);
  return (w.taps() == w.c ? "pw" + stride : "conv" + window) + size + channels;
}

Status ReadWorkloadRow(Row& row, const LayerListOptions&, Network& network) {
  const auto positive = [&](std::string_view column) {
    return row.Number(column, 1, kLargestNumber);
  };
  const auto padding = [&](std::string_view column) {
    return row.Number(column, 0, kLargestNumber);
  };
  Workload shape;
  shape.op = row.OneOf<OpKind>("op", {{"CONV_2D", OpKind::kConv2d},
                                      {"DEPTHWISE_CONV_2D", OpKind::kDepthwise},
                                      {"FULLY_CONNECTED", OpKind::kDense}});
  const std::int32_t count = row.Number("count", 1, kLargestCount);
  shape.n = positive("n");
  shape.h = positive("h");
  shape.w = positive("w");
  shape.c = positive("ci");
  shape.o = positive("co");
  shape.kh = positive("kh");
  shape.kw = positive("kw");
  shape.stride_h = positive("stride_h");
  shape.stride_w = positive("stride_w");
  shape.pad_top = padding("pad_top");
  shape.pad_left = padding("pad_left");
  shape.pad_bottom = padding("pad_bottom");
  shape.pad_right = padding("pad_right");
  shape.dilation_h = positive("dilation_h");
  shape.dilation_w = positive("dilation_w");
  if (!row.Empty("depth_multiplier")) shape.multiplier = positive("depth_multiplier");
  shape.type = ReadDataType(row);
  shape.per_channel = row.OneOf<bool>("per_channel", {{"0", false}, {"1", true}});
  shape.weight_zero_point =
      shape.type == DataType::kU8 && (row.Empty("w_zp") || row.Number("w_zp", 0, 255) != 128);
  const auto act = row.OneOf<Activation>("fused_activation", {{"none", Activation::kNone},
                                                              {"relu", Activation::kLo},
                                                              {"relu6", Activation::kLo},
                                                              {"relu_n1_to_1", Activation::kLoHi}});
  const std::int64_t macs = row.Number64("macs");
  if (shape.op == OpKind::kDepthwise && shape.o != std::int64_t{shape.c} * shape.multiplier) {
    row.Fail("co", "ci * depth_multiplier");
  }
  RETURN_IF_ERROR(row.status());
  ASSIGN_OR_RETURN(Layer layer, Classified("", shape, act));
  if (layer.workload.macs() != macs) row.Fail("macs", std::to_string(layer.workload.macs()));
  layer.name = ShapeName(layer.workload);
  network.layers.insert(network.layers.end(), count, layer);
  return row.status();
}

struct Format {
  std::vector<std::string_view> columns;  // that every file of it has; the first tells the format
  Status (*read)(Row& row, const LayerListOptions& options, Network& network);
};

const Format& LayerFormat() {
  static const Format format{
      {"name", "h", "w", "ic", "oc", "kh", "kw", "stride", "pad", "groups", "act"}, ReadLayerRow};
  return format;
}
const Format& WorkloadFormat() {
  static const Format format{
      {"op",       "count",      "n",         "h",           "w",          "ci",
       "co",       "kh",         "kw",        "stride_h",    "stride_w",   "pad_top",
       "pad_left", "pad_bottom", "pad_right", "dilation_h",  "dilation_w", "depth_multiplier",
       "in_dtype", "w_dtype",    "out_dtype", "per_channel", "w_zp",       "fused_activation",
       "macs"},
      ReadWorkloadRow};
  return format;
}

Status ReadTable(std::string_view text, const LayerListOptions& options, Network& network) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";  // Excel's "CSV UTF-8" begins with it
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  std::vector<std::string_view> lines = Split(text, '\n');
  for (std::string_view& line : lines) {
    if (line.ends_with('\r')) line.remove_suffix(1);
  }
  const std::vector<std::string_view> header = Split(lines[0], ',');
  if (header[0] != "name" && header[0] != "op") {
    return Error(StatusCode::kInvalidArgument,
                 "line 1: not a layer table; its header must begin with \"name,h,w,ic,oc,kh,kw\" "
                 "or \"op,count,n,h,w,ci,co\"");
  }
  const bool is_list = header[0] == "name";
  if (!is_list && (options.type || options.act)) {
    return Error(StatusCode::kInvalidArgument,
                 "line 1: a workload table, whose columns say type and activation themselves; only "
                 "a list (name,h,w,...) can be given others");
  }
  const Format& format = is_list ? LayerFormat() : WorkloadFormat();
  std::map<std::string_view, std::size_t> columns;
  for (std::size_t i = 0; i < header.size(); ++i) {
    if (!columns.emplace(header[i], i).second) {
      return Error(StatusCode::kInvalidArgument, "line 1: column ", header[i], " occurs twice");
    }
  }
  for (const std::string_view column : format.columns) {
    if (!columns.contains(column)) {
      return Error(StatusCode::kInvalidArgument, "line 1: no column ", column);
    }
  }
  for (std::size_t i = 1; i < lines.size(); ++i) {
    if (lines[i].empty() || lines[i].starts_with('#')) continue;
    std::vector<std::string_view> fields = Split(lines[i], ',');
    if (fields.size() != header.size()) {
      return Error(StatusCode::kInvalidArgument, "line ", i + 1, ": ", fields.size(),
                   " fields, the header has ", header.size());
    }
    Row row(columns, std::move(fields));
    const Status status = format.read(row, options, network);
    if (!status.ok()) return Error(status.code(), "line ", i + 1, ": ", Message(status));
  }
  if (network.layers.empty()) return Error(StatusCode::kInvalidArgument, "no layers");
  return {};
}

}  // namespace

StatusOr<Network> ReadLayersCsv(const std::string& path, const LayerListOptions& options) {
  ASSIGN_OR_RETURN(const std::vector<std::uint8_t> bytes, ReadFile(path, kLargestFile));
  Network network;
  network.name = std::filesystem::path(path).stem().string();
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  RETURN_IF_ERROR(InFile(path, ReadTable(text, options, network)));
  return network;
}

}  // namespace kiln
