// `kiln daemon`: puts the night together, and ends it in order.

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <future>

#include "apps/kiln/command.h"
#include "apps/kiln/daemon_web.h"
#include "apps/serving/metrics_page.h"
#include "apps/serving/serving.h"
#include "base/standard_streams.h"
#include "base/version.h"
#include "daemon/daemon_config.h"
#include "daemon/daemon_service.h"
#include "daemon/end_command.h"
#include "daemon/job_queue.h"
#include "daemon/job_view.h"
#include "daemon/maintenance.h"
#include "daemon/night_daemon.h"
#include "daemon/night_metrics.h"
#include "daemon/system_notify.h"
#include "daemon/test_clock.h"
#include "measure/uuid.h"
#include "ops/target.h"
#include "proto/address.h"

namespace kiln {
namespace {

namespace fs = std::filesystem;

struct DaemonOptions {
  const TemplateRegistry& registry;
  std::string config = {};
  bool check = false;
  std::string test_clock = {};
};

// How long the store may hold up the loop that answers clients: for others' locks it is asked again.
constexpr std::chrono::milliseconds kStorePatience{250};

StatusOr<DaemonConfig> ReadConfig(const DaemonOptions& options) {
  ASSIGN_OR_RETURN(DaemonConfig config, AsUsageError(ReadDaemonConfig(options.config)));
  if (config.name.empty()) {
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    config.name = host;
  }
  if (config.database.empty()) {
    ASSIGN_OR_RETURN(config.database, DefaultDatabasePath());
  }
  if (config.socket.empty()) config.socket = DefaultDaemonSocket();
  return config;
}

// Says what the daemon would do.
void PrintConfig(const DaemonConfig& config, const std::string& file) {
  const WallTime now = SystemClock().Today();
  WriteOutput(fmt::format("{}: good\n", file));
  WriteOutput(fmt::format("name {}, database {}, clients at {}{}\n", config.name, config.database,
                          config.socket, config.address.empty() ? "" : " and " + config.address));
  WriteOutput(config.tracker.empty() ? "tunes on this machine\n"
                                     : "tunes on the devices of " + config.tracker + "\n");
  if (!config.page.empty()) {
    WriteOutput(fmt::format("page at http://{}/, {}\n", config.page,
                            config.token_file.empty()
                                ? "for reading"
                                : "for changes with the token in " + config.token_file));
  }
  WriteOutput(fmt::format("now it is {}\n", config.zone.Local(now)));
  for (const TimeWindow& window : config.windows) {
    WriteOutput(fmt::format("window {}: {}\n", window.rule().name, window.Describe(now)));
  }
}

// This keeps other daemons of the same name off a database: each may take the other's jobs for
// those of a predecessor.
class NameLock {
 public:
  static StatusOr<NameLock> Take(const DaemonConfig& config) {
    const std::string path = config.database + ".daemon-" + config.name + ".lock";
    std::error_code ignored;
    fs::create_directories(fs::path(path).parent_path(), ignored);
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return Error(StatusCode::kPermissionDenied, path, ": ", std::strerror(errno));
    NameLock lock(fd);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) return lock;
    return Error(StatusCode::kFailedPrecondition, "a daemon named ", config.name,
                 " runs on this database already: end it, or give this one another `name`");
  }
  NameLock(NameLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  NameLock& operator=(NameLock&&) = delete;
  ~NameLock() {
    if (fd_ >= 0) close(fd_);
  }

 private:
  explicit NameLock(int fd) : fd_(fd) {}
  int fd_;
};

// Its directory and its own mode decide who reaches a Unix socket. A new directory lets in whom the
// mode lets in.
Status MakeSocketDirectory(const DaemonConfig& config) {
  const fs::path directory = fs::path(UnixPath(config.socket)).parent_path();
  std::error_code error;
  if (fs::is_directory(directory, error)) return {};
  fs::create_directories(directory.parent_path(), error);
  const mode_t mode =
      0700 | (config.socket_mode & 0060 ? 0050 : 0) | (config.socket_mode & 0006 ? 0055 : 0);
  if (mkdir(directory.c_str(), mode) != 0) {
    return Error(StatusCode::kPermissionDenied, directory.string(), ": ", std::strerror(errno));
  }
  return {};
}

Status SetSocketMode(const DaemonConfig& config) {
  if (chmod(std::string(UnixPath(config.socket)).c_str(), config.socket_mode) == 0) return {};
  return Error(StatusCode::kPermissionDenied, config.socket, ": ", std::strerror(errno));
}

StatusOr<std::string> OwnProgram() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  if (error) return Error(StatusCode::kInternal, "/proc/self/exe: ", error.message());
  return self.string();
}

// This is the daemon with all that is around it. What it does once started is done on the reactor's
// thread. After Stop() the reactor must go first.
class Daemon final : private NightObserver {
 public:
  Daemon(DaemonOptions options, const DaemonConfig& config, Reactor& reactor, const Clock& clock,
         std::unique_ptr<JobStore> store, std::unique_ptr<Metrics> metrics,
         const std::string& program)
      : options_(std::move(options)),
        reactor_(reactor),
        clock_(clock),
        metrics_(std::move(metrics)),
        store_(std::move(store)),
        tuners_(NewJobTuners(reactor_, program)),
        commands_(NewEndCommand(reactor_, [this](std::int64_t job) { NoteTeller(job, ""); })),
        maintenance_(NewMaintenance(reactor_, program, config.database)),
        night_(NightDaemon::Create(
            {.reactor = reactor_,
             .clock = clock_,
             .store = *store_,
             .tuners = *tuners_,
             .observer = this,
             .check_target = [](const std::string& target) { return FindTarget(target).status(); }},
            config, config.database, config.name + "/" + RandomUuid())),
        queue_({clock_, *store_, *night_, this}) {
    if (!metrics_) return;
    counts_.emplace(*metrics_, NightMetrics::Sources{
                                   clock_, *store_, config.database,
                                   [this]() -> const DaemonConfig& { return night_->config(); },
                                   [this] { return maintenance_->standing().last_backup; }});
  }

