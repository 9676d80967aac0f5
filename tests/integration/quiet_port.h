#pragma once

namespace kiln {

// A loopback port that only a program which asks for it gets: none of those that the system gives to
// whoever dials, or a server's could be taken while it is away. 0 after a failed expectation.
int QuietPort();

}  // namespace kiln
