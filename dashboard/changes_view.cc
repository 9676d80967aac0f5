#include "dashboard/changes_view.h"

#include <algorithm>
#include <set>
#include <utility>

#include "dashboard/words.h"

namespace kiln {
namespace {

struct Change {
  ChangesView::Row row;
  double saved_ns = 0;  // in the network
};

// How often, and on how many devices, the bytes of a record were right.
void CountVerified(const TrialRecord& record, ChangesView::Row& row) {
  std::set<std::string> devices;
  const auto add = [&](const Trial& trial) {
    if (std::holds_alternative<Failure>(trial.outcome)) return;
    ++row.verified;
    devices.insert(trial.device);
  };
  add(record.trial);
  for (const Remeasurement& more : record.again) add(more.trial);
  row.devices = std::ssize(devices);
}

void Judge(const StoredBest& best, ChangesView::Row& row) {
  if (best.stale) {
    row.why = "stale: this Kiln makes other code of it, so tune it again";
  } else if (best.best.judged.kind != TimeKind::kMeasured) {
    row.why = std::string(Name(best.best.judged.kind)) + ", not measured: try it on a device";
  } else if (!best.best.confirmed) {
    row.why = "not confirmed: let its tuning end, or measure it with `kiln bench`";
  } else if (row.paired && row.paired->low <= 1) {
    row.why = "as fast as before: the interval holds 1.00x";
  } else if (!row.from_ns) {
    row.is_safe = true;
    row.why = "confirmed; what was before has no time to compare with";
  } else if (row.to_ns > *row.from_ns) {
    row.why = "not faster than before on this device";
  } else {
    row.is_safe = true;
    row.why = row.paired ? "confirmed in turn with what was before"
                         : "confirmed, though not in turn with what was before";
  }
}

Change ChangeOf(const LayerFacts& layer) {
  const StoredBest& best = *layer.best;
  const Trial& judged = best.best.judged;
  Change change;
  ChangesView::Row& row = change.row;
  row.name = layer.name;
  row.key = layer.task.workload;
  row.setting = SettingText(layer.task);
  row.device = judged.device;
  row.from_config = layer.former ? layer.former->record.config_id : "untuned";
  row.to_config = best.best.record.config_id;
  row.to_ns = *layer.best_ns();
  row.samples = std::ssize(std::get<Timings>(judged.outcome).samples_ns);
  CountVerified(best.best.record, row);
  const std::optional<Trial> untuned = best.untuned ? best.untuned->judged : std::nullopt;
  const std::optional<Trial>& rival = layer.former ? layer.former_today : untuned;
  if (rival) {
    row.from_ns = RankTime(*rival);
    const bool in_turn = best.best.confirmed && rival->uuid != judged.uuid;
    if (in_turn) row.paired = GainInTurn(*rival, judged);
  }
  Judge(best, row);
  if (row.from_ns) change.saved_ns = (*row.from_ns - row.to_ns) * layer.count;
  return change;
}

}  // namespace

ChangesView MakeChangesView(const std::vector<LayerFacts>& layers, std::size_t limit) {
  std::vector<Change> changes;
  for (const LayerFacts& layer : layers) {
    if (layer.is_changed()) changes.push_back(ChangeOf(layer));
  }
  std::ranges::stable_sort(changes, std::greater<>(), [](const Change& change) {
    return std::pair(change.row.is_safe, change.saved_ns);
  });
  ChangesView view;
  for (Change& change : changes) {
    view.safe += change.row.is_safe;
    if (view.rows.size() < limit) {
      view.rows.push_back(std::move(change.row));
    } else {
      ++view.left_out;
    }
  }
  return view;
}

}  // namespace kiln
