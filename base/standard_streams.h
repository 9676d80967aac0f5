#pragma once

#include <string_view>

// Standard input, output and error of our programs. Output is what was asked for: losing some of it
// is a failure. What goes to standard error is progress, and words about what went wrong: losing it
// changes nothing.

namespace kiln {

// The first thing in every main(). Descriptors 0 to 2 that are closed get a file that can neither be
// read nor written, as gnulib's stdopen does it: else a socket or a database would get their number
// and be taken for them. SIGPIPE is ignored: a reader that has gone is a failed write like others.
void PrepareStandardStreams();

// To standard output, which is buffered; FlushOutput() and FinishOutput() tell of failures.
void WriteOutput(std::string_view text);
void WriteOutputLine(std::string_view line);

// Writes out what is buffered. False: something, now or before, could not be written.
bool FlushOutput();

// To standard error, at once. What cannot be written is lost. Thread-safe.
void WriteError(std::string_view text);

// The last thing in every main(): `status`, or 1 instead of 0 if not all output could be written.
// Then it also says so, unless the reader has gone on its own (EPIPE).
int FinishOutput(const char* program, int status);

}  // namespace kiln