  // From here on clients are answered.
  Status Listen(const DaemonConfig& config) {
    RETURN_IF_ERROR(MakeSocketDirectory(config));
    RETURN_IF_ERROR(ListenAt({.address = config.socket, .traffic = kTraffic}));
    RETURN_IF_ERROR(SetSocketMode(config));
    ASSIGN_OR_RETURN(
        web_,
        DaemonWeb::Start({.reactor = reactor_,
                          .clock = clock_,
                          .registry = options_.registry,
                          .store = *store_,
                          .queue = queue_,
                          .maintenance = *maintenance_,
                          .config = [this]() -> const DaemonConfig& { return night_->config(); },
                          .metrics = metrics_.get()},
                         config));
    if (!config.address.empty()) {
      RETURN_IF_ERROR(
          ListenAt({.address = config.address, .tls = config.tls, .traffic = kTraffic}));
      spdlog::info("clients over TLS: {}", servers_.back()->address());
    }
    AnnounceAddress(servers_.front()->address());  // last: all of it answers now
    return {};
  }

  void Start() {
    reactor_.OnHangUp([this] { Reload(); });
    reactor_.Post([this] {
      TellWhatWasNotTold();
      night_->Start();
      notify_->Send("READY=1\nSTATUS=tuning when windows are open");
      BeatWatchdog();
      if (!options_.test_clock.empty()) FollowTestClock(clock_.Today() - WallTime::clock::now());
    });
  }

  // Blocks until what runs has stopped and what is to be told has been told.
  void Stop() {
    servers_.clear();  // nobody submits any more
    web_.reset();
    std::promise<void> stopped;
    reactor_.Post([&] {
      notify_->Send("STOPPING=1");
      night_->Stop([&] { stopped.set_value(); });
    });
    stopped.get_future().wait();
    std::promise<void> told;
    reactor_.Post([&] { AwaitCommands(clock_.Now() + night_->config().command_time, told); });
    told.get_future().wait();
    // Their programs and timers are the reactor's thread's.
    std::promise<void> gone;
    reactor_.Post([&] {
      night_.reset();
      commands_.reset();
      maintenance_.reset();
      gone.set_value();
    });
    gone.get_future().wait();
  }

