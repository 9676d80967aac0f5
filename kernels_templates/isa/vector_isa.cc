#include "kernels_templates/isa/vector_isa.h"

#include "kernels_templates/isa/data_stage.h"
#include "kernels_templates/isa/requantize.h"

namespace kiln {
namespace {

// The same for every instruction set, over LANES. memcpy and memset are what a freestanding
// compiler may still call.
constexpr std::string_view kCommon = R"(#define INLINE static inline __attribute__((always_inline))
#define NOINLINE static __attribute__((noinline))
#define COLD static __attribute__((noinline, cold, minsize)) /* quick to compile: runs once */
#define UNUSED __attribute__((unused))
#define K_HIDE(p) __asm__ volatile("" : "+r"(p)) /* what p points at is loaded again */
typedef int32_t kv __attribute__((vector_size(4 * LANES)));
typedef uint32_t kvu __attribute__((vector_size(4 * LANES)));
typedef uint64_t kvl __attribute__((vector_size(4 * LANES)));
typedef float kvf __attribute__((vector_size(4 * LANES)));
typedef kv kv_memory __attribute__((aligned(1), may_alias));
typedef int16_t kh __attribute__((vector_size(4 * LANES))); /* words: two vectors packed */
typedef kh kh_memory __attribute__((aligned(1), may_alias));
typedef int8_t kb8 __attribute__((vector_size(8)));
typedef K_BYTE kx8 __attribute__((vector_size(8)));
typedef kb8 kb8_memory __attribute__((aligned(1), may_alias));
typedef int8_t kb16 __attribute__((vector_size(16)));
typedef K_BYTE kx16 __attribute__((vector_size(16)));
typedef kb16 kb16_memory __attribute__((aligned(1), may_alias));
typedef int8_t kb32 __attribute__((vector_size(32)));
typedef K_BYTE kx32 __attribute__((vector_size(32)));
typedef kb32 kb32_memory __attribute__((aligned(1), may_alias));
typedef int8_t kb64 __attribute__((vector_size(64)));
typedef K_BYTE kx64 __attribute__((vector_size(64)));
typedef kb64 kb64_memory __attribute__((aligned(1), may_alias));

static __attribute__((used)) void *memcpy(void *to, const void *from, __SIZE_TYPE__ n) {
  for (__SIZE_TYPE__ i = 0; i < n; ++i) ((char *)to)[i] = ((const char *)from)[i];
  return to;
}
static __attribute__((used)) void *memset(void *to, int value, __SIZE_TYPE__ n) {
  for (__SIZE_TYPE__ i = 0; i < n; ++i) ((char *)to)[i] = (char)value;
  return to;
}
typedef struct {
  int32_t lo, hi, zp;
} k_range;
INLINE kv k_splat(int32_t value) { return (kv){0} + value; }
INLINE kv k_load(const void *p) { return *(const kv_memory *)p; }
INLINE void k_spill(void *p, kv v) { *(kv_memory *)p = v; }
)";

// GNU vector extensions and nothing else: any architecture, no promise of speed.
constexpr std::string_view kPortableSource = R"(
typedef kv kop;
typedef int16_t kh8 __attribute__((vector_size(16)));
typedef kh8 kh8_memory __attribute__((aligned(1), may_alias));

#define K_UNKNOWN(v) __asm__ volatile("" : "+m"(v))

INLINE kv k_dot(kv acc, kop a, kop w) { return acc + a * w; }
INLINE kop k_weights(const void *p) { return __builtin_convertvector(*(const kh8_memory *)p, kv); }
INLINE kop k_broadcast(const uint8_t *p) {
  int16_t one;
  __builtin_memcpy(&one, p, 2);
  return k_splat(one);
}
INLINE kop k_broadcast_raw(const uint8_t *p) { return k_splat(*(const K_BYTE *)p); }
#define K_PACK_WORDS(a, b) /* vectors are stored one by one */
)";

