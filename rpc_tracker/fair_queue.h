#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/clock.h"

namespace kiln {

// Who asks for a device: `party` is the credential (a TLS certificate's name; in plaintext a host),
// `client` one program of it ("user@host:pid"). Parties are told apart safely, the clients of a party
// as it says itself.
struct Asker {
  std::string party;
  std::string client;

  bool operator==(const Asker&) const = default;
};

// This is the queue of those who wait for devices of one kind, and what each has had of them.
//
// The problem: devices are to be shared out evenly among those who want them, though some ask ten
// times as often, some hold a device for minutes and some for milliseconds, and nobody knows
// beforehand for how long. Within its share each may say what is urgent.
//
// The idea is deficit round robin (Shreedhar and Varghese, SIGCOMM 1995): turns go round, and whoever
// took more than its share sits out until the others have had as much. What a turn costs is known
// there before it is taken; here it is charged afterwards, as in surplus round robin (Adiseshu,
// Parulkar, Varghese, SIGCOMM 1996). Rounds in which nobody may take a turn are not walked through:
// the next turn is that of the *account* that has *used* least, of equals the one whose last turn is
// longest ago. So serving costs O(log n), whatever the debts.
//   - There are two levels: turns go round between the parties, and a party's turn goes round
//     between its clients. So a party gains nothing by running many clients.
//   - A client's own requests are served by priority, then arrival. A priority says nothing to
//     others: that is the bound within which it weighs.
//   - The cost of a lease is the time for which it was held while anybody waited here (a device that
//     nobody else wants is free of charge), at least `least`, which is charged in advance, so that
//     short leases are counted by their number. Long ones are charged as they go: Charge().
//   - A level's *present* is what its last turn's account had used before it. Who comes, or comes
//     back, begins at the present: nothing is saved up by staying away. Who leaves with a debt (used
//     beyond the present) finds it when it returns. It is forgotten when the present has passed it,
//     when nobody of the level waits or holds a device any more (as at the end of a busy period in
//     start-time fair queueing: Goyal, Vin, Cheng, SIGCOMM 1996), or when more than `idle` accounts
//     are in debt without wanting anything: the smallest goes first.
//   - No debt is larger than `debt`: so long at most may somebody have to sit out.
// Calls cost O(log n) in the requests, clients and parties. Times never go back. Not thread-safe.
class FairQueue {
 private:
  struct Client;
  struct Party;

 public:
  struct Options {
    Nanoseconds least = std::chrono::milliseconds(20);
    Nanoseconds debt = std::chrono::minutes(10);
    std::size_t idle = 64;
  };
  // A request: a number that grows with arrival, never 0.
  using Ticket = std::uint64_t;

  // What came of a request that had its turn: a lease, as long as it lasts. Each is given back once,
  // by PutBack() or End(), before the queue goes.
  class Turn {
   public:
    Ticket ticket() const { return ticket_; }  // 0: of Adopt()

   private:
    friend class FairQueue;
    // How one level's account changed when the turn was taken.
    struct Mark {
      Nanoseconds paid{0};
      std::uint64_t before = 0, after = 0;  // its place
    };
    Ticket ticket_ = 0;
    int priority_ = 0;
    Client* client_ = nullptr;
    Mark party_mark_, client_mark_;
    Nanoseconds credit_{0};   // of what was charged in advance, what has not been used
    Nanoseconds charged_{0};  // up to when, by contended_
  };

  explicit FairQueue(const Options& options) : options_(options) {}
  FairQueue(const FairQueue&) = delete;
  FairQueue& operator=(const FairQueue&) = delete;

  void Push(SteadyTime now, Ticket ticket, const Asker& asker, int priority);
  // Takes a request out without a turn. Unknown tickets are ignored.
  void Erase(SteadyTime now, Ticket ticket);
  // Takes out the request whose turn it is; the queue must not be empty. The device time of the turn
  // runs from Begin() on.
  Turn Pop(SteadyTime now);
  void Begin(SteadyTime now, Turn& turn);
  // The turn came to nothing: the request stands where it stood, and has cost nothing.
  void PutBack(SteadyTime now, const Turn& turn);
  // A lease that was not granted here; it runs already.
  Turn Adopt(SteadyTime now, const Asker& asker);
  // Charges the device time up to now.
  void Charge(SteadyTime now, Turn& turn);
  void End(SteadyTime now, Turn turn);

  // How many requests of others wait, if one of them holds fewer devices and has its turn before the
  // client that holds this one; otherwise 0.
  std::size_t OthersDue(const Turn& turn) const;

  bool empty() const { return spots_.empty(); }
  std::size_t size() const { return spots_.size(); }
  std::size_t accounts() const;  // parties that are remembered, and clients of each: for tests

 private:
  struct Account {
    std::string name;
    Nanoseconds used{0};
    std::uint64_t place = 0;  // among those that have used as much; never that of another
    std::size_t waiting = 0, holding = 0;  // its requests and its leases
    bool busy() const { return waiting + holding > 0; }
  };
  struct ByUse {
    bool operator()(const Account* a, const Account* b) const {
      return std::pair(a->used, a->place) < std::pair(b->used, b->place);
    }
  };
  // The accounts among which turns go round: all parties, or all clients of one.
  template <typename Entry>
  struct Level {
    Entry& Find(const std::string& name);
    // Lets `change` act on an account and puts it where it then belongs; it may be forgotten.
    template <typename Function>
    void Change(Entry& entry, const FairQueue& queue, const Function& change);
    void AddWaiting(Entry& entry, const FairQueue& queue);
    void RemoveWaiting(Entry& entry, const FairQueue& queue);
    Turn::Mark Serve(Entry& entry, const FairQueue& queue);
    void PutBack(Entry& entry, const FairQueue& queue, const Turn::Mark& mark);
    void Charge(Entry& entry, const FairQueue& queue, Nanoseconds cost);
    void Hold(Entry& entry, const FairQueue& queue, int leases);
    void Forget(const FairQueue& queue);

    std::map<std::string, Entry, std::less<>> entries;
    std::set<Entry*, ByUse> waiting;  // those with requests
    std::set<Entry*, ByUse> idle;     // those with neither requests nor leases
    Nanoseconds present{0};
    std::uint64_t places = 0;
  };
  struct Client : Account {
    Party* party = nullptr;
    std::set<std::pair<std::int64_t, Ticket>> requests;  // (-priority, ticket)
  };
  struct Party : Account {
    Level<Client> clients;
  };
  struct Spot {
    Client* client = nullptr;
    int priority = 0;
  };

  template <typename Entry>
  static bool SomebodyIsDue(const std::set<Entry*, ByUse>& waiting, const Entry& holder);
  void Advance(SteadyTime now);
  Client& Find(const Asker& asker);
  void Insert(Client& client, Ticket ticket, int priority);
  void Remove(Client& client, Ticket ticket, int priority);

  const Options options_;
  Level<Party> parties_;
  std::unordered_map<Ticket, Spot> spots_;
  SteadyTime last_;
  Nanoseconds contended_{0};  // for how long somebody has been waiting here, up to last_
};

}  // namespace kiln
