#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "daemon/night_daemon.h"
#include "dashboard/queue_view.h"
#include "db/job_store.h"

namespace kiln {

const std::vector<JobState>& UnfinishedStates();
const std::vector<JobState>& FinalStates();

// This is the queue as people see and change it, whatever they do it with. On the reactor's thread.
class JobQueue {
 public:
  // All must outlive it. `observer`: of what people do to jobs that nobody holds; null: nobody.
  struct Collaborators {
    const Clock& clock;
    JobStore& store;
    NightDaemon& night;
    NightObserver* observer = nullptr;
  };
  explicit JobQueue(const Collaborators& with) : with_(with) {}

  // What `user` wants of a job. Asking twice for the same is no mistake. Errors as JobStore::Wish.
  Status Wish(const Job& job, JobWish wish, const std::string& user);

  // As it is now: so many jobs that have not ended, with forecasts, and so many that have.
  struct Limits {
    std::size_t waiting = 40, ended = 12;
  };
  StatusOr<QueueView> Look(const Limits& limits) const;

 private:
  QueueView::Row RowOf(Job job) const;

  const Collaborators with_;
};

}  // namespace kiln
