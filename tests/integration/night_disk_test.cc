// A night on a disk that becomes full: the database of the daemon lies on a small file system, which
// the test fills and empties.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "tests/integration/json_lines.h"
#include "tests/integration/night_scene.h"
#include "tests/integration/stored_trials.h"

namespace kiln {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using testing::HasSubstr;

constexpr char kConv[] =
    "conv2d/i8/n1h14w14c32/o48/k3x3/s1x1/p1,1,1,1/d1x1/g1/pc/wz0/act=lo/rq=int7/double";
constexpr char kDense[] = "dense/i8/n1c64/o10/pt/wz0/act=none/rq=signed1/double";
constexpr int kNoNamespaces = 77;

class NightDiskTest : public NightTest {
 protected:
  ~NightDiskTest() override {
    if (disk_ >= 0) close(disk_);
  }

  // The daemon with a disk of this size, of which nobody else knows. False: it cannot be had here.
  bool StartOnSmallDisk(const std::string& size) {
    ShowTime("2026-11-27T12:00:00Z");
    const std::string place = scratch_.Path("disk");
    std::filesystem::create_directory(place);
    scratch_.Write("night.toml",
                   "name = \"owl\"\nzone = \"UTC\"\ndatabase = \"" + place +
                       "/t.db\"\n[listen]\nsocket = \"unix:" + scratch_.Path("daemon.sock") +
                       "\"\n[[window]]\nname = \"night\"\nfrom = \"22:00\"\nto = "
                       "\"06:00\"\n[jobs]\nlease = \"3s\"\n");
    daemon_ = std::make_unique<RunningProgram>(
        scratch_, std::vector<std::string>{"on_small_disk", place, size, ProgramPath("kiln"),
                                           "daemon", "--config", scratch_.Path("night.toml"),
                                           "--test-clock", scratch_.Path("clock")});
    const bool listens = daemon_->WaitUntil(
        [&] { return daemon_->out().find("listening on ") != std::string::npos; });
    if (!listens) {
      EXPECT_EQ(daemon_->Wait().status, kNoNamespaces) << daemon_->err();
      return false;
    }
    const std::string seen = "/proc/" + std::to_string(daemon_->pid()) + "/root" + place;
    disk_ = open(seen.c_str(), O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    EXPECT_GE(disk_, 0) << seen;
    return true;
  }

  void Fill() const {
    const int file = openat(disk_, "ballast", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    ASSERT_GE(file, 0);
    const std::string page(4096, 'x');
    while (write(file, page.data(), page.size()) > 0) {
    }
    close(file);
  }
  void MakeRoom() const { ASSERT_EQ(unlinkat(disk_, "ballast", 0), 0); }
  std::string OnDisk(const std::string& name) const {
    return "/proc/self/fd/" + std::to_string(disk_) + "/" + name;
  }

  // Ends the daemon, and takes its database from the disk to where others read it.
  void EndDaemon() {
    daemon_->Signal(SIGTERM);
    EXPECT_EQ(daemon_->Wait().status, 0);
    for (const std::string suffix : {"", "-wal"}) {
      std::error_code none;
      std::filesystem::copy_file(OnDisk("t.db" + suffix), scratch_.database() + suffix, none);
    }
  }

  bool EventuallyWaitsForStore(std::int64_t id) {
    return daemon_->WaitUntil([&] { return JobOf(id).value("reason", "") == "store"; });
  }

 private:
  int disk_ = -1;
};

TEST_F(NightDiskTest, JobGoesOnWhereItWasOnceThereIsRoomAgain) {
  if (!StartOnSmallDisk("2m")) {
    GTEST_SKIP() << "SKIPPED: this system allows no mount namespace";
  }
  const std::int64_t id =
      Submit({"--workload", kConv, "--policy", "random", "--trials", "100000"})["id"];
  ASSERT_TRUE(EventuallyMade(id, 3)) << JobOf(id) << daemon_->err();
  Fill();
  ASSERT_TRUE(EventuallyWaitsForStore(id)) << JobOf(id) << daemon_->err();
  const auto full = JobOf(id);
  EXPECT_EQ(full["state"], "queued");
  EXPECT_THAT(full["text"].get<std::string>(), HasSubstr("the disk is full"));
  const Outcome table = ExpectKiln(0, ToDaemon({"jobs"}));
  EXPECT_THAT(table.out, HasSubstr("the disk is full"));

  MakeRoom();
  LetPass(minutes(6));
  const std::int64_t made = TrialsOf(id);
  EXPECT_GT(made, 0);
  ASSERT_TRUE(EventuallyMade(id, made + 10)) << JobOf(id) << daemon_->err();
  ExpectKiln(0, ToDaemon({"cancel", std::to_string(id)}));
  ASSERT_TRUE(EventuallyIn(id, "cancelled")) << JobOf(id);
  const std::int64_t all = TrialsOf(id);
  EndDaemon();
  EXPECT_EQ(Integrity(scratch_.database()), "ok");
  const auto stored = ReadTrials(scratch_.database());
  EXPECT_EQ(static_cast<std::int64_t>(stored.size()), all) << "all that it has counted";
  EXPECT_TRUE(AreDistinctAndInOrder(stored));
}

TEST_F(NightDiskTest, WhatCannotBeWrittenIsSaidFromMemoryAndNoJobIsLost) {
  if (!StartOnSmallDisk("1m")) {
    GTEST_SKIP() << "SKIPPED: this system allows no mount namespace";
  }
  const std::vector<std::string> submit =
      ToDaemon({"submit", "--workload", kDense, "--trials", "2", "--window", "night"});
  std::size_t taken = 0;
  while (taken < 3) ExpectKiln(0, submit), ++taken;
  Fill();
  Outcome refused;
  while ((refused = Kiln(submit)).status == 0 && taken < 100) ++taken;
  EXPECT_EQ(refused.status, 1);
  EXPECT_TRUE(IsOneLine(refused.err)) << refused.err;
  EXPECT_THAT(refused.err, HasSubstr("the disk is full"));

  LetPass(hours(10) + minutes(1));  // the window opens, and none can be claimed
  ASSERT_TRUE(EventuallyWaitsForStore(1)) << JobOf(1) << daemon_->err();
  const Outcome list = ExpectKiln(0, ToDaemon({"jobs", "--json"}));
  const auto jobs = JsonLines(list.out);
  EXPECT_EQ(jobs.size(), taken);
  for (const auto& job : jobs) {
    EXPECT_EQ(job["state"], "queued");
    EXPECT_EQ(job["reason"], "store");
    EXPECT_THAT(job["text"].get<std::string>(), HasSubstr("the disk is full"));
  }
  EXPECT_THAT(ExpectKiln(0, ToDaemon({"jobs"})).out, HasSubstr("trouble: "));

  MakeRoom();
  for (std::size_t id = 1; id <= taken; ++id) {
    ASSERT_TRUE(EventuallyIn(static_cast<std::int64_t>(id), "done")) << JobOf(1) << daemon_->err();
  }
  EXPECT_THAT(ExpectKiln(0, ToDaemon({"jobs"})).out, testing::Not(HasSubstr("trouble: ")));
  EndDaemon();
  EXPECT_EQ(Integrity(scratch_.database()), "ok");
  EXPECT_EQ(ReadTrials(scratch_.database()).size(), 2u) << "all are of one task";
}

}  // namespace
}  // namespace kiln
