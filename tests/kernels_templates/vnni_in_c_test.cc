// Each instruction of vnni_in_c.h against its definition, written apart from it, and against the
// processor's own where there is one.

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cfenv>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "base/rng.h"
#include "kernel_harness.h"
#include "kernels_templates/isa/avx.h"

namespace kiln {
namespace {

// Four operands of 512 bits in, a result out.
using Operands = std::array<std::uint8_t, 4 * 64>;
using Result = std::array<std::uint8_t, 64>;
using Call = void (*)(const std::uint8_t* in, std::uint8_t* out);

template <typename T>
T Element(const Operands& in, std::size_t operand, std::size_t i) {
  T value;
  std::memcpy(&value, in.data() + 64 * operand + sizeof(T) * i, sizeof(T));
  return value;
}
template <typename T>
void Put(Result& out, std::size_t i, T value) {
  std::memcpy(out.data() + sizeof(T) * i, &value, sizeof(T));
}
template <typename To>
To Saturated(std::int64_t value) {
  return static_cast<To>(std::clamp<std::int64_t>(value, std::numeric_limits<To>::min(),
                                                  std::numeric_limits<To>::max()));
}

using Definition = std::function<void(const Operands& in, Result& out)>;

// acc, a, w: per lane the sum over the group of its narrow values.
template <typename A, typename W>
Definition Dot(std::size_t lanes) {
  return [lanes](const Operands& in, Result& out) {
    constexpr std::size_t kGroup = 4 / sizeof(A);
    for (std::size_t l = 0; l < lanes; ++l) {
      auto sum = Element<std::uint32_t>(in, 0, l);
      for (std::size_t i = 0; i < kGroup; ++i) {
        sum += static_cast<std::uint32_t>(std::int32_t{Element<A>(in, 1, l * kGroup + i)} *
                                          std::int32_t{Element<W>(in, 2, l * kGroup + i)});
      }
      Put(out, l, sum);
    }
  };
}

// Within each 128 bits, first those of a, then those of b.
template <typename From, typename To>
void Pack(const Operands& in, Result& out) {
  constexpr std::size_t kHalf = 16 / sizeof(From);
  for (std::size_t i = 0; i < 64 / sizeof(To); ++i) {
    const std::size_t block = i / (2 * kHalf), place = i % (2 * kHalf);
    const auto value = Element<From>(in, place / kHalf, block * kHalf + place % kHalf);
    Put(out, i, Saturated<To>(value));
  }
}

bool InMask(std::uint64_t mask, std::size_t i) { return (mask >> i & 1) != 0; }

// v, other.
template <typename From, typename To>
Definition Narrow(std::uint64_t mask) {
  return [mask](const Operands& in, Result& out) {
    for (std::size_t i = 0; i < 64 / sizeof(From); ++i) {
      const To narrow = Saturated<To>(Element<From>(in, 0, i));
      Put(out, i, InMask(mask, i) ? narrow : Element<To>(in, 1, i));
    }
  };
}

// Called through pointers that the compiler does not know, so that it does not move the calls.
float (*volatile fused)(float, float, float) = std::fmaf;
long (*volatile rounded)(float) = std::lrintf;

class RoundingMode {
 public:
  explicit RoundingMode(int mode) : saved_(std::fegetround()) { std::fesetround(mode); }
  ~RoundingMode() { std::fesetround(saved_); }
  RoundingMode(const RoundingMode&) = delete;
  RoundingMode& operator=(const RoundingMode&) = delete;

