#pragma once

#include <string>
#include <string_view>

#include "dashboard/dashboard.h"
#include "dashboard/live_parts.h"

namespace kiln {

// The dashboard as one HTML file that needs nothing else: no script, no network, light and dark,
// for screens of any width and for paper. Every view has words, also where there is nothing to show.
std::string RenderReport(const Dashboard& dashboard);

// The same page with what a daemon knows, for a browser that asks it again and again: by the script
// below, which it finds at kPageScriptPath, or without scripts by loading it anew. Needs the policy
// kLivePagePolicy.
std::string RenderLivePage(const Dashboard& dashboard, const LiveParts& live);

// The same frame around words: why there is no page now.
std::string RenderTroublePage(std::string_view words);

inline constexpr std::string_view kPageScriptPath = "/page.js";
std::string_view PageScript();

// As Content-Security-Policy: nothing from elsewhere, no frames, forms to this server only.
inline constexpr std::string_view kLivePagePolicy =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

}  // namespace kiln
