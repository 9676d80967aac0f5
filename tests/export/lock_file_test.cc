#include "export/lock_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "base/digest.h"
#include "base/rng.h"
#include "tests/base/temporary_directory.h"
#include "tests/export/locks.h"
#include "tests/ops/random_workload.h"

namespace kiln {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::uint64_t kSeeds = 200;

// Bytes of all kinds, those with a meaning in lock files above all.
std::string DrawText(Rng& rng, std::int64_t least = 0) {
  static constexpr std::string_view kOdd("%,=\n\r \t#<>|-_.+*/:@;\"'\\\0\xff\xc3\xa4", 27);
  std::string text;
  for (std::int64_t left = rng.Between(least, 8); left > 0; --left) {
    switch (rng.Below(3)) {
      case 0:
        text += kOdd[rng.Below(kOdd.size())];
        break;
      case 1:
        text += static_cast<char>(rng.Next());
        break;
      default:
        text += static_cast<char>('a' + rng.Below(26));
    }
  }
  return text;
}

IsaMask DrawIsa(Rng& rng) {
  IsaMask isa = 0;
  for (const IsaFeatureRow& row : IsaFeatures()) {
    if (rng.Below(3) == 0) isa |= Bit(row.feature);
  }
  return isa;
}

Target DrawTarget(Rng& rng, const std::string& name) {
  Target target;
  target.name = name;
  target.arch = rng.Below(4) == 0 ? DrawText(rng) : "aarch64";
  target.cpu = rng.Below(2) == 0 ? DrawText(rng) : "cortex-a72";
  target.isa = DrawIsa(rng);
  target.cores = static_cast<std::int32_t>(rng.Between(1, 1024));
  target.l1_bytes = rng.Between(0, 1 << 20);
  target.l2_bytes = rng.Between(0, std::int64_t{1} << 40);
  target.l3_bytes = rng.Between(0, 1 << 30);
  target.workspace_cap = rng.Between(0, std::int64_t{1} << 40);
  return target;
}

LockEntry DrawEntry(Rng& rng) {
  LockEntry entry{.kernel_template = DrawText(rng),
                  .labels = {},
                  .code_digest = rng.Next(),
                  .origin = static_cast<Origin>(rng.Below(4)),
                  .time = std::nullopt};
  for (std::uint64_t left = rng.Below(5); left > 0; --left) {
    entry.labels.emplace_back(DrawText(rng), DrawText(rng));
  }
  if (rng.Below(4) == 0) return entry;
  entry.time = LockedTime{.min_ns = static_cast<double>(rng.Between(1, 10'000'000'000)) / 10,
                          .kind = static_cast<TimeKind>(rng.Below(3)),
                          .confirmed = rng.Below(2) == 0,
                          .device = DrawText(rng),
                          .uuid = DrawText(rng)};
  return entry;
}

// Every target that is described has an entry, as in files that `kiln lock` writes.
LockFile DrawLock(Rng& rng) {
  LockFile lock;
  std::vector<std::string> names;
  for (std::uint64_t left = 1 + rng.Below(4); left > 0; --left) names.push_back(DrawText(rng, 1));
  for (std::uint64_t left = rng.Below(12); left > 0; --left) {
    const std::optional<Workload> workload = DrawWorkload(rng);
    if (!workload) continue;
    const std::string& target = names[rng.Below(names.size())];
    const auto threads = static_cast<std::int32_t>(rng.Between(1, kMaxThreads));
    const CacheState cache = rng.Below(4) == 0 ? CacheState::kCold : CacheState::kHot;
    lock.entries[{Key(*workload), target, threads, cache}] = DrawEntry(rng);
    if (rng.Below(2) == 0) lock.targets[target] = DrawTarget(rng, target);
  }
  return lock;
}

// All that a lock file says, to be compared: not where an entry stands.
auto ContentOf(const LockEntry& entry) {
  return std::tuple(entry.kernel_template, entry.labels, entry.code_digest, entry.origin,
                    entry.time);
}
auto ContentOf(const Target& t) {
  return std::tuple(t.name, t.arch, t.cpu, t.isa, t.cores, t.l1_bytes, t.l2_bytes, t.l3_bytes,
                    t.workspace_cap);
}
bool IsSame(const LockFile& a, const LockFile& b) {
  const auto same = [](const auto& x, const auto& y) {
    return x.first == y.first && ContentOf(x.second) == ContentOf(y.second);
  };
  return std::ranges::equal(a.entries, b.entries, same) &&
         std::ranges::equal(a.targets, b.targets, same);
}

std::string Joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

// A line with the sum that `kiln lock` would give it.
std::string WithSum(const std::string& line) {
  return line + " sum=" + Hex(Digest(line)).substr(0, 8);
}
std::string WithoutSum(const std::string& line) { return line.substr(0, line.rfind(" sum=")); }

// Two entries, one of which nobody measured, and the description of their target.
LockFile SmallLock() {
  LockFile lock;
  const Target target = Renamed("rasp4b", "board");
  lock.targets["board"] = target;
  const LockKey conv{kConvKey, "board", 1, CacheState::kHot};
  const LockKey dense{kDenseKey, "board", 4, CacheState::kCold};
  lock.entries[conv] = TunedEntry(Builtins(), target, conv);
  lock.entries[dense] = EntryOf(*LowerDefault(Builtins(), target, dense), Origin::kDefault);
  return lock;
}

// Indices in LinesOf(PrintLock(SmallLock())); people count from 1.
constexpr std::size_t kVersionLine = 1, kConvLine = 2, kDenseLine = 3, kTargetLine = 4;

std::vector<std::string> SmallLines() { return LinesOf(PrintLock(SmallLock())); }

Status ErrorOf(const std::vector<std::string>& lines) { return ParseLock(Joined(lines)).status(); }

std::string LineName(std::size_t index) { return "line " + std::to_string(index + 1) + ": "; }

TEST(LockFileTest, EveryLockFileReadsBackAsItWas) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Rng rng(seed);
    const LockFile lock = DrawLock(rng);
    const std::string text = PrintLock(lock);
    const auto read = ParseLock(text);
    ASSERT_TRUE(read.ok()) << read.status() << "\n" << text;
    EXPECT_TRUE(IsSame(*read, lock)) << text;
    EXPECT_EQ(PrintLock(*read), text);
  }
}

TEST(LockFileTest, LinesAreInTheOrderOfTheirBytesWhateverIsAddedFirst) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Rng rng(seed);
    const LockFile lock = DrawLock(rng);
    const std::vector<std::string> lines = LinesOf(PrintLock(lock));
    ASSERT_EQ(lines.size(), 2 + lock.entries.size() + lock.targets.size());
    EXPECT_TRUE(std::is_sorted(lines.begin() + 2, lines.end()));
  }
}

