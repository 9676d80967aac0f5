// SQLite's WAL-reset bug (db/checkpoint_lock.h), made to happen: a VFS holds a checkpoint at the two
// points where another connection must come in between.
//
//   1. One writer has committed, its log is long, and its automatic checkpoint begins: meanwhile a
//      rival commits, and checkpoints all of the log.
//   2. The checkpoint has read how long the log is: meanwhile the rival commits again. It finds the
//      log copied, and starts it anew.
//
// Then the checkpoint goes on. It finds that nothing of a long log has been copied, copies what it
// takes for it, and notes as copied what nobody has written yet.

#include <SQLiteCpp/SQLiteCpp.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/db/trials.h"
#include "tests/db/watched_vfs.h"

namespace kiln {
namespace {

using ::testing::IsEmpty;

// Holds the checkpoint of one thread.
class Window final : public LockWatcher {
 public:
  void Hold(std::function<void()> begins, std::function<void()> reads,
            std::function<void()> refused) {
    begins_ = std::move(begins);
    reads_ = std::move(reads);
    refused_ = std::move(refused);
    victim_ = std::this_thread::get_id();
  }
  void Release() { victim_ = std::thread::id(); }
  bool begun() const { return begins_ == nullptr; }
  bool held() const { return begun() && reads_ == nullptr; }

  // Transactions read before they write. So who asks for one of these locks, and does not read, is
  // about to checkpoint.
  void BeforeLock(int first, bool lock, bool reads) override {
    if (IsVictim() && lock && first <= kWalCheckpointLock && !reads) CallOnce(begins_);
  }
  void Refused(int first) override {
    if (victim_ != std::thread::id() && !IsVictim() && first == kWalWriteLock) refused_();
  }
  void AfterHeader() override {
    if (IsVictim() && begun()) CallOnce(reads_);
  }

 private:
  bool IsVictim() const { return std::this_thread::get_id() == victim_; }
  static void CallOnce(std::function<void()>& hook) {
    if (const auto once = std::exchange(hook, nullptr)) once();
  }

  std::atomic<std::thread::id> victim_;
  std::function<void()> begins_, reads_, refused_;
};

Window& TheWindow() {
  static Window& window = *[] {
    auto* made = new Window;
    WatchLocks(*made);
    return made;
  }();
  return window;
}

// One that writes rows with uuids of its own.
class Writer {
 public:
  virtual ~Writer() = default;
  virtual void Append(const std::vector<std::string>& uuids) = 0;
};

// As a program writes that leaves checkpoints to SQLite.
class PlainWriter final : public Writer {
 public:
  explicit PlainWriter(const std::string& path)
      : database_(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, /*aBusyTimeoutMs=*/10'000) {
    database_.exec(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
        "CREATE TABLE IF NOT EXISTS measurements (uuid TEXT PRIMARY KEY, samples BLOB)");
  }
  void Append(const std::vector<std::string>& uuids) override {
    SQLite::Transaction transaction(database_, SQLite::TransactionBehavior::IMMEDIATE);
    SQLite::Statement insert(database_, "INSERT INTO measurements VALUES (?, zeroblob(2000))");
    for (const std::string& uuid : uuids) {
      insert.reset();
      insert.bind(1, uuid);
      insert.exec();
    }
    transaction.commit();
  }

 private:
  SQLite::Database database_;
};

class StoreWriter final : public Writer {
 public:
  explicit StoreWriter(const std::string& path)
      : store_(*OpenSqliteStore(path, OpenMode::kReadWrite)) {}
  void Append(const std::vector<std::string>& uuids) override {
    std::vector<Trial> trials;
    for (const std::string& uuid : uuids) {
      trials.push_back(OkTrial(task_, next_++ % task_.space().size(), 100, uuid));
    }
    const Status status = store_->Append(task_, CacheState::kHot, trials);
    if (!status.ok()) throw std::runtime_error(Message(status));
  }

 private:
  const Task task_ = FakeTask(ManyConfigs());
  std::unique_ptr<TuningStore> store_;
  std::uint64_t next_ = 0;
};

// Writes with one of the two and remembers what was acknowledged.
class Record {
 public:
  Record(Writer& writer, std::string prefix) : writer_(writer), prefix_(std::move(prefix)) {}
  void Append(int count) {
    std::vector<std::string> uuids;
    for (int i = 0; i < count; ++i) uuids.push_back(prefix_ + std::to_string(next_++));
    try {
      writer_.Append(uuids);
      acknowledged_.insert(acknowledged_.end(), uuids.begin(), uuids.end());
    } catch (const std::exception& error) {  // as a damaged database makes it
      errors_.push_back(error.what());
    }
  }
  const std::vector<std::string>& acknowledged() const { return acknowledged_; }
  const std::vector<std::string>& errors() const { return errors_; }

