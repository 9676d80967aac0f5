#pragma once

#include <string_view>

#include "apps/serving/log_writer.h"

// The log of a serving program: whoever makes it write (and on a network that is anybody) neither
// stops it, nor fills its disk, nor writes what looks like lines of its own. What modules say with
// spdlog goes this way by itself:
//  - it never waits for whoever reads the log, and forgets the oldest lines before it takes too
//    much memory (log_writer.h);
//  - a line is one line, whatever is in its values, and has its limit (log_line.h);
//  - lines of one kind that come too often are counted instead (log_limiter.h); errors never are.

namespace kiln {

// From now on what is logged goes to standard error: standard output has one line, the address.
// Once, at the start of a program. When the program ends (exit(), or main() returns) what has been
// said is given up to a second to be written; when it crashes, a fifth of one.
void LogToStandardError();

// The same on another descriptor, without the ends: when the logger is replaced.
void LogTo(int descriptor, const LogWriterOptions& options = {});

// From now on gRPC's own lines go to the log: those that precede an abort(), and with GRPC_VERBOSITY
// all that it asks for. After the first Listen() or Dial(), which set it otherwise.
void LogGrpc();

// A line without time and level, where the log goes: "PROGRAM: MESSAGE" at the end.
void LogPlainLine(std::string_view text);

}  // namespace kiln
