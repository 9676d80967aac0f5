#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "db/job_rules.h"
#include "db/job_store.h"

namespace SQLite {  // NOLINT(readability-identifier-naming): the library's
class Database;
}

namespace kiln {

// This is the SQL of the job tables (db/schema.cc), within a transaction of the caller's. Throws as
// SQLite does, and std::runtime_error at a word that no Kiln of this version writes.
class JobTables {
 public:
  explicit JobTables(SQLite::Database& database) : database_(database) {}

  std::optional<Job> FindJob(std::int64_t id);
  // One with its uuid, or else its occurrence.
  std::optional<Job> FindSame(const NewJob& job);
  std::vector<Job> FindJobs(const JobQuery& query);
  std::map<JobState, std::int64_t> Counts();
  std::vector<JobTransition> Steps(std::int64_t id);
  std::vector<JobRun> RunsSince(std::int64_t ms);

  // The id that the job gets; the rest of it is kept by Keep().
  std::int64_t AddJob(const NewJob& job, std::int64_t now_ms);
  JobEntry Load(Job job);
  void Keep(const JobEntry& entry);

  void PutSeries(const JobSeries& series);
  std::vector<JobSeries> Series();
  bool EndSeries(const std::string& name);  // false: there is none

  std::int64_t ForgetBefore(std::int64_t ms);  // how many

 private:
  void KeepRun(const JobRun& run);
  void AddStep(const JobTransition& step);

  SQLite::Database& database_;
};

}  // namespace kiln
