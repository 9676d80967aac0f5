#include "base/write_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <string>

#include "tests/base/temporary_directory.h"

namespace kiln {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// As a disk that becomes full: no file may grow beyond so many bytes while this lives.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  void (*handler_)(int);
  rlimit before_{};
};

struct stat StatOf(const std::string& path) {
  struct stat out {};
  EXPECT_EQ(stat(path.c_str(), &out), 0) << path;
  return out;
}

// Long ago, so that a file which is written now is told from one that is left alone.
void Age(const std::string& path) {
  fs::last_write_time(path, fs::last_write_time(path) - std::chrono::hours(1000));
}

TEST(ReplaceFileTest, FileHasExactlyTheBytes) {
  const TemporaryDirectory directory;
  const std::string path = directory.File("f");
  const std::string odd("\0\r\n\xff x", 6), large(1 << 20, 'l');
  for (const std::string& bytes : {odd, large, std::string("short"), std::string()}) {
    ASSERT_TRUE(ReplaceFile(path, bytes).ok());
    EXPECT_EQ(BytesOf(path), bytes);
    EXPECT_EQ(directory.Count(), 1) << "a draft was left";
  }
}

// Who has the old file open, or another name of it, keeps the old bytes: it is not written into.
TEST(ReplaceFileTest, OldFileIsReplacedAndNeverWrittenInto) {
  const TemporaryDirectory directory;
  const std::string path = directory.Write("f", "old"), other = directory.File("other");
  fs::create_hard_link(path, other);
  std::ifstream reader(path);
  ASSERT_TRUE(ReplaceFile(path, "new bytes").ok());
  EXPECT_EQ(BytesOf(path), "new bytes");
  EXPECT_EQ(BytesOf(other), "old");
  std::string read;
  reader >> read;
  EXPECT_EQ(read, "old");
}

TEST(ReplaceFileTest, FullDiskLeavesTheOldFileWholeAndNoDraft) {
  const TemporaryDirectory directory;
  const std::string path = directory.Write("f", "the old bytes");
  Status status;
  {
    const FileSizeLimit limit(4096);
    status = ReplaceFile(path, std::string(100'000, 'n'));
  }
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted) << status;
  EXPECT_THAT(Message(status), StartsWith("cannot write " + path + ": "));
  EXPECT_EQ(BytesOf(path), "the old bytes");
  EXPECT_EQ(directory.Count(), 1);
}

TEST(ReplaceFileTest, WhatCannotBeReplacedStays) {
  const TemporaryDirectory directory;
  const std::string path = directory.File("f");
  fs::create_directory(path);
  directory.Write("f/inside", "x");
  const Status status = ReplaceFile(path, "new");
  EXPECT_EQ(status.code(), StatusCode::kPermissionDenied) << status;
  EXPECT_THAT(Message(status), HasSubstr(path));
  EXPECT_EQ(BytesOf(path + "/inside"), "x");
  EXPECT_EQ(directory.Count(), 1) << "a draft was left";
}

TEST(ReplaceFileTest, DirectoryThatIsNotThereIsNotFoundAndTheErrorNamesTheFile) {
  const TemporaryDirectory directory;
  const std::string path = directory.File("none/f");
  const Status status = ReplaceFile(path, "x");
  EXPECT_EQ(status.code(), StatusCode::kNotFound) << status;
  EXPECT_THAT(Message(status),
              AllOf(StartsWith("cannot write " + path + ": "), HasSubstr("No such file")));
  EXPECT_FALSE(fs::exists(directory.File("none")));
}

// As root, `-o /dev/null` took the device away.
TEST(ReplaceFileTest, PipesAndDevicesAreNotReplaced) {
  const TemporaryDirectory directory;
  const std::string pipe = directory.File("pipe");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const Status status = ReplaceFile(pipe, "x");
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition) << status;
  EXPECT_THAT(Message(status), AllOf(StartsWith("cannot write " + pipe), HasSubstr("pipe")));
  EXPECT_TRUE(fs::is_fifo(pipe));
  EXPECT_EQ(directory.Count(), 1) << "a draft was left";
}

TEST(UpdateFileTest, EqualBytesLeaveTheFileAlone) {
  const TemporaryDirectory directory;
  const std::string bytes("a\0\xff\n", 4), path = directory.Write("f", bytes);
  Age(path);
  const struct stat before = StatOf(path);
  const auto written = UpdateFile(path, bytes);
  ASSERT_TRUE(written.ok()) << written.status();
  EXPECT_FALSE(*written);
  const struct stat after = StatOf(path);
  EXPECT_EQ(after.st_ino, before.st_ino);
  EXPECT_EQ(after.st_mtim.tv_sec, before.st_mtim.tv_sec);
  EXPECT_EQ(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
  EXPECT_EQ(after.st_ctim.tv_nsec, before.st_ctim.tv_nsec);
}

TEST(UpdateFileTest, OtherBytesReplaceTheFile) {
  const TemporaryDirectory directory;
  const std::string old = "same length";
  for (const char* bytes : {"Same length", "same lengtH", "same length and more", "same", ""}) {
    const std::string path = directory.Write("f", old);
    Age(path);
    const struct stat before = StatOf(path);
    const auto written = UpdateFile(path, bytes);
    ASSERT_TRUE(written.ok()) << written.status();
    EXPECT_TRUE(*written) << bytes;
    EXPECT_EQ(BytesOf(path), bytes);
    EXPECT_NE(StatOf(path).st_mtim.tv_sec, before.st_mtim.tv_sec) << bytes;
  }
}

TEST(UpdateFileTest, FileThatIsNotThereIsWritten) {
  const TemporaryDirectory directory;
  for (const char* name : {"f", "empty"}) {
    const std::string bytes = *name == 'f' ? "x" : "";
    const auto written = UpdateFile(directory.File(name), bytes);
    ASSERT_TRUE(written.ok()) << written.status();
    EXPECT_TRUE(*written);
    EXPECT_TRUE(fs::exists(directory.File(name)));
  }
}

TEST(UpdateFileTest, ErrorsNameTheFile) {
  const TemporaryDirectory directory;
  const std::string none = directory.File("none/f"), folder = directory.File("d");
  fs::create_directory(folder);
  EXPECT_THAT(Message(UpdateFile(none, "x").status()), HasSubstr(none));
  EXPECT_THAT(Message(UpdateFile(folder, "x").status()), HasSubstr(folder));
}

}  // namespace
}  // namespace kiln