TEST(LockFileTest, EachEntrySaysInWhichLineItStands) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Rng rng(seed);
    const std::string text = PrintLock(DrawLock(rng));
    const std::vector<std::string> lines = LinesOf(text);
    const LockFile lock = *ParseLock(text);
    for (const auto& [key, entry] : lock.entries) {
      ASSERT_THAT(entry.line, AllOf(Ge(1), testing::Le(std::ssize(lines))));
      EXPECT_THAT(lines[static_cast<std::size_t>(entry.line) - 1],
                  AllOf(StartsWith(key.workload + " target="),
                        HasSubstr(" threads=" + std::to_string(key.threads) +
                                  " cache=" + Name(key.cache) + " template=")));
    }
  }
}

TEST(LockFileTest, OfAnEntryOnlyItsLineChanges) {
  LockFile lock = SmallLock();
  const std::vector<std::string> before = LinesOf(PrintLock(lock));
  lock.entries.begin()->second.time->min_ns /= 2;
  const std::vector<std::string> after = LinesOf(PrintLock(lock));
  ASSERT_EQ(after.size(), before.size());
  for (std::size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ(after[i] == before[i], i != kConvLine) << after[i];
  }
}

TEST(LockFileTest, TargetThatNoEntryNamesIsNotWritten) {
  LockFile lock = SmallLock();
  lock.targets["unused"] = Renamed("rasp4b", "unused");
  EXPECT_EQ(PrintLock(lock), PrintLock(SmallLock()));
}

