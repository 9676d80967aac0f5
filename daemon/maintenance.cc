#include "daemon/maintenance.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <utility>
#include <vector>

#include "base/child_program.h"

namespace kiln {
namespace {

namespace fs = std::filesystem;

constexpr char kPrefix[] = "kiln-", kEnding[] = ".db";

// The backups that this makes, by date.
std::vector<fs::path> BackupsIn(const std::string& directory) {
  std::vector<fs::path> backups;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(directory, ignored)) {
    const std::string name = entry.path().filename().string();
    const bool ours = name.size() == sizeof "kiln-2026-11-27.db" - 1 && name.starts_with(kPrefix) &&
                      name.ends_with(kEnding);
    if (ours) backups.push_back(entry.path());
  }
  std::ranges::sort(backups);
  return backups;
}

std::optional<WallTime> TimeOf(const fs::path& path) {
  std::error_code error;
  const auto time = fs::last_write_time(path, error);
  if (error) return std::nullopt;
  return std::chrono::time_point_cast<WallTime::duration>(std::chrono::file_clock::to_sys(time));
}

class Caretaker final : public Maintenance, public std::enable_shared_from_this<Caretaker> {
 public:
  Caretaker(Reactor& reactor, std::string program, std::string database)
      : reactor_(reactor), program_(std::move(program)), database_(std::move(database)) {}

  void Tick(const DaemonConfig& config, WallTime now, bool jobs_run) override {
    Remember(config);
    if (step_ || !IsDue(config, now)) return;
    last_day_ = config.zone.LocalDate(now);
    keep_ = config.keep_backups;
    directory_ = config.backup;
    steps_.clear();
    steps_.push_back({"check", {"db", "check", "--db", database_}});
    if (!jobs_run) steps_.push_back({"gc", {"db", "gc", "--yes", "--db", database_}});
    if (!directory_.empty()) {
      const std::string file = (fs::path(directory_) / (kPrefix + last_day_ + kEnding)).string();
      steps_.push_back({"backup", {"db", "backup", file, "--force", "--db", database_}});
    }
    Next();
  }
  const Standing& standing() const override { return standing_; }

 private:
  struct Step {
    std::string name;
    std::vector<std::string> arguments;
  };

  // A backup of before this program was started.
  void Remember(const DaemonConfig& config) {
    if (standing_.last_backup || config.backup.empty()) return;
    const std::vector<fs::path> backups = BackupsIn(config.backup);
    if (!backups.empty()) standing_.last_backup = TimeOf(backups.back());
    if (standing_.last_backup && last_day_.empty()) {
      last_day_ = config.zone.LocalDate(*standing_.last_backup);
    }
  }

  // Today's time has come, and today's work has not been done.
  bool IsDue(const DaemonConfig& config, WallTime now) const {
    const std::string today = config.zone.LocalDate(now);
    if (today == last_day_) return false;
    const StatusOr<WallTime> next = NextTimeOfDay(config.zone, config.at, now);
    // It is the next one that is tomorrow's.
    return next.ok() && config.zone.LocalDate(*next) != today;
  }

  void Next() {
    step_.reset();
    if (steps_.empty()) return;
    const Step step = std::move(steps_.front());
    steps_.pop_front();
    auto started =
        StartProgram(reactor_, {.program = program_, .arguments = step.arguments},
                     {.ended = [weak = weak_from_this(), name = step.name](const ProgramEnd& end) {
                       if (const auto self = weak.lock()) self->Ended(name, end);
                     }});
    if (!started.ok()) {
      return Failed(step.name, Message(started.status()));
    }
    step_ = *std::move(started);
  }

  void Ended(const std::string& name, const ProgramEnd& end) {
    if (end.status != 0) {
      return Failed(name, end.last_line.empty() ? end.how : end.last_line);
    }
    spdlog::info("maintenance: {} is done: {}", name, end.last_line);
    if (name == "check") standing_.trouble.clear();
    if (name == "backup") {
      const std::vector<fs::path> backups = BackupsIn(directory_);
      if (!backups.empty()) standing_.last_backup = TimeOf(backups.back());
      RemoveOld(backups);
    }
    Next();
  }

  // A damaged database is not to take the place of good backups; what else fails keeps nothing from
  // being done.
  void Failed(const std::string& name, const std::string& why) {
    standing_.trouble = name + ": " + why;
    spdlog::error("maintenance: {} failed: {}", name, why);
    if (name == "check") steps_.clear();
    Next();
  }

  void RemoveOld(const std::vector<fs::path>& backups) const {
    const auto keep = static_cast<std::size_t>(std::max(1, keep_));
    for (std::size_t i = 0; i + keep < backups.size(); ++i) {
      std::error_code error;
      fs::remove(backups[i], error);
      if (error) spdlog::warn("maintenance: {} stays: {}", backups[i].string(), error.message());
    }
  }

  Reactor& reactor_;
  const std::string program_, database_;
  Standing standing_;
  std::string last_day_;  // the local date of the last work
  std::string directory_;
  int keep_ = 1;
  std::deque<Step> steps_;
  std::unique_ptr<ChildProgram> step_;  // that runs
};

}  // namespace

std::shared_ptr<Maintenance> NewMaintenance(Reactor& reactor, std::string program,
                                            std::string database) {
  return std::make_shared<Caretaker>(reactor, std::move(program), std::move(database));
}

}  // namespace kiln
