#pragma once

#include "base/status.h"
#include "measure/measurer.h"

namespace kiln::v1 {
class MeasureRequest;
class MeasureResult;
}  // namespace kiln::v1

namespace kiln {

// All but the trial's id, the lease and the object's bytes.
v1::MeasureRequest WriteRequest(const RunRequest& request);

// What the device answers to the request. Times whose digests are not those that the request expects
// are none: the outcome is kWrongResult, whatever the device has found. kUnavailable: the device
// failed, and nothing is known about the kernel. kInternal: a result that this program does not
// understand.
StatusOr<RunResult> ReadResult(const v1::MeasureResult& message, const RunRequest& request);

}  // namespace kiln