 private:
  Writer& writer_;
  const std::string prefix_;
  int next_ = 0;
  std::vector<std::string> acknowledged_, errors_;
};

// A thread that appends when it is told to.
class Rival {
 public:
  explicit Rival(Record& record) : record_(record) {}
  // Returns when the rows are stored, or the write lock was refused, so that the caller must go on
  // before they can be.
  void Append(int count) {
    Finish();
    std::unique_lock lock(mutex_);
    busy_ = true;
    refused_ = false;
    thread_ = std::thread([this, count] {
      record_.Append(count);
      const std::lock_guard done(mutex_);
      busy_ = false;
      changed_.notify_all();
    });
    changed_.wait(lock, [this] { return !busy_ || refused_; });
  }
  void Refuse() {
    const std::lock_guard lock(mutex_);
    refused_ = true;
    changed_.notify_all();
  }
  void Finish() {
    if (thread_.joinable()) thread_.join();
  }

 private:
  Record& record_;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool busy_ = false, refused_ = false;
};

struct Outcome {
  bool held = false;              // both points were reached
  std::vector<std::string> lost;  // acknowledged, but not there
  std::vector<std::string> errors;
  std::string integrity;
};

template <typename SomeWriter>
Outcome WriteThroughTheWindow(const std::string& path) {
  Window& window = TheWindow();
  Outcome outcome;
  std::vector<std::string> acknowledged;
  {
    SomeWriter one(path), other(path);
    Record record(one, "one/"), rivals(other, "rival/");
    Rival rival(rivals);
    record.Append(1);
    rival.Append(1);
    rival.Finish();
    const auto come_between = [&] { rival.Append(1); };
    window.Hold(come_between, come_between, [&] { rival.Refuse(); });
    for (int i = 0; i < 2000 && !window.begun(); ++i) record.Append(20);
    rival.Finish();
    outcome.held = window.held();
    window.Release();
    // Further transactions, over the length of the old log.
    for (int i = 0; i < 40; ++i) {
      record.Append(20);
      rival.Append(20);
      rival.Finish();
    }
    for (const Record* one_record : {&record, &rivals}) {
      acknowledged.insert(acknowledged.end(), one_record->acknowledged().begin(),
                          one_record->acknowledged().end());
      outcome.errors.insert(outcome.errors.end(), one_record->errors().begin(),
                            one_record->errors().end());
    }
  }
  SQLite::Database database(path);
  std::set<std::string> stored;
  try {
    SQLite::Statement row(database, "SELECT uuid FROM measurements NOT INDEXED");
    while (row.executeStep()) stored.insert(row.getColumn(0).getString());
    outcome.integrity = database.execAndGet("PRAGMA integrity_check(1)").getString();
  } catch (const SQLite::Exception& error) {
    outcome.integrity = error.what();
  }
  for (const std::string& uuid : acknowledged) {
    if (!stored.contains(uuid)) outcome.lost.push_back(uuid);
  }
  return outcome;
}

// Whether the SQLite that runs here has the bug.
bool HasTheBug() {
  const int version = sqlite3_libversion_number();
  return version < 3044006 || (version > 3045000 && version < 3050007) ||
         (version > 3051000 && version < 3051003);
}

// If this fails, SQLite has changed so that the test below shows nothing any more.
TEST(WalResetTest, WithoutTheLockCommittedRowsAreLost) {
  if (!HasTheBug()) GTEST_SKIP() << "SQLite " << sqlite3_libversion() << " does not have the bug";
  const TempDir dir;
  const Outcome outcome = WriteThroughTheWindow<PlainWriter>(dir.File("plain.db"));
  EXPECT_TRUE(outcome.held);
  EXPECT_FALSE(outcome.lost.empty());
  RecordProperty("lost", static_cast<int>(outcome.lost.size()));
  RecordProperty("integrity", outcome.integrity);
}

TEST(WalResetTest, TheStoreLosesNothing) {
  const TempDir dir;
  const Outcome outcome = WriteThroughTheWindow<StoreWriter>(dir.File("tuning.db"));
  EXPECT_TRUE(outcome.held);
  EXPECT_THAT(outcome.lost, IsEmpty());
  EXPECT_THAT(outcome.errors, IsEmpty());
  EXPECT_EQ(outcome.integrity, "ok");
}

}  // namespace
}  // namespace kiln
