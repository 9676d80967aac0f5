#pragma once

#include <functional>
#include <string>

#include "db/job_rules.h"
#include "db/job_store.h"

namespace kiln {

// This is what all stores of jobs have in common: what changes one job is a rule (db/job_rules.h)
// that is applied to it; a store only loads and keeps.
class RuledJobStore : public JobStore {
 public:
  StatusOr<JobClaim> Claim(std::int64_t id, const std::string& holder, std::int64_t now_ms,
                           std::chrono::milliseconds ttl) final;
  StatusOr<JobWish> Beat(const JobClaim& claim, const JobProgress& progress, std::int64_t now_ms,
                         std::chrono::milliseconds ttl) final;
  Status Move(const JobClaim& claim, const JobStanding& to, const JobProgress& progress,
              std::int64_t now_ms, bool crashed) final;
  Status Explain(const Job& seen, const JobStanding& to, std::int64_t now_ms) final;
  StatusOr<Job> Wish(std::int64_t id, JobWish wish, const std::string& who,
                     std::int64_t now_ms) final;
  Status SetTeller(std::int64_t id, const std::string& teller) final;

 protected:
  using Rule = std::function<Status(JobEntry&)>;
  // Keeps what the rule made of the job, all of it or, after an error, nothing. kNotFound: there is
  // no such job.
  virtual Status Change(std::int64_t id, const Rule& rule) = 0;
};

}  // namespace kiln
