// Hub: hands what one source brings to everyone who listens to it.
//
// Pure.  Knows topics (a channel's or a log's name), routes and bytes; knows no Redis, no
// socket.  What is published is encoded at once, once for each route that listens, and handed out later
// as one batch: what one turn brought for one topic, and what came while an earlier batch was still being
// handed out.  Many receivers are served in slices, topics in turn, so that one does not hold up the rest.
// Inside on_batch() nobody may subscribe, unsubscribe or die: a stream that must go is condemned there
// and buried after the turn (core/streams.h).
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "gateway/http/chunk.h"
#include "gateway/routes/framing.h"

namespace tailgate {

struct Batch {
  Chunk chunk;
  std::uint32_t events = 0;
  bool last = false;  // the stream ends behind it

  // Of a log: where each entry ends in the chunk's events, in order.
  struct Mark {
    EntryId id;
    std::size_t end = 0;
  };
  std::vector<Mark> marks;

  // How many bytes are of entries up to and including `id`.
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
    std::function<void()> on_pending;                    // there is something to hand out from now on
    std::function<void(const Route& route)> on_skipped;  // a payload was not what the route carries
  };

  // The right to be called; ends when it dies.
  class Subscription {
   public:
    Subscription() = default;
    Subscription(Subscription&& other) noexcept;
    Subscription& operator=(Subscription&& other) noexcept;
    ~Subscription();

   private:
    friend class Hub;
    Subscription(Hub* hub, Group* group, Receiver* receiver);
    Hub* hub_ = nullptr;
    Group* group_ = nullptr;
    std::size_t index_ = 0;  // of this in its group's list
  };

  explicit Hub(Events events);
  ~Hub();
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  // `receiver` gets what is published on topic `name` from now on, in the encoding of `route`.  Both, and the
  // hub, must outlive the token.
  [[nodiscard]] Subscription subscribe(std::string_view name, const Route& route, Receiver& receiver);

  void publish(std::string_view name, std::string_view payload);
  void publish(std::string_view name, std::span<const LogEntry> entries);

  // Hands out what is pending, of all topics or of one.
  void flush();
  void flush(std::string_view name);
  // The same, but at most so many deliveries.  True: something is left.
  bool flush_some(std::size_t deliveries);
  bool has_pending() const { return !pending_.empty(); }

 private:
  Topic* find(std::string_view topic);
  void mark_pending(Topic& topic);
  static bool hand_out(Topic& topic, std::size_t& deliveries);
  void leave(Subscription& subscription);

  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };

  Events events_;
  std::unordered_map<std::string, std::unique_ptr<Topic>, TextHash, std::equal_to<>> topics_;
  std::deque<Topic*> pending_;  // in the order of their turns
};

}  // namespace tailgate
