#pragma once

namespace kiln {

// Answers each HostRequest frame that comes on the socket with a HostReply frame, and
// kDescribeFrame with a HostDescription, until the other end closes it. Must be called in a process
// without threads, which it keeps so. Returns the process's exit status.
int ServeTrials(int socket);

}  // namespace kiln
