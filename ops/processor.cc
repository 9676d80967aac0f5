#include "ops/processor.h"

#include <fstream>

namespace kiln {
namespace {

// A run of models with one name; the first row that fits counts.
struct X86Row {
  std::uint32_t first_model, last_model;
  std::string_view name;
  std::uint32_t first_stepping = 0;
};

constexpr X86Row kIntelFamily6[] = {
    {0x3C, 0x3C, "haswell"},        {0x3F, 0x3F, "haswell"},         {0x45, 0x46, "haswell"},
    {0x3D, 0x3D, "broadwell"},      {0x47, 0x47, "broadwell"},       {0x4F, 0x4F, "broadwell"},
    {0x56, 0x56, "broadwell"},      {0x4E, 0x4E, "skylake"},         {0x5E, 0x5E, "skylake"},
    {0x8E, 0x8E, "skylake"},        {0x9E, 0x9E, "skylake"},         {0xA5, 0xA6, "skylake"},
    {0x55, 0x55, "cooperlake", 10}, {0x55, 0x55, "cascadelake", 5},  {0x55, 0x55, "skylake-avx512"},
    {0x6A, 0x6A, "icelake-server"}, {0x6C, 0x6C, "icelake-server"},  {0x7D, 0x7E, "icelake-client"},
    {0x8C, 0x8D, "tigerlake"},      {0xA7, 0xA7, "rocketlake"},      {0x97, 0x97, "alderlake"},
    {0x9A, 0x9A, "alderlake"},      {0xBE, 0xBE, "gracemont"},       {0xB7, 0xB7, "raptorlake"},
    {0xBA, 0xBA, "raptorlake"},     {0xBF, 0xBF, "raptorlake"},      {0xAA, 0xAA, "meteorlake"},
    {0xAC, 0xAC, "meteorlake"},     {0xC5, 0xC5, "arrowlake"},       {0xC6, 0xC6, "arrowlake-s"},
    {0xBD, 0xBD, "lunarlake"},      {0x8F, 0x8F, "sapphirerapids"},  {0xCF, 0xCF, "emeraldrapids"},
    {0xAD, 0xAD, "graniterapids"},  {0xAE, 0xAE, "graniterapids-d"}, {0xAF, 0xAF, "sierraforest"},
};
constexpr X86Row kAmdFamily17[] = {{0x00, 0x2F, "znver1"}, {0x30, 0xFF, "znver2"}};
constexpr X86Row kAmdFamily19[] = {
    {0x00, 0x0F, "znver3"}, {0x10, 0x1F, "znver4"}, {0x20, 0x5F, "znver3"},
    {0x60, 0x7F, "znver4"}, {0xA0, 0xAF, "znver4"},
};
constexpr X86Row kAmdFamily1A[] = {{0x00, 0xFF, "znver5"}};

template <std::size_t kRows>
std::string_view Find(const X86Row (&rows)[kRows], const X86Signature& signature) {
  for (const X86Row& row : rows) {
    if (signature.model >= row.first_model && signature.model <= row.last_model &&
        signature.stepping >= row.first_stepping) {
      return row.name;
    }
  }
  return "";
}

// Part numbers of implementer 0x41, Arm.
struct ArmRow {
  std::uint32_t part;
  std::string_view name;
};
constexpr ArmRow kArmParts[] = {
    {0xD03, "cortex-a53"},  {0xD04, "cortex-a35"},  {0xD05, "cortex-a55"},  {0xD07, "cortex-a57"},
    {0xD08, "cortex-a72"},  {0xD09, "cortex-a73"},  {0xD0A, "cortex-a75"},  {0xD0B, "cortex-a76"},
    {0xD0C, "neoverse-n1"}, {0xD0D, "cortex-a77"},  {0xD40, "neoverse-v1"}, {0xD41, "cortex-a78"},
    {0xD44, "cortex-x1"},   {0xD46, "cortex-a510"}, {0xD47, "cortex-a710"}, {0xD48, "cortex-x2"},
    {0xD49, "neoverse-n2"}, {0xD4D, "cortex-a715"}, {0xD4E, "cortex-x3"},   {0xD4F, "neoverse-v2"},
};

// The first word of a file; empty if there is none.
std::string FirstWord(const std::string& path) {
  std::ifstream file(path);
  std::string word;
  file >> word;
  return word;
}

// "48K" as Linux writes sizes; 0 if it is none.
std::int64_t ParseSize(const std::string& text) {
  std::int64_t size = 0;
  std::size_t i = 0;
  for (; i < text.size() && i < 9 && text[i] >= '0' && text[i] <= '9'; ++i) {
    size = size * 10 + (text[i] - '0');
  }
  const std::string unit = text.substr(i);
  if (unit == "K") return size << 10;
  if (unit == "M") return size << 20;
  return unit.empty() ? size : 0;
}

}  // namespace

X86Signature DecodeX86Signature(std::string_view vendor, std::uint32_t eax) {
  X86Signature signature;
  signature.vendor = std::string(vendor);
  signature.stepping = eax & 0xF;
  signature.model = eax >> 4 & 0xF;
  signature.family = eax >> 8 & 0xF;
  if (signature.family == 0x6 || signature.family == 0xF) signature.model |= eax >> 12 & 0xF0;
  if (signature.family == 0xF) signature.family += eax >> 20 & 0xFF;
  return signature;
}

std::string_view X86CpuName(const X86Signature& signature) {
  if (signature.vendor == "GenuineIntel" && signature.family == 6) {
    return Find(kIntelFamily6, signature);
  }
  if (signature.vendor != "AuthenticAMD" && signature.vendor != "HygonGenuine") return "";
  switch (signature.family) {
    case 0x17:
      return Find(kAmdFamily17, signature);
    case 0x18:  // Hygon Dhyana
      return "znver1";
    case 0x19:
      return Find(kAmdFamily19, signature);
    case 0x1A:
      return Find(kAmdFamily1A, signature);
    default:
      return "";
  }
}

std::string_view ArmCpuName(std::uint64_t midr) {
  constexpr std::uint64_t kArmLimited = 0x41;
  if ((midr >> 24 & 0xFF) != kArmLimited) return "";
  for (const ArmRow& row : kArmParts) {
    if ((midr >> 4 & 0xFFF) == row.part) return row.name;
  }
  return "";
}

CacheSizes ReadCacheSizes(const std::string& directory) {
  CacheSizes sizes;
  for (int index = 0; index < 16; ++index) {
    const std::string cache = directory + "/index" + std::to_string(index) + "/";
    const std::string level = FirstWord(cache + "level");
    if (level.empty()) break;
    if (FirstWord(cache + "type") == "Instruction") continue;
    const std::int64_t size = ParseSize(FirstWord(cache + "size"));
    if (level == "1") sizes.l1_bytes = size;
    if (level == "2") sizes.l2_bytes = size;
    if (level == "3") sizes.l3_bytes = size;
  }
  return sizes;
}

}  // namespace kiln
