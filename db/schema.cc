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
)sql";

// Trials of different kinds are different trials, each with a place in the order of its tuning, a
// batch and a prediction of its own. The table is made anew, since a UNIQUE constraint cannot be
// changed; while it is away, nobody asks what measurements refer to.
constexpr std::string_view kVersion3 = R"sql(
PRAGMA defer_foreign_keys = ON;
DROP VIEW kiln_trials;
CREATE TABLE trials_of_version_2 AS SELECT * FROM trials;
DROP TABLE trials;
CREATE TABLE trials (               -- one config of a task, as its code was then
  id          INTEGER PRIMARY KEY,
  task_id     INTEGER NOT NULL REFERENCES tasks (id),
  seq         INTEGER NOT NULL,     -- order within the task, from 1
  config_id   TEXT NOT NULL,
  labels      TEXT NOT NULL,        -- JSON object: knob -> label, in the order of the knobs
  code_digest TEXT NOT NULL,        -- 16 hex digits; zeros: lowering failed
  kind        TEXT NOT NULL CHECK (kind IN ('measured', 'emulated', 'estimated')),
  predicted   REAL,                 -- the cost model's score before measuring; higher is faster
  batch       INTEGER NOT NULL,     -- of the policy
  session_id  INTEGER NOT NULL REFERENCES sessions (id),
  UNIQUE (task_id, seq),
  UNIQUE (task_id, config_id, code_digest, kind)
);
INSERT INTO trials
  SELECT t.id, t.task_id, t.seq, t.config_id, t.labels, t.code_digest, m.kind, t.predicted, t.batch, t.session_id
  FROM trials_of_version_2 t JOIN measurements m ON m.id =
    (SELECT min(id) FROM measurements WHERE trial_id = t.id AND purpose = 'tune');
-- What a trial was measured as later comes behind all others of its task.
INSERT INTO trials (task_id, seq, config_id, labels, code_digest, kind, batch, session_id)
  SELECT t.task_id, (SELECT max(seq) FROM trials_of_version_2 a WHERE a.task_id = t.task_id)
      + row_number() OVER (PARTITION BY t.task_id ORDER BY m.id),
    t.config_id, t.labels, t.code_digest, m.kind, t.batch, t.session_id
  FROM trials t JOIN measurements m ON m.trial_id = t.id AND m.purpose = 'tune' AND m.kind <> t.kind;
UPDATE measurements SET trial_id =
  (SELECT own.id FROM trials first JOIN trials own USING (task_id, config_id, code_digest)
   WHERE first.id = measurements.trial_id AND own.kind = measurements.kind);
DROP INDEX one_tuning_measurement;
CREATE UNIQUE INDEX one_tuning_measurement ON measurements (trial_id) WHERE purpose = 'tune';
DROP TABLE trials_of_version_2;

-- Stable: scripts and builds may rely on these columns.
CREATE VIEW kiln_trials (task_id, config_id, status, seq, kind) AS
  SELECT trials.task_id, trials.config_id, measurements.status, trials.seq, trials.kind
  FROM trials JOIN measurements ON measurements.trial_id = trials.id
  WHERE measurements.purpose = 'tune';
)sql";

// A trial that is measured once more while tuning, on another device or by another program, keeps
// that measurement too ("repeat"); and a measurement says how its device was doing. The table is
// made anew, since a CHECK cannot be changed.
constexpr std::string_view kVersion4 = R"sql(
DROP VIEW kiln_trials;
CREATE TABLE measurements_of_version_4 (  -- what came of a trial; failures are findings
  id                   INTEGER PRIMARY KEY,
  uuid                 TEXT NOT NULL UNIQUE,
  trial_id             INTEGER NOT NULL REFERENCES trials (id),
  purpose              TEXT NOT NULL CHECK (purpose IN ('tune', 'repeat', 'confirm')),
  kind                 TEXT NOT NULL CHECK (kind IN ('measured', 'emulated', 'estimated')),
  device               TEXT,            -- NULL: never reached one
  measured_ms          INTEGER NOT NULL,-- Unix time
  status               TEXT NOT NULL,   -- ok, censored, or a failure: compile_error, timeout, ...
  stage                TEXT,            -- of a failure: lower, compile, load, pack, run, verify
  message              TEXT,            -- of a failure
  samples              TEXT,            -- JSON array of ns, in order; each the mean of `calls` calls
  calls                INTEGER,
  min_ns               REAL,            -- of the first 10 samples: the rank time of an ok one
  median_ns            REAL,
  bound_ns             REAL,            -- of a censored one: its rank time is no less
  frequency_before_mhz REAL,            -- of the first core that was measured on; NULL, here and
  frequency_after_mhz  REAL,            -- below: the machine did not say, or an older Kiln measured
  temperature_before_c REAL,            -- of the hottest thermal zone
  temperature_after_c  REAL,
  load_before          REAL,            -- processes, the mean of the last minute
  load_after           REAL,
  log                  TEXT,            -- what the runner could not do as it should; NULL: nothing
  CHECK (CASE status WHEN 'ok'       THEN min_ns IS NOT NULL AND bound_ns IS NULL AND stage IS NULL
                     WHEN 'censored' THEN bound_ns IS NOT NULL AND stage IS NULL
                     ELSE stage IS NOT NULL AND min_ns IS NULL END)
);
INSERT INTO measurements_of_version_4 (id, uuid, trial_id, purpose, kind, device, measured_ms, status,
    stage, message, samples, calls, min_ns, median_ns, bound_ns)
  SELECT id, uuid, trial_id, purpose, kind, device, measured_ms, status,
    stage, message, samples, calls, min_ns, median_ns, bound_ns FROM measurements;
