#include "db/ruled_job_store.h"

namespace kiln {

StatusOr<JobClaim> RuledJobStore::Claim(std::int64_t id, const std::string& holder,
                                        std::int64_t now_ms, std::chrono::milliseconds ttl) {
  JobClaim claim;
  RETURN_IF_ERROR(Change(id, [&](JobEntry& entry) -> Status {
    ASSIGN_OR_RETURN(claim, ApplyClaim(entry, holder, now_ms, ttl));
    return {};
  }));
  return claim;
}

StatusOr<JobWish> RuledJobStore::Beat(const JobClaim& claim, const JobProgress& progress,
                                      std::int64_t now_ms, std::chrono::milliseconds ttl) {
  JobWish wish = JobWish::kNone;
  RETURN_IF_ERROR(Change(claim.id, [&](JobEntry& entry) -> Status {
    ASSIGN_OR_RETURN(wish, ApplyBeat(entry, claim, progress, now_ms, ttl));
    return {};
  }));
  return wish;
}

Status RuledJobStore::Move(const JobClaim& claim, const JobStanding& to,
                           const JobProgress& progress, std::int64_t now_ms, bool crashed) {
  return Change(claim.id, [&](JobEntry& entry) {
    return ApplyMove(entry, claim, {to, progress, crashed}, now_ms);
  });
}

Status RuledJobStore::Explain(const Job& seen, const JobStanding& to, std::int64_t now_ms) {
  return Change(seen.id, [&](JobEntry& entry) { return ApplyExplain(entry, seen, to, now_ms); });
}

StatusOr<Job> RuledJobStore::Wish(std::int64_t id, JobWish wish, const std::string& who,
                                  std::int64_t now_ms) {
  Job job;
  RETURN_IF_ERROR(Change(id, [&](JobEntry& entry) -> Status {
    Status status = ApplyWish(entry, wish, who, now_ms);
    if (status.ok()) job = entry.job;
    return status;
  }));
  return job;
}

Status RuledJobStore::SetTeller(std::int64_t id, const std::string& teller) {
  return Change(id, [&](JobEntry& entry) -> Status {
    entry.job.teller = teller;
    return {};
  });
}

}  // namespace kiln
