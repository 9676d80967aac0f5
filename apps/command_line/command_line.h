#pragma once

#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "ops/target.h"
#include "proto/security.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

// What the command lines of our programs have in common: numbers, addresses, help, and how an error
// ends a program.

namespace kiln {

// ---- exit statuses

inline constexpr int kFailureStatus = 1;
inline constexpr int kUsageStatus = 2;          // the command line is wrong
inline constexpr int kInterruptedStatus = 130;  // 128 + SIGINT, as shells have it

// Marks an error as one of the command line itself, whatever files, stores and machines there are.
Status AsUsageError(Status status);
template <typename Value>
StatusOr<Value> AsUsageError(StatusOr<Value> value) {
  if (value.ok()) return value;
  return AsUsageError(std::move(value).status());
}
// UsageError("--golden goes with --model"), as Error().
template <typename... Parts>
Status UsageError(const Parts&... parts) {
  return AsUsageError(Error(StatusCode::kInvalidArgument, parts...));
}

// 0 for ok, 2 for a usage error, 130 for kCancelled, else 1.
int ExitStatus(const Status& status);

// Says "PROGRAM: MESSAGE" on standard error and returns the exit status of an error.
int ReportError(const std::string& program, const Status& status);

// ---- what a program says of itself

// Words that an option may take beside any other, by its name: those of targets, say.
using CompletionWords = std::map<std::string, std::vector<std::string>>;

// --completion SHELL and --manual DIR, made of the app as it is when they are given. Before
// ParseCommandLine(), which ends the program then.
void AddSelfDescription(CLI::App& app, std::function<CompletionWords()> words = nullptr);

// ---- parsing

// Parses; nullopt: go on. Else the program is to end with this status: help or the version has been
// printed, or one line that says what is wrong.
std::optional<int> ParseCommandLine(CLI::App& app, int argc, char** argv);

template <typename Number>
struct NumberRange {
  Number least = std::numeric_limits<Number>::lowest();
  Number most = std::numeric_limits<Number>::max();
};

// An option that takes one finite number in a range, and hands it to `set`. For int32_t, int64_t,
// uint64_t and double.
template <typename Number>
CLI::Option* AddNumberOption(CLI::App& command, const std::string& name,
                             std::function<void(Number)> set, const std::string& help,
                             const NumberRange<Number>& range);

// The same into a variable, a Number or an optional one, which must live when the command line is
// parsed.
template <typename Number, typename Variable>
CLI::Option* AddNumber(CLI::App& command, const std::string& name, Variable& variable,
                       const std::string& help, const NumberRange<Number>& range = {}) {
  return AddNumberOption<Number>(
      command, name, [&variable](Number value) { variable = value; }, help, range);
}

// Validators for CLI::Option::check(): what is wrong with the text; empty: nothing.
// HOST:PORT or unix:PATH of a server that can be dialled.
std::string CheckServerAddress(const std::string& text);

// --ca, --cert, --key, --crl, and KILN_CA, ... where they are not given.
enum class CredentialUse { kToDial, kToServe };
void AddCredentials(CLI::App& command, TlsFiles& files, CredentialUse use);

// FindTarget() for a word of the command line: an unknown name is a usage error, a file that cannot
// be read is none.
StatusOr<Target> TargetOption(const std::string& word);

}  // namespace kiln