 private:
  static constexpr Traffic kTraffic{.message_bytes = 1 << 20, .calls_per_connection = 64};

  Status ListenAt(ListenOptions listen) {
    ASSIGN_OR_RETURN(auto peers, CheckPeers(listen, Role::kTracker, clock_));
    peers_.push_back(std::move(peers));
    services_.push_back(
        NewDaemonService({reactor_, clock_, *peers_.back(), *night_, *store_, queue_,
                          [this] { return maintenance_->standing().trouble; }}));
    ASSIGN_OR_RETURN(auto server, ListenAsAsked(listen, {&services_.back()->service()}));
    servers_.push_back(std::move(server));
    return {};
  }

  // What cannot be changed while it runs stays as it was, and is said.
  void Reload() {
    if (!night_) return;  // it ends
    notify_->Send("RELOADING=1");
    StatusOr<DaemonConfig> config = ReadConfig(options_);
    if (!config.ok()) {
      spdlog::error("the configuration stays as it was: {}", Message(config.status()));
    } else {
      const DaemonConfig& old = night_->config();
      if (config->name != old.name || config->database != old.database ||
          config->socket != old.socket || config->socket_mode != old.socket_mode ||
          config->address != old.address || config->metrics != old.metrics ||
          config->page != old.page || config->token_file != old.token_file) {
        spdlog::warn("name, database, addresses and token change with a restart only");
      }
      config->name = old.name;
      config->database = old.database;
      night_->Reload(*std::move(config));
      spdlog::info("the configuration was read again");
    }
    notify_->Send("READY=1");
  }

  // By the loop that it is to watch.
  void BeatWatchdog() {
    const auto interval = notify_->watchdog_interval();
    if (!interval) return;
    notify_->Send("WATCHDOG=1");
    reactor_.After(*interval, [this] { BeatWatchdog(); });
  }

  void FollowTestClock(WallTime::duration offset) {
    const auto now = clock_.Today() - WallTime::clock::now();
    if (std::chrono::abs(now - offset) > std::chrono::milliseconds(100)) night_->Evaluate();
    reactor_.After(std::chrono::milliseconds(20), [this, now] { FollowTestClock(now); });
  }

  void AwaitCommands(SteadyTime until, std::promise<void>& done) {
    if (commands_->is_idle() || clock_.Now() >= until) return done.set_value();
    reactor_.After(std::chrono::milliseconds(20),
                   [this, until, &done] { AwaitCommands(until, done); });
  }

  void OnTransition(const Job& job) override {
    if (counts_) counts_->OnTransition(job);
    if (!IsFinal(job.standing.state) || night_->config().command.empty()) return;
    NoteTeller(job.id, night_->config().name);
    commands_->Run(night_->config(), job.id, JobJson({job}));
  }

  // So that a daemon that is killed meanwhile does it when it runs again: a command may be run twice,
  // but is not lost.
  void NoteTeller(std::int64_t job, const std::string& teller) {
    const Status status = store_->SetTeller(job, teller);
    if (!status.ok()) spdlog::warn("who tells of job {} is not noted: {}", job, Message(status));
  }

  void TellWhatWasNotTold() {
    const DaemonConfig& config = night_->config();
    StatusOr<std::vector<Job>> jobs = store_->Jobs({.teller = config.name});
    if (!jobs.ok()) return spdlog::warn("ends of jobs are not told: {}", Message(jobs.status()));
    std::ranges::reverse(*jobs);  // as they came
    for (const Job& job : *jobs) {
      if (config.command.empty()) NoteTeller(job.id, "");
      commands_->Run(config, job.id, JobJson({job}));
    }
  }

  void OnTunerEvent(const Job& job, const TunerEvent& event) override {
    if (counts_) counts_->OnTunerEvent(job, event);
  }
  void OnTick() override {
    maintenance_->Tick(night_->config(), clock_.Today(), JobsRun());
    ForgetOldJobs();
  }

  // Here or at another daemon. Where nobody can say, some do.
  bool JobsRun() const {
    const StatusOr<std::map<JobState, std::int64_t>> counts = store_->Counts();
    if (!counts.ok()) return true;
    return counts->contains(JobState::kRunning) || counts->contains(JobState::kFinishing);
  }

