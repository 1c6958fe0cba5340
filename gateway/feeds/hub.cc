#include "gateway/feeds/hub.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace tailgate {

namespace {

// Room for what framing adds to a payload without line ends.
constexpr std::size_t kFraming = 128;
// How many deliveries a topic has before it is another's turn.
constexpr std::size_t kShare = 256;
// How many receivers ahead are fetched: of thousands none is in the cache.
constexpr std::size_t kAhead = 6;
constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();

// A receiver is a part of a larger object: around it lies what on_batch() looks at.
void prefetch(const Receiver* receiver) {
  const auto* at = reinterpret_cast<const char*>(receiver);
  for (const int line : {-64, 0, 64}) __builtin_prefetch(at + line);
}

}  // namespace

std::size_t Batch::offset_after(EntryId id) const {
  const auto after = std::upper_bound(marks.begin(), marks.end(), id,
                                      [](EntryId wanted, const Mark& mark) { return wanted < mark.id; });
  return after == marks.begin() ? 0 : std::prev(after)->end;
}

// Everyone who hears one topic in one encoding.
struct Hub::Group {
  Group(Topic* its_topic, const Route& its_route) : topic(its_topic), route(its_route) {}

  Topic* topic;
  const Route& route;
  // The receiver beside its subscription: a fan-out needs no look at the latter.
  struct Member {
    Subscription* subscription;
    Receiver* receiver;
  };
  // Those before next have had the batch that is being handed out, those before limit are yet to get it,
  // the rest came after it.
  std::vector<Member> members;
  std::size_t next = 0;
  std::size_t limit = 0;
  Batch current;
  // Encoded since.
  std::string bytes;
  Batch batch;
};

struct Hub::Topic {
  std::string name;
  std::vector<std::unique_ptr<Group>> groups;
  bool pending = false;
  std::size_t turn = 0;  // of its groups, each of which has one batch at a time
};

Hub::Subscription::Subscription(Hub* hub, Group* group, Receiver* receiver)
    : hub_(hub), group_(group), index_(group->members.size()) {
  group->members.push_back({this, receiver});
}

Hub::Subscription::Subscription(Subscription&& other) noexcept {
  *this = std::move(other);
}

Hub::Subscription& Hub::Subscription::operator=(Subscription&& other) noexcept {
  if (this == &other) return *this;
  if (hub_ != nullptr) hub_->leave(*this);
  hub_ = std::exchange(other.hub_, nullptr);
  group_ = other.group_;
  index_ = other.index_;
  if (hub_ != nullptr) group_->members[index_].subscription = this;
  return *this;
}

Hub::Subscription::~Subscription() {
  if (hub_ != nullptr) hub_->leave(*this);
}

Hub::Hub(Events events) : events_(std::move(events)) {
}

Hub::~Hub() = default;

Hub::Topic* Hub::find(std::string_view topic) {
  const auto found = topics_.find(topic);
  return found == topics_.end() ? nullptr : found->second.get();
}

Hub::Subscription Hub::subscribe(std::string_view name, const Route& route, Receiver& receiver) {
  // What is pending was published before: it belongs to those who listened then.
  flush(name);
  auto [slot, is_new] = topics_.try_emplace(std::string(name));
  if (is_new) slot->second = std::make_unique<Topic>(Topic{.name = std::string(name), .groups = {}});
  Topic& topic = *slot->second;
  auto group = std::find_if(topic.groups.begin(), topic.groups.end(),
                            [&](const auto& candidate) { return &candidate->route == &route; });
  if (group == topic.groups.end()) {
    topic.groups.push_back(std::make_unique<Group>(&topic, route));
    group = std::prev(topic.groups.end());
  }
  return {this, group->get(), &receiver};
}

