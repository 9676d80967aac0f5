#include "toolchain/artifact_cache.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

namespace kiln {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// Answers with the symbol and the source, or rejects, and counts what reaches it.
class CountingCompiler final : public Compiler {
 public:
  explicit CountingCompiler(std::atomic<int>& calls) : calls_(calls) {}
  StatusOr<std::variant<CompiledCode, CompileFailure>> Compile(const CompileJob& job) override {
    ++calls_;
    if (job.c == "error") return CompileFailure{"no"};
    return CompiledCode{job.symbol + "\n" + job.c, "counting 1"};
  }
  StatusOr<std::string> Describe() override { return std::string("counting 1"); }

 private:
  std::atomic<int>& calls_;
};

class ArtifactCacheTest : public testing::Test {
 protected:
  ArtifactCacheTest() {
    auto sink = std::make_shared<spdlog::sinks::ostream_sink_mt>(log_);
    spdlog::set_default_logger(std::make_shared<spdlog::logger>("test", sink));
  }
  ~ArtifactCacheTest() override { fs::remove_all(place_); }

  std::unique_ptr<Compiler> Open(std::uint64_t compiler = 1, std::int64_t bytes = 1 << 30) {
    return NewArtifactCache(std::make_unique<CountingCompiler>(calls_),
                            {.directory = directory_, .bytes = bytes, .compiler = compiler});
  }

  static CompileJob Job(const std::string& c) { return {.c = c, .symbol = "kiln_1"}; }

  static std::string OutputOf(Compiler& compiler, const CompileJob& job) {
    auto result = compiler.Compile(job);
    if (!result.ok() || !std::holds_alternative<CompiledCode>(*result)) return "no code";
    return std::get<CompiledCode>(*result).output;
  }

  std::vector<fs::path> Entries() const {
    std::vector<fs::path> files;
    for (const auto& file : fs::recursive_directory_iterator(place_)) {
      if (file.is_regular_file()) files.push_back(file.path());
    }
    return files;
  }

