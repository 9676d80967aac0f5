#include "measure/device_judge.h"

#include <algorithm>
#include <sstream>
#include <utility>

namespace kiln {

void DeviceStanding::Doubt(std::uint64_t trial, std::string_view how) {
  if (is_proven_) return;
  doubts_.insert(trial);
  if (doubts_.size() < kMostDoubts) return;
  std::ostringstream why;
  why << "gives wrong results: none of " << doubts_.size()
      << " kernels was right, the last: " << how;
  Accuse(why.str());
}

void DeviceStanding::Accuse(const std::string& why) {
  if (blame_.empty()) blame_ = why;
}

Verdict TrialCase::OnRight(DeviceStanding& here) {
  here.Prove();
  for (const Wrong& wrong : wrongs_) {
    if (wrong.where->device() == here.device()) continue;
    wrong.where->Accuse("gives wrong results: " + wrong.how + ", which is right on " +
                        here.device());
  }
  return Verdict::kCounts;
}

Verdict TrialCase::OnWrong(const std::shared_ptr<DeviceStanding>& here, std::string_view how,
                           bool last_resort) {
  wrongs_.push_back({here, std::string(how)});
  last_ = here->device() + " gives wrong results: " + std::string(how);
  here->Doubt(trial_, how);
  if (wrongs_.size() < 2) return Verdict::kAgain;
  const auto is_credible = [](const Wrong& wrong) {
    return wrong.where->is_proven() && wrong.where->blame().empty();
  };
  if (std::ranges::any_of(wrongs_, is_credible)) return Verdict::kCounts;
  const auto is_accused = [](const Wrong& wrong) { return !wrong.where->blame().empty(); };
  if (last_resort && std::ranges::none_of(wrongs_, is_accused)) return Verdict::kCounts;
  return wrongs_.size() < kMostOpinions ? Verdict::kAgain : Verdict::kGivenUp;
}

Verdict TrialCase::OnHostKilled(DeviceStanding& here, std::string_view how) {
  last_ = here.device() + " lost its hosts: " + std::string(how);
  const bool convicts = Convicts(here, how);
  if (here.is_proven() || convicts) return Verdict::kKiller;
  here.Doubt(trial_, how);
  return ++hosts_killed_ < kMostOpinions ? Verdict::kAgain : Verdict::kGivenUp;
}

Verdict TrialCase::OnLost(const DeviceStanding& here, bool while_running, std::string_view how,
                          std::uint64_t answers) {
  if (losses_ == 0 || answers != answers_) losses_in_a_row_ = 0;
  answers_ = answers;
  ++losses_;
  ++losses_in_a_row_;
  NoteLoss(here, how);
  if (while_running && Convicts(here, how)) return Verdict::kKiller;
  return losses_in_a_row_ <= retries_ && losses_ < kMostLosses ? Verdict::kAgain
                                                               : Verdict::kGivenUp;
}

Verdict TrialCase::OnLostWithTheLast(const DeviceStanding& here, bool while_running,
                                     std::string_view how) {
  NoteLoss(here, how);
  return while_running && Convicts(here, how) ? Verdict::kKiller : Verdict::kAgain;
}

void TrialCase::NoteLoss(const DeviceStanding& here, std::string_view how) {
  std::ostringstream last;
  last << "lost the device " << losses_ << " times during one trial, last " << here.device() << ": "
       << how;
  last_ = last.str();
}

Verdict TrialCase::OnUnwell(const DeviceStanding& here, std::string_view how,
                            std::uint64_t answers) {
  unwell_.insert(here.device());
  return OnLost(here, false, how, answers);
}

// A device that went down twice under the same kernel, and was not seen to do other work in
// between, may be what is broken: that is one piece of evidence, not two.
bool TrialCase::Convicts(const DeviceStanding& here, std::string_view how) {
  const bool is_known =
      std::ranges::any_of(evidence_, [&](const Evidence& e) { return e.device == here.device(); });
  if (!is_known || here.is_proven()) evidence_.push_back({here.device(), std::string(how)});
  return evidence_.size() >= 2;
}

bool TrialCase::Shuns(std::string_view device) const {
  const auto was_wrong = [&](const Wrong& wrong) { return wrong.where->device() == device; };
  const auto went_down = [&](const Evidence& evidence) { return evidence.device == device; };
  return std::ranges::any_of(wrongs_, was_wrong) || std::ranges::any_of(evidence_, went_down) ||
         IsUnwell(device);
}

std::string TrialCase::took_down() const {
  std::string words = "took down two hosts";
  const char* separator = ": ";
  for (const Evidence& evidence : evidence_) {
    words += separator + evidence.device + ": " + evidence.how;
    separator = "; ";
  }
  return words;
}

std::string TrialCase::why_given_up() const { return last_; }

}  // namespace kiln
