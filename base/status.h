#pragma once

#include <sstream>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace kiln {

// How a function tells that it could not do its work; the codes are gRPC's. The message names the
// thing and the wish: "no device for avx512vnni within 10s (2 registered, both leased)".
using absl::Status;
using absl::StatusCode;
using absl::StatusOr;

// Error(StatusCode::kNotFound, "no target named ", name): the parts are streamed together.
template <typename... Parts>
Status Error(StatusCode code, const Parts&... parts) {
  std::ostringstream message;
  (message << ... << parts);
  return Status(code, message.str());
}

// The message of an error as a std::string (Debian's absl has a string_view of its own).
inline std::string Message(const Status& status) {
  return std::string(status.message().data(), status.message().size());
}

}  // namespace kiln

// Returns the error of `expr` from the enclosing function, if it is one.
#define RETURN_IF_ERROR(expr)                                                        \
  do {                                                                               \
    if (absl::Status status_or_ok = (expr); !status_or_ok.ok()) return status_or_ok; \
  } while (false)

// ASSIGN_OR_RETURN(auto x, F()) declares x, or returns F()'s error.
#define ASSIGN_OR_RETURN(declaration, expr) KILN_ASSIGN_OR_RETURN_LINE(__LINE__, declaration, expr)
#define KILN_ASSIGN_OR_RETURN_LINE(line, declaration, expr) \
  KILN_ASSIGN_OR_RETURN_NAMED(line, declaration, expr)
#define KILN_ASSIGN_OR_RETURN_NAMED(line, declaration, expr)         \
  auto result_##line = (expr);                                       \
  if (!result_##line.ok()) return std::move(result_##line).status(); \
  declaration = *std::move(result_##line)  // NOLINT(bugprone-macro-parentheses)
