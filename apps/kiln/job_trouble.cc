#include "apps/kiln/job_trouble.h"

#include <string>

#include "absl/strings/cord.h"

namespace kiln {
namespace {

constexpr char kTrouble[] = "kiln/trouble";  // the payload: a digit

}  // namespace

Status AsTrouble(TunerTrouble trouble, Status status) {
  if (status.ok()) return status;
  const char digit = static_cast<char>('0' + static_cast<int>(trouble));
  status.SetPayload(kTrouble, absl::Cord(std::string(1, digit)));
  return status;
}

TunerTrouble TroubleOf(const Status& status) {
  const auto payload = status.GetPayload(kTrouble);
  if (!payload) return TunerTrouble::kError;
  return static_cast<TunerTrouble>(std::string(*payload).front() - '0');
}

}  // namespace kiln
