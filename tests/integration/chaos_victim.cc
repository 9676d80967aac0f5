#include "tests/integration/chaos_victim.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <utility>

namespace kiln {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

std::string NameOf(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/comm");
  std::string name;
  std::getline(file, name);
  return name;
}

// Parents first, again until no new one has been forked meanwhile.
void SignalTree(pid_t root, int signal) {
  std::set<pid_t> signalled;
  for (bool more = true; more;) {
    more = false;
    std::vector<Process> tree = Descendants(root);
    tree.insert(tree.begin(), Process{root, {}});
    for (const Process& process : tree) {
      if (!signalled.insert(process.pid).second) continue;
      kill(process.pid, signal);  // it may have ended
      more = true;
    }
  }
}

}  // namespace

void KeepForInspection(const std::string& file, const std::string& text) {
  const char* directory = std::getenv("KILN_CHAOS_LOGS");
  if (directory != nullptr) std::ofstream(fs::path(directory) / file, std::ios::app) << text;
}

ChaosVictim::ChaosVictim(std::string name, Starter start, std::function<void(const Outcome&)> ended)
    : name_(std::move(name)), start_(std::move(start)), ended_(std::move(ended)) {
  Start();
}

void ChaosVictim::Start() {
  program_ = start_();
  state_ = State::kUp;
}

bool ChaosVictim::HasEnded() const {
  siginfo_t end{};
  return waitid(P_PID, static_cast<id_t>(program_->pid()), &end, WEXITED | WNOHANG | WNOWAIT) ==
             0 &&
         end.si_pid != 0;
}

void ChaosVictim::Signal(int signal) {
  if (reach_ == Reach::kAlone) return program_->Signal(signal);
  if (reach_ == Reach::kGroup) return program_->SignalGroup(signal);
  SignalTree(program_->pid(), signal);
}

// What is below it must end by itself, unless that is reached as well.
void ChaosVictim::Kill() {
  // Stopped first, nobody in the tree forks or reaps: the numbers stay those of the same processes.
  if (reach_ == Reach::kTree) Signal(SIGSTOP);
  Signal(SIGKILL);
  const Outcome outcome = Collect(kPatience);
  EXPECT_TRUE(outcome.status == -SIGKILL || outcome.status >= 0) << name_ << " " << outcome.status;
  state_ = State::kDown;
}

Outcome ChaosVictim::Collect(std::chrono::seconds patience) {
  const Outcome outcome = program_->Wait(patience);
  program_.reset();
  KeepForInspection(name_ + ".log", outcome.out + outcome.err + "---- ended with " +
                                        std::to_string(outcome.status) + "\n");
  return outcome;
}

bool ChaosVictim::Strike(const ChaosEvent& event, Time now) {
  if (state_ != State::kUp || HasEnded()) return false;
  reach_ = event.reach;
  due_ = due_after_kill_ = now + event.pause;
  if (event.blow == Blow::kKill) {
    Kill();
    return true;
  }
  Signal(SIGSTOP);
  state_ = State::kStopped;
  if (event.blow == Blow::kStopAndKill) {
    state_ = State::kToBeKilled;
    due_ = now + event.pause / 2;
  }
  return true;
}

void ChaosVictim::Tend(Time now) {
  if (state_ == State::kUp) {
    if (!HasEnded()) return;
    const Outcome outcome = Collect(kPatience);
    ended_(outcome);
    return Start();
  }
  if (now < due_) return;
  if (state_ == State::kToBeKilled) {
    Kill();
    due_ = due_after_kill_;
    return;
  }
  Heal();
}

void ChaosVictim::Heal() {
  if (state_ == State::kDown) return Start();
  if (state_ != State::kUp) Signal(SIGCONT);
  state_ = State::kUp;
}

Outcome ChaosVictim::Wait(std::chrono::seconds patience) { return Collect(patience); }

std::vector<Process> AwaitEndOfOrphans(const std::vector<ChaosVictim*>& victims,
                                       std::chrono::seconds patience) {
  std::set<pid_t> ours;
  for (ChaosVictim* victim : victims) {
    if (victim->runs()) ours.insert(victim->program().pid());
  }
  std::vector<Process> left;
  for (const auto deadline = std::chrono::steady_clock::now() + patience;; poll(nullptr, 0, 20)) {
    left.clear();
    for (const auto& task : fs::directory_iterator("/proc/self/task")) {
      std::ifstream children(task.path() / "children");
      for (pid_t child = 0; children >> child;) {
        if (ours.contains(child) || waitpid(child, nullptr, WNOHANG) == child) continue;
        left.push_back({child, NameOf(child)});
      }
    }
    if (left.empty() || std::chrono::steady_clock::now() >= deadline) return left;
  }
}

std::vector<Process> ProcessesWith(const std::string& variable) {
  std::vector<Process> found;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    if (pid <= 0 || pid == getpid()) continue;
    std::ifstream file(entry.path() / "environ", std::ios::binary);
    const std::string all{std::istreambuf_iterator<char>(file), {}};
    if (('\0' + all + '\0').find('\0' + variable + '\0') != std::string::npos) {
      found.push_back({pid, NameOf(pid)});
    }
  }
  return found;
}

}  // namespace kiln
