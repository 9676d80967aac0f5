// What the tracker's lease table costs by itself, without network: benchmark_lease_table
// Lease cycles (request, offer, acknowledgement, grant, release; the table is ticked after each call,
// as its shell does) of 50 clients on 1,000 devices, alone and while requests wait for a target that
// nobody serves; and renewals with few and many devices. Prints ratios measured in one run.

#include "rpc_tracker/lease_table.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <functional>
#include <string>
#include <vector>

namespace {

using kiln::AnswerRequest;
using kiln::LeaseGrant;
using kiln::LeaseTable;
using kiln::SendGrant;
using kiln::SteadyTime;

constexpr int kClients = 50;

class Farm {
 public:
  explicit Farm(int devices) {
    for (int i = 0; i < devices; ++i) {
      kiln::DeviceHello hello;
      hello.name = fmt::format("device-{}", i);
      hello.instance = hello.name;
      hello.target = "rasp4b";
      hello.address = "10.0.0.1:40123";
      Check(table_.Register(now_, hello).status());
    }
  }

  // Requests that wait, of as many clients as it takes.
  void Wait(int count) {
    for (int i = 0; i < count; ++i) Ask(1'000 + i / 200, "unserved");
  }

  // Takes leases until each of the clients has so many.
  void Fill(std::size_t leases) {
    while (held_.size() < leases) {
      Ask(next_++ % kClients, "rasp4b");
      Carry();
    }
  }

  void Cycle() {
    Release();
    Fill(held_.size() + 1);
  }

  void Renew() {
    const LeaseGrant& grant = held_[renewed_++ % held_.size()];
    Check(table_.Renew(now_, {party_, grant.device, grant.id, grant.epoch}).status());
    Tick();
  }

  std::size_t waiting() const { return table_.waiting(); }

 private:
  static void Check(const kiln::Status& status) {
    if (status.ok()) return;
    fmt::print(stderr, "{}\n", kiln::Message(status));
    std::exit(1);
  }

  void Ask(int client, const char* target) {
    kiln::LeaseRequest request;
    request.id = fmt::format("7f9c24e8-3b12-4fef-91e0-{:012}", ++last_id_);
    request.party = client < kClients ? party_ : fmt::format("party-{}", client);
    request.client = fmt::format("user@host:{}", client);
    request.target = target;
    request.wait = std::chrono::hours(1);
    Check(table_.Request(now_, request));
    Tick();
  }

  void Carry() {
    for (const kiln::LeaseAction& action : table_.TakeActions()) {
      if (const auto* grant = std::get_if<SendGrant>(&action)) {
        table_.Acknowledge(now_, grant->session, grant->lease.epoch);
        Tick();
        Carry();
      } else if (const auto* answer = std::get_if<AnswerRequest>(&action)) {
        Check(answer->answer.status());
        held_.push_back(*answer->answer);
      }
    }
  }

  void Release() {
    const LeaseGrant grant = held_.front();
    held_.pop_front();
    Check(table_.Release(now_, {party_, grant.device, grant.id, grant.epoch}));
    Tick();
  }

  void Tick() {
    now_ += std::chrono::microseconds(1);
    table_.Tick(now_);
    if (!table_.NextTick()) std::exit(1);
  }

  const std::string party_ = "laboratory";
  SteadyTime now_{};
  LeaseTable table_{{.ttl = std::chrono::hours(1)}, now_};
  std::deque<LeaseGrant> held_;
  int next_ = 0, last_id_ = 0;
  std::size_t renewed_ = 0;
};

// The best of five tenths of a second.
double PerSecond(const std::function<void()>& work) {
  double best = 0;
  for (int round = 0; round < 5; ++round) {
    const auto start = std::chrono::steady_clock::now();
    std::chrono::duration<double> passed{};
    int count = 0;
    for (; passed.count() < 0.1; passed = std::chrono::steady_clock::now() - start) {
      for (int i = 0; i < 100; ++i) work();
      count += 100;
    }
    best = std::max(best, count / passed.count());
  }
  return best;
}

double Cycles(int devices, int waiting) {
  Farm farm(devices);
  farm.Wait(waiting);
  farm.Fill(kClients);
  return PerSecond([&] { farm.Cycle(); });
}

double Renewals(int devices) {
  Farm farm(devices);
  farm.Fill(static_cast<std::size_t>(devices));
  return PerSecond([&] { farm.Renew(); });
}

}  // namespace

int main() {
  const double alone = Cycles(1'000, 0);
  fmt::print("cycles/s, 1,000 devices, {} clients:        {:9.0f}\n", kClients, alone);
  for (const int waiting : {2'000, 4'000}) {
    const double beside = Cycles(1'000, waiting);
    fmt::print("  {:6} requests wait for another target:   {:9.0f}  {:.2f} of it\n", waiting,
               beside, beside / alone);
  }
  const double many = Cycles(10'000, 0);
  fmt::print("  10,000 devices:                            {:9.0f}  {:.2f} of it\n", many,
             many / alone);
  const double few = Renewals(200);
  fmt::print("renewals/s, 200 devices, all leased:         {:9.0f}\n", few);
  for (const int devices : {3'000, 16'000}) {
    const double renewals = Renewals(devices);
    fmt::print("  {:6} devices:                            {:9.0f}  {:.2f} of it\n", devices,
               renewals, renewals / few);
  }
}
