#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/reactor.h"
#include "daemon/daemon_config.h"
#include "daemon/job_tuner.h"
#include "db/job_store.h"

namespace kiln {

// What happens, for metrics, logs and whoever waits for it. Called on the reactor's thread.
class NightObserver {
 public:
  virtual ~NightObserver() = default;
  virtual void OnTransition(const Job& job) = 0;  // this daemon moved it: as it is now
  virtual void OnTunerEvent(const Job& job, const TunerEvent& event) = 0;
  virtual void OnTick() = 0;
};

// This is the night itself: it claims jobs from the queue when they may run, has each tuned by a
// program of its own, and sees to it that they stop when they must. Everything is decided anew, from
// what the store and the clock say, at each tick: nothing depends on having seen a window open. A
// tick comes when something is to be done, at least every minute, and whenever Wake() is called. All
// on the reactor's thread, Wake() excepted.
class NightDaemon {
 public:
  struct Collaborators {
    Reactor& reactor;
    const Clock& clock;
    JobStore& store;
    JobTuners& tuners;
    NightObserver* observer = nullptr;
    std::function<Status(const std::string& target)> check_target = nullptr;  // known by name?
  };
  // Nothing is done before Start(). `holder` is "NAME/INSTANCE": what another instance of the same
  // name holds is taken back at once, so there must be none. `database` is given to the tuners.
  static std::shared_ptr<NightDaemon> Create(const Collaborators& with, DaemonConfig config,
                                             std::string database, std::string holder);
  virtual ~NightDaemon() = default;

  virtual void Start() = 0;
  virtual void Wake() = 0;  // thread-safe
  // A tick, now.
  virtual void Evaluate() = 0;
  virtual void Reload(DaemonConfig config) = 0;
  virtual const DaemonConfig& config() const = 0;

  // Stops all tuners, and takes no more jobs; `done` is called when the last has ended.
  virtual void Stop(std::function<void()> done) = 0;
  // Does not wait for what runs.
  virtual void KillAll() = 0;

  // The job as it is, with what could not be written to the store.
  virtual Job Present(Job job) const = 0;
  // Why the store cannot be used now; empty: it can.
  virtual const std::string& store_trouble() const = 0;
  virtual std::size_t running() const = 0;
};

}  // namespace kiln
