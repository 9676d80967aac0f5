#include "apps/serving/log.h"

#include <grpc/support/log.h>
#include <poll.h>
#include <signal.h>
#include <spdlog/details/null_mutex.h>
#include <spdlog/details/os.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "apps/serving/log_line.h"
#include "base/standard_streams.h"

namespace kiln {
namespace {

using spdlog::level::level_enum;

constexpr std::chrono::seconds kEndPatience{1};
constexpr int kCrashPatienceMs = 200;
constexpr int kCrashPauseMs = 5;

constexpr char kPattern[] = "%Y-%m-%dT%H:%M:%S.%e %^%l%$ %v";

LogClass ClassOf(level_enum level) {
  if (level >= spdlog::level::err) return LogClass::kError;
  return level == spdlog::level::warn ? LogClass::kWarning : LogClass::kNote;
}

level_enum LevelOf(LogClass kind) {
  if (kind == LogClass::kError) return spdlog::level::err;
  return kind == LogClass::kWarning ? spdlog::level::warn : spdlog::level::info;
}

const char* ColourOf(level_enum level) {
  switch (level) {
    case spdlog::level::info:
      return "\033[32m";  // green
    case spdlog::level::warn:
      return "\033[33m\033[1m";  // bold yellow
    case spdlog::level::err:
      return "\033[31m\033[1m";  // bold red
    case spdlog::level::critical:
      return "\033[1m\033[41m";  // bold on red
    default:
      return "\033[36m";  // cyan
  }
}

// This makes the lines, the one place that a message passes on its way. Thread-safe.
class LineForm {
 public:
  explicit LineForm(bool coloured) : coloured_(coloured), formatter_(kPattern) {}

  std::string Line(spdlog::details::log_msg message) {
    const std::string text = OneLine({message.payload.data(), message.payload.size()});
    message.payload = text;
    spdlog::memory_buf_t buffer;
    {
      std::lock_guard lock(mutex_);
      formatter_.format(message, buffer);
    }
    std::string line(buffer.data(), buffer.size());
    if (coloured_ && message.color_range_end > message.color_range_start) {
      line.insert(message.color_range_end, "\033[m");
      line.insert(message.color_range_start, ColourOf(message.level));
    }
    return line;
  }

 private:
  const bool coloured_;
  std::mutex mutex_;  // guards what follows
  spdlog::pattern_formatter formatter_;
};

// Its pattern is fixed: the form's.
class WriterSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  WriterSink(std::shared_ptr<LineForm> form, std::shared_ptr<LogWriter> writer)
      : form_(std::move(form)), writer_(std::move(writer)) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    const std::string_view text(message.payload.data(), message.payload.size());
    if (writer_->Admit(ClassOf(message.level), text)) writer_->Write(form_->Line(message));
  }
  void flush_() override {}  // the writer's thread never waits for more
  void set_pattern_(const std::string&) override {}
  void set_formatter_(std::unique_ptr<spdlog::formatter>) override {}

  const std::shared_ptr<LineForm> form_;
  const std::shared_ptr<LogWriter> writer_;
};

std::shared_ptr<LogWriter> Install(int descriptor, const LogWriterOptions& options) {
  const auto form = std::make_shared<LineForm>(isatty(descriptor) != 0 &&
                                               spdlog::details::os::is_color_terminal());
  const auto remark = [form](LogClass kind, std::string_view text) {
    return form->Line({"", LevelOf(kind), {text.data(), text.size()}});
  };
  std::shared_ptr<LogWriter> writer = NewLogWriter(descriptor, remark, options);
  auto logger =
      std::make_shared<spdlog::logger>("kiln", std::make_shared<WriterSink>(form, writer));
  // spdlog's own would print, and so wait.
  logger->set_error_handler([writer, remark](const std::string& why) {
    writer->Write(remark(LogClass::kError, "a line of the log could not be made: " + why));
  });
  spdlog::set_default_logger(std::move(logger));
  return writer;
}

// Of standard error. Never destroyed: threads may log while the program ends.
std::atomic<LogWriter*> standard_error{nullptr};

// Gives the writer's thread, which runs on, time to write the last lines. System calls only.
void OnCrash(int signal) {
  const LogWriter* const writer = standard_error;
  for (int waited = 0; waited < kCrashPatienceMs && !writer->is_idle(); waited += kCrashPauseMs) {
    poll(nullptr, 0, kCrashPauseMs);
  }
  raise(signal);  // comes when this returns, and finds the default action
}

void OutliveCrashes() {
  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) {
    struct sigaction action {};
    // Somebody else's, a sanitizer's, knows more.
    if (sigaction(signal, nullptr, &action) != 0 || action.sa_handler != SIG_DFL) continue;
    action = {};
    action.sa_handler = OnCrash;
    action.sa_flags = static_cast<int>(SA_RESETHAND | SA_ONSTACK);
    sigaction(signal, &action, nullptr);
  }
}

level_enum LevelOf(gpr_log_severity severity) {
  if (severity == GPR_LOG_SEVERITY_ERROR) return spdlog::level::err;
  // Whoever asks for these wants them all the same: spdlog leaves out what is below info.
  return spdlog::level::info;
}

}  // namespace

void LogTo(int descriptor, const LogWriterOptions& options) { Install(descriptor, options); }

void LogToStandardError() {
  static auto& kept = *new std::shared_ptr<LogWriter>(Install(STDERR_FILENO, {}));
  standard_error = kept.get();
  OutliveCrashes();
  std::atexit([] { standard_error.load()->Flush(kEndPatience); });
}

void LogGrpc() {
  gpr_set_log_function([](gpr_log_func_args* line) {
    static const bool all = std::getenv("GRPC_VERBOSITY") != nullptr;
    if (!all && std::strstr(line->message, "assertion failed") == nullptr) return;
    spdlog::log(LevelOf(line->severity), "gRPC: {}:{}: {}", line->file, line->line, line->message);
  });
}

void LogPlainLine(std::string_view text) {
  const std::string line = OneLine(text) + "\n";
  if (LogWriter* const writer = standard_error) return writer->Write(line);
  WriteError(line);
}

}  // namespace kiln
