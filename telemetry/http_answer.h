#pragma once

#include <functional>
#include <memory>
#include <mutex>

#include "base/reactor.h"
#include "telemetry/http_server.h"

namespace kiln {

// Lets any thread reach a server on the reactor, for as long as there is one. Thread-safe.
class ReactorGate {
 public:
  explicit ReactorGate(Reactor& reactor) : reactor_(&reactor) {}
  // Runs `work` on the reactor's thread, or drops it once the gate is closed.
  void Post(std::function<void()> work);
  void Close();

 private:
  std::mutex mutex_;
  Reactor* reactor_;  // null: closed
};

// A page that says what is wrong.
HttpResponse HttpErrorPage(int status, const std::string& text);

// What a handler answers with: the first call reaches `give`, on the reactor's thread; without one, a
// 500 does when the last copy goes.
HttpRespond NewHttpRespond(std::shared_ptr<ReactorGate> gate,
                           std::function<void(const HttpResponse&)> give);

}  // namespace kiln
