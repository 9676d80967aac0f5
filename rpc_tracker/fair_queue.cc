#include "rpc_tracker/fair_queue.h"

#include <algorithm>

namespace kiln {

template <typename Entry>
Entry& FairQueue::Level<Entry>::Find(const std::string& name) {
  const auto [found, added] = entries.try_emplace(name);
  if (added) {
    found->second.name = name;
    found->second.used = present;
    found->second.place = ++places;
    idle.insert(&found->second);
  }
  return found->second;
}

template <typename Entry>
template <typename Function>
void FairQueue::Level<Entry>::Change(Entry& entry, const FairQueue& queue, const Function& change) {
  if (entry.waiting > 0) waiting.erase(&entry);
  if (!entry.busy()) idle.erase(&entry);
  change(entry);
  if (entry.waiting > 0) waiting.insert(&entry);
  if (entry.busy()) return;
  idle.insert(&entry);
  Forget(queue);
}

// Forgets the accounts that want nothing and owe nothing.
template <typename Entry>
void FairQueue::Level<Entry>::Forget(const FairQueue& queue) {
  const bool quiet = idle.size() == entries.size();
  while (!idle.empty() &&
         (quiet || (*idle.begin())->used <= present || idle.size() > queue.options_.idle)) {
    const auto gone = entries.find((*idle.begin())->name);
    idle.erase(idle.begin());
    entries.erase(gone);
  }
  if (quiet) present = Nanoseconds(0);
}

template <typename Entry>
void FairQueue::Level<Entry>::AddWaiting(Entry& entry, const FairQueue& queue) {
  if (entry.waiting > 0) {
    ++entry.waiting;
    return;
  }
  Change(entry, queue, [this](Entry& account) {
    account.used = std::max(account.used, present);
    account.place = ++places;
    ++account.waiting;
  });
}

template <typename Entry>
void FairQueue::Level<Entry>::RemoveWaiting(Entry& entry, const FairQueue& queue) {
  if (entry.waiting > 1) {
    --entry.waiting;
    return;
  }
  Change(entry, queue, [](Entry& account) { --account.waiting; });
}

template <typename Entry>
FairQueue::Turn::Mark FairQueue::Level<Entry>::Serve(Entry& entry, const FairQueue& queue) {
  present = std::max(present, entry.used);
  Turn::Mark mark;
  mark.before = entry.place;
  mark.after = ++places;
  Change(entry, queue, [&](Entry& account) {
    --account.waiting;
    ++account.holding;
    mark.paid = queue.options_.least;
    account.used += mark.paid;
    account.place = mark.after;
  });
  Forget(queue);
  return mark;
}

template <typename Entry>
void FairQueue::Level<Entry>::PutBack(Entry& entry, const FairQueue& queue,
                                      const Turn::Mark& mark) {
  Change(entry, queue, [&](Entry& account) {
    ++account.waiting;
    --account.holding;
    account.used -= mark.paid;
    if (account.place == mark.after) account.place = mark.before;
  });
}

template <typename Entry>
void FairQueue::Level<Entry>::Charge(Entry& entry, const FairQueue& queue, Nanoseconds cost) {
  Change(entry, queue, [&](Entry& account) {
    const Nanoseconds most = std::max(account.used, present + queue.options_.debt);
    account.used = std::min(account.used + cost, most);
  });
}

template <typename Entry>
void FairQueue::Level<Entry>::Hold(Entry& entry, const FairQueue& queue, int leases) {
  Change(entry, queue, [&](Entry& account) {
    account.holding = static_cast<std::size_t>(static_cast<int>(account.holding) + leases);
  });
}

void FairQueue::Advance(SteadyTime now) {
  if (now <= last_) return;
  if (!spots_.empty()) contended_ += now - last_;
  last_ = now;
}

FairQueue::Client& FairQueue::Find(const Asker& asker) {
  Party& party = parties_.Find(asker.party);
  Client& client = party.clients.Find(asker.client);
  client.party = &party;
  return client;
}

void FairQueue::Insert(Client& client, Ticket ticket, int priority) {
  client.requests.insert({-std::int64_t{priority}, ticket});
  spots_[ticket] = {&client, priority};
}

void FairQueue::Remove(Client& client, Ticket ticket, int priority) {
  client.requests.erase({-std::int64_t{priority}, ticket});
  spots_.erase(ticket);
}

void FairQueue::Push(SteadyTime now, Ticket ticket, const Asker& asker, int priority) {
  Advance(now);
  Client& client = Find(asker);
  Insert(client, ticket, priority);
  client.party->clients.AddWaiting(client, *this);
  parties_.AddWaiting(*client.party, *this);
}

void FairQueue::Erase(SteadyTime now, Ticket ticket) {
  Advance(now);
  const auto spot = spots_.find(ticket);
  if (spot == spots_.end()) return;
  Client& client = *spot->second.client;
  Party& party = *client.party;
  Remove(client, ticket, spot->second.priority);
  party.clients.RemoveWaiting(client, *this);
  parties_.RemoveWaiting(party, *this);
}

FairQueue::Turn FairQueue::Pop(SteadyTime now) {
  Advance(now);
  Party& party = **parties_.waiting.begin();
  Client& client = **party.clients.waiting.begin();
  const auto [negated, ticket] = *client.requests.begin();
  Turn turn;
  turn.ticket_ = ticket;
  turn.priority_ = static_cast<int>(-negated);
  turn.client_ = &client;
  Remove(client, ticket, turn.priority_);
  turn.client_mark_ = party.clients.Serve(client, *this);
  turn.party_mark_ = parties_.Serve(party, *this);
  turn.credit_ = options_.least;
  Begin(now, turn);
  return turn;
}

void FairQueue::Begin(SteadyTime now, Turn& turn) {
  Advance(now);
  turn.charged_ = contended_;
}

void FairQueue::PutBack(SteadyTime now, const Turn& turn) {
  Advance(now);
  Client& client = *turn.client_;
  Insert(client, turn.ticket_, turn.priority_);
  client.party->clients.PutBack(client, *this, turn.client_mark_);
  parties_.PutBack(*client.party, *this, turn.party_mark_);
}

FairQueue::Turn FairQueue::Adopt(SteadyTime now, const Asker& asker) {
  Turn turn;
  turn.client_ = &Find(asker);
  Begin(now, turn);
  turn.client_->party->clients.Hold(*turn.client_, *this, 1);
  parties_.Hold(*turn.client_->party, *this, 1);
  return turn;
}

void FairQueue::Charge(SteadyTime now, Turn& turn) {
  Advance(now);
  Nanoseconds cost = contended_ - std::exchange(turn.charged_, contended_);
  const Nanoseconds prepaid = std::min(cost, turn.credit_);
  turn.credit_ -= prepaid;
  cost -= prepaid;
  if (cost <= Nanoseconds(0)) return;
  Client& client = *turn.client_;
  client.party->clients.Charge(client, *this, cost);
  parties_.Charge(*client.party, *this, cost);
}

void FairQueue::End(SteadyTime now, Turn turn) {
  Charge(now, turn);
  Client& client = *turn.client_;
  Party& party = *client.party;
  party.clients.Hold(client, *this, -1);
  parties_.Hold(party, *this, -1);
}

std::size_t FairQueue::OthersDue(const Turn& turn) const {
  const Client& holder = *turn.client_;
  const std::size_t others = spots_.size() - holder.waiting;
  if (others == 0) return 0;
  const bool due = SomebodyIsDue(parties_.waiting, *holder.party) ||
                   SomebodyIsDue(holder.party->clients.waiting, holder);
  return due ? others : 0;
}

// Who holds as many devices already would only change places with the holder.
template <typename Entry>
bool FairQueue::SomebodyIsDue(const std::set<Entry*, ByUse>& waiting, const Entry& holder) {
  constexpr int kLooks = 16;
  int looks = 0;
  for (const Entry* entry : waiting) {
    if (!ByUse()(entry, &holder) || ++looks > kLooks) return false;
    if (entry->holding < holder.holding) return true;
  }
  return false;
}

std::size_t FairQueue::accounts() const {
  std::size_t count = parties_.entries.size();
  for (const auto& [name, party] : parties_.entries) count += party.clients.entries.size();
  return count;
}

}  // namespace kiln
