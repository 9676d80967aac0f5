#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "rpc_tracker/lease_table.h"

namespace kiln {

inline constexpr std::chrono::milliseconds kTtl{10'000};
inline constexpr std::chrono::milliseconds kAck{5'000};

inline DeviceHello Hello(const std::string& name, const std::string& instance = "first") {
  DeviceHello hello;
  hello.name = name;
  hello.instance = instance;
  hello.target = "avx512vnni";
  hello.address = "127.0.0.1:1";
  return hello;
}

inline LeaseRequest Ask(const std::string& id, int priority = 0,
                        std::chrono::milliseconds wait = std::chrono::seconds(60)) {
  LeaseRequest request;
  request.id = id;
  request.client = "client-" + id;
  request.target = "avx512vnni";
  request.priority = priority;
  request.wait = wait;
  return request;
}

inline LeaseRequest AskAs(const std::string& id, const std::string& party,
                          const std::string& client) {
  LeaseRequest request = Ask(id, 0, std::chrono::hours(24));
  request.party = party;
  request.client = client;
  return request;
}

// A table together with a clock that the test moves.
class TableFixture : public ::testing::Test {
 protected:
  explicit TableFixture(const LeaseTableOptions& options = {.ttl = kTtl, .ack_timeout = kAck})
      : table_(options, now_) {}

  template <typename T>
  std::vector<T> Take() {
    for (LeaseAction& action : table_.TakeActions()) {
      std::visit([this](auto& known) { this->Sort(std::move(known)); }, action);
    }
    return std::exchange(std::get<std::vector<T>>(taken_), {});
  }

  void Pass(std::chrono::milliseconds time) {
    now_ += time;
    table_.Tick(now_);
  }

  void MustRequest(const LeaseRequest& request) {
    const Status status = table_.Request(now_, request);
    EXPECT_TRUE(status.ok()) << status;
  }
  void MustRelease(const LeaseClaim& claim) {
    const Status status = table_.Release(now_, claim);
    EXPECT_TRUE(status.ok()) << status;
  }
  void MustCancel(const std::string& id, const std::string& party = "") {
    const Status status = table_.Cancel(now_, id, party);
    EXPECT_TRUE(status.ok()) << status;
  }

  // Acknowledges every grant that has been sent, and returns the ids that were answered, in order.
  std::vector<std::string> AcknowledgeAll() {
    for (const SendGrant& grant : Take<SendGrant>()) {
      table_.Acknowledge(now_, grant.session, grant.lease.epoch);
    }
    std::vector<std::string> granted;
    for (const AnswerRequest& answer : Take<AnswerRequest>()) {
      if (answer.answer.ok()) granted.push_back(answer.id);
    }
    return granted;
  }

  LeaseGrant MustLease(const std::string& id) { return MustLease(Ask(id)); }
  LeaseGrant MustLease(const LeaseRequest& request) {
    MustRequest(request);
    for (const SendGrant& grant : Take<SendGrant>()) {
      table_.Acknowledge(now_, grant.session, grant.lease.epoch);
    }
    const auto answers = Take<AnswerRequest>();
    EXPECT_EQ(answers.size(), 1u);
    if (answers.size() != 1 || !answers[0].answer.ok()) return {};
    EXPECT_EQ(answers[0].id, request.id);
    return *answers[0].answer;
  }

  SessionId MustRegister(DeviceHello hello) {
    const auto session = table_.Register(now_, std::move(hello));
    EXPECT_TRUE(session.ok()) << session.status();
    return session.value_or(0);
  }

  bool GiveBack(const LeaseClaim& claim) {
    const StatusOr<Renewal> renewal = table_.Renew(now_, claim);
    EXPECT_TRUE(renewal.ok()) << renewal.status();
    return renewal.ok() && renewal->give_back;
  }

  DeviceStatus StatusOf(const std::string& name) {
    for (const DeviceView& view : table_.Devices()) {
      if (view.hello.name == name) return view.status;
    }
    ADD_FAILURE() << "no device " << name;
    return DeviceStatus::kLost;
  }

  SteadyTime now_{};
  LeaseTable table_;

 private:
  template <typename T>
  void Sort(T action) {
    std::get<std::vector<T>>(taken_).push_back(std::move(action));
  }
  std::tuple<std::vector<SendGrant>, std::vector<SendRevoke>, std::vector<EndSession>,
             std::vector<AnswerRequest>, std::vector<TellQuarantine>>
      taken_;
};

}  // namespace kiln
