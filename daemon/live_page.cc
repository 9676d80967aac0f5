// Two threads: the reactor's takes requests, answers what is fresh enough from memory, and gathers
// what only it may ask (the queue); the page's own reads the database, asks the tracker and writes
// the page. Requests for a page that is being made wait for it together.

#include "daemon/live_page.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "base/digest.h"
#include "base/duration.h"
#include "base/read_file.h"
#include "dashboard/dashboard.h"
#include "dashboard/report_page.h"
#include "models/model.h"

namespace kiln {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kFresh{5};   // a page is not made again before
constexpr int kRestPerWork = 50;            // nor before so many times as long as it took,
constexpr std::chrono::seconds kStale{60};  // but after this
constexpr std::size_t kMostPages = 8;       // kept
constexpr std::size_t kMostWaiting = 64;    // requests
constexpr std::size_t kLeastTokenBytes = 20;
constexpr const char* kDefaultSince = "24h";

// What a page is of, as the query says it.
struct PageKey {
  std::string network, since;
  auto operator<=>(const PageKey&) const = default;  // NOLINT(modernize-use-nullptr)
};

struct MadePage {
  std::string body, etag;
  SteadyTime made;
  Nanoseconds cost{0};
};

// A page to be made, and who waits for it.
struct PageOrder {
  PageKey key;
  std::optional<QueueView> queue;  // as it was then
  std::optional<WallTime> last_backup;
  std::function<FarmView()> farm;  // null: there is no tracker
  struct Waiting {
    std::string known;  // If-None-Match
    HttpRespond respond;
  };
  std::vector<Waiting> waiting;
};

HttpResponse Answer(int status, std::string words) {
  HttpResponse response{.status = status, .body = std::move(words) + "\n"};
  response.headers = {{"Cache-Control", "no-store"}};
  return response;
}

HttpResponse HtmlAnswer(int status, std::string body) {
  HttpResponse response{
      .status = status, .content_type = "text/html; charset=utf-8", .body = std::move(body)};
  response.headers = {{"Content-Security-Policy", std::string(kLivePagePolicy)},
                      {"Referrer-Policy", "no-referrer"},
                      {"Cross-Origin-Resource-Policy", "same-origin"},
                      {"Cache-Control", "no-cache"}};
  return response;
}

HttpResponse PageAnswer(const MadePage& page, const std::string& known) {
  HttpResponse response =
      HtmlAnswer(known == page.etag ? 304 : 200, known == page.etag ? "" : page.body);
  response.headers.emplace_back("ETag", page.etag);
  return response;
}

// In a time that does not tell how much of it is right.
bool IsSame(const std::string& given, const std::string& secret) {
  unsigned difference = given.size() == secret.size() ? 0 : 1;
  for (std::size_t i = 0; i < given.size(); ++i) {
    difference |= static_cast<unsigned char>(given[i]) ^
                  static_cast<unsigned char>(secret[i % secret.size()]);
  }
  return difference == 0;
}

// Whether a browser says that a page of another site had it send this.
bool IsFromElsewhere(const HttpRequest& request) {
  const std::string& site = request.Header("sec-fetch-site");
  if (!site.empty() && site != "same-origin" && site != "none") return true;
  const std::string& origin = request.Header("origin");
  const std::string& host = request.Header("host");
  return !origin.empty() && origin != "http://" + host && origin != "https://" + host;
}

std::int64_t SizeOf(const std::string& path) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  return error ? 0 : static_cast<std::int64_t>(size);
}

// "/jobs/7/pause"
struct WishPath {
  std::int64_t job = 0;
  JobWish wish = JobWish::kNone;
};
std::optional<WishPath> ParseWishPath(std::string_view path) {
  constexpr std::string_view kPrefix = "/jobs/";
  if (!path.starts_with(kPrefix)) return std::nullopt;
  path.remove_prefix(kPrefix.size());
  WishPath wish;
  const auto [end, error] = std::from_chars(path.data(), path.data() + path.size(), wish.job);
  if (error != std::errc()) return std::nullopt;
  const std::string_view word = path.substr(static_cast<std::size_t>(end - path.data()));
  if (word == "/resume") return wish;  // the end of any other wish
  for (const JobWish each : {JobWish::kPause, JobWish::kCancel}) {
    wish.wish = each;
    if (word == "/" + std::string(Name(each))) return wish;
  }
  return std::nullopt;
}

// What reads the database, on the page's thread alone.
class PageMaker {
 public:
  explicit PageMaker(const LivePage::Sources& sources) : sources_(sources) {}

