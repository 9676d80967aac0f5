#include <cstdlib>

#include "db/tuning_store.h"

namespace kiln {
namespace {

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

StatusOr<std::string> DefaultDatabasePath() {
  if (std::string path = Variable("KILN_DB"); !path.empty()) return path;
  // The XDG Base Directory Specification ignores relative paths here.
  if (std::string data = Variable("XDG_DATA_HOME"); data.starts_with('/')) {
    return data + "/kiln/tuning.db";
  }
  if (std::string home = Variable("HOME"); !home.empty()) {
    return home + "/.local/share/kiln/tuning.db";
  }
  return Error(StatusCode::kFailedPrecondition,
               "no place for the database: set KILN_DB, or HOME, or say --db FILE");
}

}  // namespace kiln
