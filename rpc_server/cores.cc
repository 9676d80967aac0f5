#include "rpc_server/cores.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <string>

namespace kiln {
namespace {

bool ParseNumber(std::string_view& rest, std::int32_t& number) {
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
  if (error != std::errc() || number < 0) return false;
  rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
  return true;
}

bool Eat(std::string_view& rest, char c) {
  if (!rest.starts_with(c)) return false;
  rest.remove_prefix(1);
  return true;
}

}  // namespace

std::vector<std::int32_t> UsableCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<std::int32_t> cores;
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    for (std::int32_t core = 0; core < CPU_SETSIZE; ++core) {
      if (CPU_ISSET(core, &set)) cores.push_back(core);
    }
  }
  return cores;
}

StatusOr<std::vector<std::int32_t>> ParseCores(std::string_view list,
                                               const std::vector<std::int32_t>& usable) {
  std::set<std::int32_t> cores;
  std::string_view rest = list;
  do {
    std::int32_t first = 0;
    if (!ParseNumber(rest, first)) {
      return Error(StatusCode::kInvalidArgument, "cannot read the list of cores '", list,
                   "': want for example 0,2-3");
    }
    std::int32_t last = first;
    if (Eat(rest, '-') && (!ParseNumber(rest, last) || last < first)) {
      return Error(StatusCode::kInvalidArgument, "cannot read the list of cores '", list,
                   "': a range is FIRST-LAST");
    }
    for (std::int32_t core = first; core <= last; ++core) {
      if (!std::binary_search(usable.begin(), usable.end(), core)) {
        return Error(StatusCode::kInvalidArgument, "core ", core,
                     " is not one that this program may use");
      }
      cores.insert(core);
    }
  } while (Eat(rest, ','));
  if (!rest.empty()) {
    return Error(StatusCode::kInvalidArgument, "cannot read the list of cores '", list,
                 "': unexpected '", rest, "'");
  }
  return std::vector<std::int32_t>(cores.begin(), cores.end());
}

}  // namespace kiln
