#include "rpc_server/core_lock.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <string>

namespace kiln {
namespace {

class CoreLockTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string path = testing::TempDir() + "core_lock_XXXXXX";
    ASSERT_NE(mkdtemp(path.data()), nullptr);
    directory_ = path;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  // Whether somebody has the core, seen from outside.
  bool Taken(int core) const {
    const std::string path = directory_ + "/core-" + std::to_string(core) + ".lock";
    const int file = open(path.c_str(), O_RDWR);
    EXPECT_GE(file, 0) << path;
    const bool taken = flock(file, LOCK_EX | LOCK_NB) != 0;
    close(file);
    return taken;
  }

  // Whether somebody waits for the core: a line of /proc/locks with an arrow,
  // "7: -> FLOCK  ADVISORY  WRITE 4711 08:01:1234 0 EOF", and the number of its file.
  bool IsWaitedFor(int core) const {
    struct stat status {};
    const std::string path = directory_ + "/core-" + std::to_string(core) + ".lock";
    EXPECT_EQ(stat(path.c_str(), &status), 0) << path;
    const std::string inode = ":" + std::to_string(status.st_ino) + " ";
    std::ifstream locks("/proc/locks");
    for (std::string line; std::getline(locks, line);) {
      if (line.find("->") != std::string::npos && line.find(inode) != std::string::npos) {
        return true;
      }
    }
    return false;
  }

  std::string directory_;
};

TEST_F(CoreLockTest, TakesEachOfItsCores) {
  auto lock = OpenCoreLock(directory_, {2, 0});
  ASSERT_TRUE(lock.ok()) << lock.status();
  EXPECT_FALSE(Taken(0));
  ASSERT_TRUE((*lock)->Take().ok());
  EXPECT_TRUE(Taken(0));
  EXPECT_TRUE(Taken(2));
  (*lock)->Give();
  EXPECT_FALSE(Taken(0));
  EXPECT_FALSE(Taken(2));
}

TEST_F(CoreLockTest, WaitsForWhoeverSharesACore) {
  auto one = OpenCoreLock(directory_, {0, 1});
  auto other = OpenCoreLock(directory_, {1, 2});
  ASSERT_TRUE(one.ok() && other.ok());
  ASSERT_TRUE((*one)->Take().ok());
  if (!std::ifstream("/proc/locks")) GTEST_SKIP() << "SKIPPED: this system lists no locks";
  auto taken = std::async(std::launch::async, [&] { return (*other)->Take(); });
  // The system lists who waits for which file; whoever does not wait is through at some time.
  while (!IsWaitedFor(1)) {
    ASSERT_NE(taken.wait_for(std::chrono::milliseconds(1)), std::future_status::ready)
        << "took what is taken";
  }
  (*one)->Give();
  EXPECT_TRUE(taken.get().ok());
  EXPECT_TRUE(Taken(1));
}

TEST_F(CoreLockTest, GoesWithItsHolder) {
  auto lock = OpenCoreLock(directory_, {0});
  ASSERT_TRUE(lock.ok());
  ASSERT_TRUE((*lock)->Take().ok());
  lock->reset();
  EXPECT_FALSE(Taken(0));
}

TEST_F(CoreLockTest, DirectoryIsMadePrivate) {
  ASSERT_TRUE(OpenCoreLock(directory_ + "/new", {0}).ok());
  struct stat status {};
  ASSERT_EQ(stat((directory_ + "/new").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
}

TEST_F(CoreLockTest, DirectoryThatOthersMayWriteIsRefused) {
  ASSERT_EQ(chmod(directory_.c_str(), 0777), 0);
  const auto lock = OpenCoreLock(directory_, {0});
  EXPECT_EQ(lock.status().code(), StatusCode::kPermissionDenied);
  EXPECT_THAT(Message(lock.status()), testing::HasSubstr(directory_));
}

TEST_F(CoreLockTest, FileThatWasDeletedIsMadeAgain) {
  auto one = OpenCoreLock(directory_, {0});
  ASSERT_TRUE(one.ok());
  std::filesystem::remove_all(directory_);
  auto other = OpenCoreLock(directory_, {0});
  ASSERT_TRUE(other.ok()) << other.status();
  ASSERT_TRUE((*one)->Take().ok());
  EXPECT_TRUE(Taken(0)) << "the file that others see";
  (*one)->Give();
  ASSERT_TRUE((*other)->Take().ok());
  EXPECT_TRUE(Taken(0));
}

TEST_F(CoreLockTest, TheEnvironmentDoesNotSayWhereTheLocksAre) {
  unsetenv("KILN_TEST_CORE_LOCKS");
  const std::string place = CoreLockDirectory();
  EXPECT_THAT(place, testing::EndsWith("/kiln-" + std::to_string(geteuid())));
  for (const char* name : {"XDG_RUNTIME_DIR", "TMPDIR", "HOME"}) {
    const char* const before = std::getenv(name);
    const std::string value = before ? before : "";
    setenv(name, directory_.c_str(), 1);
    EXPECT_EQ(CoreLockDirectory(), place) << name;
    before ? setenv(name, value.c_str(), 1) : unsetenv(name);
  }
}

}  // namespace
}  // namespace kiln