TEST(LockFileTest, AChangedByteIsAnErrorOfItsLineOrChangesNothing) {
  const std::string text = PrintLock(SmallLock());
  const LockFile lock = *ParseLock(text);
  const std::size_t begin = text.find("\nconv2d/") + 1;
  ASSERT_NE(begin, 0u);
  std::size_t line = kConvLine, line_begin = begin;
  for (std::size_t at = begin; at < text.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string changed = text;
      changed[at] = static_cast<char>(byte);
      if (changed == text) continue;
      const auto read = ParseLock(changed);
      if (read.ok()) {
        ASSERT_TRUE(IsSame(*read, lock)) << "byte " << at << " as " << byte << " is believed";
        continue;
      }
      // What is left of a line that begins with a new end stands in the next one.
      const bool is_cut_off = at == line_begin && byte == '\n';
      ASSERT_THAT(Message(read.status()), StartsWith(LineName(line + (is_cut_off ? 1 : 0))))
          << "byte " << at << " as " << byte;
    }
    if (text[at] == '\n') ++line, line_begin = at + 1;
  }
}

TEST(LockFileTest, ALostByteIsAnErrorOfItsLineOrChangesNothing) {
  const std::string text = PrintLock(SmallLock());
  const LockFile lock = *ParseLock(text);
  std::size_t line = kConvLine;
  for (std::size_t at = text.find("\nconv2d/") + 1; at < text.size(); ++at) {
    const auto read = ParseLock(text.substr(0, at) + text.substr(at + 1));
    if (read.ok()) {
      EXPECT_TRUE(IsSame(*read, lock)) << at;
      EXPECT_EQ(at, text.size() - 1);  // the last end of a line
    } else {
      EXPECT_THAT(Message(read.status()), StartsWith(LineName(line))) << at;
    }
    line += text[at] == '\n' ? 1 : 0;
  }
}

TEST(LockFileTest, ALineThatIsCutOffIsAnErrorOfThatLine) {
  const std::string text = PrintLock(SmallLock());
  std::size_t line = kConvLine;
  for (std::size_t size = text.find("\nconv2d/") + 2; size < text.size(); ++size) {
    if (text[size - 1] == '\n') {
      ++line;
      continue;  // whole lines
    }
    const auto read = ParseLock(text.substr(0, size));
    if (text[size] == '\n') {
      EXPECT_TRUE(read.ok()) << "only the end of the line is missing: " << read.status();
    } else {
      EXPECT_THAT(Message(read.status()), StartsWith(LineName(line))) << size;
    }
  }
}

TEST(LockFileTest, ACommentedOutEntryIsAnEditedLineAndNoComment) {
  std::vector<std::string> lines = SmallLines();
  lines[kDenseLine].insert(0, "#");
  EXPECT_THAT(Message(ErrorOf(lines)), StartsWith(LineName(kDenseLine)));
}

TEST(LockFileTest, CommentsAndEmptyLinesMayStandAnywhere) {
  const std::vector<std::string> lines = SmallLines();
  for (std::size_t at = 0; at <= lines.size(); ++at) {
    std::vector<std::string> more = lines;
    more.insert(more.begin() + static_cast<std::ptrdiff_t>(at), {"", "# why: speed", "#"});
    const auto read = ParseLock(Joined(more));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_TRUE(IsSame(*read, SmallLock()));
  }
}

TEST(LockFileTest, LineEndsOfACheckoutOnWindowsAreRead) {
  std::string text;
  for (const std::string& line : SmallLines()) text += line + "\r\n";
  const auto read = ParseLock(text);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(IsSame(*read, SmallLock()));
  EXPECT_EQ(PrintLock(*read), PrintLock(SmallLock()));
}

