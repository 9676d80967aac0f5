#include "export/lock_update.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/export/locks.h"

namespace kiln {
namespace {

using ::testing::AllOf;
using ::testing::DoubleEq;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Optional;
using Kind = LockChange::Kind;

const LockKey kKey{kDenseKey, "rasp4b", 1, CacheState::kHot};
constexpr LockPolicy kAdd{}, kReplace{.replace = true}, kAny{.replace = true, .unconfirmed = true};

// An entry whose code, config and measurement a number tells from others.
LockEntry Entry(std::uint64_t code, std::optional<LockedTime> time,
                Origin origin = Origin::kTuned) {
  return {.kernel_template = "dense.neon",
          .labels = {{"tile", std::to_string(code)}},
          .code_digest = code,
          .origin = origin,
          .time = std::move(time)};
}
LockEntry Tuned(std::uint64_t code, double min_ns) { return Entry(code, SomeTime(min_ns)); }
LockEntry Unconfirmed(std::uint64_t code, double min_ns) {
  LockEntry entry = Tuned(code, min_ns);
  entry.time->confirmed = false;
  return entry;
}
LockEntry OfKind(TimeKind kind, std::uint64_t code, double min_ns) {
  LockEntry entry = Tuned(code, min_ns);
  entry.time->kind = kind;
  return entry;
}
LockEntry OnDevice(const std::string& device, std::uint64_t code, double min_ns) {
  LockEntry entry = Tuned(code, min_ns);
  entry.time->device = device;
  return entry;
}
LockEntry Default(std::uint64_t code = 99) { return Entry(code, std::nullopt, Origin::kDefault); }

LockOffer Offer(std::optional<LockEntry> best) {
  return {.key = kKey, .fallback = Default(), .best = std::move(best)};
}
LockOffer Stale(std::optional<LockEntry> best) {
  LockOffer offer = Offer(std::move(best));
  offer.stale = true;
  return offer;
}

// What an update made of a lock file with one entry, or none.
struct Updated {
  LockChange change;
  LockFile lock;
  std::string before, after;  // the texts

