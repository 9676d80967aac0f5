#include "base/reactor.h"

#include <pthread.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <thread>
#include <utility>

#include "base/reactor_asio.h"

namespace kiln {
namespace {

namespace asio = boost::asio;

class AsioReactor final : public Reactor {
 public:
  AsioReactor() { pthread_setname_np(thread_.native_handle(), "kiln-reactor"); }
  ~AsioReactor() override {
    io_.stop();
    thread_.join();
  }

  void OnTermination(std::function<void(int)> handler) override {
    termination_ = std::move(handler);
    termination_signals_.add(SIGINT);
    termination_signals_.add(SIGTERM);
    struct sigaction hang_up {};
    sigaction(SIGHUP, nullptr, &hang_up);
    if (hang_up.sa_handler != SIG_IGN && !hang_up_) termination_signals_.add(SIGHUP);
    AwaitTermination();
  }

  void OnHangUp(std::function<void()> handler) override {
    hang_up_ = std::move(handler);
    boost::system::error_code not_there;
    hang_up_signals_.add(SIGHUP);  // first: between two handlers it would end the program
    termination_signals_.remove(SIGHUP, not_there);
    AwaitHangUp();
  }

  void Post(std::function<void()> work) override { asio::post(io_, std::move(work)); }

  void After(std::chrono::nanoseconds delay, std::function<void()> work) override {
    auto timer = std::make_shared<asio::steady_timer>(io_, delay);
    timer->async_wait([timer, work = std::move(work)](const boost::system::error_code& error) {
      if (!error) work();
    });
  }

  asio::io_context& io() { return io_; }

 private:
  void AwaitTermination() {
    termination_signals_.async_wait([this](const boost::system::error_code& error, int) {
      if (error) return;
      AwaitTermination();
      termination_(++terminations_);
    });
  }

  void AwaitHangUp() {
    hang_up_signals_.async_wait([this](const boost::system::error_code& error, int) {
      if (error) return;
      AwaitHangUp();
      hang_up_();
    });
  }

  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
  // Set once by OnTermination(), then only used on the reactor's thread.
  asio::signal_set termination_signals_{io_};
  std::function<void(int)> termination_;
  int terminations_ = 0;
  asio::signal_set hang_up_signals_{io_};
  std::function<void()> hang_up_;
  std::thread thread_{[this] { io_.run(); }};
};

}  // namespace

boost::asio::io_context& IoContext(Reactor& reactor) {
  return static_cast<AsioReactor&>(reactor).io();  // there is no other kind
}

std::unique_ptr<Reactor> NewReactor() { return std::make_unique<AsioReactor>(); }

}  // namespace kiln