  const fs::path place_ =
      fs::temp_directory_path() / ("artifact_cache_test." + std::to_string(getpid()));
  std::string directory_ = place_ / "objects";
  std::atomic<int> calls_{0};
  std::ostringstream log_;
};

TEST_F(ArtifactCacheTest, TellsWhatCameOfEachLookup) {
  std::vector<CacheLookup> lookups;
  const auto compiler =
      NewArtifactCache(std::make_unique<CountingCompiler>(calls_),
                       {.directory = directory_,
                        .on_lookup = [&](CacheLookup lookup) { lookups.push_back(lookup); }});
  for (const char* c : {"a", "a", "error"}) ASSERT_TRUE(compiler->Compile(Job(c)).ok());
  EXPECT_THAT(lookups,
              testing::ElementsAre(CacheLookup::kMiss, CacheLookup::kHit, CacheLookup::kMiss));
}

TEST_F(ArtifactCacheTest, SecondBuildIsNotCompiled) {
  EXPECT_EQ(OutputOf(*Open(), Job("a")), "kiln_1\na");
  auto result = Open()->Compile(Job("a"));  // another process, as it were
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(std::get<CompiledCode>(*result).output, "kiln_1\na");
  EXPECT_EQ(std::get<CompiledCode>(*result).compiler, "counting 1");
  EXPECT_EQ(calls_, 1);
}

TEST_F(ArtifactCacheTest, EverythingInAJobAndTheCompilerIsPartOfTheKey) {
  CompileJob job = Job("a");
  OutputOf(*Open(), job);
  int calls = 1;
  const auto expect_another_key = [&](const char* field, std::uint64_t compiler = 1) {
    OutputOf(*Open(compiler), job);
    EXPECT_EQ(calls_, ++calls) << field;
  };
  job.c = "b";
  expect_another_key("c");
  job.symbol = "kiln_2";
  expect_another_key("symbol");
  job.arch = "aarch64";
  expect_another_key("arch");
  job.cpu = "generic";
  expect_another_key("cpu");
  job.tune_cpu = "cortex-a72";
  expect_another_key("tune_cpu");
  job.features = {"+dotprod"};
  expect_another_key("features");
  job.vector_bits = 512;
  expect_another_key("vector_bits");
  expect_another_key("the compiler", 2);
}

TEST_F(ArtifactCacheTest, FailuresAndAssemblyPassThrough) {
  auto cache = Open();
  for (int i = 0; i < 2; ++i) {
    auto result = cache->Compile(Job("error"));
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(std::get<CompileFailure>(*result).message, "no");
  }
  EXPECT_EQ(calls_, 2);
  CompileJob assembly = Job("a");
  assembly.emit = EmitKind::kAssembly;
  OutputOf(*cache, assembly);
  OutputOf(*cache, assembly);
  EXPECT_EQ(calls_, 4);
  EXPECT_FALSE(fs::exists(directory_));
}

TEST_F(ArtifactCacheTest, DamagedEntriesAreCompiledAgain) {
  OutputOf(*Open(), Job("a"));
  ASSERT_EQ(Entries().size(), 1u);
  const fs::path entry = Entries()[0];
  const auto size = fs::file_size(entry);

  std::fstream(entry, std::ios::in | std::ios::out).seekp(static_cast<long>(size) - 1).put('X');
  EXPECT_EQ(OutputOf(*Open(), Job("a")), "kiln_1\na");
  EXPECT_EQ(calls_, 2);
  EXPECT_THAT(log_.str(), HasSubstr("damaged"));

  fs::resize_file(entry, size / 2);
  EXPECT_EQ(OutputOf(*Open(), Job("a")), "kiln_1\na");
  EXPECT_EQ(calls_, 3);
  fs::resize_file(entry, 0);
  EXPECT_EQ(OutputOf(*Open(), Job("a")), "kiln_1\na");
  EXPECT_EQ(calls_, 4);
  EXPECT_EQ(OutputOf(*Open(), Job("a")), "kiln_1\na") << "repaired";
  EXPECT_EQ(calls_, 4);
  fs::remove(entry);
  fs::create_directory(entry);  // cannot be read, as a file on a bad disk
  EXPECT_EQ(OutputOf(*Open(), Job("a")), "kiln_1\na");
  EXPECT_EQ(calls_, 5);
}

TEST_F(ArtifactCacheTest, UnwritableDirectoryCostsOneWarning) {
  fs::create_directories(place_);
  std::ofstream(place_ / "file") << "not a directory";
  directory_ = place_ / "file" / "objects";
  auto cache = Open();
  EXPECT_EQ(OutputOf(*cache, Job("a")), "kiln_1\na");
  EXPECT_EQ(OutputOf(*cache, Job("b")), "kiln_1\nb");
  EXPECT_EQ(calls_, 2);
  const std::string log = log_.str();
  EXPECT_THAT(log, HasSubstr("cannot write " + directory_));
  EXPECT_EQ(log.find("cannot write"), log.rfind("cannot write"));
}

TEST_F(ArtifactCacheTest, KeepsToItsSizeAndForgetsTheOldest) {
  constexpr std::int64_t kLimit = 256 * 3000;  // three entries of the 1 KiB below per folder
  auto cache = Open(1, kLimit);
  const std::string filler(900, ' ');
  OutputOf(*cache, Job("used" + filler));
  const fs::path used = Entries().at(0);
  constexpr timespec kLongAgo[] = {{1000000000, 0}, {1000000000, 0}};
  for (int i = 0; i < 2000; ++i) {
    OutputOf(*cache, Job(std::to_string(i) + filler));
    if (i % 10 == 0) OutputOf(*cache, Job("used" + filler));  // a hit renews it
    for (const auto& file : fs::directory_iterator(used.parent_path())) {
      if (i == 0) utimensat(AT_FDCWD, file.path().c_str(), kLongAgo, 0);
    }
  }
  std::uintmax_t total = 0;
  for (const fs::path& entry : Entries()) total += fs::file_size(entry);
  EXPECT_LE(total, static_cast<std::uintmax_t>(kLimit));
  EXPECT_GT(total, static_cast<std::uintmax_t>(kLimit) / 2);
  EXPECT_TRUE(fs::exists(used)) << "in use all the time";
  const int calls = calls_;
  OutputOf(*cache, Job("1999" + filler));
  EXPECT_EQ(calls_, calls) << "the newest is there";
}

TEST_F(ArtifactCacheTest, ManyThreadsShareADirectory) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this] {
      auto cache = Open();
      for (int i = 0; i < 100; ++i) {
        const std::string c = std::to_string(i % 10);
        EXPECT_EQ(OutputOf(*cache, Job(c)), "kiln_1\n" + c);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Entries().size(), 10u) << "no drafts are left";
  EXPECT_LE(calls_, 40);
}

}  // namespace
}  // namespace kiln