void Hub::leave(Subscription& subscription) {
  Group& group = *subscription.group_;
  Topic& topic = *group.topic;
  subscription.hub_ = nullptr;
  // The last of each part moves down into the hole that the part before it leaves.
  std::size_t hole = subscription.index_;
  const auto fill_from = [&](std::size_t index) {
    if (index == hole) return;
    group.members[index].subscription->index_ = hole;
    group.members[hole] = group.members[index];
    hole = index;
  };
  if (hole < group.next) fill_from(--group.next);
  if (hole < group.limit) fill_from(--group.limit);
  fill_from(group.members.size() - 1);
  group.members.pop_back();
  if (!group.members.empty()) return;
  std::erase_if(topic.groups, [&](const auto& candidate) { return candidate.get() == &group; });
  if (!topic.groups.empty()) return;
  std::erase(pending_, &topic);
  topics_.erase(topics_.find(topic.name));
}

void Hub::mark_pending(Topic& topic) {
  if (std::exchange(topic.pending, true)) return;
  pending_.push_back(&topic);
  if (pending_.size() == 1) events_.on_pending();
}

void Hub::publish(std::string_view name, std::string_view payload) {
  Topic* topic = find(name);
  if (topic == nullptr) return;
  for (const auto& group : topic->groups) {
    if (group->batch.last) continue;
    if (group->bytes.empty()) Chunk::begin(group->bytes);
    // What waits for a slow client is kept as it is: no more than it needs.
    group->bytes.reserve(group->bytes.size() + payload.size() + kFraming);
    switch (append_message(group->bytes, group->route, payload)) {
      case FramingResult::kSkipped:
        events_.on_skipped(group->route);
        continue;
      case FramingResult::kLastFrame:
        group->batch.last = true;
        break;
      case FramingResult::kFrame:
        break;
    }
    ++group->batch.events;
    mark_pending(*topic);
  }
}

void Hub::publish(std::string_view name, std::span<const LogEntry> entries) {
  Topic* topic = find(name);
  if (topic == nullptr || entries.empty()) return;
  for (const auto& group : topic->groups) {
    if (group->bytes.empty()) Chunk::begin(group->bytes);
    for (const LogEntry& entry : entries) {
      append_entry(group->bytes, group->route, entry);
      group->batch.marks.push_back({entry.id, Chunk::length(group->bytes)});
      ++group->batch.events;
    }
  }
  mark_pending(*topic);
}

// True once nothing of the topic is left.
bool Hub::hand_out(Topic& topic, std::size_t& deliveries) {
  for (std::size_t idle = 0; idle < topic.groups.size(); ++topic.turn) {
    if (topic.turn >= topic.groups.size()) topic.turn = 0;
    Group& group = *topic.groups[topic.turn];
    if (group.next == group.limit) {
      group.current = {};
      group.next = group.limit = 0;
      if (group.batch.events == 0) {
        ++idle;
        continue;
      }
      group.current = std::exchange(group.batch, {});
      group.current.chunk = Chunk(std::exchange(group.bytes, {}));
      group.limit = group.members.size();
    }
    for (; group.next < group.limit; --deliveries) {
      if (deliveries == 0) return false;
      if (group.next + kAhead < group.limit) prefetch(group.members[group.next + kAhead].receiver);
      group.members[group.next++].receiver->on_batch(group.current);
    }
    group.current = {};
    group.next = group.limit = 0;
    idle = 0;
  }
  topic.pending = false;
  return true;
}

void Hub::flush() {
  while (!pending_.empty()) (void)flush_some(kAll);
}

void Hub::flush(std::string_view name) {
  Topic* topic = find(name);
  if (topic == nullptr || !topic->pending) return;
  std::erase(pending_, topic);
  std::size_t deliveries = kAll;
  (void)hand_out(*topic, deliveries);
}

bool Hub::flush_some(std::size_t deliveries) {
  while (!pending_.empty() && deliveries > 0) {
    Topic* topic = pending_.front();
    pending_.pop_front();
    std::size_t share = std::min(deliveries, kShare);
    const std::size_t whole = share;
    if (!hand_out(*topic, share)) pending_.push_back(topic);
    deliveries -= std::max<std::size_t>(whole - share, 1);
  }
  return !pending_.empty();
}

}  // namespace tailgate
