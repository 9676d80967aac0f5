#include <SQLiteCpp/SQLiteCpp.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <unordered_map>
#include <utility>

#include "db/autotvm_log.h"
#include "db/content_json.h"
#include "db/database_tools.h"
#include "db/sqlite_connection.h"
#include "db/stored_keys.h"
#include "db/tuning_tables.h"

namespace kiln {
namespace {

namespace fs = std::filesystem;

using Connection = std::unique_ptr<SQLite::Database>;

// All of a database is looked at, in the order of tasks, not of the file; in KiB.
constexpr const char* kLargeCache = "PRAGMA cache_size = -131072";

// Tells one state of a database, with the present spelling of its keys.
Status ReadAll(SQLite::Database& database, const std::string& path, ContentSink& sink) {
  try {
    database.exec(kLargeCache);
    const SQLite::Transaction snapshot(database);
    RespeltKeys().Show(database);
    ReadContent(database, sink);
    return {};
  } catch (const std::exception& error) {
    return Explain(error, path);
  }
}

// Runs `fill`, which hands content to a merger, as one transaction of the database at `path`.
template <typename Fill>
StatusOr<MergeCount> MergeInto(const std::string& path, Fill fill) {
  ASSIGN_OR_RETURN(const Connection database, OpenConnection(path, OpenMode::kReadWrite));
  MergeCount count;
  try {
    database->exec(kLargeCache);
    SQLite::Transaction transaction(*database, SQLite::TransactionBehavior::IMMEDIATE);
    ContentMerger merger(*database);
    RETURN_IF_ERROR(fill(merger));
    merger.Finish();
    count = merger.count();
    transaction.commit();
  } catch (const std::exception& error) {
    return Explain(error, path);
  }
  database->tryExec("PRAGMA wal_checkpoint(TRUNCATE)");
  return count;
}

// This hears what a text says and does nothing: to see that it can be read before a database is made for it.
class Listener final : public ContentSink {
 public:
  void Take(const SharedTrial&) override {}
  void Take(const Peak&) override {}
  void TakeLine(const std::string&) override {}
};

// The lines of a text, each with its newline.
std::vector<std::string_view> LinesOf(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t size = std::min(text.find('\n'), text.size() - 1) + 1;
    lines.push_back(text.substr(0, size));
    text.remove_prefix(size);
  }
  return lines;
}

// This writes an AutoTVM log. Imported lines come last here, and first in the log.
class AutotvmWriter final : public ContentSink {
 public:
  void Take(const SharedTrial& trial) override {
    Add(trial.record, trial.record.trial);
    for (const Remeasurement& more : trial.record.again) Add(trial.record, more.trial);
  }
  void Take(const Peak&) override {}
  void TakeLine(const std::string& raw) override {
    imported_ += raw;
    ++result_.imported;
    if (const auto own = own_.find(raw); own != own_.end()) own->second = true;
  }
  AutotvmExport Finish() {
    result_.text = std::move(imported_);
    for (const std::string* line : order_) {
      if (own_.at(*line)) continue;
      if (!result_.text.empty() && result_.text.back() != '\n') result_.text += '\n';
      result_.text += *line;
      ++result_.own;
    }
    return std::move(result_);
  }

 private:
  void Add(const TrialRecord& record, const Trial& measurement) {
    std::optional<std::string> line = AutotvmLineOf(record, measurement);
    if (!line) {
      ++result_.inexpressible;
      return;
    }
    const auto [entry, is_new] = own_.try_emplace(*std::move(line), false);
    if (is_new) order_.push_back(&entry->first);
  }

  AutotvmExport result_;
  std::string imported_;
  std::unordered_map<std::string, bool> own_;  // whether it was imported too
  std::vector<const std::string*> order_;
};

}  // namespace

StatusOr<MergeCount> MergeDatabases(const std::string& into, std::span<const std::string> from) {
  std::vector<Connection> sources;
  for (const std::string& path : from) {
    std::error_code ignored;
    if (fs::equivalent(path, into, ignored)) {
      return Error(StatusCode::kInvalidArgument, path,
                   " cannot be merged into itself: name another database");
    }
    ASSIGN_OR_RETURN(Connection source, OpenConnection(path, OpenMode::kReadOnly));
    sources.push_back(std::move(source));
  }
  return MergeInto(into, [&](ContentMerger& merger) -> Status {
    for (std::size_t i = 0; i < sources.size(); ++i) {
      merger.BeginSource();
      RETURN_IF_ERROR(ReadAll(*sources[i], from[i], merger));
    }
    return {};
  });
}

StatusOr<std::string> ExportJsonl(const std::string& database) {
  ASSIGN_OR_RETURN(const Connection connection, OpenConnection(database, OpenMode::kReadOnly));
  std::string text;
  JsonlWriter writer(text);
  RETURN_IF_ERROR(ReadAll(*connection, database, writer));
  return text;
}

StatusOr<MergeCount> ImportJsonl(const std::string& database, std::string_view text,
                                 const std::string& name) {
  Listener listener;
  RETURN_IF_ERROR(ReadJsonl(text, name, listener));
  return MergeInto(database, [&](ContentMerger& merger) { return ReadJsonl(text, name, merger); });
}

StatusOr<AutotvmCount> ImportAutotvm(const std::string& database, std::string_view text,
                                     const std::string& name) {
  AutotvmCount count;
  const std::vector<std::string_view> lines = LinesOf(text);
  for (const std::string_view line : lines) CountLine(line, count);
  if (count.own.empty() && count.foreign.empty()) {
    return Error(StatusCode::kInvalidArgument, name, " is no AutoTVM v0.2 log",
                 count.damaged.empty() ? ": it has no records"
                                       : ": line " + std::to_string(count.damaged[0].line) + ": " +
                                             count.damaged[0].why,
                 "; nothing was imported");
  }
  ASSIGN_OR_RETURN(const MergeCount merged,
                   MergeInto(database, [&](ContentMerger& merger) -> Status {
                     for (const std::string_view line : lines) merger.TakeLine(std::string(line));
                     return {};
                   }));
  count.known = count.lines - merged.lines;
  return count;
}

StatusOr<AutotvmExport> ExportAutotvm(const std::string& database) {
  ASSIGN_OR_RETURN(const Connection connection, OpenConnection(database, OpenMode::kReadOnly));
  AutotvmWriter writer;
  RETURN_IF_ERROR(ReadAll(*connection, database, writer));
  return writer.Finish();
}

}  // namespace kiln
