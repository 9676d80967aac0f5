#include <cstdlib>

#include "db/tuning_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln {
namespace {

// Sets or removes a variable; puts it back at the end of its scope.
class ScopedVariable {
 public:
  ScopedVariable(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    Set(value);
  }
  ~ScopedVariable() { Set(old_ ? old_->c_str() : nullptr); }

 private:
  void Set(const char* value) {
    if (value == nullptr) {
      unsetenv(name_);
    } else {
      setenv(name_, value, 1);
    }
  }
  const char* name_;
  std::optional<std::string> old_;
};

StatusOr<std::string> PathWith(const char* kiln_db, const char* data, const char* home) {
  const ScopedVariable a("KILN_DB", kiln_db), b("XDG_DATA_HOME", data), c("HOME", home);
  return DefaultDatabasePath();
}

TEST(DatabasePathTest, FollowsKilnDbThenXdgThenHome) {
  EXPECT_EQ(*PathWith("some/tuning.db", "/data", "/home/me"), "some/tuning.db");
  EXPECT_EQ(*PathWith("", "/data", "/home/me"), "/data/kiln/tuning.db");
  EXPECT_EQ(*PathWith(nullptr, "/data", nullptr), "/data/kiln/tuning.db");
  EXPECT_EQ(*PathWith(nullptr, "relative", "/home/me"), "/home/me/.local/share/kiln/tuning.db");
  EXPECT_EQ(*PathWith(nullptr, nullptr, "/home/me"), "/home/me/.local/share/kiln/tuning.db");
}

TEST(DatabasePathTest, WithoutAnyOfThemSaysWhatToSet) {
  const Status status = PathWith(nullptr, nullptr, nullptr).status();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(status), ::testing::HasSubstr("set KILN_DB, or HOME, or say --db FILE"));
}

}  // namespace
}  // namespace kiln
