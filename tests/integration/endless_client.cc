// A client of a farm that runs a kernel without end: endless_client TRACKER. It prints how the run
// ended. For tests of what becomes of the kernel when its client does not go on.

#include <cstdio>

#include "tests/integration/farm_client.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const auto client = kiln::NewFarmClient(argv[1], "endless");
  if (const kiln::Status status = client->Acquire(); !status.ok()) {
    std::fprintf(stderr, "%s\n", kiln::Message(status).c_str());
    return 1;
  }
  std::puts(client->Run("endless", std::chrono::minutes(10)).c_str());
  return 0;
}
