#include "db/schema.h"

#include <SQLiteCpp/SQLiteCpp.h>

#include <array>
#include <cstddef>
#include <string>

namespace kiln {
namespace {

constexpr std::string_view kVersion1 = R"sql(
CREATE TABLE sessions (             -- one run of a program that added trials
  id         INTEGER PRIMARY KEY,
  started_ms INTEGER NOT NULL,      -- Unix time
  command    TEXT NOT NULL,
  seed       TEXT NOT NULL,         -- decimal: SQLite has no unsigned 64-bit integers
  compiler   TEXT NOT NULL,
  host       TEXT NOT NULL
);

CREATE TABLE tasks (
  id       INTEGER PRIMARY KEY,
  workload TEXT NOT NULL,           -- canonical key
  target   TEXT NOT NULL,
  threads  INTEGER NOT NULL CHECK (threads >= 1),
  cache    TEXT NOT NULL CHECK (cache IN ('hot', 'cold')),
  template TEXT NOT NULL,
  UNIQUE (workload, target, threads, cache, template)
);

CREATE TABLE trials (               -- one config of a task, as its code was then
  id          INTEGER PRIMARY KEY,
  task_id     INTEGER NOT NULL REFERENCES tasks (id),
  seq         INTEGER NOT NULL,     -- order within the task, from 1
  config_id   TEXT NOT NULL,
  labels      TEXT NOT NULL,        -- JSON object: knob -> label, in the order of the knobs
  code_digest TEXT NOT NULL,        -- 16 hex digits; zeros: lowering failed
  predicted   REAL,                 -- the cost model's score before measuring; higher is faster
  batch       INTEGER NOT NULL,     -- of the policy
  session_id  INTEGER NOT NULL REFERENCES sessions (id),
  UNIQUE (task_id, seq),
  UNIQUE (task_id, config_id, code_digest)
);

CREATE TABLE measurements (         -- what came of a trial; failures are findings
  id               INTEGER PRIMARY KEY,
  uuid             TEXT NOT NULL UNIQUE,
  trial_id         INTEGER NOT NULL REFERENCES trials (id),
  purpose          TEXT NOT NULL CHECK (purpose IN ('tune', 'confirm')),
  kind             TEXT NOT NULL CHECK (kind IN ('measured', 'emulated', 'estimated')),
  device           TEXT,            -- NULL: never reached one
  measured_ms      INTEGER NOT NULL,-- Unix time
  status           TEXT NOT NULL,   -- ok, censored, or a failure: compile_error, timeout, ...
  stage            TEXT,            -- of a failure: lower, compile, load, pack, run, verify
  message          TEXT,            -- of a failure
  samples          TEXT,            -- JSON array of ns, in order; each the mean of `calls` calls
  calls            INTEGER,
  min_ns           REAL,            -- of the first 10 samples: the rank time of an ok one
  median_ns        REAL,
  bound_ns         REAL,            -- of a censored one: its rank time is no less
  CHECK (CASE status WHEN 'ok'       THEN min_ns IS NOT NULL AND bound_ns IS NULL AND stage IS NULL
                     WHEN 'censored' THEN bound_ns IS NOT NULL AND stage IS NULL
                     ELSE stage IS NOT NULL AND min_ns IS NULL END)
);
CREATE INDEX measurements_of_trial ON measurements (trial_id);
CREATE UNIQUE INDEX one_tuning_measurement ON measurements (trial_id) WHERE purpose = 'tune';

CREATE TABLE peaks (                -- multiply-accumulates in registers: what kernels are held to
  id          INTEGER PRIMARY KEY,
  target      TEXT NOT NULL,
  threads     INTEGER NOT NULL CHECK (threads >= 1),
  gops        REAL NOT NULL CHECK (gops > 0),
  device      TEXT NOT NULL,
  measured_ms INTEGER NOT NULL      -- Unix time
);

-- Stable: scripts and builds may rely on these columns.
CREATE VIEW kiln_trials (task_id, config_id, status, seq) AS
  SELECT trials.task_id, trials.config_id, measurements.status, trials.seq
  FROM trials JOIN measurements ON measurements.trial_id = trials.id
  WHERE measurements.purpose = 'tune';
)sql";

// A config may have been measured on a device and on an emulated one: a tuning measurement of each
// kind.
constexpr std::string_view kVersion2 = R"sql(
DROP INDEX one_tuning_measurement;
CREATE UNIQUE INDEX one_tuning_measurement ON measurements (trial_id, kind) WHERE purpose = 'tune';
DROP VIEW kiln_trials;
CREATE VIEW kiln_trials (task_id, config_id, status, seq) AS
  SELECT trials.task_id, trials.config_id, measurements.status, trials.seq
  FROM trials JOIN measurements ON measurements.id =
    (SELECT id FROM measurements WHERE trial_id = trials.id AND purpose = 'tune'
     ORDER BY kind = 'measured' DESC, id LIMIT 1);
)sql";

constexpr std::array kMigrations = {kVersion1, kVersion2};

}  // namespace

Migrations SchemaMigrations() { return kMigrations; }

int UserVersion(SQLite::Database& database) {
  return database.execAndGet("PRAGMA user_version").getInt();
}

void Migrate(SQLite::Database& database, Migrations migrations) {
  SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
  const auto first = static_cast<std::size_t>(UserVersion(database));
  for (std::size_t version = first; version < migrations.size(); ++version) {
    database.exec(std::string(migrations[version]));
    database.exec("PRAGMA user_version = " + std::to_string(version + 1));
  }
  if (first < migrations.size()) {
    database.exec("PRAGMA application_id = " + std::to_string(kApplicationId));
  }
  transaction.commit();
}

}  // namespace kiln
