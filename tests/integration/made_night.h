#pragma once

#include <cstdint>
#include <string>

namespace kiln {

// Databases as nights of tuning leave them, without the nights: nobody measured these trials. Always
// the same but for the time that they are of. Failures are failures of the test.

// MobileNetV1 on a board, tuned a week ago and again tonight: two devices, a few failures, old and
// new, confirmed and unconfirmed bests, a second place of which half is known, and the jobs of the
// night: one done, one failed.
void MakeGoodNight(const std::string& database, std::int64_t now_ms);
// All that was ever tried failed, tonight.
void MakeFailedNight(const std::string& database, std::int64_t now_ms);
// One layer that was tried three times.
void MakeOneTask(const std::string& database, std::int64_t now_ms);
// So many layers.
void MakeManyTasks(const std::string& database, std::int64_t now_ms, int tasks);

}  // namespace kiln