  const LockEntry& entry() const { return lock.entries.at(kKey); }
  bool is_untouched() const { return before == after; }
};

Updated Update(const std::optional<LockEntry>& locked, const LockOffer& offer,
               const LockPolicy& policy) {
  Updated updated;
  if (locked) updated.lock.entries[kKey] = *locked;
  updated.before = PrintLock(updated.lock);
  const std::vector<LockChange> changes = UpdateLock(updated.lock, {&offer, 1}, policy);
  EXPECT_EQ(changes.size(), 1u);
  updated.change = changes.at(0);
  EXPECT_EQ(updated.change.key, kKey);
  EXPECT_EQ(updated.change.before.has_value(), locked.has_value());
  EXPECT_EQ(updated.change.after->code_digest, updated.entry().code_digest);
  updated.after = PrintLock(updated.lock);
  return updated;
}

// All that is new is added, whatever the policy says of what is there.
TEST(LockUpdateTest, AConfirmedBestIsAdded) {
  for (const LockPolicy& policy : {kAdd, kReplace, kAny}) {
    const Updated updated = Update({}, Offer(Tuned(1, 500)), policy);
    EXPECT_EQ(updated.change.kind, Kind::kAdded);
    EXPECT_EQ(updated.entry().code_digest, 1u);
    EXPECT_EQ(updated.entry().time, SomeTime(500));
    EXPECT_THAT(updated.change.why, IsEmpty());
    EXPECT_FALSE(updated.change.gain);
  }
}

TEST(LockUpdateTest, WithoutABestTheDefaultIsAddedAndSaysWhy) {
  const Updated updated = Update({}, Offer({}), kAdd);
  EXPECT_EQ(updated.change.kind, Kind::kAdded);
  EXPECT_EQ(updated.entry().code_digest, 99u);
  EXPECT_EQ(updated.entry().origin, Origin::kDefault);
  EXPECT_EQ(updated.change.why, "nobody tuned it");
}

TEST(LockUpdateTest, AnUnconfirmedBestIsWithheldUnlessAskedFor) {
  const LockOffer offer = Offer(Unconfirmed(1, 500));
  const Updated withheld = Update({}, offer, kReplace);
  EXPECT_EQ(withheld.entry().origin, Origin::kDefault);
  EXPECT_THAT(withheld.change.why, AllOf(HasSubstr("not confirmed"), HasSubstr("--unconfirmed")));
  const Updated taken = Update({}, offer, {.unconfirmed = true});
  EXPECT_EQ(taken.entry().code_digest, 1u);
  EXPECT_FALSE(taken.entry().time->confirmed);
  EXPECT_THAT(taken.change.why, IsEmpty());
}

TEST(LockUpdateTest, WhatWasNotMeasuredIsWithheldUnlessAskedFor) {
  for (const TimeKind kind : {TimeKind::kEmulated, TimeKind::kEstimated}) {
    const LockOffer offer = Offer(OfKind(kind, 1, 500));  // and said to be confirmed
    const Updated withheld = Update({}, offer, kReplace);
    EXPECT_EQ(withheld.entry().origin, Origin::kDefault);
    EXPECT_THAT(withheld.change.why,
                AllOf(HasSubstr(std::string("is ") + Name(kind)), HasSubstr("--unconfirmed")));
    EXPECT_EQ(Update({}, offer, kAny).entry().code_digest, 1u);
  }
}

TEST(LockUpdateTest, ADoubtfulBestDoesNotReplaceWhatIsThere) {
  for (const LockEntry& best :
       {Unconfirmed(2, 1), OfKind(TimeKind::kEmulated, 2, 1), OfKind(TimeKind::kEstimated, 2, 1)}) {
    for (const LockEntry& locked : {Tuned(1, 500), Default()}) {
      const Updated updated = Update(locked, Offer(best), kReplace);
      EXPECT_EQ(updated.change.kind, Kind::kKept);
      EXPECT_TRUE(updated.is_untouched());
      EXPECT_THAT(updated.change.why, HasSubstr("--unconfirmed takes it"));
    }
  }
}

TEST(LockUpdateTest, WhatIsThereIsReplacedOnlyIfAskedFor) {
  for (const LockOffer& offer : {Offer(Tuned(2, 100)), Stale(Tuned(2, 100))}) {
    const Updated kept = Update(Tuned(1, 500), offer, kAdd);
    EXPECT_EQ(kept.change.kind, Kind::kKept);
    EXPECT_TRUE(kept.is_untouched());
    EXPECT_EQ(kept.change.why, "--update replaces it");
    EXPECT_EQ(Update(Tuned(1, 500), offer, kReplace).change.kind, Kind::kReplaced);
  }
}

TEST(LockUpdateTest, AFasterBestOfTheSameDeviceReplacesAndSaysWhatIsGained) {
  const Updated updated = Update(Tuned(1, 500), Offer(Tuned(2, 400)), kReplace);
  EXPECT_EQ(updated.change.kind, Kind::kReplaced);
  EXPECT_EQ(updated.entry().code_digest, 2u);
  EXPECT_EQ(updated.change.before->code_digest, 1u);
  EXPECT_THAT(updated.change.gain, Optional(DoubleEq(1.25)));
}

TEST(LockUpdateTest, WhatIsNotFasterIsNotTaken) {
  for (const double min_ns : {500.0, 500.1, 1000.0}) {
    const Updated updated = Update(Tuned(1, 500), Offer(Tuned(2, min_ns)), kAny);
    EXPECT_EQ(updated.change.kind, Kind::kKept) << min_ns;
    EXPECT_TRUE(updated.is_untouched());
    EXPECT_THAT(updated.change.why, HasSubstr("not faster"));
    EXPECT_FALSE(updated.change.gain);
  }
}

TEST(LockUpdateTest, TimesOfDifferentDevicesAreNotCompared) {
  const Updated updated = Update(Tuned(1, 500), Offer(OnDevice("board-2", 2, 1)), kAny);
  EXPECT_EQ(updated.change.kind, Kind::kKept);
  EXPECT_TRUE(updated.is_untouched());
  EXPECT_THAT(updated.change.why,
              AllOf(HasSubstr("board-1"), HasSubstr("board-2"), HasSubstr("remove the line")));
}

TEST(LockUpdateTest, TimesOfDifferentKindsAreNotCompared) {
  const Updated updated = Update(Tuned(1, 500), Offer(OfKind(TimeKind::kEmulated, 2, 1)), kAny);
  EXPECT_EQ(updated.change.kind, Kind::kKept);
  EXPECT_TRUE(updated.is_untouched());
}

TEST(LockUpdateTest, TimesOfOneKindThatWasNotMeasuredAreComparedWithEachOther) {
  const LockEntry locked = OfKind(TimeKind::kEmulated, 1, 500);
  const Updated updated = Update(locked, Offer(OfKind(TimeKind::kEmulated, 2, 250)), kAny);
  EXPECT_EQ(updated.change.kind, Kind::kReplaced);
  EXPECT_THAT(updated.change.gain, Optional(DoubleEq(2)));
}

TEST(LockUpdateTest, TheSameCodeKeepsItsLineToTheByte) {
  for (LockEntry best :
       {Tuned(1, 100), OnDevice("board-2", 1, 100), Unconfirmed(1, 100), Tuned(1, 900)}) {
    best.time->uuid = "another measurement";
    for (const LockPolicy& policy : {kAdd, kReplace, kAny}) {
      const Updated updated = Update(Tuned(1, 500), Offer(best), policy);
      EXPECT_NE(updated.change.kind, Kind::kReplaced);
      EXPECT_TRUE(updated.is_untouched()) << updated.after;
    }
    EXPECT_EQ(Update(Tuned(1, 500), Offer(best), kAny).change.kind, Kind::kSame);
  }
}

TEST(LockUpdateTest, TheSameCodeTakesAConfirmation) {
  for (const LockEntry& locked :
       {Unconfirmed(1, 500), OfKind(TimeKind::kEstimated, 1, 500), Default(1)}) {
    const Updated updated = Update(locked, Offer(OnDevice("board-2", 1, 700)), kReplace);
    EXPECT_EQ(updated.change.kind, Kind::kReplaced);
    EXPECT_TRUE(updated.entry().time->confirmed);
    EXPECT_EQ(updated.entry().time->device, "board-2");
    EXPECT_THAT(updated.change.why, HasSubstr("confirmed"));
  }
  const Updated unconfirmed = Update(Unconfirmed(1, 500), Offer(Unconfirmed(1, 400)), kAny);
  EXPECT_EQ(unconfirmed.change.kind, Kind::kSame);
  EXPECT_TRUE(unconfirmed.is_untouched());
}

TEST(LockUpdateTest, ADefaultIsReplacedByAnyBest) {
  const Updated updated = Update(Default(), Offer(Tuned(2, 1e9)), kReplace);
  EXPECT_EQ(updated.change.kind, Kind::kReplaced);
  EXPECT_EQ(updated.entry().code_digest, 2u);
  EXPECT_EQ(updated.entry().origin, Origin::kTuned);
  EXPECT_EQ(updated.change.why, "it was the default");
  EXPECT_FALSE(updated.change.gain);
}

TEST(LockUpdateTest, WithoutABestWhatIsThereStays) {
  for (const LockEntry& locked : {Tuned(1, 500), Default()}) {
    const Updated updated = Update(locked, Offer({}), kAny);
    EXPECT_EQ(updated.change.kind, Kind::kSame);
    EXPECT_TRUE(updated.is_untouched());
  }
}

TEST(LockUpdateTest, WhatIsStaleIsReplacedByTheBestThoughItIsSlower) {
  const Updated updated = Update(Tuned(1, 500), Stale(OnDevice("board-2", 2, 900)), kReplace);
  EXPECT_EQ(updated.change.kind, Kind::kReplaced);
  EXPECT_EQ(updated.entry().code_digest, 2u);
  EXPECT_EQ(updated.change.why, "it was stale");
  EXPECT_FALSE(updated.change.gain);
}

TEST(LockUpdateTest, WhatIsStaleSaysWhatIsGainedWhereOneDeviceMeasuredBoth) {
  const Updated updated = Update(Tuned(1, 500), Stale(Tuned(2, 400)), kReplace);
  ASSERT_EQ(updated.change.kind, Kind::kReplaced);
  ASSERT_TRUE(updated.change.gain);
  EXPECT_DOUBLE_EQ(*updated.change.gain, 1.25);
}

// Else an update after a change of Kiln would throw away all that was tuned, and --check be green.
TEST(LockUpdateTest, WhatWasTunedAndIsStaleWaitsForSomethingBetterThanADefault) {
  const Updated updated = Update(Tuned(1, 500), Stale({}), kReplace);
  EXPECT_EQ(updated.change.kind, Kind::kKept);
  EXPECT_TRUE(updated.is_untouched());
  EXPECT_EQ(updated.change.why, "it is stale, and nothing else is tuned");
}

TEST(LockUpdateTest, AStaleDefaultIsReplacedByTheDefaultOfToday) {
  const Updated updated = Update(Default(), Stale({}), kReplace);
  EXPECT_EQ(updated.change.kind, Kind::kReplaced);
  EXPECT_EQ(updated.entry().code_digest, 99u);
}

TEST(LockUpdateTest, WhatIsStaleAndHasADoubtfulBestSaysThatThereIsOne) {
  const Updated updated = Update(Tuned(1, 500), Stale(Unconfirmed(2, 400)), kReplace);
  EXPECT_TRUE(updated.is_untouched());
  EXPECT_THAT(updated.change.why, AllOf(HasSubstr("it is stale"), HasSubstr("not confirmed"),
                                        HasSubstr("--unconfirmed takes it")));
  EXPECT_EQ(Update(Tuned(1, 500), Stale(Unconfirmed(2, 400)), kAny).entry().code_digest, 2u);
}

// A config that the store knows to give wrong results is not linked because it is fast.
TEST(LockUpdateTest, WhatIsKnownToFailIsReplacedBySlowerBestsAndByDefaults) {
  LockOffer slower = Offer(Tuned(2, 900));
  slower.refuted = true;
  const Updated updated = Update(Tuned(1, 500), slower, kReplace);
  EXPECT_EQ(updated.change.kind, Kind::kReplaced);
  EXPECT_EQ(updated.entry().code_digest, 2u);
  EXPECT_THAT(updated.change.why, HasSubstr("fails"));
  LockOffer nothing = Offer({});
  nothing.refuted = true;
  EXPECT_EQ(Update(Tuned(1, 500), nothing, kReplace).entry().code_digest, 99u);
}

// The store may have judged the locked config again since, on the device that measured the best.
TEST(LockUpdateTest, WhatTheStoreSaysOfTheLockedConfigComesBeforeItsLine) {
  LockOffer slower = Offer(Tuned(2, 400));
  slower.locked_ns = 1000;
  EXPECT_THAT(Update(Tuned(1, 500), slower, kReplace).change.gain, Optional(DoubleEq(2.5)));
  LockOffer faster = Offer(Tuned(2, 400));
  faster.locked_ns = 300;
  EXPECT_EQ(Update(Tuned(1, 500), faster, kReplace).change.kind, Kind::kKept);
  LockOffer elsewhere = Offer(OnDevice("board-2", 2, 400));
  elsewhere.locked_ns = 600;
  EXPECT_THAT(Update(Tuned(1, 500), elsewhere, kReplace).change.gain, Optional(DoubleEq(1.5)));
}

TEST(LockUpdateTest, ABestWithoutATimeReplacesNothingThatHasOne) {
  for (const std::optional<double> locked_ns : {std::optional<double>(), std::optional(1000.0)}) {
    LockOffer offer = Offer(Entry(2, std::nullopt));
    offer.locked_ns = locked_ns;
    const Updated updated = Update(Tuned(1, 500), offer, kAny);
    EXPECT_EQ(updated.change.kind, Kind::kKept);
    EXPECT_TRUE(updated.is_untouched());
  }
}

TEST(LockUpdateTest, ChangesAreInTheOrderOfTheOffersAndOthersStay) {
  LockFile lock;
  const LockKey other{kDenseKey, "rasp4b", 4, CacheState::kHot};
  const LockKey cold{kDenseKey, "rasp4b", 1, CacheState::kCold};
  lock.entries[other] = Tuned(7, 70);
  std::vector<LockOffer> offers = {Offer(Tuned(2, 20)), Offer(Tuned(1, 10))};
  offers[0].key = cold;
  const std::vector<LockChange> changes = UpdateLock(lock, offers, kReplace);
  ASSERT_EQ(changes.size(), 2u);
  EXPECT_EQ(changes[0].key, cold);
  EXPECT_EQ(changes[1].key, kKey);
  EXPECT_EQ(lock.entries.size(), 3u);
  EXPECT_EQ(lock.entries.at(other).code_digest, 7u);
  EXPECT_EQ(lock.entries.at(cold).code_digest, 2u);
}

}  // namespace
}  // namespace kiln
