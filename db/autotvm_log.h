#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "db/database_tools.h"
#include "db/tuning_store.h"

// Lines of AutoTVM v0.2 logs:
//   {"input": [target, task, args, kwargs], "config": {"index", "code_hash", "entity": [[knob, kind,
//   value], ...]}, "result": [[seconds, ...], error_no, all_cost, timestamp], "version": 0.2, ...}
// and comments, which begin with '#'. A knob is told by its name in the entity, never by the index: that
// depends on the space of the program that wrote it. A failure has the cost 1e9, which is no time.
//
// Lines that Kiln writes are of the target "llvm -keys=cpu -device=kiln -model=NAME", have the key of the
// workload, the threads and the state of the caches behind the two tensors among the args, knobs of
// kind "ot", and under "kiln" what v0.2 has no place for; docs/store.md shows one.

namespace kiln {

struct AutotvmLine {
  enum class Is : std::uint8_t {
    kComment,  // or blank
    kOwn,      // of a template of Kiln's: `record` says which config of what
    kForeign,
    kDamaged,  // `why` says what of it cannot be read
  };
  Is is = Is::kDamaged;
  std::string why;
  std::string task;    // "conv2d_NCHWc_int8.x86"
  Outcome outcome;     // the times in ns as an order of samples, or what failed
  TrialRecord record;  // of kOwn: without seq and uuid, but with the outcome
};
AutotvmLine ParseAutotvmLine(std::string_view line);

// Adds the next line of a log to what became of its lines.
void CountLine(std::string_view line, AutotvmCount& count);

// A measurement of the record as a line, with its newline. nullopt: no such line can say it, because
// it was cut off, or its time was not measured.
std::optional<std::string> AutotvmLineOf(const TrialRecord& record, const Trial& measurement);

}  // namespace kiln
