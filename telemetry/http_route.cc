#include <algorithm>

#include "telemetry/http_server.h"

namespace kiln {
namespace {

bool HasPath(const HttpRoute& route, const std::string& path) {
  if (!route.path.ends_with("/*")) return route.path == path;
  const std::size_t parent = route.path.size() - 1;  // with its slash
  return path.compare(0, parent, route.path, 0, parent) == 0;
}

bool HasMethod(const HttpRoute& route, const std::string& method) {
  return route.method == method || (route.method == "GET" && method == "HEAD");
}

// Of those who have the path; empty: none has.
std::string MethodsOf(const std::vector<HttpRoute>& routes, const std::string& path) {
  std::string methods;
  for (const HttpRoute& route : routes) {
    if (!HasPath(route, path)) continue;
    methods += (methods.empty() ? "" : ", ") + route.method;
    if (route.method == "GET") methods += ", HEAD";
  }
  return methods;
}

}  // namespace

const std::string& HttpRequest::Header(std::string_view name) const {
  static const std::string none;
  const auto found = headers.find(name);
  return found == headers.end() ? none : found->second;
}

HttpHandler RouteHttp(std::vector<HttpRoute> routes) {
  return [routes = std::move(routes)](const HttpRequest& request, const HttpRespond& respond) {
    const auto fits = [&](const HttpRoute& route) {
      return HasPath(route, request.path) && HasMethod(route, request.method);
    };
    const auto route = std::find_if(routes.begin(), routes.end(), fits);
    if (route != routes.end()) return route->handler(request, respond);
    const std::string methods = MethodsOf(routes, request.path);
    HttpResponse response;
    response.status = methods.empty() ? 404 : 405;
    response.body = methods.empty() ? "there is no such page here\n" : "want " + methods + "\n";
    if (!methods.empty()) response.headers.emplace_back("Allow", methods);
    respond(std::move(response));
  };
}

}  // namespace kiln
