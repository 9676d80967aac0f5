// stress_store SECONDS [PROCESSES [SEED [DATABASE]]]: several processes write to one database, each
// in batches, opening and closing it in between, so that logs are copied and started anew all the
// time. Some are killed. Every uuid that one of them was told is stored must be there at every
// look, and at the end; the exit status is 1 if one is not, or if the file is damaged.
//
// Connections hesitate where a checkpoint begins, so that others come in between. Even so the window
// of SQLite's WAL-reset bug is too narrow to be met by chance: wal_reset_test.cc goes there.

#include <SQLiteCpp/SQLiteCpp.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include "base/rng.h"
#include "tests/db/child.h"
#include "tests/db/trials.h"
#include "tests/db/watched_vfs.h"

namespace kiln {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uintmax_t kMostLogBytes = 64 << 20;  // a checkpoint is due every 4 MiB
constexpr auto kLookEvery = std::chrono::milliseconds(500);

// Dawdles where a checkpoint begins, and where it has read how long the log is.
class Hesitation final : public LockWatcher {
 public:
  explicit Hesitation(std::uint64_t seed) : rng_(seed) {}
  void BeforeLock(int first, bool lock, bool reads) override {
    if (lock && !reads && first <= kWalCheckpointLock) Hesitate();
  }
  void AfterHeader() override { Hesitate(); }

