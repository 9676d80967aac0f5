#include "apps/command_line/command_line.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <sstream>
#include <type_traits>
#include <vector>

#include "absl/strings/cord.h"
#include "apps/command_line/completion.h"
#include "apps/command_line/manual.h"
#include "base/standard_streams.h"
#include "base/version.h"
#include "base/write_file.h"
#include "ops/target_file.h"
#include "proto/transport.h"

namespace kiln {
namespace {

constexpr char kUsage[] = "kiln/usage";  // the payload that marks a usage error

bool IsUsageError(const Status& status) { return status.GetPayload(kUsage).has_value(); }

// Thrown while options are read, as --help is: what was asked for, or why it cannot be had.
class Asked final : public CLI::Success {
 public:
  explicit Asked(StatusOr<std::string> text) : text_(std::move(text)) {}
  const StatusOr<std::string>& text() const { return text_; }

 private:
  StatusOr<std::string> text_;
};

// What was written.
StatusOr<std::string> WriteManual(const CommandNode& program, const std::string& directory) {
  std::string written;
  for (const auto& [name, page] : ManualPages(program, kVersion)) {
    RETURN_IF_ERROR(ReplaceFile(directory + "/" + name, page));
    written += directory + "/" + name + "\n";
  }
  return written;
}

// CLI11 only says that there is no command, not that the word in its place is none.
std::string WhatIsWrong(const CLI::App& app, const CLI::ParseError& error) {
  const std::vector<std::string> rest = app.remaining();
  const bool has_commands = !app.get_subcommands([](const CLI::App*) { return true; }).empty();
  if (has_commands && app.get_subcommands().empty() && !rest.empty()) {
    return (rest[0].starts_with('-') ? "no option " : "no command ") + rest[0];
  }
  return error.what();
}

// The number, or what is wrong with the text.
template <typename Number>
std::string ReadNumber(const std::string& text, const NumberRange<Number>& range, Number& number) {
  constexpr bool kWhole = std::is_integral_v<Number>;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error == std::errc() && rest == end && number >= range.least && number <= range.most) {
    if constexpr (kWhole) return "";
    if (std::isfinite(static_cast<double>(number))) return "";
  }
  const std::string kind = kWhole ? "a whole number" : "a number";
  std::ostringstream wrong;
  wrong << "want " << kind << " from " << range.least;
  // The end of the type is of interest to those alone who went beyond it.
  if (range.most < std::numeric_limits<Number>::max() || error == std::errc::result_out_of_range) {
    wrong << " to " << range.most;
  } else {
    wrong << " on";
  }
  wrong << ", got `" << text << "`";
  return wrong.str();
}

}  // namespace

Status AsUsageError(Status status) {
  if (!status.ok()) status.SetPayload(kUsage, absl::Cord());
  return status;
}

int ExitStatus(const Status& status) {
  if (status.ok()) return 0;
  if (IsUsageError(status)) return kUsageStatus;
  return status.code() == StatusCode::kCancelled ? kInterruptedStatus : kFailureStatus;
}

int ReportError(const std::string& program, const Status& status) {
  WriteError(program + ": " + Message(status) + "\n");
  return ExitStatus(status);
}

void AddSelfDescription(CLI::App& app, std::function<CompletionWords()> words) {
  constexpr char kGroup[] = "For shells and man";
  const auto complete = [&app, words = std::move(words)](const std::string& shell) {
    throw Asked(
        CompletionScript(DescribeCommands(app), words ? words() : CompletionWords(), shell));
  };
  app.add_option_function<std::string>("--completion", complete,
                                       "print a script that completes this program's command lines")
      ->check(CLI::IsMember({"bash", "zsh", "fish"}))
      ->trigger_on_parse()
      ->type_name("SHELL")
      ->group(kGroup);
  const auto write = [&app](const std::string& directory) {
    throw Asked(WriteManual(DescribeCommands(app), directory));
  };
  app.add_option_function<std::string>("--manual", write, "write its manual pages there")
      ->trigger_on_parse()
      ->type_name("DIR")
      ->group(kGroup);
}

std::optional<int> ParseCommandLine(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const Asked& asked) {
    if (!asked.text().ok()) return ReportError(app.get_name(), asked.text().status());
    WriteOutput(*asked.text());
    return FinishOutput(app.get_name().c_str(), 0);
  } catch (const CLI::Success& request) {  // --help, --version
    std::ostringstream text;
    app.exit(request, text, text);
    WriteOutput(text.str());
    return FinishOutput(app.get_name().c_str(), 0);
  } catch (const CLI::ParseError& error) {
    return ReportError(app.get_name(),
                       UsageError(WhatIsWrong(app, error), " (see `", app.get_name(), " --help`)"));
  }
  return std::nullopt;
}

template <typename Number>
CLI::Option* AddNumberOption(CLI::App& command, const std::string& name,
                             std::function<void(Number)> set, const std::string& help,
                             const NumberRange<Number>& range) {
  const auto store = [set = std::move(set), range](const std::string& text) {
    Number number{};
    if (ReadNumber(text, range, number).empty()) set(number);
  };
  const auto check = [range](const std::string& text) {
    Number ignored{};
    return ReadNumber(text, range, ignored);
  };
  return command.add_option_function<std::string>(name, store, help)
      ->check(check)
      ->type_name(std::is_integral_v<Number> ? "N" : "NUMBER");
}

template CLI::Option* AddNumberOption(CLI::App&, const std::string&,
                                      std::function<void(std::int32_t)>, const std::string&,
                                      const NumberRange<std::int32_t>&);
template CLI::Option* AddNumberOption(CLI::App&, const std::string&,
                                      std::function<void(std::int64_t)>, const std::string&,
                                      const NumberRange<std::int64_t>&);
template CLI::Option* AddNumberOption(CLI::App&, const std::string&,
                                      std::function<void(std::uint64_t)>, const std::string&,
                                      const NumberRange<std::uint64_t>&);
template CLI::Option* AddNumberOption(CLI::App&, const std::string&, std::function<void(double)>,
                                      const std::string&, const NumberRange<double>&);

void AddCredentials(CLI::App& command, TlsFiles& files, CredentialUse use) {
  constexpr char kGroup[] = "Credentials (scripts/make-certs makes them)";
  const auto add = [&](const char* name, std::string& file, const char* variable,
                       const char* help) {
    return command.add_option(name, file, help)
        ->envname(variable)
        ->type_name("FILE")
        ->group(kGroup);
  };
  auto* ca =
      add("--ca", files.ca, "KILN_CA", "the farm's authority: speak TLS with those it has signed");
  auto* cert = add("--cert", files.cert, "KILN_CERT", "this program's certificate");
  auto* key = add("--key", files.key, "KILN_KEY", "the certificate's private key");
  cert->needs(key)->needs(ca);
  key->needs(cert);
  ca->needs(cert);
  if (use == CredentialUse::kToServe) {
    add("--crl", files.crl, "KILN_CRL", "the certificates that the authority has revoked")
        ->needs(ca);
  }
}

std::string CheckServerAddress(const std::string& text) { return Message(CheckAddress(text)); }

StatusOr<Target> TargetOption(const std::string& word) {
  StatusOr<Target> target = FindTarget(word);
  if (target.ok() || IsTargetFile(word)) return target;
  return AsUsageError(std::move(target));
}

}  // namespace kiln
