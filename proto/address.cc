#include "proto/address.h"

#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace kiln {
namespace {

constexpr std::string_view kUnix = "unix:";
constexpr std::size_t kLongestPath = sizeof sockaddr_un::sun_path - 1;

// "ipv4:1.2.3.4:5", "ipv6:[::1]:5" or "ipv6:%5B::1%5D:5".
std::optional<HostPort> SplitPeer(std::string_view peer) {
  const std::size_t scheme = peer.find(':');
  if (scheme == std::string_view::npos) return std::nullopt;
  std::string rest(peer.substr(scheme + 1));
  for (const auto& [code, text] : {std::pair{"%5B", "["}, std::pair{"%5D", "]"}}) {
    if (const auto at = rest.find(code); at != std::string::npos) rest.replace(at, 3, text);
  }
  return SplitAddress(rest);
}

}  // namespace

std::optional<HostPort> SplitAddress(std::string_view address) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  HostPort split{std::string(address.substr(0, colon)), 0};
  const std::string_view port = address.substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), split.port);
  if (error != std::errc() || end != port.data() + port.size() || split.port < 0 ||
      split.port > 65535) {
    return std::nullopt;
  }
  if (split.host.size() > 2 && split.host.front() == '[' && split.host.back() == ']') {
    split.host = split.host.substr(1, split.host.size() - 2);
  } else if (split.host.empty() || split.host.find(':') != std::string::npos) {
    return std::nullopt;
  }
  return split;
}

std::string JoinAddress(std::string_view host, int port) {
  const bool brackets = host.find(':') != std::string_view::npos;
  return (brackets ? "[" + std::string(host) + "]" : std::string(host)) + ":" +
         std::to_string(port);
}

bool IsUnixAddress(std::string_view address) { return address.starts_with(kUnix); }

std::string_view UnixPath(std::string_view address) { return address.substr(kUnix.size()); }

Status CheckAddressForm(std::string_view address) {
  if (!IsUnixAddress(address)) {
    if (SplitAddress(address)) return absl::OkStatus();
    return Error(StatusCode::kInvalidArgument, "want HOST:PORT or unix:PATH");
  }
  const std::string_view path = UnixPath(address);
  if (path.empty()) return Error(StatusCode::kInvalidArgument, "want unix:PATH");
  if (path.size() <= kLongestPath) return absl::OkStatus();
  return Error(StatusCode::kInvalidArgument, "a socket's path has at most ", kLongestPath,
               " bytes, this one ", path.size());
}

Status CheckAddress(std::string_view address) {
  Status form = CheckAddressForm(address);
  if (form.ok() && !IsUnixAddress(address) && SplitAddress(address)->port == 0) {
    form = Error(StatusCode::kInvalidArgument, "nobody can be dialled at port 0");
  }
  if (form.ok()) return form;
  return Error(form.code(), "`", address, "` is no address: ", Message(form));
}

bool IsLocalAddress(std::string_view address) {
  if (IsUnixAddress(address)) return true;
  const std::optional<HostPort> split = SplitAddress(address);
  return split && (split->host == "localhost" || split->host == "::1" ||
                   (split->host.starts_with("127.") &&
                    split->host.find_first_not_of("0123456789.") == std::string::npos));
}

std::string ReachableAddress(std::string_view address, std::string_view peer) {
  const std::optional<HostPort> own = SplitAddress(address);
  if (IsUnixAddress(address) || !own || (own->host != "0.0.0.0" && own->host != "::")) {
    return std::string(address);
  }
  const std::optional<HostPort> other = SplitPeer(peer);
  return other ? JoinAddress(other->host, own->port) : std::string(address);
}

std::string PeerHost(std::string_view peer) {
  const std::optional<HostPort> split = SplitPeer(peer);
  if (!split || IsLocalAddress(JoinAddress(split->host, split->port))) return "local";
  return split->host;
}

}  // namespace kiln
