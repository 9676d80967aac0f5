// The rules that hold between rows of a database and that its schema cannot say.

#include <SQLiteCpp/SQLiteCpp.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <utility>

#include "db/database_tools.h"
#include "db/job_store.h"
#include "db/row_text.h"
#include "db/sqlite_connection.h"
#include "db/tuning_tables.h"

namespace kiln {
namespace {

using SQLite::Statement;

struct Rule {
  const char* what;   // "trial 7 ...": what is wrong with the row whose name the query gives
  const char* query;  // a column with the names of the rows that break it
};

constexpr std::array kRules = {
    Rule{"does not number its trials from 1 without gaps",
         "SELECT 'task ' || task_id FROM trials GROUP BY task_id"
         " HAVING min(seq) <> 1 OR max(seq) <> count(*)"},
    Rule{"has no measurement that it was tuned by",
         "SELECT 'trial ' || id FROM trials t WHERE NOT EXISTS"
         " (SELECT 1 FROM measurements m WHERE m.trial_id = t.id AND m.purpose = 'tune')"},
    Rule{"has another kind of times than its trial",
         "SELECT 'measurement ' || m.uuid FROM measurements m JOIN trials t ON t.id = m.trial_id"
         " WHERE m.kind <> t.kind"},
    Rule{"has no samples",
         "SELECT 'measurement ' || uuid FROM measurements"
         " WHERE status IN ('ok', 'censored') AND (samples IS NULL OR calls IS NULL OR calls < 1)"},
    Rule{"does not stand as its last transition says",
         "SELECT 'job ' || id FROM jobs j WHERE NOT EXISTS (SELECT 1 FROM job_transitions t"
         " WHERE t.id = (SELECT max(id) FROM job_transitions WHERE job_id = j.id)"
         " AND t.state = j.state AND t.reason = j.reason AND t.epoch = j.epoch)"},
    Rule{"does not have a run for each of its claims",
         "SELECT 'job ' || id FROM jobs j WHERE epoch <>"
         " (SELECT count(*) FROM job_runs r WHERE r.job_id = j.id AND r.epoch BETWEEN 1 AND "
         "j.epoch)"},
    Rule{"has a run that is open without a holder, or a holder without one",
         "SELECT 'job ' || id FROM jobs j WHERE CASE holder WHEN '' THEN 0 ELSE epoch END <>"
         " (SELECT coalesce(sum(epoch), 0) FROM job_runs r"
         "  WHERE r.job_id = j.id AND r.ended_ms IS NULL)"},
    Rule{"has not the trials and hours of its runs",
         "SELECT 'job ' || id FROM jobs j WHERE (trials, ran_ms) <>"
         " (SELECT coalesce(sum(trials), 0), coalesce(sum(ran_ms), 0) FROM job_runs r"
         "  WHERE r.job_id = j.id)"},
};

void CheckIntegrity(SQLite::Database& database, std::vector<std::string>& faults) {
  Statement integrity(database, "PRAGMA integrity_check");
  while (integrity.executeStep()) {
    if (std::string fault = integrity.getColumn(0).getString(); fault != "ok") {
      std::ranges::replace(fault, '\n', ' ');  // a line each
      faults.push_back("the file: " + std::move(fault));
    }
  }
  Statement broken(database, "PRAGMA foreign_key_check");
  while (broken.executeStep()) {
    faults.push_back("row " + broken.getColumn(1).getString() + " of " +
                     broken.getColumn(0).getString() + " refers to a row of " +
                     broken.getColumn(2).getString() + " that is not there");
  }
}

void CheckRules(SQLite::Database& database, std::vector<std::string>& faults) {
  for (const Rule& rule : kRules) {
    Statement row(database, rule.query);
    while (row.executeStep()) faults.push_back(row.getColumn(0).getString() + " " + rule.what);
  }
}

// Whether rows say what Kiln writes; each check throws what is wrong.
void CheckTrialTexts(SQLite::Database& database, std::vector<std::string>& faults) {
  Statement row(database, "SELECT id, config_id, labels, code_digest FROM trials");
  while (row.executeStep()) {
    const std::string name = "trial " + row.getColumn(0).getString();
    try {
      ParseDigest(row.getColumn(3).getString());
      if (ConfigId(ParseLabels(row.getColumn(2).getString())) != row.getColumn(1).getString()) {
        faults.push_back(name + " has a config_id that is not that of its labels");
      }
    } catch (const std::exception& error) {
      faults.push_back(name + " cannot be read: " + error.what());
    }
  }
}

void CheckTimes(const Timings& timings, Statement& row) {
  constexpr double kRounding = 1e-9;
  const double min_ns = row.getColumn(4).getDouble();
  if (std::abs(timings.min_ns() - min_ns) > kRounding * min_ns) {
    throw std::runtime_error("min_ns is not that of its samples");
  }
}

void CheckMeasurementTexts(SQLite::Database& database, std::vector<std::string>& faults) {
  Statement row(database, "SELECT uuid, status, stage, samples, min_ns FROM measurements");
  while (row.executeStep()) {
    try {
      const std::string status = row.getColumn(1).getString();
      if (status != "ok" && status != "censored") {
        ParseFailureKind(status);
        ParseStage(row.getColumn(2).getString());
      } else if (!row.isColumnNull(3)) {
        const Timings timings{ParseSamples(row.getColumn(3).getString()), 1};
        if (status == "ok") CheckTimes(timings, row);
      }
    } catch (const std::exception& error) {
      faults.push_back("measurement " + row.getColumn(0).getString() + ": " + error.what());
    }
  }
}

template <typename Value>
void CheckWord(const std::string& name, const StatusOr<Value>& value,
               std::vector<std::string>& faults) {
  if (!value.ok()) faults.push_back(name + ": " + Message(value.status()));
}

void CheckJobTexts(SQLite::Database& database, std::vector<std::string>& faults) {
  Statement row(database,
                "SELECT 'job ' || id, state, reason, wish, json_valid(after) AND json_valid(spec)"
                " AND (progress = '' OR json_valid(progress)) FROM jobs UNION ALL"
                " SELECT 'transition ' || id || ' of job ' || job_id, state, reason, 'none', 1"
                " FROM job_transitions");
  while (row.executeStep()) {
    const std::string name = row.getColumn(0).getString();
    CheckWord(name, JobStateNamed(row.getColumn(1).getString()), faults);
    CheckWord(name, JobReasonNamed(row.getColumn(2).getString()), faults);
    CheckWord(name, JobWishNamed(row.getColumn(3).getString()), faults);
    if (row.getColumn(4).getInt() == 0) faults.push_back(name + " has JSON that cannot be read");
  }
}

}  // namespace

StatusOr<std::vector<std::string>> CheckDatabase(const std::string& database) {
  ASSIGN_OR_RETURN(const std::unique_ptr<SQLite::Database> connection,
                   OpenConnection(database, OpenMode::kReadOnly));
  std::vector<std::string> faults;
  try {
    const SQLite::Transaction snapshot(*connection);
    CheckIntegrity(*connection, faults);
    CheckRules(*connection, faults);
    CheckTrialTexts(*connection, faults);
    CheckMeasurementTexts(*connection, faults);
    CheckJobTexts(*connection, faults);
  } catch (const std::exception& error) {
    if (faults.empty()) return Explain(error, database);  // else they say more
  }
  return faults;
}

}  // namespace kiln