DROP TABLE measurements;
ALTER TABLE measurements_of_version_4 RENAME TO measurements;
CREATE INDEX measurements_of_trial ON measurements (trial_id);
CREATE UNIQUE INDEX one_tuning_measurement ON measurements (trial_id) WHERE purpose = 'tune';

-- Stable: scripts and builds may rely on these columns.
CREATE VIEW kiln_trials (task_id, config_id, status, seq, kind) AS
  SELECT trials.task_id, trials.config_id, measurements.status, trials.seq, trials.kind
  FROM trials JOIN measurements ON measurements.trial_id = trials.id
  WHERE measurements.purpose = 'tune';
)sql";

// Lines of other programs' logs. Only their bytes are kept: what they say is read when it is asked for, so
// that a later version may understand more of them.
constexpr std::string_view kVersion5 = R"sql(
CREATE TABLE imported_lines (       -- never trials: nothing here was measured by Kiln as it stands
  id     INTEGER PRIMARY KEY,       -- in the order of their log
  format TEXT NOT NULL CHECK (format = 'autotvm'),
  raw    BLOB NOT NULL              -- with its newline, unless the log ended without one
);
)sql";

// The queue of the daemon: db/job_store.h. Of this database alone, so neither merged nor exported.
constexpr std::string_view kVersion6 = R"sql(
CREATE TABLE jobs (
  id             INTEGER PRIMARY KEY AUTOINCREMENT,  -- an id is never used again
  uuid           TEXT NOT NULL UNIQUE,
  user           TEXT NOT NULL,
  name           TEXT NOT NULL,
  target         TEXT NOT NULL,
  time_window    TEXT NOT NULL,     -- '': at any time
  priority       INTEGER NOT NULL,
  deadline_ms    INTEGER,           -- Unix time
  after          TEXT NOT NULL,     -- JSON array of ids
  spec           TEXT NOT NULL,     -- JSON
  series         TEXT NOT NULL,     -- '': it does not come again
  occurrence     TEXT NOT NULL,     -- local date of its night
  submitted_ms   INTEGER NOT NULL,
  state          TEXT NOT NULL CHECK (state IN ('queued', 'running', 'paused', 'finishing', 'done',
                                                'failed', 'cancelled', 'expired')),
  reason         TEXT NOT NULL,
  text           TEXT NOT NULL,
  since_ms       INTEGER NOT NULL,  -- of state and reason
  wish           TEXT NOT NULL CHECK (wish IN ('none', 'pause', 'cancel', 'cancel-now')),
  holder         TEXT NOT NULL,     -- '': nobody
  epoch          INTEGER NOT NULL,  -- of the last claim
  lease_until_ms INTEGER NOT NULL,
  crashes        INTEGER NOT NULL,  -- in a row
  trials         INTEGER NOT NULL,  -- of all runs
  ran_ms         INTEGER NOT NULL,
  progress       TEXT NOT NULL,     -- JSON, or ''
  CHECK ((state IN ('running', 'finishing')) = (holder <> ''))
);
CREATE UNIQUE INDEX one_occurrence ON jobs (series, occurrence) WHERE series <> '';
CREATE INDEX jobs_by_state ON jobs (state);

CREATE TABLE job_transitions (
  id     INTEGER PRIMARY KEY,
  job_id INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  at_ms  INTEGER NOT NULL,
  epoch  INTEGER NOT NULL,
  state  TEXT NOT NULL,
  reason TEXT NOT NULL,
  text   TEXT NOT NULL,
  who    TEXT NOT NULL              -- '': time
);
CREATE INDEX transitions_of_job ON job_transitions (job_id);

CREATE TABLE job_runs (             -- from a claim to its end
  job_id     INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  epoch      INTEGER NOT NULL,
  holder     TEXT NOT NULL,
  started_ms INTEGER NOT NULL,
  ended_ms   INTEGER,               -- NULL: not yet
  trials     INTEGER NOT NULL,
  ran_ms     INTEGER NOT NULL,
  PRIMARY KEY (job_id, epoch)
);
CREATE INDEX runs_by_end ON job_runs (ended_ms);

CREATE TABLE job_series (           -- jobs that come again with each night of a window
  name        TEXT PRIMARY KEY,
  user        TEXT NOT NULL,
  title       TEXT NOT NULL,        -- the name of its jobs
  target      TEXT NOT NULL,
  time_window TEXT NOT NULL,
  priority    INTEGER NOT NULL,
  deadline    TEXT NOT NULL,        -- time of day, or ''
  spec        TEXT NOT NULL,
  created_ms  INTEGER NOT NULL
);
)sql";

// Daemons with leases of different lengths share a queue, and one that was killed tells of ends that
// it has not told of.
constexpr std::string_view kVersion7 = R"sql(
ALTER TABLE jobs ADD COLUMN lease_ms INTEGER NOT NULL DEFAULT 30000;  -- of the last claim
ALTER TABLE jobs ADD COLUMN teller TEXT NOT NULL DEFAULT '';  -- who has to tell of its end; '': nobody
CREATE INDEX jobs_to_tell ON jobs (teller) WHERE teller <> '';
)sql";

constexpr std::array kMigrations = {kVersion1, kVersion2, kVersion3, kVersion4,
                                    kVersion5, kVersion6, kVersion7};

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