  StatusOr<std::string> Make(const PageOrder& order, std::optional<FarmView> farm) {
    RETURN_IF_ERROR(Open());
    const WallTime now = sources_.clock.Today();
    DashboardScope scope{.db = "--db " + sources_.database, .now_ms = ToUnixMs(now)};
    ASSIGN_OR_RETURN(const WallTime since, ParseSince(order.key.since, now));
    scope.since_ms = ToUnixMs(since);
    LiveParts live{.has_token = !sources_.token.empty(),
                   .networks = BuiltinNetworkNames(),
                   .network = order.key.network,
                   .since = order.key.since};
    if (!order.key.network.empty()) {
      ASSIGN_OR_RETURN(scope.network, BuiltinNetwork(order.key.network));
      scope.what = "--network " + order.key.network;
    }
    if (order.queue) live.queue = *order.queue;
    live.farm = std::move(farm);
    StoreFile file{.path = sources_.database,
                   .bytes = SizeOf(sources_.database),
                   .log_bytes = SizeOf(sources_.database + "-wal"),
                   .is_of_daemon = true};
    if (order.last_backup) file.last_backup_ms = ToUnixMs(*order.last_backup);
    ASSIGN_OR_RETURN(const Dashboard dashboard,
                     ReadDashboard({*store_, *statistics_, sources_.registry, targets_},
                                   jobs_.get(), file, std::move(scope)));
    return RenderLivePage(dashboard, live);
  }

 private:
  // Anew for each page, which takes a few ms: a newer Kiln may have migrated the file meanwhile, or a
  // backup may have taken its place.
  Status Open() {
    ASSIGN_OR_RETURN(store_, OpenSqliteStore(sources_.database, OpenMode::kReadOnly));
    ASSIGN_OR_RETURN(statistics_, OpenSqliteStatistics(sources_.database));
    ASSIGN_OR_RETURN(jobs_, OpenSqliteJobStore(sources_.database, OpenMode::kReadOnly));
    return {};
  }

  const LivePage::Sources& sources_;
  const TargetLookup targets_ = NewTargetLookup();
  std::unique_ptr<TuningStore> store_;
  std::unique_ptr<TrialStatistics> statistics_;
  std::unique_ptr<JobStore> jobs_;
};

