// Hub: hands the events of one source to every receiver that listens to it.
//
// Pure.  Knows topics (the name of a channel or of a log), routes and bytes; knows no Redis and no socket. An
// event is encoded when it is published, once for each route that listens.  A topic's events of one turn form
// one batch; while a batch is being handed out, the next one collects.  flush_some() hands out in slices,
// topic by topic, so that a topic with many receivers does not delay the others. Inside on_batch() no
// receiver may subscribe, unsubscribe or die: streams/streams.h buries streams after the turn.
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

  // Only for a log: where each entry ends in the chunk's events, in order.
  struct Mark {
    EntryId id;
    std::size_t end = 0;
  };
  std::vector<Mark> marks;

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
    std::function<void(const Route& route)> on_skipped;  // the route cannot carry a payload
  };

  // The receiver is called as long as this lives.
  using Subscription = LeaseList<Receiver*>::Lease;

  explicit Hub(Events events);
  ~Hub();
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  // `receiver` gets the events that are published on topic `name` from now on, encoded for `route`.  Both,
  // and the hub, must outlive the subscription.
  [[nodiscard]] Subscription subscribe(std::string_view name, const Route& route, Receiver& receiver);

  void publish(std::string_view name, std::string_view payload);
  void publish(std::string_view name, std::span<const LogEntry> entries);

  // Hands out all pending batches, of all topics or of one.
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
  std::deque<Topic*> pending_;  // the first has the next slice
};

}  // namespace tailgate
