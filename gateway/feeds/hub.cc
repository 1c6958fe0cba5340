#include "gateway/feeds/hub.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace tailgate {

namespace {

// Room for the bytes that framing adds to a payload without line ends.
constexpr std::size_t kFraming = 128;
// After this many deliveries of one topic, flush_some() continues with the next topic.
constexpr std::size_t kShare = 256;
// How many deliveries ahead a receiver is prefetched.  With thousands of receivers, none is in the CPU cache.
constexpr std::size_t kAhead = 6;
constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();

// A receiver is a part of a larger object, and on_batch() reads the members around it.
void prefetch(const Receiver* receiver) {
  const auto* at = reinterpret_cast<const char*>(receiver);
  for (const int line : {-64, 0, 64}) __builtin_prefetch(at + line);
}

}  // namespace

std::size_t Batch::offset_after(EntryId id) const {
  const auto after = std::ranges::upper_bound(marks, id, {}, &Mark::id);
  return after == marks.begin() ? 0 : std::prev(after)->end;
}

// The receivers of one topic that get the same encoding.
struct Hub::Group {
  Group(Hub& hub, Topic& its_topic, const Route& its_route)
      : topic(its_topic), route(its_route), receivers([this, &hub] { hub.forget(*this); }) {}

  Topic& topic;
  const Route& route;
  LeaseList<Receiver*> receivers;  // in_round() while `current` is being delivered
  Batch current;
  std::string bytes;  // the frames of `batch`, from which its chunk is made
  Batch batch;        // the next batch, which collects new events
};

struct Hub::Topic {
  std::string name;
  std::vector<std::unique_ptr<Group>> groups;
  bool pending = false;
  std::size_t current_group = 0;  // the index of the group whose batch is being delivered
};

Hub::Hub(Events events) : events_(std::move(events)) {
}

Hub::~Hub() = default;

Hub::Topic* Hub::find(std::string_view topic) {
  const auto found = topics_.find(topic);
  return found == topics_.end() ? nullptr : found->second.get();
}

Hub::Subscription Hub::subscribe(std::string_view name, const Route& route, Receiver& receiver) {
  // Pending events were published before this call, so the new receiver must not get them.
  flush(name);
  auto [slot, is_new] = topics_.try_emplace(std::string(name));
  if (is_new) slot->second = std::make_unique<Topic>(Topic{.name = std::string(name), .groups = {}});
  Topic& topic = *slot->second;
  auto group = std::ranges::find_if(topic.groups, [&](const auto& one) { return &one->route == &route; });
  if (group == topic.groups.end()) {
    topic.groups.push_back(std::make_unique<Group>(*this, topic, route));
    group = std::prev(topic.groups.end());
  }
  return (*group)->receivers.add(&receiver);
}

// Called when a group has lost its last receiver.
void Hub::forget(const Group& group) {
  Topic& topic = group.topic;
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
    // Makes room for the frame, so that appending it rarely allocates more than once.
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

// Delivers the topic's batches, one group after another.  Counts `deliveries` down and stops at 0.  Returns
// true if the topic has no pending events left.
bool Hub::hand_out(Topic& topic, std::size_t& deliveries) {
  for (std::size_t idle = 0; idle < topic.groups.size(); ++topic.current_group) {
    if (topic.current_group >= topic.groups.size()) topic.current_group = 0;
    Group& group = *topic.groups[topic.current_group];
    if (!group.receivers.in_round()) {
      group.current = {};
      if (group.batch.events == 0) {
        ++idle;
        continue;
      }
      group.current = std::exchange(group.batch, {});
      group.current.chunk = Chunk(std::exchange(group.bytes, {}));
      group.receivers.begin_round();
    }
    for (; group.receivers.in_round(); --deliveries) {
      if (deliveries == 0) return false;
      if (Receiver* const* receiver = group.receivers.ahead(kAhead)) prefetch(*receiver);
      group.receivers.next()->on_batch(group.current);
    }
    group.current = {};
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
