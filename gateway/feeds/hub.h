// Hub: delivers the events of each topic (a channel or a log) to the topic's receivers.
//
// Pure.  Knows topics, routes and bytes; knows no Redis and no socket.  An event is encoded when it is
// published, once for each route that has receivers.  The events between two flushes form one batch.  Events
// that arrive while a batch is being delivered form the next batch.  flush_some() alternates between the
// topics, so that a topic with many receivers does not delay the others.  Inside on_batch() no receiver may
// subscribe, unsubscribe or be destroyed: the class Streams destroys streams after the turn.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/lease.h"
#include "gateway/http/chunk.h"
#include "gateway/routes/framing.h"
#include "gateway/text/text_map.h"

namespace tailgate {

struct Batch {
  Chunk chunk;
  std::uint32_t events = 0;
  bool last = false;  // the stream ends after this batch

  // Only for a log.  `end` is the offset in the chunk's events at which the frame of entry `id` ends.
  struct Mark {
    EntryId id;
    std::size_t end = 0;
  };
  std::vector<Mark> marks;  // in the log's order

  // How many bytes the entries up to and including `id` take.
  std::size_t offset_after(EntryId id) const;
};

class Receiver {
 public:
  virtual void on_batch(const Batch& batch) = 0;

 protected:
  ~Receiver() = default;
};

class Hub {
  struct Topic;
  struct Group;

 public:
  struct Events {
    std::function<void()> on_pending;                    // has_pending() has become true
    std::function<void(const Route& route)> on_skipped;  // a payload does not have the route's format
  };

  // Lease: the receiver is called while the lease lives.
  using Subscription = LeaseList<Receiver*>::Lease;

  explicit Hub(Events events);
  ~Hub();
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  // `receiver` gets the events that are published on topic `name` from now on, encoded for `route`.
  // `route`, `receiver` and the hub must outlive the subscription.
  [[nodiscard]] Subscription subscribe(std::string_view name, const Route& route, Receiver& receiver);

  void publish(std::string_view name, std::string_view payload);
  void publish(std::string_view name, std::span<const LogEntry> entries);

  // Delivers all pending batches, of all topics or of one.
  void flush();
  void flush(std::string_view name);
  // Calls on_batch() at most `deliveries` times.  True if batches are still pending.
  bool flush_some(std::size_t deliveries);
  bool has_pending() const { return !pending_.empty(); }

 private:
  Topic* find(std::string_view topic);
  void mark_pending(Topic& topic);
  static bool hand_out(Topic& topic, std::size_t& deliveries);
  void forget(const Group& group);

  Events events_;
  TextMap<std::unique_ptr<Topic>> topics_;
  std::deque<Topic*> pending_;  // flush_some() continues with the first topic
};

}  // namespace tailgate