class ThreadedPage final : public LivePage {
 public:
  explicit ThreadedPage(Sources sources) : sources_(std::move(sources)), maker_(sources_) {}
  ~ThreadedPage() override {
    {
      const std::lock_guard lock(mutex_);
      ends_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  std::vector<HttpRoute> routes() override {
    return {{"GET", "/", [this](const auto& request, auto respond) { Show(request, respond); }},
            {"GET", std::string(kPageScriptPath),
             [](const HttpRequest&, const HttpRespond& respond) {
               HttpResponse script = Answer(200, std::string(PageScript()));
               script.content_type = "text/javascript; charset=utf-8";
               respond(std::move(script));
             }},
            {"POST", "/jobs/*",
             [this](const auto& request, auto respond) { respond(Change(request)); }}};
  }

 private:
  // ---- on the reactor's thread

  void Show(const HttpRequest& request, const HttpRespond& respond) {
    auto fields = request.Fields();
    PageKey key{fields["network"], fields["since"]};
    if (key.since.empty()) key.since = kDefaultSince;
    const Status good = Check(key);
    if (!good.ok()) return respond(HtmlAnswer(400, RenderTroublePage(Message(good))));
    const std::string& known = request.Header("if-none-match");
    const std::lock_guard lock(mutex_);
    const auto made = pages_.find(key);
    if (made != pages_.end() && IsFresh(made->second))
      return respond(PageAnswer(made->second, known));
    if (++waiting_ > kMostWaiting) {
      --waiting_;
      return respond(HtmlAnswer(503, RenderTroublePage("Too many look at once: try again.")));
    }
    const auto order = std::ranges::find(orders_, key, &PageOrder::key);
    if (order != orders_.end()) {
      order->waiting.push_back({known, respond});
      return;
    }
    orders_.push_back({.key = std::move(key),
                       .queue = Queue(),
                       .last_backup = sources_.last_backup(),
                       .farm = sources_.farm(),
                       .waiting = {{known, respond}}});
    changed_.notify_all();
  }

  // What is wrong is said before a page is begun.
  Status Check(const PageKey& key) const {
    RETURN_IF_ERROR(ParseSince(key.since, sources_.clock.Today()).status());
    return key.network.empty() ? Status() : BuiltinNetwork(key.network).status();
  }

  std::optional<QueueView> Queue() const {
    StatusOr<QueueView> queue = sources_.queue();
    if (queue.ok()) return *std::move(queue);
    return QueueView{.troubles = {"the queue cannot be read: " + Message(queue.status())}};
  }

  HttpResponse Change(const HttpRequest& request) {
    const std::optional<WishPath> path = ParseWishPath(request.path);
    if (!path) return Answer(404, "want POST /jobs/ID/pause, /resume or /cancel");
    if (sources_.token.empty()) {
      return Answer(403, "this page is for reading: `token_file` in [listen] allows changes");
    }
    if (IsFromElsewhere(request)) return Answer(403, "this comes from a page of another site");
    const std::string& given = request.Header("authorization");
    if (!IsSame(given, "Bearer " + sources_.token)) {
      spdlog::warn("the page was asked for a change without the token");
      HttpResponse refused = Answer(401, "the token is not right: nothing was changed");
      refused.headers.emplace_back("WWW-Authenticate", "Bearer");
      return refused;
    }
    return Grant(*path);
  }

  HttpResponse Grant(const WishPath& path) {
    const Status status = sources_.wish(path.job, path.wish);
    const std::lock_guard lock(mutex_);
    pages_.clear();  // whoever changes something looks what came of it
    const std::string word = path.wish == JobWish::kNone ? "resume" : std::string(Name(path.wish));
    if (status.ok()) return Answer(200, fmt::format("job {}: {} is noted", path.job, word));
    const bool is_missing = status.code() == StatusCode::kNotFound;
    const bool is_busy = status.code() == StatusCode::kUnavailable;
    return Answer(is_missing ? 404 : is_busy ? 503 : 409, Message(status));
  }

  // ---- on either

  bool IsFresh(const MadePage& page) const {
    const Nanoseconds rest = std::clamp<Nanoseconds>(kRestPerWork * page.cost, kFresh, kStale);
    return sources_.clock.Now() - page.made < rest;
  }

  // ---- on the page's thread

  void Run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return ends_ || !orders_.empty(); });
      if (ends_) return;
      // It stays in the list, for others to wait for.
      const PageOrder order = orders_.front();
      lock.unlock();
      std::optional<FarmView> farm;
      if (order.farm) farm = order.farm();  // waits, but works little
      const SteadyTime start = sources_.clock.Now();
      StatusOr<std::string> body = maker_.Make(order, std::move(farm));
      const Nanoseconds cost = sources_.clock.Now() - start;
      lock.lock();
      Deliver(std::move(body), cost);
    }
  }

  void Deliver(StatusOr<std::string> body, Nanoseconds cost) {
    const PageOrder order = std::move(orders_.front());
    orders_.pop_front();
    waiting_ -= order.waiting.size();
    if (!body.ok()) {
      const std::string words = "The database cannot be read now: " + Message(body.status());
      for (const auto& [known, respond] : order.waiting) {
        respond(HtmlAnswer(503, RenderTroublePage(words)));
      }
      return;
    }
    const std::string etag = fmt::format("\"{:016x}\"", Digest(*body));
    const MadePage page{*std::move(body), etag, sources_.clock.Now(), cost};
    for (const auto& [known, respond] : order.waiting) respond(PageAnswer(page, known));
    if (pages_.size() >= kMostPages && !pages_.contains(order.key)) {
      pages_.erase(
          std::ranges::min_element(pages_, {}, [](const auto& each) { return each.second.made; }));
    }
    pages_[order.key] = page;
  }

  const Sources sources_;
  PageMaker maker_;
  std::mutex mutex_;  // for all below
  std::condition_variable changed_;
  bool ends_ = false;
  std::size_t waiting_ = 0;
  std::deque<PageOrder> orders_;  // the first is being made
  std::map<PageKey, MadePage> pages_;
  std::thread thread_{[this] { Run(); }};
};

}  // namespace

std::unique_ptr<LivePage> NewLivePage(LivePage::Sources sources) {
  return std::make_unique<ThreadedPage>(std::move(sources));
}

StatusOr<std::string> ReadToken(const std::string& path) {
  struct stat file {};
  if (stat(path.c_str(), &file) == 0 && (file.st_mode & 077) != 0) {
    return Error(StatusCode::kInvalidArgument, path,
                 " may be read by others than its owner: chmod 600 it");
  }
  ASSIGN_OR_RETURN(const std::vector<std::uint8_t> bytes, ReadFile(path, 4096));
  std::string token(bytes.begin(), bytes.end());
  if (token.ends_with('\n')) token.pop_back();
  const bool is_plain = std::ranges::all_of(token, [](char c) { return c > ' ' && c < 0x7f; });
  if (is_plain && token.size() >= kLeastTokenBytes) return token;
  return Error(StatusCode::kInvalidArgument, path, " is no token: one line of at least ",
               kLeastTokenBytes, " letters and digits, as `openssl rand -hex 32` prints");
}

}  // namespace kiln
