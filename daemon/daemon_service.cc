#include "daemon/daemon_service.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "daemon/agenda.h"
#include "daemon/job_view.h"
#include "daemon/submission.h"
#include "proto/daemon.grpc.pb.h"
#include "proto/transport.h"

namespace kiln {
namespace {

using Json = nlohmann::ordered_json;

constexpr auto kCallers = {Role::kClient, Role::kAdmin};
constexpr std::int64_t kJobsShown = 200, kMostJobsShown = 100'000;
// Whoever submits in a loop is told so before the daemon slows down.
constexpr std::int64_t kMostUnfinished = 10'000;
// How long a caller waits for a database that is locked; it is asked again after so much rest.
constexpr std::chrono::seconds kStoreTime{10};
constexpr std::chrono::milliseconds kStoreRest{200};

class Service final : public DaemonService, public v1::Daemon::CallbackService {
 public:
  explicit Service(const Collaborators& with) : with_(with) {}
  grpc::Service& service() override { return *this; }

 private:
  using Context = grpc::CallbackServerContext;
  using Call = grpc::ServerUnaryReactor;

  Call* Submit(Context* context, const v1::SubmitRequest* request, v1::JobReply* reply) override {
    return Answer(context, "Submit", *request, [this, request, reply](const Peer& peer) {
      return Submit(peer, *request, *reply);
    });
  }
  Call* ListJobs(Context* context, const v1::ListJobsRequest* request,
                 v1::ListJobsReply* reply) override {
    return Answer(context, "ListJobs", *request, [this, request, reply](const Peer& peer) {
      return List(peer, *request, *reply);
    });
  }
  Call* ShowJob(Context* context, const v1::ShowJobRequest* request, v1::JobReply* reply) override {
    return Answer(context, "ShowJob", *request,
                  [this, request, reply](const Peer&) { return Show(request->id(), *reply); });
  }
  Call* Wish(Context* context, const v1::WishRequest* request, v1::JobReply* reply) override {
    return Answer(context, "Wish", *request, [this, request, reply](const Peer& peer) {
      return Wish(peer, *request, *reply);
    });
  }

  // Does `work` on the reactor's thread; request and reply live until the call is finished.
  template <typename Request, typename Work>
  Call* Answer(Context* context, const char* method, const Request& request, Work work) {
    Call* call = context->DefaultReactor();
    StatusOr<Peer> peer = with_.peers.Admit(*context, method, kCallers);
    Status status = peer.status();
    if (status.ok()) status = CheckProtocol(request.protocol(), "the caller", "this daemon");
    if (!status.ok()) {
      call->Finish(ToGrpc(status));
      return call;
    }
    with_.reactor.Post([this, call, work = [peer = *std::move(peer), work = std::move(work)] {
      return work(peer);
    }] { Try(call, work, with_.clock.Now() + kStoreTime); });
    return call;
  }

  // A database that another program has locked is asked again, while the loop goes on: whatever
  // `work` has written by then, it finds.
  void Try(Call* call, std::function<Status()> work, SteadyTime give_up) {
    const Status status = work();
    if (status.code() != StatusCode::kUnavailable || with_.clock.Now() >= give_up) {
      return call->Finish(ToGrpc(status));
    }
    with_.reactor.After(
        kStoreRest, [this, call, work = std::move(work), give_up] { Try(call, work, give_up); });
  }

  // ---- on the reactor's thread

  std::int64_t NowMs() const { return ToUnixMs(with_.clock.Today()); }

  // Over TLS nobody speaks for others.
  static std::string UserOf(const Peer& peer, const std::string& claimed) {
    return peer.principal ? peer.principal->name : claimed;
  }

