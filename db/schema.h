#pragma once

#include <span>
#include <string_view>

namespace SQLite {  // NOLINT(readability-identifier-naming): the library's
class Database;
}

// The tables and how they came to be. `PRAGMA user_version` of a database is the number of
// migrations that it has been through; 0 is an empty file. docs/store.md describes the tables.

namespace kiln {

// Marks a file as ours in SQLite's header: "Kiln".
inline constexpr int kApplicationId = 0x4B696C6E;

// migrations[v] is the SQL that takes a database from version v to v + 1. Append only: what has
// been released is never changed.
using Migrations = std::span<const std::string_view>;
Migrations SchemaMigrations();

// The version that this program reads and writes.
inline int SchemaVersion() { return static_cast<int>(SchemaMigrations().size()); }

// Brings a database up to the last migration, all of it or nothing, in one transaction that also
// sees what another program has just migrated. Fails without a change if the database cannot be
// written. Throws SQLite::Exception.
void Migrate(SQLite::Database& database, Migrations migrations);

// PRAGMA user_version. Throws SQLite::Exception.
int UserVersion(SQLite::Database& database);

}  // namespace kiln
