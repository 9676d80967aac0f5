#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/status.h"

namespace kiln {

// What a scrape says, by family; a histogram's series are those of its buckets, sum and count.
struct ScrapedFamily {
  std::string type, help;
  // By name and labels in order, as Prometheus shows them: kiln_jobs{state="done"}.
  std::map<std::string, double> series;
};
using Scrape = std::map<std::string, ScrapedFamily>;

// Reads Prometheus' text format 0.0.4, strictly: help, type and series of a family together and in
// this order, no series twice, nothing unknown, histograms whose buckets add up. kInvalidArgument: the
// line, and what is wrong with it.
StatusOr<Scrape> ParseExposition(std::string_view text);

// The value of a series; -1: it is not there.
double ValueOf(const Scrape& scrape, const std::string& series);

}  // namespace kiln
