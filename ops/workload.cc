#include "ops/workload.h"

namespace kiln {
namespace {

std::string Dims(const char* letter, std::int32_t a, std::int32_t b) {
  return std::string("/") + letter + std::to_string(a) + "x" + std::to_string(b);
}

std::string KernelPart(const Workload& w) {
  return Dims("k", w.kh, w.kw) + Dims("s", w.stride_h, w.stride_w) + "/p" +
         std::to_string(w.pad_top) + "," + std::to_string(w.pad_left) + "," +
         std::to_string(w.pad_bottom) + "," + std::to_string(w.pad_right) +
         Dims("d", w.dilation_h, w.dilation_w);
}

std::string ImagePart(const Workload& w) {
  return "/n" + std::to_string(w.n) + "h" + std::to_string(w.h) + "w" + std::to_string(w.w) + "c" +
         std::to_string(w.c);
}

std::string ShapePart(const Workload& w) {
  switch (w.op) {
    case OpKind::kConv2d:
      return ImagePart(w) + "/o" + std::to_string(w.o) + KernelPart(w) + "/g" +
             std::to_string(w.groups);
    case OpKind::kDepthwise:
      return ImagePart(w) + "/m" + std::to_string(w.multiplier) + KernelPart(w);
    case OpKind::kDense:
      return "/n" + std::to_string(w.n) + "c" + std::to_string(w.c) + "/o" + std::to_string(w.o);
  }
  return "";
}

}  // namespace

std::string_view Name(OpKind op) {
  switch (op) {
    case OpKind::kConv2d:
      return "conv2d";
    case OpKind::kDepthwise:
      return "depthwise";
    case OpKind::kDense:
      return "dense";
  }
  return "";
}

std::string_view Name(DataType type) {
  switch (type) {
    case DataType::kI8:
      return "i8";
    case DataType::kU8S8:
      return "u8s8";
    case DataType::kU8:
      return "u8";
  }
  return "";
}

std::string_view Name(Activation act) {
  switch (act) {
    case Activation::kNone:
      return "none";
    case Activation::kLo:
      return "lo";
    case Activation::kLoHi:
      return "lohi";
  }
  return "";
}

bool IsForRelu(RequantizeForm form) {
  return form == RequantizeForm::kStep1 || form == RequantizeForm::kStep2 ||
         form == RequantizeForm::kInt7;
}

std::string_view Name(RequantizeForm form) {
  switch (form) {
    case RequantizeForm::kStep1:
      return "step1";
    case RequantizeForm::kStep2:
      return "step2";
    case RequantizeForm::kSigned1:
      return "signed1";
    case RequantizeForm::kSigned2:
      return "signed2";
    case RequantizeForm::kInt7:
      return "int7";
    case RequantizeForm::kInt9:
      return "int9";
    case RequantizeForm::kGen:
      return "gen";
    case RequantizeForm::kFloat:
      return "float";
  }
  return "";
}

std::string_view Name(Rounding rounding) {
  switch (rounding) {
    case Rounding::kDouble:
      return "double";
    case Rounding::kSingle:
      return "single";
    case Rounding::kFloat:
      return "float";
  }
  return "";
}

std::string Key(const Workload& workload) {
  std::string key(Name(workload.op));
  key += '/';
  key += Name(workload.type);
  key += ShapePart(workload);
  key += workload.per_channel ? "/pc" : "/pt";
  key += workload.weight_zero_point ? "/wz" : workload.full_range_weights ? "/wz0full" : "/wz0";
  key += "/act=";
  key += Name(workload.act);
  key += "/rq=";
  key += Name(workload.rq);
  key += '/';
  key += Name(workload.rounding);
  return key;
}

}  // namespace kiln
