#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>

#include "base/status.h"
#include "rpc_tracker/fair_queue.h"

namespace kiln {

// This is how many requests wait, whose they are, and who may add one: memory is bounded whatever
// anybody asks for, and whoever fills it gives way to those who ask for less.
//
// A client may have `of_client` requests waiting, a party `of_party`, all together `in_all`. Where a
// party or the whole is full, the client with the most requests in it (of equals the one that came
// last) gives up its newest for a client that has at least two less, so that the two do not go on
// displacing each other. Not thread-safe; calls cost O(log n).
class WaitingLimits {
 public:
  struct Options {
    std::size_t of_client = 256, of_party = 2'048, in_all = 4'096;
  };
  using Ticket = FairQueue::Ticket;

  explicit WaitingLimits(const Options& options) : options_(options) {}

  // Whether one more request of the asker may wait: 0, or the request that must give way to it (the
  // caller then removes that). kResourceExhausted: which limit, and what to do.
  StatusOr<Ticket> Admit(const Asker& asker) const;
  // Why a request gave way, in words for the one who made it.
  Status Displaced() const;

  // A request waits, or does no longer. Adding is not refused: a request comes back to its place even
  // where others have taken the room.
  void Add(const Asker& asker, Ticket ticket);
  void Remove(const Asker& asker, Ticket ticket);

 private:
  struct Client {
    std::uint64_t number = 0;
    std::set<Ticket> tickets;
  };
  struct ByCount {
    bool operator()(const Client* a, const Client* b) const {
      return std::tuple(a->tickets.size(), a->number) < std::tuple(b->tickets.size(), b->number);
    }
  };
  using Ranking = std::set<Client*, ByCount>;  // the one with the most is last
  struct Party {
    std::map<std::string, Client> clients;
    Ranking ranking;
    std::size_t count = 0;
  };

  const Client* Find(const Asker& asker) const;
  std::size_t CountOf(const std::string& party) const;
  template <typename Change>
  void Rank(Party& party, Client& client, const Change& change);

  const Options options_;
  std::map<std::string, Party> parties_;
  Ranking ranking_;
  std::size_t count_ = 0;
  std::uint64_t numbers_ = 0;
};

}  // namespace kiln
