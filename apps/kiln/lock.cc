#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "apps/kiln/command.h"
#include "apps/kiln/lock_offers.h"
#include "apps/kiln/output.h"
#include "export/lock_check.h"
#include "export/lock_update.h"
#include "ops/target.h"
#include "ops/workload_key.h"

namespace kiln {
namespace {

struct Options {
  What what;
  bool all = false, update = false, check = false, dry_run = false;
  LockScope scope;
  LockPolicy policy;
  std::string file = "kiln.lock";
};

// How a command of this program is typed, for messages: with the file if it is not the usual one.
std::string LockCommand(const Options& options, std::string_view arguments) {
  return fmt::format("kiln lock {}{}", arguments,
                     options.file == "kiln.lock" ? "" : " -o " + ShellWord(options.file));
}

std::string Microseconds(const LockEntry& entry) {
  return entry.time ? fmt::format("{:.2f} us", entry.time->min_ns / 1e3) : "-";
}

// "tuned, confirmed", "tuned, unconfirmed, emulated", "default".
std::string How(const LockEntry& entry) {
  std::string how = Name(entry.origin);
  if (!entry.time) return how;
  how += entry.time->confirmed ? ", confirmed" : ", unconfirmed";
  return entry.time->kind == TimeKind::kMeasured
             ? how
             : fmt::format("{}, {}", how, Name(entry.time->kind));
}

std::string ShortName(const LockKey& key) {
  const StatusOr<Workload> workload = ParseWorkload(key.workload);
  return fmt::format("{:<26} {} t{}", workload.ok() ? Describe(*workload) : key.workload,
                     key.target, key.threads);
}

void Print(const LockChange& change) {
  using Kind = LockChange::Kind;
  const std::string why = change.why.empty() ? "" : "  (" + change.why + ")";
  switch (change.kind) {
    case Kind::kSame:
      return;
    case Kind::kAdded:
      WriteOutput(fmt::format("new   {}  {}  {}{}\n", ShortName(change.key),
                              Microseconds(*change.after), How(*change.after), why));
      return;
    case Kind::kReplaced:
      WriteOutput(fmt::format("{:<5} {}  {} -> {}  {}{}\n",
                              change.gain ? fmt::format("{:.2f}x", *change.gain) : "new",
                              ShortName(change.key), Microseconds(*change.before),
                              Microseconds(*change.after), How(*change.after), why));
      return;
    case Kind::kKept:
      WriteOutput(fmt::format("kept  {}  {}  {}{}\n", ShortName(change.key),
                              Microseconds(*change.before), How(*change.before), why));
      return;
  }
}

// The sum of what all replaced entries gained; nothing where none did.
std::string TotalGain(const std::vector<LockChange>& changes) {
  double before = 0, after = 0;
  for (const LockChange& change : changes) {
    if (!change.gain) continue;
    after += change.after->time->min_ns;
    before += *change.gain * change.after->time->min_ns;
  }
  return after > 0 ? fmt::format("; what got faster takes {:.2f} us instead of {:.2f}", after / 1e3,
                                 before / 1e3)
                   : "";
}

void SumUp(const Options& options, const LockFile& lock, const std::vector<LockChange>& changes) {
  std::map<LockChange::Kind, std::size_t> count;
  for (const LockChange& change : changes) ++count[change.kind];
  const auto defaults = std::ranges::count_if(
      lock.entries, [](const auto& entry) { return entry.second.origin == Origin::kDefault; });
  using Kind = LockChange::Kind;
  WriteOutput(fmt::format(
      "{}{}: {} entries, {} new, {} replaced, {} kept{}{}\n", options.file,
      options.dry_run ? " (not written)" : "", lock.entries.size(), count[Kind::kAdded],
      count[Kind::kReplaced], count[Kind::kSame] + count[Kind::kKept], TotalGain(changes),
      defaults == 0
          ? ""
          : fmt::format("; {} {} a default that nobody tuned: `kiln tune`, then `{}`", defaults,
                        defaults == 1 ? "is" : "are", LockCommand(options, "--update"))));
}

StatusOr<LockFile> ReadPresent(const Options& options) {
  StatusOr<LockFile> lock = ReadLockFile(options.file);
  if (lock.status().code() == StatusCode::kNotFound) return LockFile{};
  return lock;
}

StatusOr<Network> ResolveIfAny(const What& what) {
  if (!what.any()) return Network{};
  ASSIGN_OR_RETURN(Network network, Resolve(what));
  RETURN_IF_ERROR(CheckHasLayers(network));
  return network;
}

StatusOr<int> Write(const Environment& env, const Options& options) {
  ASSIGN_OR_RETURN(LockFile lock, ReadPresent(options));
  if (options.all + options.what.any() != 1 && !(options.update && !lock.entries.empty())) {
    return UsageError(
        "say what to lock: one of --all, --model FILE, --network NAME, --layers FILE, --workload "
        "KEY...; or --update alone for what is locked already");
  }
  ASSIGN_OR_RETURN(const Network network, ResolveIfAny(options.what));
  ASSIGN_OR_RETURN(const std::unique_ptr<TuningStore> store, OpenStore(env, OpenMode::kReadOnly));
  ASSIGN_OR_RETURN(const std::vector<LockOffer> offers,
                   OffersFor(env.registry, *store, network, options.all, options.scope, lock));
  if (offers.empty()) {
    return Error(StatusCode::kNotFound, "the database has nothing to lock; `kiln tune` finds some");
  }
  LockPolicy policy = options.policy;
  policy.replace = options.update;
  const std::vector<LockChange> changes = UpdateLock(lock, offers, policy);
  for (const LockChange& change : changes) Print(change);
  if (!options.dry_run) RETURN_IF_ERROR(WriteLockFile(options.file, lock));
  SumUp(options, lock, changes);
  return 0;
}

StatusOr<int> Check(const Environment& env, const Options& options) {
  ASSIGN_OR_RETURN(const LockFile lock, ReadLockFile(options.file));
  ASSIGN_OR_RETURN(const Network network, ResolveIfAny(options.what));
  ASSIGN_OR_RETURN(const std::vector<LockKey> wanted, WantedOf(network, options.scope, lock));
  const std::vector<LockFault> faults = CheckLock(env.registry, lock, wanted);
  for (const LockFault& fault : faults) {
    WriteOutput(fmt::format(
        "{}: {}: {}: {}\n  {}\n",
        fault.line > 0 ? fmt::format("{}:{}", options.file, fault.line) : options.file,
        fault.line > 0 ? "stale" : "missing", Describe(fault.key), fault.why,
        MendCommand({.key = fault.key, .what = {}, .db = env.db, .lock = options.file})));
  }
  const auto missing =
      std::ranges::count_if(faults, [](const LockFault& fault) { return fault.line == 0; });
  const auto stale = static_cast<std::ptrdiff_t>(faults.size()) - missing;
  WriteOutput(fmt::format("{}: {} entries, {} stale, {} missing\n", options.file,
                          lock.entries.size(), stale, missing));
  if (stale > 1) {
    WriteOutput(fmt::format("all stale ones at once: tune again, then `{}`\n",
                            LockCommand(options, "--update")));
  }
  return faults.empty() ? 0 : 1;
}

StatusOr<int> Lock(const Environment& env, const Options& options) {
  if (options.check && options.all) {
    return UsageError("--check opens no database: it takes a network, or nothing, not --all");
  }
  return options.check ? Check(env, options) : Write(env, options);
}

}  // namespace

void AddLock(CLI::App& app, Environment& env) {
  auto* command = app.add_subcommand(
      "lock", "Write best configs to a text file that builds read instead of the database");
  auto o = std::make_shared<Options>();
  AddWhat(*command, o->what);
  command->add_flag("--all", o->all, "every workload that the database has for the targets")
      ->group("What to work on");
  AddLockScope(*command, o->scope);
  command->add_option("-o,--out,--lock", o->file, "the lock file")
      ->type_name("FILE")
      ->capture_default_str();
  auto* update = command->add_flag(
      "--update", o->update,
      "also replace entries: by confirmed bests that are faster, and what is stale");
  command->add_flag("--unconfirmed", o->policy.unconfirmed,
                    "also take bests that are not confirmed, or not measured; their lines say so");
  auto* dry_run = command->add_flag("--dry-run", o->dry_run, "print what would change");
  command
      ->add_flag("--check", o->check,
                 "change nothing and open no database: exit with 1 if an entry is stale (this Kiln "
                 "makes other code of it), or one of the network's is missing")
      ->excludes(update, dry_run);
  AddDatabase(*command, env);
  command->footer(
      "Without --update, entries that are there stay as they are. Layers that nobody tuned get the "
      "default of\n"
      "their template, and the line says so. Commit the file beside the code that links the "
      "kernels.\n"
      "Examples:\n"
      "  kiln lock --model m.tflite --target rasp4b --threads 1 4 -o kiln.lock\n"
      "  kiln lock --update                                 after more tuning: prints what is "
      "gained\n"
      "  kiln lock --check --model m.tflite                 in CI");
  command->callback([&env, o] { env.action = [&env, o] { return Lock(env, *o); }; });
}

}  // namespace kiln