TEST(LockFileTest, LinesMayStandInAnyOrder) {
  std::vector<std::string> lines = SmallLines();
  std::reverse(lines.begin() + 2, lines.end());
  EXPECT_TRUE(IsSame(*ParseLock(Joined(lines)), SmallLock()));
}

TEST(LockFileTest, MarksOfAMergeConflictAreNamedAsSuch) {
  for (const char* mark : {"<<<<<<< HEAD", "=======", ">>>>>>> theirs", "||||||| base"}) {
    for (std::size_t at = 0; at <= SmallLines().size(); ++at) {
      std::vector<std::string> lines = SmallLines();
      lines.insert(lines.begin() + static_cast<std::ptrdiff_t>(at), mark);
      EXPECT_THAT(Message(ErrorOf(lines)),
                  StartsWith(LineName(at) + "an unresolved merge conflict"))
          << mark;
    }
  }
}

// A branch that tuned other layers, or the same: lines know nothing of each other.
TEST(LockFileTest, OfAMergeConflictEitherLineCanBeTaken) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Rng rng(seed);
    LockFile ours = DrawLock(rng);
    LockFile theirs = ours;
    for (auto& [key, entry] : theirs.entries) {
      if (rng.Below(2) == 0) entry = DrawEntry(rng);
    }
    for (auto& [name, target] : theirs.targets) {
      if (rng.Below(2) == 0) target = DrawTarget(rng, name);
    }
    LockFile merged;
    std::set<std::string> lines;
    // The line of one entry or target alone, as it stands in its file.
    const auto take = [&](const std::string& text) {
      const std::vector<std::string> all = LinesOf(text);
      lines.insert(all.begin() + 2, all.end());
    };
    for (const auto& [key, entry] : ours.entries) {
      const LockFile& side = rng.Below(2) == 0 ? ours : theirs;
      merged.entries[key] = side.entries.at(key);
      take(PrintLock({.entries = {{key, side.entries.at(key)}}, .targets = {}}));
    }
    for (const auto& [name, target] : ours.targets) {
      const LockFile& side = rng.Below(2) == 0 ? ours : theirs;
      merged.targets[name] = side.targets.at(name);
      const LockKey key{kDenseKey, name, 1, CacheState::kHot};
      const std::string with = PrintLock({.entries = {{key, {}}}, .targets = side.targets});
      for (const std::string& line : LinesOf(with)) {
        if (line.starts_with("target ")) lines.insert(line);
      }
    }
    const auto read =
        ParseLock("kiln-lock 1\n" + Joined(std::vector<std::string>(lines.begin(), lines.end())));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_TRUE(IsSame(*read, merged));
  }
}

TEST(LockFileTest, AnEntryTwiceIsAnErrorThatNamesBothLines) {
  std::vector<std::string> lines = SmallLines();
  LockFile faster = SmallLock();
  faster.entries.begin()->second.time->min_ns /= 2;
  lines.push_back(LinesOf(PrintLock(faster))[kConvLine]);
  const Status status = ErrorOf(lines);
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition) << status;
  EXPECT_THAT(Message(status),
              AllOf(StartsWith(LineName(lines.size() - 1) + "the same entry"),
                    HasSubstr("line " + std::to_string(kConvLine + 1)), HasSubstr(kConvKey)));
}

TEST(LockFileTest, ATargetTwiceIsAnErrorThatSaysToKeepEither) {
  std::vector<std::string> lines = SmallLines();
  lines.push_back(lines[kTargetLine]);
  const Status status = ErrorOf(lines);
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition) << status;
  EXPECT_THAT(Message(status),
              StartsWith(LineName(lines.size() - 1) + "the target board is described twice"));
  // Else the advice would be to remove the line, and `--update` does not write it again.
  EXPECT_THAT(Message(status), testing::EndsWith("keep either line"));
}

