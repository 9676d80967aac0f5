#pragma once

#include "base/standard_streams.h"

namespace kiln {

// A JSON value (nlohmann's) as one line of standard output. Names come from users' files: bytes
// that are no UTF-8 are replaced.
template <typename Json>
void WriteJson(const Json& value) {
  WriteOutputLine(value.dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace kiln