  Status Submit(const Peer& peer, const v1::SubmitRequest& request, v1::JobReply& reply) {
    const Submission submission{.uuid = request.uuid(),
                                .user = UserOf(peer, request.user()),
                                .name = request.name(),
                                .window = request.window(),
                                .deadline = request.deadline(),
                                .spec = request.spec(),
                                .series = request.series(),
                                .priority = request.priority(),
                                .after = {request.after().begin(), request.after().end()}};
    ASSIGN_OR_RETURN(const std::optional<Job> known, Known(submission));
    if (known) {
      RETURN_IF_ERROR(CheckSubmittedAgain(submission, *known));
      return Show(known->id, reply);
    }
    RETURN_IF_ERROR(CheckRoom());
    ASSIGN_OR_RETURN(const NewJob job,
                     CheckSubmission(submission, with_.night.config(), with_.clock.Today()));
    if (!submission.series.empty()) return SubmitSeries(peer, submission, job, reply);
    ASSIGN_OR_RETURN(const Job submitted, with_.store.Submit(job, NowMs()));
    with_.night.Evaluate();
    return Show(submitted.id, reply);
  }

  // The job that this is, if it was submitted before.
  StatusOr<std::optional<Job>> Known(const Submission& submission) const {
    if (!submission.series.empty() || submission.uuid.empty()) return std::optional<Job>();
    ASSIGN_OR_RETURN(const std::vector<Job> jobs, with_.store.Jobs({.uuid = submission.uuid}));
    return jobs.empty() ? std::nullopt : std::optional(jobs.front());
  }

  Status CheckRoom() const {
    ASSIGN_OR_RETURN(const auto counts, with_.store.Counts());
    std::int64_t unfinished = 0;
    for (const auto& [state, count] : counts) unfinished += IsFinal(state) ? 0 : count;
    if (unfinished < kMostUnfinished) return {};
    return Error(StatusCode::kResourceExhausted, unfinished,
                 " jobs wait already, as many as a queue takes: cancel some, or wait");
  }

  Status SubmitSeries(const Peer& peer, const Submission& submission, const NewJob& job,
                      v1::JobReply& reply) {
    RETURN_IF_ERROR(MayTouchSeries(peer, submission.series, /*must_exist=*/false));
    RETURN_IF_ERROR(with_.store.PutSeries({submission.series, job, submission.deadline, NowMs()}));
    with_.night.Evaluate();
    ASSIGN_OR_RETURN(const std::vector<Job> jobs,
                     with_.store.Jobs({.states = UnfinishedStates(), .series = submission.series}));
    return jobs.empty() ? Status() : Show(jobs.front().id, reply);
  }

  Status List(const Peer& peer, const v1::ListJobsRequest& request,
              v1::ListJobsReply& reply) const {
    reply.Clear();  // of a try before
    const std::int64_t limit =
        request.limit() > 0 ? std::min(request.limit(), kMostJobsShown) : kJobsShown;
    JobQuery query{.states = UnfinishedStates(), .limit = kMostJobsShown};
    if (!request.user().empty()) query.user = UserOf(peer, request.user());
    ASSIGN_OR_RETURN(std::vector<Job> jobs, with_.store.Jobs(query));
    SortForPeople(jobs);
    const auto most = static_cast<std::size_t>(limit);
    const std::size_t left_off = jobs.size() > most ? jobs.size() - most : 0;
    jobs.resize(jobs.size() - left_off);
    query.states = FinalStates();
    query.limit = limit - static_cast<std::int64_t>(jobs.size());
    if (request.ended() && query.limit > 0) {
      ASSIGN_OR_RETURN(const std::vector<Job> ended, with_.store.Jobs(query));
      jobs.insert(jobs.end(), ended.begin(), ended.end());
    }
    for (Job& job : jobs) reply.add_jobs(JobJson({with_.night.Present(std::move(job))}));
    return DescribeDaemon(left_off, *reply.mutable_daemon());
  }

  // `left_off`: how many jobs that have not ended are not in the answer.
  Status DescribeDaemon(std::size_t left_off, std::string& text) const {
    const DaemonConfig& config = with_.night.config();
    const WallTime now = with_.clock.Today();
    Json windows = Json::array();
    for (const TimeWindow& window : config.windows) {
      windows.push_back({{"name", window.rule().name},
                         {"open", window.IsOpen(now)},
                         {"text", window.Describe(now)}});
    }
    ASSIGN_OR_RETURN(const std::vector<JobSeries> all, with_.store.Series());
    Json series = Json::array();
    for (const JobSeries& each : all) {
      series.push_back({{"name", each.name}, {"window", each.job.window}, {"user", each.job.user}});
    }
    const Json json = {{"name", config.name},
                       {"time", FormatTime(ToUnixMs(now))},
                       {"local", config.zone.Local(now)},
                       {"running", with_.night.running()},
                       {"left_off", left_off},
                       {"windows", std::move(windows)},
                       {"series", std::move(series)},
                       {"trouble", with_.night.store_trouble()},
                       {"maintenance", with_.maintenance_trouble()}};
    text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
    return {};
  }