TEST(LockFileTest, WhatIsOfANewerKilnIsSaidToBe) {
  std::vector<std::string> lines = SmallLines();
  lines[kVersionLine] = "kiln-lock 2";
  lines[kConvLine] = "whatever that one writes";
  const Status status = ErrorOf(lines);
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(status), AllOf(StartsWith(LineName(kVersionLine)),
                                     HasSubstr("made by a newer Kiln: version 2")));
}

TEST(LockFileTest, WithoutAVersionThereIsNoLockFile) {
  EXPECT_THAT(Message(ParseLock("").status()), HasSubstr("not a lock file"));
  EXPECT_THAT(Message(ParseLock("# only a comment\n").status()), HasSubstr("not a lock file"));
  std::vector<std::string> lines = SmallLines();
  lines.erase(lines.begin() + kVersionLine);
  EXPECT_THAT(Message(ErrorOf(lines)), StartsWith("line 2: not a lock file"));
  for (const char* version : {"kiln-lock ", "kiln-lock one", "kiln-lock 0", "kiln-lock -1",
                              "kiln-lock 1 ", "kiln-lock 99999999999"}) {
    lines = SmallLines();
    lines[kVersionLine] = version;
    EXPECT_THAT(Message(ErrorOf(lines)), StartsWith("line 2: no version of a lock file"))
        << version;
  }
  EXPECT_TRUE(ParseLock("kiln-lock 1").ok());
}

// Lines with the right sum that no Kiln writes: of a version that knows more, or forged.
TEST(LockFileTest, LinesThatSayWhatIsNotKnownAreErrorsThatSayWhat) {
  const auto expect = [](std::size_t line, const std::string& from, const std::string& to,
                         const std::string& message) {
    std::vector<std::string> lines = SmallLines();
    std::string text = WithoutSum(lines[line]);
    const std::size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    lines[line] = WithSum(text.replace(at, from.size(), to));
    const Status status = ErrorOf(lines);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << to;
    EXPECT_THAT(Message(status), AllOf(StartsWith(LineName(line)), HasSubstr(message))) << to;
  };
  expect(kConvLine, "conv2d/", "conv3d/", "");
  expect(kConvLine, "k3x3", "k03x3", "");
  expect(kConvLine, "target=board", "board", "expected target=, got `board`");
  expect(kConvLine, "target=board", "target=b%2", "is no text");
  expect(kConvLine, "target=board", "target=b%-1", "is no text");
  expect(kConvLine, "target=board", "target=b%ZZ", "is no text");
  expect(kConvLine, "threads=1", "threads=0", "so many threads are not possible");
  expect(kConvLine, "threads=1", "threads=129", "so many threads are not possible");
  expect(kConvLine, "threads=1", "threads=1x", "threads=1x is no number");
  expect(kConvLine, "threads=1", "threads=99999999999", "is no number");
  expect(kConvLine, "cache=hot", "cache=warm", "cache is hot or cold");
  expect(kConvLine, "config=", "config=x,", "`x` is no knob=label");
  expect(kConvLine, "config=", "config=,", "`` is no knob=label");
  expect(kConvLine, "code=", "code=g", "is no number");
  expect(kConvLine, "code=", "code=fffffffffffffffff", "is no number");
  expect(kConvLine, "origin=tuned", "origin=guessed", "there is no origin `guessed`");
  expect(kConvLine, "min_ns=1000.0", "min_ns=0.0", "min_ns is no time");
  expect(kConvLine, "min_ns=1000.0", "min_ns=-1", "min_ns is no time");
  expect(kConvLine, "min_ns=1000.0", "min_ns=inf", "min_ns is no time");
  expect(kConvLine, "min_ns=1000.0", "min_ns=nan", "min_ns is no time");
  expect(kConvLine, "kind=measured", "kind=dreamt", "there is no kind `dreamt`");
  expect(kConvLine, "confirmed=yes", "confirmed=y", "confirmed is yes or no");
  expect(kConvLine, " measurement=", " more=", "expected measurement=");
  expect(kConvLine, " device=board-1", " device=board-1 and=more", "expected measurement=");
  expect(kDenseLine, "origin=default", "origin=default extra=1", "expected min_ns=, got `extra=1`");
  expect(kTargetLine, "target board", "target  board", "a target without a name");
  expect(kTargetLine, "isa=neon", "isa=neon:sve", "there is no feature `sve`");
  expect(kTargetLine, "cores=4", "cores=four", "cores=four is no number");
  expect(kTargetLine, "workspace=", "more=1 workspace=", "expected workspace=");
}

