#include "daemon/daemon_client.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <filesystem>
#include <utility>

#include "base/utf8.h"
#include "proto/daemon.grpc.pb.h"
#include "proto/tls_probe.h"
#include "proto/transport.h"

namespace kiln {
namespace {

std::chrono::system_clock::time_point In(std::chrono::milliseconds time) {
  return std::chrono::system_clock::now() + time;
}

class GrpcDaemonClient final : public DaemonClient {
 public:
  GrpcDaemonClient(std::string address, TlsFiles tls, DaemonPatience patience)
      : address_(std::move(address)),
        tls_(std::move(tls)),
        patience_(patience),
        channel_(Dial(address_, {tls_})),
        stub_(v1::Daemon::NewStub(channel_)) {}

  StatusOr<std::string> Submit(const Submission& submission) override {
    v1::SubmitRequest request;
    request.set_uuid(submission.uuid);
    request.set_user(submission.user);
    request.set_name(submission.name);
    request.set_window(submission.window);
    request.set_priority(submission.priority);
    request.set_deadline(submission.deadline);
    request.mutable_after()->Add(submission.after.begin(), submission.after.end());
    request.set_spec(submission.spec);
    request.set_series(submission.series);
    for (const std::string* text : {&submission.uuid, &submission.user, &submission.name,
                                    &submission.window, &submission.deadline, &submission.series}) {
      if (IsUtf8(*text)) continue;
      return Error(StatusCode::kInvalidArgument, "`", *text,
                   "` is no UTF-8 text: names and times are");
    }
    return Job(&v1::Daemon::Stub::Submit, std::move(request));
  }

  StatusOr<JobList> List(const JobListQuery& query) override {
    v1::ListJobsRequest request;
    request.set_ended(query.ended);
    request.set_user(query.user);
    request.set_limit(query.limit);
    ASSIGN_OR_RETURN(const v1::ListJobsReply reply,
                     (Call<v1::ListJobsReply>(&v1::Daemon::Stub::ListJobs, std::move(request))));
    return JobList{{reply.jobs().begin(), reply.jobs().end()}, reply.daemon()};
  }

  StatusOr<std::string> Show(std::int64_t id) override {
    v1::ShowJobRequest request;
    request.set_id(id);
    return Job(&v1::Daemon::Stub::ShowJob, std::move(request));
  }

  StatusOr<std::string> Wish(std::int64_t id, JobWish wish, const std::string& user) override {
    v1::WishRequest request;
    request.set_id(id);
    request.set_user(user);
    request.set_wish(wish == JobWish::kPause       ? v1::WishRequest::WISH_PAUSE
                     : wish == JobWish::kCancel    ? v1::WishRequest::WISH_CANCEL
                     : wish == JobWish::kCancelNow ? v1::WishRequest::WISH_CANCEL_NOW
                                                   : v1::WishRequest::WISH_RESUME);
    return Job(&v1::Daemon::Stub::Wish, std::move(request));
  }

  Status EndSeries(const std::string& name, const std::string& user) override {
    v1::WishRequest request;
    request.set_series(name);
    request.set_user(user);
    request.set_wish(v1::WishRequest::WISH_CANCEL);
    return Job(&v1::Daemon::Stub::Wish, std::move(request)).status();
  }

 private:
  template <typename Request>
  using Method = grpc::Status (v1::Daemon::Stub::*)(grpc::ClientContext*, const Request&,
                                                    v1::JobReply*);

  template <typename Request>
  StatusOr<std::string> Job(Method<Request> method, Request request) {
    ASSIGN_OR_RETURN(const v1::JobReply reply, (Call<v1::JobReply>(method, std::move(request))));
    return reply.job();
  }

  template <typename Reply, typename Request, typename Function>
  StatusOr<Reply> Call(Function function, Request request) {
    RETURN_IF_ERROR(Connect());
    request.set_protocol(kProtocolVersion);
    grpc::ClientContext context;
    context.set_deadline(In(patience_.answer));
    Reply reply;
    RETURN_IF_ERROR(FromGrpc((stub_.get()->*function)(&context, request, &reply)));
    return reply;
  }

  Status Connect() {
    if (!SocketIsMissing() && channel_->WaitForConnected(In(patience_.connect))) return {};
    const Status why = WhyNoConnection(address_, tls_, "", std::chrono::seconds(2));
    if (!why.ok() && why.code() != StatusCode::kUnavailable) return why;
    return Error(StatusCode::kUnavailable, "no daemon answers at ", address_,
                 ": start one with `kiln daemon --config FILE`, or say where it is with --daemon",
                 why.ok() ? "" : " (" + Message(why) + ")");
  }

  // gRPC would wait for one to come.
  bool SocketIsMissing() const {
    std::error_code ignored;
    return IsUnixAddress(address_) && !std::filesystem::exists(UnixPath(address_), ignored);
  }

  const std::string address_;
  const TlsFiles tls_;
  const DaemonPatience patience_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<v1::Daemon::Stub> stub_;
};

}  // namespace

std::unique_ptr<DaemonClient> NewDaemonClient(const std::string& address, const TlsFiles& tls,
                                              DaemonPatience patience) {
  return std::make_unique<GrpcDaemonClient>(address, tls, patience);
}

}  // namespace kiln