  // Once a day.
  void ForgetOldJobs() {
    const DaemonConfig& config = night_->config();
    const WallTime now = clock_.Today();
    const std::string today = config.zone.LocalDate(now);
    if (today == forgotten_on_) return;
    const auto kept = std::chrono::hours(24) * config.keep_jobs_days;
    const StatusOr<std::int64_t> count = store_->ForgetBefore(ToUnixMs(now - kept));
    if (!count.ok()) return spdlog::warn("old jobs stay: {}", Message(count.status()));
    forgotten_on_ = today;
    if (*count > 0) spdlog::info("{} jobs that ended long ago are forgotten", *count);
  }

  const DaemonOptions options_;
  Reactor& reactor_;
  const Clock& clock_;
  const std::unique_ptr<Metrics> metrics_;  // null: nobody asked for them
  const std::unique_ptr<SystemNotify> notify_ = NewSystemNotify();
  const std::unique_ptr<JobStore> store_;
  const std::unique_ptr<JobTuners> tuners_;
  std::shared_ptr<EndCommand> commands_;
  std::shared_ptr<Maintenance> maintenance_;
  std::shared_ptr<NightDaemon> night_;
  std::string forgotten_on_;  // a local date
  std::optional<NightMetrics> counts_;
  JobQueue queue_;
  std::unique_ptr<DaemonWeb> web_;
  std::vector<std::unique_ptr<PeerCheck>> peers_;
  std::vector<std::unique_ptr<DaemonService>> services_;
  std::vector<std::unique_ptr<RpcServer>> servers_;  // they go first
};

Status Serve(const DaemonOptions& options, const DaemonConfig& config) {
  LogToStandardError();
  RaiseDescriptorLimit();
  ASSIGN_OR_RETURN(const NameLock lock, NameLock::Take(config));
  ASSIGN_OR_RETURN(std::unique_ptr<JobStore> store,
                   OpenSqliteJobStore(config.database, OpenMode::kReadWrite, kStorePatience));
  ASSIGN_OR_RETURN(std::unique_ptr<Metrics> metrics,
                   MetricsIfAsked({config.metrics, true}, MetricSource::kDaemon));
  ASSIGN_OR_RETURN(const std::string program, OwnProgram());
  const std::unique_ptr<Clock> test_clock =
      options.test_clock.empty() ? nullptr : NewTestClock(options.test_clock);
  const Clock& clock = test_clock ? *test_clock : SystemClock();
  std::unique_ptr<Reactor> reactor = NewReactor();
  const std::shared_ptr<ServingLife> life = NewServingLife(*reactor);
  Daemon daemon(options, config, *reactor, clock, std::move(store), std::move(metrics), program);
  RETURN_IF_ERROR(daemon.Listen(config));
  daemon.Start();
  life->AwaitEnd();
  daemon.Stop();
  reactor.reset();  // nothing of the daemon is called any more
  return absl::OkStatus();
}

StatusOr<int> RunDaemon(const DaemonOptions& options) {
  ASSIGN_OR_RETURN(const DaemonConfig config, ReadConfig(options));
  if (options.check) {
    PrintConfig(config, options.config);
    return 0;
  }
  return EndServing("kiln", Serve(options, config));
}

}  // namespace

void AddDaemon(CLI::App& app, Environment& env) {
  auto* command =
      app.add_subcommand("daemon", "Tune at night: run the jobs of a queue when they may");
  auto o = std::make_shared<DaemonOptions>(DaemonOptions{env.registry});
  command->add_option("--config", o->config, "windows, farm, limits: docs/night.md")
      ->type_name("FILE.toml")
      ->required();
  command->add_flag("--check-config", o->check, "say what the file means, and end");
  command->add_option("--test-clock", o->test_clock)->group("");
  command->footer(
      "SIGHUP reads the file again; Ctrl-C stops what runs at the end of its trials.\n"
      "Examples:\n"
      "  kiln daemon --config night.toml\n"
      "  kiln submit --network mobilenet_v1 --window night\n"
      "  kiln jobs");
  command->callback([&env, o] { env.action = [o] { return RunDaemon(*o); }; });
}

}  // namespace kiln
