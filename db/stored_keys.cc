#include "db/stored_keys.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <SQLiteCpp/VariadicBind.h>

#include <cstdint>
#include <string>
#include <utility>

#include "ops/workload_key.h"

namespace kiln {
namespace {

using SQLite::Statement;

struct Respelling {
  std::string stored, present;
};

std::vector<std::string> StoredKeys(SQLite::Database& database) {
  Statement row(database, "SELECT DISTINCT workload FROM tasks");
  std::vector<std::string> keys;
  while (row.executeStep()) keys.push_back(row.getColumn(0).getString());
  return keys;
}

std::vector<Respelling> FindRespellings(SQLite::Database& database) {
  std::vector<Respelling> respellings;
  for (std::string& key : StoredKeys(database)) {
    const StatusOr<Workload> workload = ReadWorkload(key);
    if (!workload.ok()) continue;
    if (std::string present = Key(*workload); present != key) {
      respellings.push_back({std::move(key), std::move(present)});
    }
  }
  return respellings;
}

// Moves the trials of task `from` to task `into`, and removes it. `same` finds, for the trials `a`
// of the one, those of the other that are the same.
void Merge(SQLite::Database& database, std::int64_t from, std::int64_t into) {
  const std::string same =
      " trials a JOIN trials b USING (config_id, code_digest, kind)"
      " WHERE a.task_id = :from AND b.task_id = :into";
  const std::string steps[] = {
      "UPDATE measurements SET trial_id = (SELECT b.id FROM" + same +
          " AND a.id = measurements.trial_id),"
          " purpose = CASE purpose WHEN 'tune' THEN 'repeat' ELSE purpose END"
          " WHERE trial_id IN (SELECT a.id FROM" +
          same + ")",
      "DELETE FROM trials WHERE id IN (SELECT a.id FROM" + same + ")",
      // Negative, since the numbers to come may still be taken.
      "UPDATE trials SET task_id = :into, seq = -placed.seq FROM"
      " (SELECT t.id, row_number() OVER (ORDER BY m.measured_ms, t.task_id, t.seq) AS seq"
      "  FROM trials t LEFT JOIN measurements m ON m.trial_id = t.id AND m.purpose = 'tune'"
      "  WHERE t.task_id IN (:from, :into)) AS placed WHERE trials.id = placed.id",
      "UPDATE trials SET seq = -seq WHERE task_id IN (:from, :into)",
      "DELETE FROM tasks WHERE id = :from AND id <> :into",
  };
  for (const std::string& sql : steps) {
    Statement step(database, sql);
    step.bind(":from", from);
    step.bind(":into", into);
    step.exec();
  }
}

void Respell(SQLite::Database& database, const Respelling& respelling) {
  struct Pair {
    std::int64_t task = 0, twin = 0;  // twin 0: none
  };
  std::vector<Pair> pairs;
  Statement find(database,
                 "SELECT k.id, coalesce(twin.id, 0) FROM tasks k LEFT JOIN tasks twin"
                 " ON twin.workload = ? AND twin.target = k.target AND twin.threads = k.threads"
                 " AND twin.cache = k.cache AND twin.template = k.template WHERE k.workload = ?");
  SQLite::bind(find, respelling.present, respelling.stored);
  while (find.executeStep()) {
    pairs.push_back({find.getColumn(0).getInt64(), find.getColumn(1).getInt64()});
  }
  find.reset();
  Statement rename(database, "UPDATE tasks SET workload = ? WHERE id = ?");
  for (const auto& [task, twin] : pairs) {
    if (twin != 0) {
      Merge(database, task, twin);
      continue;
    }
    rename.reset();
    SQLite::bind(rename, respelling.present, task);
    rename.exec();
  }
}

}  // namespace

void RespellKeys(SQLite::Database& database) {
  if (FindRespellings(database).empty()) return;
  SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
  for (const Respelling& respelling : FindRespellings(database)) Respell(database, respelling);
  transaction.commit();
}

void RespeltKeys::Show(SQLite::Database& database) {
  const int version = database.execAndGet("PRAGMA data_version").getInt();
  if (nothing_at_ == version) return;
  const std::vector<Respelling> respellings = FindRespellings(database);
  if (respellings.empty()) {
    nothing_at_ = version;
    return;
  }
  // A name without a schema means the temporary table before any other.
  database.exec(R"sql(
    CREATE TEMP TABLE tasks AS SELECT * FROM main.tasks;
    CREATE TEMP TABLE trials AS SELECT * FROM main.trials;
    CREATE TEMP TABLE measurements AS SELECT * FROM main.measurements;
    CREATE INDEX temp.shown_trials ON trials (task_id);
    CREATE INDEX temp.shown_measurements ON measurements (trial_id);
  )sql");
  for (const Respelling& respelling : respellings) Respell(database, respelling);
}

std::vector<UnknownWorkload> FindUnknownWorkloads(SQLite::Database& database) {
  Statement count(
      database, "SELECT count(*) FROM trials JOIN tasks ON tasks.id = task_id WHERE workload = ?");
  std::vector<UnknownWorkload> unknown;
  for (std::string& key : StoredKeys(database)) {
    const StatusOr<Workload> workload = ReadWorkload(key);
    if (workload.ok()) continue;
    count.reset();
    count.bind(1, key);
    count.executeStep();
    unknown.push_back({std::move(key), count.getColumn(0).getInt64(), Message(workload.status())});
  }
  return unknown;
}

}  // namespace kiln
