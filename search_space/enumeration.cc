// All legal configs by backtracking: knobs are set in order, each constraint is checked as soon as
// the last of its knobs is set, and a violated one cuts the whole subtree. (Knuth, The Art of
// Computer Programming 4B, section 7.2.2: Algorithm B.) A node is a prefix of choices; `depth` is
// how many knobs are set. A constraint over few knobs is asked for the same values under every choice
// of the others: its answers are kept.

#include "search_space/enumeration.h"

#include <algorithm>
#include <limits>
#include <set>
#include <sstream>
#include <string>
#include <string_view>

namespace kiln {
namespace {

Status CheckWord(std::string_view what, std::string_view knob, std::string_view word) {
  if (!word.empty() && word.find_first_of("=;") == std::string_view::npos) return {};
  return Error(StatusCode::kInvalidArgument, "knob '", knob, "': the ", what, " '", word,
               "' must not be empty or contain '=' or ';'");
}

Status CheckKnob(const Knob& knob) {
  RETURN_IF_ERROR(CheckWord("name", knob.name, knob.name));
  if (knob.values.empty()) {
    return Error(StatusCode::kInvalidArgument, "knob '", knob.name, "' has no values");
  }
  if (knob.values.size() > std::numeric_limits<std::uint16_t>::max()) {
    return Error(StatusCode::kInvalidArgument, "knob '", knob.name, "' has ", knob.values.size(),
                 " values; at most 65535 are possible");
  }
  std::set<std::string_view> labels;
  for (const KnobValue& value : knob.values) {
    RETURN_IF_ERROR(CheckWord("label", knob.name, value.label));
    if (!labels.insert(value.label).second) {
      return Error(StatusCode::kInvalidArgument, "knob '", knob.name, "' has the label '",
                   value.label, "' twice");
    }
  }
  return {};
}

class Backtracking {
 public:
  Backtracking(std::span<const Knob> knobs, std::span<const BoundConstraint> constraints,
               const MixedRadix& radix)
      : knobs_(knobs), radix_(radix), chosen_(knobs.size()), due_(knobs.size()) {
    for (const BoundConstraint& constraint : constraints) {
      due_[constraint.last].push_back({&constraint, 0, std::vector<Answer>(AnswersOf(constraint))});
      arguments_.resize(std::max(arguments_.size(), constraint.knobs.size()));
    }
  }

  StatusOr<std::vector<std::uint64_t>> Run() {
    Descend(0, 0);
    if (!limit_.ok()) return limit_;
    if (codes_.empty()) return WhyEmpty();
    codes_.shrink_to_fit();
    return std::move(codes_);
  }

 private:
  enum class Answer : std::uint8_t { kUnknown, kHolds, kIsViolated };
  static constexpr std::size_t kMostAnswers = std::size_t{1} << 16;

  struct Due {
    const BoundConstraint* bound;
    std::uint64_t rejected;       // prefixes
    std::vector<Answer> answers;  // by the choices of its knobs; empty: they are not kept
  };

  // How many answers a constraint has; 0: too many, or none comes twice.
  std::size_t AnswersOf(const BoundConstraint& constraint) const {
    const std::set<std::size_t> over(constraint.knobs.begin(), constraint.knobs.end());
    if (over.size() > constraint.last) return 0;  // all up to its last: each choice comes once
    std::size_t count = 1;
    for (const std::size_t knob : constraint.knobs) {
      count *= knobs_[knob].values.size();
      if (count > kMostAnswers) return 0;
    }
    return count;
  }

  // False: a limit was hit.
  bool Descend(std::size_t depth, std::uint64_t code) {
    if (depth == knobs_.size()) return Found(code);
    deepest_ = std::max(deepest_, depth);
    const std::vector<KnobValue>& values = knobs_[depth].values;
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (++visits_ > ConfigSpace::kMaxVisits)
        return Stop("partial configs", ConfigSpace::kMaxVisits);
      chosen_[depth] = i;
      if (!Holds(depth)) continue;
      if (!Descend(depth + 1, code + i * radix_.weights[depth])) return false;
    }
    return true;
  }

  bool Found(std::uint64_t code) {
    if (codes_.size() == ConfigSpace::kMaxSize) return Stop("legal configs", ConfigSpace::kMaxSize);
    codes_.push_back(code);
    return true;
  }

  bool Holds(std::size_t depth) {
    for (Due& due : due_[depth]) {
      if (Holds(due)) continue;
      ++due.rejected;
      return false;
    }
    return true;
  }

