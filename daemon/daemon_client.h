#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "daemon/submission.h"
#include "db/job_store.h"
#include "proto/security.h"

namespace kiln {

struct JobList {
  std::vector<std::string> jobs;  // JSON
  std::string daemon;             // JSON
};

struct JobListQuery {
  bool ended = false;
  std::string user = {};
  std::int64_t limit = 0;
};

// These are the questions to a daemon and its answers, each a call that waits for it: proto/daemon.proto.
// kUnavailable: no daemon answers there; other errors are the daemon's.
class DaemonClient {
 public:
  virtual ~DaemonClient() = default;
  virtual StatusOr<std::string> Submit(
      const Submission& submission) = 0;  // the job; "": a series that is not due
  virtual StatusOr<JobList> List(const JobListQuery& query) = 0;
  virtual StatusOr<std::string> Show(std::int64_t id) = 0;
  // kNone: resume.
  virtual StatusOr<std::string> Wish(std::int64_t id, JobWish wish, const std::string& user) = 0;
  virtual Status EndSeries(const std::string& name, const std::string& user) = 0;
};

// How long a call waits: for a connection, if there is none yet, and then for the answer.
struct DaemonPatience {
  std::chrono::milliseconds connect{3'000}, answer{30'000};
};

// `address`: unix:PATH, or HOST:PORT with credentials.
std::unique_ptr<DaemonClient> NewDaemonClient(const std::string& address, const TlsFiles& tls,
                                              DaemonPatience patience = {});

}  // namespace kiln
