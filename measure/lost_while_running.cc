#include <utility>

#include "absl/strings/cord.h"
#include "measure/measurer.h"

namespace kiln {
namespace {

constexpr char kMark[] = "kiln/lost-while-running";  // a payload: neither code nor message change

}  // namespace

Status LostWhileRunning(Status lost) {
  lost.SetPayload(kMark, absl::Cord());
  return lost;
}

bool IsLostWhileRunning(const Status& status) { return status.GetPayload(kMark).has_value(); }

}  // namespace kiln
