#include "ops/workload_key.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <initializer_list>
#include <string>

namespace kiln {
namespace {

// This is the recursive-descent reader of one key. Every method returns false after the first
// error, which `error()` tells.
class KeyReader {
 public:
  explicit KeyReader(std::string_view key) : key_(key) {}

  bool Read(Workload& w) {
    return Word(w.op, {OpKind::kConv2d, OpKind::kDepthwise, OpKind::kDense}) && Text("/") &&
           Start(KeyPart::kType) && Word(w.type, {DataType::kI8, DataType::kU8S8, DataType::kU8}) &&
           ReadShape(w) && ReadTail(w) && ReadEnd();
  }

  // An error at the start of a part that was read.
  Status ErrorAt(KeyPart part, const std::string& message) const {
    return ErrorAt(starts_[static_cast<int>(part)], message);
  }
  Status ErrorAt(std::size_t position, const std::string& message) const {
    return Error(StatusCode::kInvalidArgument, "workload key \"", key_, "\", character ",
                 position + 1, ": ", message);
  }
  const Status& error() const { return error_; }

 private:
  bool ReadShape(Workload& w) {
    if (w.op == OpKind::kDense) {
      return Text("/") && Start(KeyPart::kInput) && Field("n", w.n) && Field("c", w.c) &&
             Text("/") && Start(KeyPart::kOutput) && Field("o", w.o);
    }
    if (!(Text("/") && Start(KeyPart::kInput) && Field("n", w.n) && Field("h", w.h) &&
          Field("w", w.w) && Field("c", w.c) && Text("/") && Start(KeyPart::kOutput))) {
      return false;
    }
    if (w.op == OpKind::kDepthwise) return Field("m", w.multiplier) && ReadKernel(w);
    return Field("o", w.o) && ReadKernel(w) && Text("/") && Start(KeyPart::kGroups) &&
           Field("g", w.groups);
  }

  bool ReadKernel(Workload& w) {
    return Pair(KeyPart::kKernel, "k", w.kh, w.kw) &&
           Pair(KeyPart::kStride, "s", w.stride_h, w.stride_w) && Text("/") &&
           Start(KeyPart::kPadding) && Text("p") && Number(0, w.pad_top) && Text(",") &&
           Number(0, w.pad_left) && Text(",") && Number(0, w.pad_bottom) && Text(",") &&
           Number(0, w.pad_right) && Pair(KeyPart::kDilation, "d", w.dilation_h, w.dilation_w);
  }

  bool ReadTail(Workload& w) {
    return Text("/") && Start(KeyPart::kScales) && Choice("pt", "pc", w.per_channel) && Text("/") &&
           Start(KeyPart::kWeightZeroPoint) && ReadWeightClass(w) && Text("/") &&
           Start(KeyPart::kActivation) && Text("act=") &&
           Word(w.act, {Activation::kNone, Activation::kLo, Activation::kLoHi}) && Text("/") &&
           Start(KeyPart::kForm) && Text("rq=") &&
           Word(w.rq, {RequantizeForm::kStep1, RequantizeForm::kStep2, RequantizeForm::kSigned1,
                       RequantizeForm::kSigned2, RequantizeForm::kInt7, RequantizeForm::kInt9,
                       RequantizeForm::kGen, RequantizeForm::kFloat}) &&
           Text("/") && Start(KeyPart::kRounding) &&
           Word(w.rounding, {Rounding::kDouble, Rounding::kSingle, Rounding::kFloat});
  }

  bool ReadWeightClass(Workload& w) {
    const std::string_view word = Word();
    w.weight_zero_point = word == "wz";
    w.full_range_weights = word == "wz0full";
    if (!w.weight_zero_point && !w.full_range_weights && word != "wz0") {
      return Fail("wz0, wz0full or wz");
    }
    position_ += word.size();
    return true;
  }

  bool ReadEnd() { return position_ == key_.size() || Fail("the end of the key"); }

  bool Start(KeyPart part) {
    starts_[static_cast<int>(part)] = position_;
    return true;
  }