 private:
  int saved_;
};

Definition Fused(std::uint64_t mask, int mode) {
  return [=](const Operands& in, Result& out) {
    const RoundingMode rounding(mode);
    for (std::size_t i = 0; i < 16; ++i) {
      const auto a = Element<float>(in, 0, i);
      const float sum = fused(a, Element<float>(in, 1, i), Element<float>(in, 2, i));
      Put(out, i, InMask(mask, i) ? sum : a);
    }
  };
}
// v, other.
Definition ToIntegers(std::uint64_t mask, int mode) {
  return [=](const Operands& in, Result& out) {
    const RoundingMode rounding(mode);
    for (std::size_t i = 0; i < 16; ++i) {
      const auto v = Element<float>(in, 0, i);
      const bool fits = v >= -0x1p31F && v < 0x1p31F;
      const auto integer = fits ? static_cast<std::int32_t>(rounded(v)) : INT32_MIN;
      Put(out, i, InMask(mask, i) ? integer : Element<std::int32_t>(in, 1, i));
    }
  };
}

struct Instruction {
  const char* name;
  const char* type;  // of the result
  const char* c;     // A, B and C are operands, of the type in brackets
  Definition definition;
  bool floats = false;
};

const Instruction kInstructions[] = {
    {"vpdpbusd256", "v8", "__builtin_ia32_vpdpbusd256(A(v8), B(v8), C(v8))",
     Dot<std::uint8_t, std::int8_t>(8)},
    {"vpdpwssd256", "v8", "__builtin_ia32_vpdpwssd256(A(v8), B(v8), C(v8))",
     Dot<std::int16_t, std::int16_t>(8)},
    {"vpdpbusd512", "v16", "__builtin_ia32_vpdpbusd512(A(v16), B(v16), C(v16))",
     Dot<std::uint8_t, std::int8_t>(16)},
    {"vpdpwssd512", "v16", "__builtin_ia32_vpdpwssd512(A(v16), B(v16), C(v16))",
     Dot<std::int16_t, std::int16_t>(16)},
    {"packssdw512", "h32", "__builtin_ia32_packssdw512(A(v16), B(v16))",
     Pack<std::int32_t, std::int16_t>},
    {"packsswb512", "b64", "__builtin_ia32_packsswb512(A(h32), B(h32))",
     Pack<std::int16_t, std::int8_t>},
    {"packuswb512", "b64", "__builtin_ia32_packuswb512(A(h32), B(h32))",
     Pack<std::int16_t, std::uint8_t>},
    {"pmovsdb", "b16", "__builtin_ia32_pmovsdb512_mask(A(v16), B(b16), -1)",
     Narrow<std::int32_t, std::int8_t>(~0ull)},
    {"pmovsdb_some", "b16", "__builtin_ia32_pmovsdb512_mask(A(v16), B(b16), 0x5a3c)",
     Narrow<std::int32_t, std::int8_t>(0x5a3c)},
    {"pmovusdb", "b16", "__builtin_ia32_pmovusdb512_mask(A(v16), B(b16), -1)",
     Narrow<std::uint32_t, std::uint8_t>(~0ull)},
    {"pmovusdb_some", "b16", "__builtin_ia32_pmovusdb512_mask(A(v16), B(b16), 0xe001)",
     Narrow<std::uint32_t, std::uint8_t>(0xe001)},
    {"pmovswb", "b32", "__builtin_ia32_pmovswb512_mask(A(h32), B(b32), -1)",
     Narrow<std::int16_t, std::int8_t>(~0ull)},
    {"pmovswb_some", "b32", "__builtin_ia32_pmovswb512_mask(A(h32), B(b32), 0x80f05a3c)",
     Narrow<std::int16_t, std::int8_t>(0x80f05a3c)},
    {"pmovuswb", "b32", "__builtin_ia32_pmovuswb512_mask(A(h32), B(b32), -1)",
     Narrow<std::uint16_t, std::uint8_t>(~0ull)},
    {"pmovuswb_some", "b32", "__builtin_ia32_pmovuswb512_mask(A(h32), B(b32), 0x7ffe0001)",
     Narrow<std::uint16_t, std::uint8_t>(0x7ffe0001)},
    {"vfmaddps_nearest", "f16", "__builtin_ia32_vfmaddps512_mask(A(f16), B(f16), C(f16), -1, 8)",
     Fused(~0ull, FE_TONEAREST), true},
    {"vfmaddps_down", "f16", "__builtin_ia32_vfmaddps512_mask(A(f16), B(f16), C(f16), -1, 9)",
     Fused(~0ull, FE_DOWNWARD), true},
    {"vfmaddps_up_some", "f16",
     "__builtin_ia32_vfmaddps512_mask(A(f16), B(f16), C(f16), 0x5a3c, 10)",
     Fused(0x5a3c, FE_UPWARD), true},
    {"vfmaddps_to_zero", "f16", "__builtin_ia32_vfmaddps512_mask(A(f16), B(f16), C(f16), -1, 11)",
     Fused(~0ull, FE_TOWARDZERO), true},
    {"cvtps2dq_nearest", "v16", "__builtin_ia32_cvtps2dq512_mask(A(f16), B(v16), -1, 8)",
     ToIntegers(~0ull, FE_TONEAREST), true},
    {"cvtps2dq_down", "v16", "__builtin_ia32_cvtps2dq512_mask(A(f16), B(v16), -1, 9)",
     ToIntegers(~0ull, FE_DOWNWARD), true},
    {"cvtps2dq_up_some", "v16", "__builtin_ia32_cvtps2dq512_mask(A(f16), B(v16), 0x5a3c, 10)",
     ToIntegers(0x5a3c, FE_UPWARD), true},
    {"cvttps2dq", "v16", "__builtin_ia32_cvttps2dq512_mask(A(f16), B(v16), -1, 8)",
     ToIntegers(~0ull, FE_TOWARDZERO), true},
};

constexpr std::string_view kTypes = R"(#include <stdint.h>
#define EXPORT __attribute__((visibility("default")))
typedef int32_t v8 __attribute__((vector_size(32)));
typedef int32_t v16 __attribute__((vector_size(64)));
typedef int16_t h32 __attribute__((vector_size(64)));
typedef int8_t b16 __attribute__((vector_size(16)));
typedef int8_t b32 __attribute__((vector_size(32)));
typedef int8_t b64 __attribute__((vector_size(64)));
typedef float f16 __attribute__((vector_size(64)));
#define A(type) (*(const type *)in)
#define B(type) (*(const type *)(in + 64))
#define C(type) (*(const type *)(in + 128))
EXPORT void load(const uint8_t *p, int32_t n, uint8_t *out) {
  *(b64 *)out = (b64)__builtin_ia32_loaddquqi512_mask((const b64 *)p, (b64){0}, (1ull << n) - 1);
}
EXPORT void store16(uint8_t *p, int32_t n, const uint8_t *in) {
  __builtin_ia32_storedquqi128_mask((b16 *)p, A(b16), (uint16_t)((1u << n) - 1));
}
EXPORT void store32(uint8_t *p, int32_t n, const uint8_t *in) {
  __builtin_ia32_storedquqi256_mask((b32 *)p, A(b32), (uint32_t)((1ull << n) - 1));
}
EXPORT void store64(uint8_t *p, int32_t n, const uint8_t *in) {
  __builtin_ia32_storedquqi512_mask((b64 *)p, A(b64), (1ull << n) - 1);
}
)";

std::string Source() {
  std::string c(kTypes);
  for (const Instruction& instruction : kInstructions) {
    c.append("EXPORT void ").append(instruction.name);
    c.append("(const uint8_t *in, uint8_t *out) {\n  *(").append(instruction.type);
    c.append(" *)out = (").append(instruction.type).append(")").append(instruction.c);
    c.append(";\n}\n");
  }
  return c;
}

// Extremes beside any bytes; floats of all sizes that integers have, and halves.
Operands DrawOperands(Rng& rng, bool floats) {
  alignas(64) Operands in;
  for (std::uint8_t& byte : in) byte = static_cast<std::uint8_t>(rng.Next());
  constexpr std::uint8_t kExtremes[] = {0, 1, 0x7f, 0x80, 0xff};
  if (rng.Below(3) == 0) {
    for (std::uint8_t& byte : in) byte = kExtremes[rng.Below(std::size(kExtremes))];
  }
  if (!floats) return in;
  for (std::size_t i = 0; i < in.size(); i += 4) {
    const auto whole = static_cast<float>(rng.Between(-300, 300));
    const auto any = static_cast<float>(std::ldexp(2 * rng.Unit() - 1, int(rng.Between(-12, 33))));
    const float value = rng.Below(2) == 0 ? any : whole + 0.5F * static_cast<float>(rng.Below(2));
    std::memcpy(in.data() + i, &value, 4);
  }
  return in;
}

class VnniInCTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!Has(DetectIsa(), IsaFeature::kAvx2)) GTEST_SKIP() << "SKIPPED: this machine lacks AVX2";
    if (!HasCompiler()) GTEST_SKIP() << "clang-19 is not installed";
    const auto opened = CompileAndOpen(Source(), Avx512Vnni().required, Instructions::kInC);
    ASSERT_TRUE(opened.ok()) << Message(opened.status());
    in_c_ = *opened;
  }

  template <typename Function>
  static Function* Find(void* object, const char* name) {
    return reinterpret_cast<Function*>(dlsym(object, name));
  }
  static Result Run(void* object, const char* name, const Operands& operands) {
    alignas(64) Operands in = operands;
    alignas(64) Result out{};
    Find<void(const std::uint8_t*, std::uint8_t*)>(object, name)(in.data(), out.data());
    return out;
  }

  void* in_c_ = nullptr;
};

