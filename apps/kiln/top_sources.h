#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "apps/kiln/daemon_access.h"
#include "apps/kiln/top_facts.h"
#include "rpc_client/rpc_client.h"

namespace kiln {

// Where `kiln top` looks. At least one is set.
struct TopSources {
  std::optional<TrackerEndpoint> tracker;
  std::optional<DaemonAccess> daemon;
  std::string database;  // empty: none
};

// Enters into the facts what one place has answered; quick.
using TopAnswer = std::function<void(TopFacts&)>;
// Asks one place, at that Unix time, which may take some seconds. Changes nothing there. Called by
// one thread at a time.
using TopQuestion = std::function<TopAnswer(std::int64_t now_ms)>;

// One for each place, which keep their connections; they may be asked side by side.
std::vector<TopQuestion> QuestionsFor(const TopSources& sources);

// Before any answer: says of each place that it is being asked.
TopFacts FactsBefore(const TopSources& sources);

}  // namespace kiln
