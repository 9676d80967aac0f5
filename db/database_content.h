#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "db/database_tools.h"
#include "db/tuning_store.h"

namespace SQLite {  // NOLINT(readability-identifier-naming): the library's
class Database;
}

// All that is in a database, piece by piece: how it goes from one to another, or to a file.

namespace kiln {

// A trial with all its measurements and the session that added it.
struct SharedTrial {
  TrialRecord record;
  Session session;
};

// This is told what a database has. Throws, or sets an error of its own, where it cannot take it.
class ContentSink {
 public:
  virtual ~ContentSink() = default;
  virtual void Take(const SharedTrial& trial) = 0;
  virtual void Take(const Peak& peak) = 0;
  virtual void TakeLine(const std::string& raw) = 0;  // an imported one, with its newline
};

// Trials by task and seq, then peaks, then imported lines in their order: equal databases tell equal
// things. Throws SQLite::Exception, or std::exception for rows that no Kiln wrote. Run it in a
// transaction. Holds the trials of one (workload, target, threads, cache) at a time.
void ReadContent(SQLite::Database& database, ContentSink& sink);

// This adds content to a database. A measurement whose uuid is there is skipped; another one of a
// (task, config, code digest, kind) that is there becomes a further measurement of that trial,
// which counts as tuned by the earliest that any database has tuned it by. Of equal imported lines
// there are as many as the source that has the most of them. Run all of it in one transaction. Throws
// as ReadContent.
class ContentMerger final : public ContentSink {
 public:
  explicit ContentMerger(SQLite::Database& database);
  ~ContentMerger() override;

  // Between two sources.
  void BeginSource();
  void Take(const SharedTrial& trial) override;
  void Take(const Peak& peak) override;
  void TakeLine(const std::string& raw) override;
  // Brings measurements and trials into the order of their times and numbers `seq` by it, so that
  // the result does not depend on what was added to what.
  void Finish();
  const MergeCount& count() const { return count_; }

 private:
  struct Known;
  std::int64_t TaskOf(const TrialRecord& record);
  std::int64_t SessionOf(const Session& session);
  bool IsKnown(const Trial& measurement);  // counts it

  SQLite::Database& database_;
  std::unique_ptr<Known> known_;
  MergeCount count_;
};

}  // namespace kiln
