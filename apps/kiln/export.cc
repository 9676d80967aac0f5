#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <set>
#include <thread>

#include "apps/kiln/command.h"
#include "apps/kiln/library_directory.h"
#include "apps/kiln/lock_offers.h"
#include "apps/kiln/verify_cases.h"
#include "base/reactor.h"
#include "base/standard_streams.h"
#include "export/library.h"
#include "export/lock_update.h"
#include "export/self_test_cases.h"
#include "ops/target.h"
#include "ops/workload_key.h"
#include "toolchain/toolchain.h"

namespace kiln {
namespace {

struct Options {
  What what;
  LockScope scope;
  std::string lock, arch, out, golden;
  LibraryStyle style{.name = "kernels"};
  Fallback fallback = Fallback::kWarn;
  bool no_portable = false;
  std::int32_t jobs = 0;
};

// Best configs from the lock file, or else from the database, which is never written.
StatusOr<LockFile> ReadConfigs(const Environment& env, const Options& options,
                               const Network& network) {
  if (!options.lock.empty()) return ReadLockFile(options.lock);
  ASSIGN_OR_RETURN(const std::unique_ptr<TuningStore> store, OpenStore(env, OpenMode::kReadOnly));
  LockFile lock;
  ASSIGN_OR_RETURN(const std::vector<LockOffer> offers,
                   OffersFor(env.registry, *store, network, false, options.scope, lock));
  UpdateLock(lock, offers, {.replace = true, .unconfirmed = true});
  return lock;
}

StatusOr<LibraryRequest> RequestOf(const Options& options, const LockFile& lock,
                                   const Network& network) {
  LibraryRequest request{.network = network, .targets = {}, .threads = {}, .arch = options.arch};
  for (const std::string& word : options.scope.targets) {
    if (lock.targets.contains(word)) {
      request.targets.push_back(word);
    } else {
      ASSIGN_OR_RETURN(const Target target, TargetOption(word));
      request.targets.push_back(target.name);
    }
  }
  request.threads = options.scope.threads;
  request.cache = options.scope.cache == "cold" ? CacheState::kCold : CacheState::kHot;
  request.portable = !options.no_portable;
  return request;
}

// The command after which a default is none any more.
std::string Mend(const Environment& env, const Options& options, const LibraryVariant& variant) {
  return MendCommand(
      {.key = variant.key, .what = options.what, .db = env.db, .lock = options.lock});
}

std::string ShortName(const LibraryVariant& variant) {
  const StatusOr<Workload> workload = ParseWorkload(variant.key.workload);
  return fmt::format("{} on {}, {} thread{}",
                     workload.ok() ? Describe(*workload) : variant.key.workload, variant.key.target,
                     variant.key.threads, variant.key.threads == 1 ? "" : "s");
}

// Says which kernels are defaults, as it was asked for. An error if none may be.
Status TellDefaults(const Environment& env, const Options& options, const Library& library,
                    const LibraryTally& tally) {
  constexpr std::size_t kNamed = 5;
  if (options.fallback == Fallback::kSilent) return absl::OkStatus();
  const char* weight = options.fallback == Fallback::kError ? "error" : "warning";
  for (const std::string& note : library.notes) WriteError("note: " + note + "\n");
  for (const std::string& why : library.unserved) {
    WriteError(fmt::format("{}: no kernel: {}\n", weight, why));
  }
  std::size_t named = 0;
  for (const LibraryVariant& variant : library.variants) {
    if (variant.entry.time || variant.why.empty() || ++named > kNamed) continue;
    WriteError(
        fmt::format("{}: the default for {}: {}\n", weight, ShortName(variant), variant.why));
  }
  if (named > kNamed) WriteError(fmt::format("  and {} more\n", named - kNamed));
  if (options.fallback == Fallback::kWarn) return absl::OkStatus();
  if (!library.unserved.empty()) {
    return Error(StatusCode::kFailedPrecondition, library.unserved.size(),
                 " workloads would have no kernel, which --fallback error forbids");
  }
  if (tally.defaults == 0) return absl::OkStatus();
  return Error(StatusCode::kFailedPrecondition, tally.defaults,
               " kernels would be untuned defaults, which --fallback error forbids; mend: ",
               Mend(env, options, *tally.largest));
}

// The self-test's records with the recorded inputs and outputs of a model.
StatusOr<std::vector<SelfTestRecord>> GoldenRecords(const Options& options) {
  ASSIGN_OR_RETURN(GoldenWalk walk, GoldenWalk::Open(options.what.model, options.golden));
  std::vector<SelfTestRecord> records;
  while (true) {
    ASSIGN_OR_RETURN(const std::optional<GoldenWalk::Step> step, walk.Next());
    if (!step) return records;
    if (!step->unreached.empty()) {
      WriteError(fmt::format("note: not in the self-test: {}: {}\n", step->name, step->unreached));
      continue;
    }
    SelfTestRecord record{
        .name = step->output, .workload = step->workload, .values = {}, .cases = {}};
    for (std::size_t i = 0; i < step->cases.size(); ++i) {
      const OpCase& data = *step->cases[i].explicit_case;
      record.values = data.values;
      record.cases.push_back({data.x, step->crc32[i]});
    }
    records.push_back(std::move(record));
  }
}

StatusOr<std::string> CasesOf(const Options& options, const Network& network,
                              const Library& library) {
  std::vector<SelfTestRecord> records;
  if (!options.golden.empty()) {
    ASSIGN_OR_RETURN(records, GoldenRecords(options));
  } else {
    records = network.layers.empty() ? RecordsOf(library) : RecordsOf(network);
  }
  std::erase_if(records, [&](const SelfTestRecord& record) {
    return !std::ranges::binary_search(library.workloads, Key(record.workload));
  });
  return PrintCases(records);
}

std::string SummaryOf(const Environment& env, const Options& options, const Library& library,
                      const LibraryTally& tally, const WrittenLibrary& written) {
  std::string targets;
  for (const Target& target : library.targets) {
    targets += (targets.empty() ? "" : ", ") + target.name;
  }
  std::string line =
      fmt::format("{}: {} workloads for {}: {} tuned, {} default", options.style.name,
                  library.workloads.size(), targets, tally.hits, tally.defaults);
  if (tally.unmeasured > 0) {
    line += fmt::format("; {} of the tuned were never measured on a device", tally.unmeasured);
  } else if (tally.unconfirmed > 0) {
    line += fmt::format("; {} of the tuned are not confirmed", tally.unconfirmed);
  }
  if (!library.unserved.empty()) {
    line += fmt::format("; {} workloads have no kernel", library.unserved.size());
  }
  if (tally.stale > 0) line += fmt::format("; {} of the defaults for stale entries", tally.stale);
  line += options.style.form == LibraryForm::kObject
              ? fmt::format("; {} objects, {} compiled", library.codes.size(), written.compiled)
              : fmt::format("; {} C files", library.codes.size());
  if (tally.largest != nullptr) {
    line += fmt::format("; largest default: {}; mend: {}", ShortName(*tally.largest),
                        Mend(env, options, *tally.largest));
  }
  return line;
}

StatusOr<int> Export(const Environment& env, const Options& options) {
  if (options.lock.empty() && !options.what.any()) {
    return UsageError(
        "say what to export: --lock FILE, or one of --model FILE, --network NAME, --layers FILE, "
        "--workload KEY..., or both");
  }
  if (!options.golden.empty() && options.what.model.empty()) {
    return UsageError("--golden goes with --model");
  }
  if (!IsLibraryName(options.style.name)) {
    return UsageError("--prefix: `", options.style.name,
                      "` cannot begin a C name of a library: letters, digits and underscores, not "
                      "a name of Kiln's or a target of CMake's");
  }
  Network network;
  if (options.what.any()) {
    ASSIGN_OR_RETURN(network, Resolve(options.what));
    RETURN_IF_ERROR(CheckHasLayers(network));
  }
  ASSIGN_OR_RETURN(const LockFile lock, ReadConfigs(env, options, network));
  ASSIGN_OR_RETURN(const LibraryRequest request, RequestOf(options, lock, network));
  ASSIGN_OR_RETURN(const Library library, PlanLibrary(env.registry, lock, request));
  const LibraryTally tally = TallyOf(library);
  RETURN_IF_ERROR(TellDefaults(env, options, library, tally));
  ASSIGN_OR_RETURN(LibraryDirectory directory,
                   LibraryDirectory::Open(options.out, options.style.name));
  ASSIGN_OR_RETURN(const std::string cases, CasesOf(options, network, library));
  const std::unique_ptr<Reactor> reactor = NewReactor();
  const std::int32_t jobs =
      options.jobs > 0
          ? options.jobs
          : static_cast<std::int32_t>(std::max(1u, std::thread::hardware_concurrency()));
  ASSIGN_OR_RETURN(const std::unique_ptr<Compiler> compiler,
                   NewCompiler(*reactor, {.workers = jobs}));
  ASSIGN_OR_RETURN(const WrittenLibrary written,
                   directory.Write(library, options.style, cases, *compiler, jobs));
  WriteOutputLine(SummaryOf(env, options, library, tally, written));
  return 0;
}

}  // namespace

void AddExport(CLI::App& app, Environment& env) {
  auto* command = app.add_subcommand(
      "export", "Write tuned kernels as a self-contained C library that needs nothing of Kiln");
  auto o = std::make_shared<Options>();
  AddWhat(*command, o->what);
  command
      ->add_option("--lock", o->lock,
                   "best configs from this lock file; no database is opened (default: from the "
                   "database)")
      ->type_name("FILE");
  AddLockScope(*command, o->scope);
  command
      ->add_option("--arch", o->arch,
                   "those targets of the lock file that are of this architecture")
      ->check(CLI::IsMember({"x86_64", "aarch64"}));
  command->add_option("--out", o->out, "the library's directory: new, or an export of before")
      ->type_name("DIR")
      ->required();
  const std::map<std::string, LibraryForm> forms{{"object", LibraryForm::kObject},
                                                 {"c", LibraryForm::kC}};
  command
      ->add_option_function<LibraryForm>(
          "--form", [o](const LibraryForm& form) { o->style.form = form; },
          "object (default): the code that was measured; c: sources for another compiler")
      ->transform(CLI::CheckedTransformer(forms).description(""))
      ->type_name("object|c");
  command->add_option("--prefix", o->style.name, "what all names of the library begin with")
      ->type_name("NAME")
      ->capture_default_str();
  const std::map<std::string, Fallback> fallbacks{
      {"error", Fallback::kError}, {"warn", Fallback::kWarn}, {"silent", Fallback::kSilent}};
  command
      ->add_option_function<Fallback>(
          "--fallback", [o](const Fallback& fallback) { o->fallback = fallback; },
          "what to do where nothing is tuned, or is stale: use the template's default and say so "
          "(warn, the default), do not say so, or fail")
      ->transform(CLI::CheckedTransformer(fallbacks).description(""))
      ->type_name("error|warn|silent");
  command->add_flag("--no-portable", o->no_portable,
                    "without the kernels of last resort, which every machine of the architecture "
                    "runs");
  command
      ->add_option("--golden", o->golden,
                   "with --model: the self-test has these recorded inputs and outputs")
      ->type_name("DIR");
  AddNumber<std::int32_t>(*command, "--jobs", o->jobs,
                          "kernels to compile at a time (default: one per core)", {1, kMaxThreads});
  AddDatabase(*command, env);
  command->footer(
      "The library has a header, objects or C files, CMakeLists.txt, a Makefile, a pkg-config "
      "file, "
      "a manifest and a\n"
      "self-test; see docs/builds.md. Exporting again writes only what changed.\n"
      "Examples:\n"
      "  kiln export --lock kiln.lock --model m.tflite --out net --prefix net\n"
      "  kiln export --model m.tflite --target rasp4b --form c --out net-pi\n"
      "  kiln export --lock kiln.lock --arch aarch64 --out net-arm --fallback error");
  command->callback([&env, o] { env.action = [&env, o] { return Export(env, *o); }; });
}

}  // namespace kiln
