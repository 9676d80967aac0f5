#include "rpc_tracker/waiting_limits.h"

namespace kiln {

StatusOr<WaitingLimits::Ticket> WaitingLimits::Admit(const Asker& asker) const {
  const Client* client = Find(asker);
  const std::size_t own = client ? client->tickets.size() : 0;
  if (own >= options_.of_client) {
    return Error(StatusCode::kResourceExhausted, asker.client, " has ", own,
                 " requests waiting, as many as one client may have: ask again when some of them "
                 "have been answered");
  }
  const std::size_t of_party = CountOf(asker.party);
  const bool party_full = of_party >= options_.of_party;
  if (!party_full && count_ < options_.in_all) return Ticket{0};
  const Ranking& full = party_full ? parties_.find(asker.party)->second.ranking : ranking_;
  const Client* most = full.empty() ? nullptr : *full.rbegin();
  if (most && own + 1 < most->tickets.size()) return *most->tickets.rbegin();
  if (party_full) {
    return Error(StatusCode::kResourceExhausted, "the clients of ", asker.party, " have ", of_party,
                 " requests waiting, as many as one credential (or host) may have: ask again when "
                 "some of them have been answered");
  }
  return Error(StatusCode::kResourceExhausted, "the tracker has ", count_,
               " requests waiting, as many as it keeps: ask again later");
}

Status WaitingLimits::Displaced() const {
  return Error(StatusCode::kResourceExhausted,
               "this request gave way to a client that has fewer waiting: the tracker keeps ",
               options_.in_all, " requests, and ", options_.of_party,
               " of one credential (or host); ask again later, with fewer at a time");
}

void WaitingLimits::Add(const Asker& asker, Ticket ticket) {
  Party& party = parties_[asker.party];
  const auto [found, added] = party.clients.try_emplace(asker.client);
  Client& client = found->second;
  if (added) client.number = ++numbers_;
  Rank(party, client, [&] { client.tickets.insert(ticket); });
  ++party.count;
  ++count_;
}

void WaitingLimits::Remove(const Asker& asker, Ticket ticket) {
  const auto party = parties_.find(asker.party);
  if (party == parties_.end()) return;
  const auto client = party->second.clients.find(asker.client);
  if (client == party->second.clients.end() || !client->second.tickets.contains(ticket)) return;
  Rank(party->second, client->second, [&] { client->second.tickets.erase(ticket); });
  --count_;
  if (client->second.tickets.empty()) party->second.clients.erase(client);
  if (--party->second.count == 0) parties_.erase(party);
}

template <typename Change>
void WaitingLimits::Rank(Party& party, Client& client, const Change& change) {
  ranking_.erase(&client);
  party.ranking.erase(&client);
  change();
  if (client.tickets.empty()) return;
  ranking_.insert(&client);
  party.ranking.insert(&client);
}

const WaitingLimits::Client* WaitingLimits::Find(const Asker& asker) const {
  const auto party = parties_.find(asker.party);
  if (party == parties_.end()) return nullptr;
  const auto client = party->second.clients.find(asker.client);
  return client == party->second.clients.end() ? nullptr : &client->second;
}

std::size_t WaitingLimits::CountOf(const std::string& party) const {
  const auto found = parties_.find(party);
  return found == parties_.end() ? 0 : found->second.count;
}

}  // namespace kiln
