#include "estimate/block_counts.h"

#include <charconv>
#include <cstdint>
#include <string>

namespace kiln {
namespace {

constexpr std::uint64_t kMaxBlockBytes = 1 << 20;

// Takes a number and what must follow it off the front of `line`.
bool TakeNumber(std::string_view& line, std::string_view then, std::uint64_t& number) {
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), number);
  if (error != std::errc()) return false;
  line.remove_prefix(static_cast<std::size_t>(end - line.data()));
  if (!line.starts_with(then)) return false;
  line.remove_prefix(then.size());
  return true;
}

bool ParseLine(std::string_view line, CountedBlock& block) {
  std::uint64_t bytes = 0;
  if (!TakeNumber(line, " ", block.offset) || !TakeNumber(line, " ", bytes) ||
      !TakeNumber(line, "", block.count) || !line.empty()) {
    return false;
  }
  block.bytes = static_cast<std::uint32_t>(bytes);
  return bytes > 0 && bytes <= kMaxBlockBytes;
}

}  // namespace

StatusOr<std::vector<CountedBlock>> ParseBlockCounts(std::string_view text) {
  std::vector<CountedBlock> blocks;
  while (true) {
    const std::size_t newline = text.find('\n');
    if (newline == std::string_view::npos) {
      return Error(StatusCode::kDataLoss, "block counts that are cut short");
    }
    const std::string_view line = text.substr(0, newline);
    text.remove_prefix(newline + 1);
    if (line == "end") break;
    if (!ParseLine(line, blocks.emplace_back())) {
      return Error(StatusCode::kDataLoss, "no block count: '", std::string(line), "'");
    }
  }
  if (text.empty()) return blocks;
  return Error(StatusCode::kDataLoss, "block counts with something behind their end");
}

}  // namespace kiln
