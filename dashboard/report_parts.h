#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "dashboard/dashboard.h"
#include "dashboard/html.h"
#include "dashboard/live_parts.h"

// The parts of the page, within the dashboard module only.

namespace kiln {

// A cell of a table: a few words, which may be more important than others, or code.
struct PageCell {
  enum class Look : unsigned char { kPlain, kGood, kBad, kCode };
  std::string text;
  Look look = Look::kPlain;
  std::function<void(HtmlWriter&)> write = nullptr;  // what it has in place of text
};
struct PageColumn {
  enum class Kind : unsigned char { kWord, kNumber, kWords };  // kWords: sentences, which may wrap
  std::string title;
  Kind kind = Kind::kWord;
};
struct PageTable {
  std::string caption;
  std::vector<PageColumn> columns;  // the first names the row
  std::vector<std::vector<PageCell>> rows;
};
// In a region of its own that scrolls, and can be scrolled with keys.
void WritePageTable(HtmlWriter& html, const PageTable& table);

void WriteVerdict(HtmlWriter& html, const Dashboard& dashboard);
void WriteLayers(HtmlWriter& html, const Dashboard& dashboard);
void WriteChanges(HtmlWriter& html, const Dashboard& dashboard);
void WriteFailures(HtmlWriter& html, const Dashboard& dashboard);
void WriteDevices(HtmlWriter& html, const Dashboard& dashboard);
void WriteCurves(HtmlWriter& html, const Dashboard& dashboard);
void WriteStore(HtmlWriter& html, const Dashboard& dashboard);

// Of a live page.
void WriteControls(HtmlWriter& html, const LiveParts& live);
void WriteStatus(HtmlWriter& html, std::int64_t now_ms);  // how old it is, what came of a change
void WriteQueue(HtmlWriter& html, const QueueView& view, std::int64_t now_ms);
void WriteFarm(HtmlWriter& html, const FarmView& view);
void WriteFarmAbsent(HtmlWriter& html);  // in its place

// The style sheet.
void WriteStyle(HtmlWriter& html);

}  // namespace kiln