  Status Show(std::int64_t id, v1::JobReply& reply) const {
    ASSIGN_OR_RETURN(Job job, with_.store.JobOf(id));
    JobView view{with_.night.Present(std::move(job))};
    ASSIGN_OR_RETURN(view.history, with_.store.Transitions(id));
    const std::int64_t week_ago = NowMs() - std::chrono::milliseconds(kFairnessMemory).count();
    ASSIGN_OR_RETURN(const std::vector<JobRun> runs,
                     with_.store.RunsSince(std::min(view.job.submitted_ms, week_ago)));
    std::ranges::copy_if(runs, std::back_inserter(view.runs),
                         [id](const JobRun& run) { return run.job == id; });
    if (!IsFinal(view.job.standing.state)) {
      ASSIGN_OR_RETURN(const std::vector<Job> jobs,
                       with_.store.Jobs({.states = UnfinishedStates(), .limit = kMostJobsShown}));
      view.forecast = ForecastOf(view.job, jobs, runs, with_.night.config(), with_.clock.Today());
    }
    reply.set_job(JobJson(view));
    return {};
  }

  Status Wish(const Peer& peer, const v1::WishRequest& request, v1::JobReply& reply) {
    if (!request.series().empty()) return EndSeries(peer, request);
    ASSIGN_OR_RETURN(const Job job, with_.store.JobOf(request.id()));
    RETURN_IF_ERROR(MayTouch(peer, job.job.user, "job " + std::to_string(job.id)));
    JobWish wish = JobWish::kNone;
    switch (request.wish()) {
      case v1::WishRequest::WISH_PAUSE:
        wish = JobWish::kPause;
        break;
      case v1::WishRequest::WISH_RESUME:
        break;
      case v1::WishRequest::WISH_CANCEL:
        wish = JobWish::kCancel;
        break;
      case v1::WishRequest::WISH_CANCEL_NOW:
        wish = JobWish::kCancelNow;
        break;
      default:
        return Error(StatusCode::kInvalidArgument, "an unknown wish");
    }
    RETURN_IF_ERROR(with_.queue.Wish(job, wish, UserOf(peer, request.user())));
    return Show(job.id, reply);
  }

  Status EndSeries(const Peer& peer, const v1::WishRequest& request) {
    if (request.wish() != v1::WishRequest::WISH_CANCEL &&
        request.wish() != v1::WishRequest::WISH_CANCEL_NOW) {
      return Error(StatusCode::kInvalidArgument, "a series can be cancelled, and nothing else");
    }
    RETURN_IF_ERROR(MayTouchSeries(peer, request.series(), /*must_exist=*/true));
    return with_.store.EndSeries(request.series());
  }

  Status MayTouchSeries(const Peer& peer, const std::string& name, bool must_exist) const {
    ASSIGN_OR_RETURN(const std::vector<JobSeries> all, with_.store.Series());
    const auto found = std::ranges::find(all, name, &JobSeries::name);
    if (found != all.end()) return MayTouch(peer, found->job.user, "the series " + name);
    if (!must_exist) return {};
    return Error(StatusCode::kNotFound, "no series ", name, ": `kiln jobs` lists them");
  }

  static Status MayTouch(const Peer& peer, const std::string& owner, const std::string& what) {
    if (!peer.principal || peer.principal->role == Role::kAdmin) return {};
    if (peer.principal->name == owner) return {};
    return Error(StatusCode::kPermissionDenied, what, " is ", owner, "'s: only ", owner,
                 " or an admin may do this");
  }

  const Collaborators with_;
};

}  // namespace

std::unique_ptr<DaemonService> NewDaemonService(const DaemonService::Collaborators& with) {
  return std::make_unique<Service>(with);
}

}  // namespace kiln
