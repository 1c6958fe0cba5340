#include "gateway/pure/hub.h"

#include <algorithm>
#include <utility>

namespace tailgate {

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
  std::vector<Subscription*> members;
  // Encoded and not yet handed out.
  std::string bytes;
  Batch batch;
};

struct Hub::Topic {
  std::string name;
  std::vector<std::unique_ptr<Group>> groups;
  bool pending = false;
};

Hub::Subscription::Subscription(Hub* hub, Group* group, Listener* listener)
    : hub_(hub), group_(group), listener_(listener), index_(group->members.size()) {
  group->members.push_back(this);
}

Hub::Subscription::Subscription(Subscription&& other) noexcept {
  *this = std::move(other);
}

Hub::Subscription& Hub::Subscription::operator=(Subscription&& other) noexcept {
  if (this == &other) return *this;
  if (hub_ != nullptr) hub_->leave(*this);
  hub_ = std::exchange(other.hub_, nullptr);
  group_ = other.group_;
  listener_ = other.listener_;
  index_ = other.index_;
  if (hub_ != nullptr) group_->members[index_] = this;
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

Hub::Subscription Hub::subscribe(std::string_view name, const Route& route, Listener& listener) {
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
  return {this, group->get(), &listener};
}

void Hub::leave(Subscription& subscription) {
  Group& group = *subscription.group_;
  Topic& topic = *group.topic;
  subscription.hub_ = nullptr;
  group.members.back()->index_ = subscription.index_;
  group.members[subscription.index_] = group.members.back();
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
    switch (append_message(group->bytes, group->route, payload)) {
      case Framed::kSkipped:
        events_.on_skipped(group->route);
        continue;
      case Framed::kLast:
        group->batch.last = true;
        break;
      case Framed::kEvent:
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
    for (const LogEntry& entry : entries) {
      append_entry(group->bytes, group->route, entry);
      group->batch.marks.push_back({entry.id, group->bytes.size()});
      ++group->batch.events;
    }
  }
  mark_pending(*topic);
}

void Hub::flush(Topic& topic) {
  topic.pending = false;
  for (const auto& group : topic.groups) {
    if (group->batch.events == 0) continue;
    Batch batch = std::exchange(group->batch, {});
    batch.bytes = std::make_shared<const std::string>(std::exchange(group->bytes, {}));
    for (const Subscription* member : group->members) member->listener_->on_batch(batch);
  }
}

void Hub::flush() {
  for (Topic* topic : std::exchange(pending_, {})) flush(*topic);
}

void Hub::flush(std::string_view name) {
  Topic* topic = find(name);
  if (topic == nullptr || !topic->pending) return;
  std::erase(pending_, topic);
  flush(*topic);
}

}  // namespace tailgate
