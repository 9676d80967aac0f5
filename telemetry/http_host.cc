#include "telemetry/http_host.h"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace kiln {
namespace {

constexpr int kHttpPort = 80;  // what a client leaves out

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

// -1: it is none.
int ParsePort(std::string_view text) {
  int port = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole && port >= 0 && port <= 65535 ? port : -1;
}

}  // namespace

StatusOr<HttpHost> ParseHttpHost(std::string_view text, int default_port) {
  const Status wrong = Error(StatusCode::kInvalidArgument, "`", std::string(text.substr(0, 200)),
                             "` is no address: want HOST:PORT, like 127.0.0.1:9464");
  const bool bracketed = text.starts_with('[');
  const std::size_t end = text.find(bracketed ? ']' : ':');
  if (bracketed && end == std::string_view::npos) return wrong;
  const std::string_view host =
      bracketed ? text.substr(1, end - 1) : text.substr(0, std::min(end, text.size()));
  const std::string_view rest = text.substr(std::min(bracketed ? end + 1 : end, text.size()));
  HttpHost parsed{Lower(host), default_port};
  if (!rest.empty()) parsed.port = rest[0] == ':' ? ParsePort(rest.substr(1)) : -1;
  if (parsed.host.empty() || parsed.port < 0) return wrong;
  return parsed;
}

bool NamesThisMachine(std::string_view header, std::string_view self) {
  const StatusOr<HttpHost> asked = ParseHttpHost(header, kHttpPort);
  const StatusOr<HttpHost> own = ParseHttpHost(self);
  if (!asked.ok() || !own.ok() || asked->port != own->port) return false;
  return asked->host == "localhost" || asked->host == "127.0.0.1" || asked->host == "::1" ||
         asked->host == own->host;
}

}  // namespace kiln
