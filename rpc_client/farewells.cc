#include "rpc_client/farewells.h"

#include <utility>

namespace kiln {

void Farewells::Add(std::unique_ptr<PendingCall> release, std::shared_ptr<MeasureStream> stream) {
  if (stream) stream->BreakOff();
  Farewell one{std::move(release), std::move(stream)};
  const std::lock_guard lock(mutex_);
  std::swap(last_, one);
}

}  // namespace kiln