  bool Text(std::string_view text) {
    if (Rest().substr(0, text.size()) != text) return Fail("\"" + std::string(text) + "\"");
    position_ += text.size();
    return true;
  }

  bool Field(std::string_view letter, std::int32_t& value) {
    return Text(letter) && Number(1, value);
  }

  bool Pair(KeyPart part, std::string_view letter, std::int32_t& a, std::int32_t& b) {
    return Text("/") && Start(part) && Text(letter) && Number(1, a) && Text("x") && Number(1, b);
  }

  bool Number(std::int32_t least, std::int32_t& value) {
    const std::string_view rest = Rest();
    const auto* const end =
        std::find_if_not(rest.begin(), rest.end(), [](char c) { return c >= '0' && c <= '9'; });
    const std::string_view digits = rest.substr(0, static_cast<std::size_t>(end - rest.begin()));
    std::int64_t number = 0;
    for (const char digit : digits.substr(0, 8)) number = number * 10 + (digit - '0');
    const bool leading_zero = digits.size() > 1 && digits.front() == '0';
    if (digits.empty() || leading_zero || digits.size() > 7 || number < least ||
        number > kMaxKeyNumber) {
      return Fail("a number from " + std::to_string(least) + " to " +
                  std::to_string(kMaxKeyNumber) + " without leading zeros");
    }
    value = static_cast<std::int32_t>(number);
    position_ += digits.size();
    return true;
  }

  template <typename Enum>
  bool Word(Enum& value, std::initializer_list<Enum> choices) {
    const std::string_view word = Word();
    std::string expected;
    for (const Enum choice : choices) {
      if (word == Name(choice)) {
        value = choice;
        position_ += word.size();
        return true;
      }
      expected += (expected.empty() ? "" : ", ") + std::string(Name(choice));
    }
    return Fail("one of " + expected);
  }

  bool Choice(std::string_view no, std::string_view yes, bool& value) {
    const std::string_view word = Word();
    if (word != no && word != yes) return Fail(std::string(no) + " or " + std::string(yes));
    value = word == yes;
    position_ += word.size();
    return true;
  }

  bool Fail(const std::string& expected) {
    const std::string_view rest = Rest();
    const std::string found =
        rest.empty() ? "the end" : "\"" + std::string(rest.substr(0, 12)) + "\"";
    error_ = ErrorAt(position_, "expected " + expected + ", found " + found);
    return false;
  }

  std::string_view Rest() const { return key_.substr(position_); }
  // Up to the next slash.
  std::string_view Word() const { return Rest().substr(0, Rest().find('/')); }

  std::string_view key_;
  std::size_t position_ = 0;
  std::array<std::size_t, kKeyParts> starts_{};
  Status error_;
};

}  // namespace

StatusOr<Workload> ReadWorkload(std::string_view key) {
  KeyReader reader(key);
  Workload workload;
  if (!reader.Read(workload)) return reader.error();
  if (auto fault = Canonicalize(workload)) return reader.ErrorAt(fault->part, fault->message);
  return workload;
}

StatusOr<Workload> ParseWorkload(std::string_view key) {
  ASSIGN_OR_RETURN(const Workload workload, ReadWorkload(key));
  const std::string canonical = Key(workload);
  if (canonical == key) return workload;
  const auto [difference, unused] =
      std::mismatch(key.begin(), key.end(), canonical.begin(), canonical.end());
  return KeyReader(key).ErrorAt(static_cast<std::size_t>(difference - key.begin()),
                                "not the canonical key of this computation, which is " + canonical);
}

std::optional<std::string> FormerKey(const Workload& workload) {
  Workload former = workload;
  former.full_range_weights = false;
  if (former.out_h() == 1) former.stride_h = 1;
  if (former.out_w() == 1) former.stride_w = 1;
  if (former == workload) return std::nullopt;
  return Key(former);
}

StatusOr<Workload> Canonical(Workload workload) {
  const std::string given = Key(workload);
  if (auto fault = Canonicalize(workload)) {
    return Error(StatusCode::kInvalidArgument, "workload ", given, ": ", fault->message);
  }
  return workload;
}

}  // namespace kiln