 private:
  void Hesitate() {
    if (rng_.Below(2) == 0) return;
    std::this_thread::sleep_for(std::chrono::microseconds(rng_.Below(30'000)));
  }
  Rng rng_;
};

// Writes until the deadline, and prints each uuid that is stored.
int RunWriter(const std::string& path, const std::string& name, std::uint64_t seed,
              std::int64_t milliseconds) {
  Hesitation hesitation(seed ^ 1);
  WatchLocks(hesitation);
  Rng rng(seed);
  const Task task = FakeTask(ManyConfigs());
  const auto deadline = Clock::now() + std::chrono::milliseconds(milliseconds);
  std::uint64_t next = 0;
  while (Clock::now() < deadline) {
    const auto store = OpenSqliteStore(path, OpenMode::kReadWrite);
    Status status = store.status();
    for (auto batches = 1 + rng.Below(100); status.ok() && batches > 0; --batches) {
      std::vector<Trial> batch;
      for (auto trials = 1 + rng.Below(16); trials > 0; --trials) {
        batch.push_back(OkTrial(task, rng.Below(task.space().size()), 100,
                                name + "/" + std::to_string(next++)));
      }
      status = (*store)->Append(task, CacheState::kHot, batch);
      if (!status.ok()) break;
      for (const Trial& trial : batch) std::printf("%s\n", trial.uuid.c_str());
      std::fflush(stdout);
      if (Clock::now() >= deadline) break;
    }
    if (!status.ok()) {
      std::fprintf(stderr, "%s: %s\n", name.c_str(), Message(status).c_str());
      return 1;
    }
  }
  return 0;
}

// One place in the round of writers: a process, what it says, and the next one when it is killed.
class Lane {
 public:
  Lane(std::string program, std::string path, int number, std::uint64_t seed, Clock::time_point end)
      : program_(std::move(program)),
        path_(std::move(path)),
        number_(number),
        rng_(seed),
        end_(end),
        thread_([this] { Run(); }) {}
  ~Lane() { Join(); }
  void Join() {
    if (thread_.joinable()) thread_.join();
  }
  std::vector<std::string> Acknowledged() const {
    const std::lock_guard lock(mutex_);
    return acknowledged_;
  }
  std::size_t count() const { return count_; }
  int failures() const { return failures_; }

 private:
  void Run() {
    for (int life = 0; Clock::now() < end_; ++life) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end_ - Clock::now());
      Child writer({program_, "--writer", path_,
                    std::to_string(number_) + "." + std::to_string(life),
                    std::to_string(rng_.Next()), std::to_string(left.count())});
      const auto killed_at = rng_.Below(2) == 0 ? 200 + rng_.Below(5000) : ~std::uint64_t{0};
      std::uint64_t said = 0;
      for (std::string uuid; !(uuid = writer.ReadLine()).empty();) {
        const std::lock_guard lock(mutex_);
        acknowledged_.push_back(std::move(uuid));
        ++count_;
        if (++said == killed_at) writer.Kill();
      }
      if (writer.Wait() != 0 && said < killed_at) ++failures_;
    }
  }

  const std::string program_, path_;
  const int number_;
  Rng rng_;
  const Clock::time_point end_;
  mutable std::mutex mutex_;
  std::vector<std::string> acknowledged_;
  std::atomic<std::size_t> count_ = 0;
  std::atomic<int> failures_ = 0;
  std::thread thread_;  // last: it uses everything above
};

// What a reader finds now.
std::size_t CountStored(const std::string& path) {
  SQLite::Database database(path, SQLite::OPEN_READONLY, 10'000);
  return static_cast<std::size_t>(
      database.execAndGet("SELECT count(*) FROM measurements NOT INDEXED").getInt64());
}

std::size_t CountMissing(const std::string& path, const std::vector<std::string>& acknowledged) {
  SQLite::Database database(path, SQLite::OPEN_READONLY, 10'000);
  SQLite::Statement row(database, "SELECT uuid FROM measurements NOT INDEXED");
  std::set<std::string> stored;
  while (row.executeStep()) stored.insert(row.getColumn(0).getString());
  return static_cast<std::size_t>(std::ranges::count_if(
      acknowledged, [&](const std::string& uuid) { return !stored.contains(uuid); }));
}

// Empty, or what is wrong with the file.
std::string Damage(const std::string& path) {
  SQLite::Database database(path);
  const std::string damage = database.execAndGet("PRAGMA integrity_check(1)").getString();
  if (damage != "ok") return damage;
  const int gaps = database
                       .execAndGet(
                           "SELECT count(*) FROM (SELECT max(seq) AS last, count(*) AS all_"
                           " FROM trials GROUP BY task_id) WHERE last <> all_")
                       .getInt();
  return gaps == 0 ? "" : "trials are not numbered without gaps";
}

int Stress(const std::string& program, const std::string& path, int seconds, int processes,
           std::uint64_t seed) {
  std::printf("%d writers, %d s, seed %llu, SQLite %s\n", processes, seconds,
              static_cast<unsigned long long>(seed), sqlite3_libversion());
  std::fflush(stdout);
  if (!OpenSqliteStore(path, OpenMode::kReadWrite).ok()) return 1;
  const auto end = Clock::now() + std::chrono::seconds(seconds);
  Rng rng(seed);
  std::vector<std::unique_ptr<Lane>> lanes;
  for (int i = 0; i < processes; ++i) {
    lanes.push_back(std::make_unique<Lane>(program, path, i, rng.Next(), end));
  }
  std::uintmax_t longest_log = 0;
  std::size_t looks = 0, short_looks = 0;
  for (; Clock::now() < end; std::this_thread::sleep_for(kLookEvery), ++looks) {
    std::size_t acknowledged = 0;
    for (const auto& lane : lanes) acknowledged += lane->count();
    if (CountStored(path) < acknowledged) ++short_looks;
    std::error_code gone;  // the last one to close removes it
    const auto size = std::filesystem::file_size(path + "-wal", gone);
    if (!gone) longest_log = std::max(longest_log, size);
  }
  std::vector<std::string> acknowledged;
  int failures = 0;
  for (const auto& lane : lanes) {
    lane->Join();
    failures += lane->failures();
    for (std::string& uuid : lane->Acknowledged()) acknowledged.push_back(std::move(uuid));
  }
  const std::size_t missing = CountMissing(path, acknowledged);
  const std::string damage = Damage(path);
  std::printf(
      "%zu acknowledged, %zu of them missing; %zu of %zu looks saw too few; %d writers "
      "failed; log of at most %.1f MiB; %s\n",
      acknowledged.size(), missing, short_looks, looks, failures,
      static_cast<double>(longest_log) / (1 << 20), damage.empty() ? "ok" : damage.c_str());
  const bool good = missing == 0 && short_looks == 0 && failures == 0 && damage.empty() &&
                    longest_log <= kMostLogBytes && !acknowledged.empty();
  return good ? 0 : 1;
}

}  // namespace
}  // namespace kiln

int main(int argc, char** argv) {
  const auto number = [&](int i, std::uint64_t otherwise) {
    return i < argc ? std::strtoull(argv[i], nullptr, 10) : otherwise;
  };
  try {
    if (argc == 6 && std::string(argv[1]) == "--writer") {
      return kiln::RunWriter(argv[2], argv[3], number(4, 0),
                             static_cast<std::int64_t>(number(5, 0)));
    }
    if (argc < 2 || number(1, 0) == 0) {
      std::fprintf(stderr, "stress_store SECONDS [PROCESSES [SEED [DATABASE]]]\n");
      return 2;
    }
    const kiln::TempDir scratch;
    const std::string path = argc > 4 ? argv[4] : scratch.File("tuning.db");
    const auto now =
        static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
    return kiln::Stress("/proc/self/exe", path, static_cast<int>(number(1, 0)),
                        static_cast<int>(number(2, 4)), number(3, now % 1'000'000));
  } catch (const std::exception& error) {  // SQLite's: the file is damaged
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
