// store_writer DATABASE PREFIX FIRST COUNT: appends trials FIRST .. FIRST+COUNT-1, one at a time,
// with uuids PREFIX<index>, and prints each index once it is stored. The other process of the
// tests.

#include <cstdio>
#include <cstdlib>

#include "tests/db/trials.h"

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  const std::string prefix = argv[2];
  const std::uint64_t first = std::strtoull(argv[3], nullptr, 10);
  const std::uint64_t count = std::strtoull(argv[4], nullptr, 10);
  auto store = kiln::OpenSqliteStore(argv[1], kiln::OpenMode::kReadWrite);
  if (!store.ok()) {
    std::fprintf(stderr, "%s\n", kiln::Message(store.status()).c_str());
    return 1;
  }
  const kiln::Task task = kiln::FakeTask(kiln::ManyConfigs());
  for (std::uint64_t i = first; i < first + count; ++i) {
    const kiln::Trial trial = kiln::OkTrial(task, i, 100.0, prefix + std::to_string(i));
    const kiln::Status status = (*store)->Append(task, kiln::CacheState::kHot, std::vector{trial});
    if (!status.ok()) {
      std::fprintf(stderr, "%s\n", kiln::Message(status).c_str());
      return 1;
    }
    std::printf("%llu\n", static_cast<unsigned long long>(i));
    std::fflush(stdout);
  }
  return 0;
}
