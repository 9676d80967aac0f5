#include "telemetry/http_answer.h"

#include <atomic>

namespace kiln {
namespace {

class Answer {
 public:
  Answer(std::shared_ptr<ReactorGate> gate, std::function<void(const HttpResponse&)> give)
      : gate_(std::move(gate)), give_(std::move(give)) {}
  ~Answer() { Give(HttpErrorPage(500, "the server has no answer")); }
  Answer(const Answer&) = delete;
  Answer& operator=(const Answer&) = delete;

  void Give(HttpResponse response) {
    if (given_.exchange(true)) return;
    gate_->Post([give = give_, response = std::move(response)] { give(response); });
  }

 private:
  const std::shared_ptr<ReactorGate> gate_;
  const std::function<void(const HttpResponse&)> give_;
  std::atomic<bool> given_{false};
};

}  // namespace

void ReactorGate::Post(std::function<void()> work) {
  std::lock_guard lock(mutex_);
  if (reactor_) reactor_->Post(std::move(work));
}

void ReactorGate::Close() {
  std::lock_guard lock(mutex_);
  reactor_ = nullptr;
}

HttpResponse HttpErrorPage(int status, const std::string& text) {
  HttpResponse response;
  response.status = status;
  response.body = text + "\n";
  return response;
}

HttpRespond NewHttpRespond(std::shared_ptr<ReactorGate> gate,
                           std::function<void(const HttpResponse&)> give) {
  return [answer = std::make_shared<Answer>(std::move(gate), std::move(give))](
             HttpResponse response) { answer->Give(std::move(response)); };
}

}  // namespace kiln