TEST_F(VnniInCTest, EveryInstructionDoesWhatItsDefinitionSays) {
  Rng rng(1);
  for (const Instruction& instruction : kInstructions) {
    for (int i = 0; i < 300; ++i) {
      const Operands in = DrawOperands(rng, instruction.floats);
      Result expected{};
      instruction.definition(in, expected);
      ASSERT_EQ(Run(in_c_, instruction.name, in), expected) << instruction.name << ", draw " << i;
    }
  }
}

TEST_F(VnniInCTest, EveryInstructionDoesWhatTheProcessorDoes) {
  const IsaMask isa = Avx512Vnni().required;
  const auto own = CompileAndOpen(Source(), isa, Instructions::kOwn);
  ASSERT_TRUE(own.ok()) << Message(own.status());
  if ((isa & ~DetectIsa()) != 0) GTEST_SKIP() << "SKIPPED: this processor lacks AVX-512 or VNNI";
  Rng rng(2);
  for (const Instruction& instruction : kInstructions) {
    for (int i = 0; i < 1000; ++i) {
      const Operands in = DrawOperands(rng, instruction.floats);
      ASSERT_EQ(Run(in_c_, instruction.name, in), Run(*own, instruction.name, in))
          << instruction.name << ", draw " << i;
    }
  }
}