TEST(LockFileTest, AWordBehindTheLastIsAnError) {
  for (const std::size_t line : {kConvLine, kTargetLine}) {
    std::vector<std::string> lines = SmallLines();
    lines[line] = WithSum(WithoutSum(lines[line]) + " more=1");
    EXPECT_THAT(Message(ErrorOf(lines)), StartsWith(LineName(line) + "unexpected `more=1`"));
  }
}

TEST(LockFileTest, ADamagedLineSaysHowItIsMended) {
  std::vector<std::string> lines = SmallLines();
  lines[kConvLine].replace(lines[kConvLine].find("threads=1"), 9, "threads=2");
  EXPECT_THAT(Message(ErrorOf(lines)),
              StartsWith(LineName(kConvLine) + "the line was edited or is damaged; remove it"));
}

TEST(LockFileTest, ErrorsOfAFileNameIt) {
  const TemporaryDirectory directory;
  std::vector<std::string> lines = SmallLines();
  lines[kDenseLine].back() ^= 1;
  const std::string bad = directory.Write("bad.lock", Joined(lines));
  EXPECT_THAT(Message(ReadLockFile(bad).status()), StartsWith(bad + ": " + LineName(kDenseLine)));
  EXPECT_THAT(Message(ReadLockFile(directory.path().string()).status()),
              StartsWith(directory.path().string() + ": "));
  const Status none = ReadLockFile(directory.File("none.lock")).status();
  EXPECT_EQ(none.code(), StatusCode::kNotFound);
  EXPECT_THAT(Message(none), HasSubstr(directory.File("none.lock")));
}

TEST(LockFileTest, AWrittenFileReadsBack) {
  const TemporaryDirectory directory;
  const std::string path = directory.File("kiln.lock");
  ASSERT_TRUE(WriteLockFile(path, SmallLock()).ok());
  EXPECT_EQ(BytesOf(path), PrintLock(SmallLock()));
  const auto read = ReadLockFile(path);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(IsSame(*read, SmallLock()));
  EXPECT_EQ(directory.Count(), 1);
}

TEST(LockFileTest, AFileThatCannotBeWrittenStaysAsItIs) {
  const TemporaryDirectory directory;
  const std::string path = directory.Write("kiln.lock", "the old one");
  // Whoever is root may write anywhere; but no file takes the place of a directory, and the new
  // file begins under this name.
  const std::string draft = path + ".new." + std::to_string(getpid());
  std::filesystem::create_directory(draft);
  const Status status = WriteLockFile(path, SmallLock());
  EXPECT_THAT(Message(status), HasSubstr(path));
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(BytesOf(path), "the old one");
  EXPECT_FALSE(WriteLockFile(directory.File("none/kiln.lock"), SmallLock()).ok());
}

TEST(LockFileTest, WhatALockFileSaysOfATargetComesBeforeTheDataFile) {
  LockFile lock = SmallLock();
  Target mine = Renamed("x86-64", "rasp4b");
  lock.targets["rasp4b"] = mine;
  EXPECT_EQ(LockedTarget(lock, "rasp4b")->arch, "x86_64");
  EXPECT_EQ(LockedTarget(lock, "board")->cpu, "cortex-a72");
  EXPECT_EQ(LockedTarget(lock, "cascadelake")->cpu, "cascadelake");
  EXPECT_EQ(LockedTarget(lock, "nonesuch").status().code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace kiln
