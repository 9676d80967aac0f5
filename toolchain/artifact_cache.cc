// Eviction: the keys are spread evenly over 256 folders, so each folder keeps to 1/256 of the limit
// on its own, whenever something is put into it: the entries that were used longest ago go first
// (a hit renews the time of the file). No index, no lock, and no scan of the whole cache.
#include "toolchain/artifact_cache.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/read_file.h"

namespace kiln {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kShards = 256;
constexpr char kFormat[] = "kiln-object 1";

// "kiln-object 1 <key> <digest of the object> "; the compiler and a newline follow.
std::string HeaderOf(std::uint64_t key, std::string_view object) {
  return std::string(kFormat) + ' ' + Hex(key) + ' ' + Hex(Digest(object)) + ' ';
}

std::optional<CompiledCode> ParseEntry(std::uint64_t key, std::string_view bytes) {
  const std::size_t newline = bytes.find('\n');
  if (newline == std::string_view::npos) return std::nullopt;
  std::string object(bytes.substr(newline + 1));
  const std::string header = HeaderOf(key, object);
  if (newline < header.size() || bytes.compare(0, header.size(), header) != 0) return std::nullopt;
  return CompiledCode{std::move(object),
                      std::string(bytes.substr(header.size(), newline - header.size()))};
}

// Writes a new file; on an error there is none, and errno says why.
bool WriteNew(const fs::path& path, const std::string& bytes) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  const ssize_t written = write(fd, bytes.data(), bytes.size());
  const bool whole = written == static_cast<ssize_t>(bytes.size());
  if (written >= 0 && !whole) errno = ENOSPC;
  const int error = errno;
  if (close(fd) == 0 && whole) return true;
  unlink(path.c_str());
  errno = error;
  return false;
}

struct Entry {
  fs::path path;
  std::int64_t bytes = 0;
  timespec used{};
};

std::vector<Entry> EntriesOf(const fs::path& shard) {
  std::vector<Entry> entries;
  std::error_code error;
  for (const auto& file : fs::directory_iterator(shard, error)) {
    struct stat status {};
    if (stat(file.path().c_str(), &status) != 0) continue;  // another process was faster
    entries.push_back({file.path(), status.st_size, status.st_mtim});
  }
  return entries;
}

// Removes the entries used longest ago, until the rest fits.
void Shrink(const fs::path& shard, std::int64_t limit) {
  std::vector<Entry> entries = EntriesOf(shard);
  std::int64_t total = 0;
  for (const Entry& entry : entries) total += entry.bytes;
  if (total <= limit) return;
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.used.tv_sec, a.used.tv_nsec) < std::pair(b.used.tv_sec, b.used.tv_nsec);
  });
  for (const Entry& entry : entries) {
    if (total <= limit) return;
    unlink(entry.path.c_str());
    total -= entry.bytes;
  }
}

class ArtifactCache final : public Compiler {
 public:
  ArtifactCache(std::unique_ptr<Compiler> inner, const ArtifactCacheOptions& options)
      : inner_(std::move(inner)), options_(options) {}

  StatusOr<std::variant<CompiledCode, CompileFailure>> Compile(const CompileJob& job) override {
    if (job.emit == EmitKind::kAssembly) return inner_->Compile(job);
    const std::uint64_t key = Digest(Hex(options_.compiler) + Serialize(job));
    auto known = Load(key);
    if (options_.on_lookup) options_.on_lookup(known ? CacheLookup::kHit : CacheLookup::kMiss);
    if (known) return *std::move(known);
    auto result = inner_->Compile(job);
    if (result.ok() && std::holds_alternative<CompiledCode>(*result)) {
      Store(key, std::get<CompiledCode>(*result));
    }
    return result;
  }

  StatusOr<std::string> Describe() override { return inner_->Describe(); }

 private:
  fs::path ShardOf(std::uint64_t key) const {
    return fs::path(options_.directory) / Hex(key).substr(0, 2);
  }
  fs::path PathOf(std::uint64_t key) const { return ShardOf(key) / Hex(key).substr(2); }

  std::optional<CompiledCode> Load(std::uint64_t key) const {
    const fs::path path = PathOf(key);
    const auto bytes = ReadFile(path.string());
    if (bytes.status().code() == StatusCode::kNotFound) return std::nullopt;
    std::optional<CompiledCode> code;
    if (bytes.ok()) {
      code = ParseEntry(key, {reinterpret_cast<const char*>(bytes->data()), bytes->size()});
    }
    if (code) {
      utimensat(AT_FDCWD, path.c_str(), nullptr, 0);
    } else {
      spdlog::warn("object cache: {} is damaged; compiling it again", path.string());
    }
    return code;
  }

  void Store(std::uint64_t key, const CompiledCode& code) {
    const fs::path shard = ShardOf(key);
    std::error_code error;
    fs::create_directories(shard, error);
    if (error) return WarnOnce(error.message());
    // A leftover of a process that was killed is evicted like an entry.
    const fs::path draft = shard / (Hex(key).substr(2) + ".new." + std::to_string(getpid()) + "." +
                                    std::to_string(drafts_++));
    const std::string bytes = HeaderOf(key, code.output) + code.compiler + '\n' + code.output;
    if (!WriteNew(draft, bytes)) return WarnOnce(std::strerror(errno));
    if (rename(draft.c_str(), PathOf(key).c_str()) != 0) {
      WarnOnce(std::strerror(errno));
      unlink(draft.c_str());
      return;
    }
    Shrink(shard, options_.bytes / kShards);
  }

  void WarnOnce(const std::string& why) {
    if (warned_.exchange(true)) return;
    spdlog::warn("object cache: cannot write {}: {}; kernels are compiled again each time",
                 options_.directory, why);
  }

  const std::unique_ptr<Compiler> inner_;
  const ArtifactCacheOptions options_;
  std::atomic<std::uint64_t> drafts_{0};
  std::atomic<bool> warned_{false};
};

}  // namespace

std::unique_ptr<Compiler> NewArtifactCache(std::unique_ptr<Compiler> inner,
                                           const ArtifactCacheOptions& options) {
  return std::make_unique<ArtifactCache>(std::move(inner), options);
}

}  // namespace kiln