constexpr std::string_view kPortableStores = R"(
INLINE kb8 k_bytes1(kv a, k_range range) {
  const kv low = k_splat(K_UNSIGNED ? 0 : -128), high = k_splat(K_UNSIGNED ? 255 : 127);
  const kv value = k_value(a, range);
  return __builtin_convertvector(__builtin_elementwise_min(__builtin_elementwise_max(value, low), high), kb8);
}
INLINE void k_store1(uint8_t *y, k_range range, kv a) {
  *(kb8_memory *)y = k_clamp8(k_bytes1(a, range), range);
}
INLINE void k_store1_n(uint8_t *y, k_range range, int32_t n, kv a) {
  const kb8 bytes = k_clamp8(k_bytes1(a, range), range);
  for (int32_t i = 0; i < n; ++i) y[i] = (uint8_t)bytes[i];
}
)";

// K_HIGH_HALVES of 64-bit products of even and of odd lanes, in the order of the lanes.
std::string HighHalves(std::int32_t lanes) {
  std::string source = "#define K_HIGH_HALVES(a, b) __builtin_shufflevector(a, b";
  for (std::int32_t lane = 1; lane < lanes; lane += 2) {
    source += ", " + std::to_string(lane) + ", " + std::to_string(lanes + lane);
  }
  return source + ")\n";
}

// k_clamp8, 16, 32, 64 on vectors of so many result bytes. Saturation has clamped to the type
// already; what is left to do follows from the activation class.
std::string ClampSource(const Workload& workload) {
  std::string source;
  for (const char* n : {"8", "16", "32", "64"}) {
    const std::string type = std::string("kx") + n;
    std::string clamp = "(" + type + ")v";
    if (workload.act != Activation::kNone) {
      clamp = "__builtin_elementwise_max(" + clamp + ", (" + type + "){0} + (K_BYTE)range.lo)";
    }
    if (workload.act == Activation::kLoHi) {
      clamp = "__builtin_elementwise_min(" + clamp + ", (" + type + "){0} + (K_BYTE)range.hi)";
    }
    source += "INLINE kb" + std::string(n) + " k_clamp" + n + "(kb" + n +
              " v, k_range range) {\n  (void)range;\n  return (kb" + n + ")" + clamp + ";\n}\n";
  }
  return source;
}

}  // namespace

const VectorIsa& Portable() {
  static const std::string source = Concatenate({kPortableSource, kStageWords});
  static const VectorIsa isa = {
      .name = "portable",
      .required = 0,
      .lanes = 8,
      .group = 1,
      .registers = 8,
      .activation_bytes = 2,
      .weight_bytes = 2,
      .max_store_group = 1,
      .subtracts_weight_zero_point = true,
      .source = source,
      .stores = kPortableStores,
  };
  return isa;
}

std::int32_t ActivationOffset(const VectorIsa& isa, const Workload& workload) {
  const bool is_unsigned = workload.unsigned_activations();
  if (isa.dot_input == DotInput::kUnsignedBytes && !is_unsigned) return 128;
  if (isa.dot_input == DotInput::kSignedBytes && is_unsigned) return -128;
  return 0;
}

VectorLane LaneOfChannel(std::int32_t channel, std::int32_t group) {
  return {channel % (4 * group) / 4, 4 * (channel / (4 * group)) + channel % 4};
}

std::string Concatenate(std::initializer_list<std::string_view> parts) {
  std::string all;
  for (const std::string_view part : parts) all += part;
  return all;
}

std::string Prelude(const VectorIsa& isa, const Workload& workload) {
  std::string text = "#define LANES " + std::to_string(isa.lanes) + "\n";
  text += "#define K_BYTE " + std::string(workload.unsigned_activations() ? "uint8_t" : "int8_t");
  text += "\n#define K_UNSIGNED " + std::to_string(workload.unsigned_activations() ? 1 : 0);
  text += "\n#define K_FLIP " + std::to_string(ActivationOffset(isa, workload) ? 1 : 0) + "\n";
  text += kCommon;
  text += HighHalves(isa.lanes);
  text += ClampSource(workload);
  text += isa.source;
  if (!isa.splits_groups) text += "#define K_PLACE(lane, i, group) ((lane) * (group) + (i))\n";
  text += RequantizeSource(isa, workload);
  text += isa.stores;
  text += PackConstantsSource(isa, workload);
  return text;
}

}  // namespace kiln
