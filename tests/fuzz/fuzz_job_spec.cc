// Bytes as the spec of a job: what passes says the same when it is written and read again, and what
// does not is refused in few words, on one line.

#include <cstdio>
#include <cstdlib>
#include <string>

#include "daemon/job_spec.h"

namespace kiln {
namespace {

void Need(bool holds, const std::string& what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what.c_str());
  std::abort();
}

void Read(std::string_view json) {
  const StatusOr<JobSpec> spec = ParseJobSpec(json);
  if (!spec.ok()) {
    const std::string words = Message(spec.status());
    Need(spec.status().code() == StatusCode::kInvalidArgument, words);
    Need(words.size() < 2000 && words.find('\n') == std::string::npos, words);
    return;
  }
  const std::string written = ToJson(*spec);
  const StatusOr<JobSpec> again = ParseJobSpec(written);
  Need(again.ok() && *again == *spec, written);
  Need(!Describe(*spec).empty(), "no description");
}

}  // namespace
}  // namespace kiln

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  kiln::Read({reinterpret_cast<const char*>(data), size});
  return 0;
}
