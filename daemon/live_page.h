#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "dashboard/farm_view.h"
#include "dashboard/queue_view.h"
#include "db/job_store.h"
#include "kernels_templates/kernel_template.h"
#include "telemetry/http_server.h"

namespace kiln {

// This is the page of a daemon for browsers: what its database says, its queue, and the devices of
// its tracker. It is made on a thread of its own, at most once in some seconds and for a fiftieth of
// the time, however many look at it: tuners on this machine must not notice. Without a token it can
// only be read.
//
// A change is a POST with the token as Authorization header, which a browser never sends by itself:
// no other site can make one through a reader's browser. One that says that it comes from another
// site is refused all the same.
class LivePage {
 public:
  struct Sources {
    const Clock& clock;
    std::string database;
    const TemplateRegistry& registry;
    std::string token;  // empty: nobody may change anything
    // On the reactor's thread.
    std::function<StatusOr<QueueView>()> queue;
    std::function<Status(std::int64_t job, JobWish wish)> wish;
    std::function<std::optional<WallTime>()> last_backup;
    // What to ask a tracker on the page's thread, which may take seconds; null: there is no tracker.
    std::function<std::function<FarmView()>()> farm;
  };
  // The thread ends. Of what is under way nobody hears.
  virtual ~LivePage() = default;
  // For RouteHttp(): / (with ?network=NAME and ?since=TIME), its script, and POST /jobs/ID/WISH. The
  // server must go before this object.
  virtual std::vector<HttpRoute> routes() = 0;
};

std::unique_ptr<LivePage> NewLivePage(LivePage::Sources sources);

// The token of a file: its only line. kInvalidArgument: it is too short to be a secret, or others
// than its owner may read it.
StatusOr<std::string> ReadToken(const std::string& path);

}  // namespace kiln