// How this processor rounds now: every mode but the nearest makes another number of one of these.
// std::fegetround() does not look at the register that vector instructions go by.
__attribute__((noinline)) std::pair<float, float> Thirds() {
  const volatile float one = 1, three = 3;
  return {one / three, -one / three};
}

TEST_F(VnniInCTest, RoundingModesArePutBack) {
  Rng rng(3);
  const auto before = Thirds();
  for (const Instruction& instruction : kInstructions) {
    if (!instruction.floats) continue;
    Run(in_c_, instruction.name, DrawOperands(rng, true));
    EXPECT_EQ(Thirds(), before) << instruction.name;
  }
}

// A page that ends where no page can be touched: what is masked out beyond is neither read nor
// written, as the instructions promise; a fault would end the test.
TEST_F(VnniInCTest, MaskedBytesAreNotTouched) {
  constexpr std::size_t kPage = 4096;
  void* mapped =
      mmap(nullptr, 2 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(mapped, MAP_FAILED);
  auto* const page = static_cast<std::uint8_t*>(mapped);
  ASSERT_EQ(mprotect(page + kPage, kPage, PROT_NONE), 0);
  auto* const load = Find<void(const std::uint8_t*, std::int32_t, std::uint8_t*)>(in_c_, "load");
  alignas(64) Result values;
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::uint8_t>(i + 1);
  for (const std::size_t width : {16, 32, 64}) {
    const std::string name = "store" + std::to_string(width);
    auto* const store =
        Find<void(std::uint8_t*, std::int32_t, const std::uint8_t*)>(in_c_, name.c_str());
    for (std::size_t n = 0; n < width; ++n) {
      std::memset(page, 0xee, kPage);
      std::uint8_t* const at = page + kPage - n;
      store(at, static_cast<std::int32_t>(n), values.data());
      EXPECT_EQ(at[-1], 0xee) << name << " " << n;
      EXPECT_TRUE(std::equal(at, at + n, values.begin())) << name << " " << n;
      alignas(64) Result read;
      load(at, static_cast<std::int32_t>(n), read.data());
      Result expected{};
      std::copy_n(values.begin(), n, expected.begin());
      EXPECT_EQ(read, expected) << n;
    }
  }
  munmap(mapped, 2 * kPage);
}

}  // namespace
}  // namespace kiln