  bool Holds(Due& due) {
    if (due.answers.empty()) return Ask(*due.bound);
    std::size_t at = 0;
    for (const std::size_t knob : due.bound->knobs) {
      at = at * knobs_[knob].values.size() + chosen_[knob];
    }
    Answer& answer = due.answers[at];
    if (answer == Answer::kUnknown) answer = Ask(*due.bound) ? Answer::kHolds : Answer::kIsViolated;
    return answer == Answer::kHolds;
  }

  bool Ask(const BoundConstraint& bound) {
    for (std::size_t i = 0; i < bound.knobs.size(); ++i) {
      const std::size_t knob = bound.knobs[i];
      arguments_[i] = knobs_[knob].values[chosen_[knob]].value;
    }
    return bound.constraint->holds(std::span(arguments_).first(bound.knobs.size()));
  }

  bool Stop(std::string_view what, std::uint64_t limit) {
    limit_ = Error(StatusCode::kInvalidArgument, "the search space has more than ", limit, " ",
                   what, " (of ", radix_.combinations,
                   " combinations): give its knobs fewer values, or constrain earlier ones");
    return false;
  }

  // No prefix went beyond the deepest knob reached, so its constraints removed all of them.
  Status WhyEmpty() const {
    std::ostringstream reasons;
    for (const Due& due : due_[deepest_]) {
      if (due.rejected == 0) continue;
      reasons << (reasons.tellp() > 0 ? "; " : "") << due.bound->constraint->reason << " ("
              << due.rejected << " candidates)";
    }
    return Error(StatusCode::kFailedPrecondition, "no legal config: at knob '",
                 knobs_[deepest_].name, "' the last candidates are illegal, because ",
                 reasons.str());
  }

  std::span<const Knob> knobs_;
  const MixedRadix& radix_;
  std::vector<std::size_t> chosen_;      // of the knobs that are set, which of its values
  std::vector<std::vector<Due>> due_;    // per knob, the constraints to check when it is set
  std::vector<std::int64_t> arguments_;  // of the constraint being checked
  std::vector<std::uint64_t> codes_;
  std::uint64_t visits_ = 0;
  std::size_t deepest_ = 0;
  Status limit_;
};

}  // namespace

StatusOr<MixedRadix> NumberConfigs(std::span<const Knob> knobs) {
  std::set<std::string_view> names;
  MixedRadix radix{std::vector<std::uint64_t>(knobs.size()), 1};
  for (std::size_t k = knobs.size(); k-- > 0;) {
    RETURN_IF_ERROR(CheckKnob(knobs[k]));
    if (!names.insert(knobs[k].name).second) {
      return Error(StatusCode::kInvalidArgument, "two knobs are named '", knobs[k].name, "'");
    }
    radix.weights[k] = radix.combinations;
    if (__builtin_mul_overflow(radix.combinations, knobs[k].values.size(), &radix.combinations)) {
      return Error(StatusCode::kInvalidArgument,
                   "the search space has more than 2^64 combinations: give its knobs fewer values");
    }
  }
  return radix;
}

StatusOr<std::vector<BoundConstraint>> BindConstraints(std::span<const Knob> knobs,
                                                       std::span<const Constraint> constraints) {
  std::vector<BoundConstraint> bound;
  for (const Constraint& constraint : constraints) {
    if (constraint.knobs.empty() || !constraint.holds) {
      return Error(StatusCode::kInvalidArgument, "the constraint '", constraint.reason, "' has no ",
                   constraint.holds ? "knobs" : "rule");
    }
    BoundConstraint& b = bound.emplace_back();
    b.constraint = &constraint;
    for (const std::string& name : constraint.knobs) {
      const auto knob = std::ranges::find(knobs, name, &Knob::name);
      if (knob == knobs.end()) {
        return Error(StatusCode::kInvalidArgument, "the constraint '", constraint.reason,
                     "' is over the knob '", name, "', which does not exist");
      }
      b.knobs.push_back(static_cast<std::size_t>(knob - knobs.begin()));
    }
    b.last = *std::ranges::max_element(b.knobs);
  }
  return bound;
}

StatusOr<std::vector<std::uint64_t>> EnumerateLegal(std::span<const Knob> knobs,
                                                    std::span<const BoundConstraint> constraints,
                                                    const MixedRadix& radix) {
  return Backtracking(knobs, constraints, radix).Run();
}

}  // namespace kiln
