#include "gateway/streams/streams.h"

#include <algorithm>
#include <utility>

#include "gateway/base/log.h"
#include "gateway/loop/random.h"
#include "gateway/text/digest.h"
#include "gateway/text/hex.h"

namespace tailgate {

namespace {

// How many deliveries one turn of the loop makes: 2 ms on a unix socket, 6 ms on TCP, which is how long
// whatever else there is waits for a large fan-out.
constexpr std::size_t kSlice = 1024;
constexpr std::chrono::milliseconds kLongestJoin{2};

// So that an operator can tell two users apart without learning who they are; the salt changes with
// every start, so that nobody can look a name up.
std::string subject_hash(const Request& request) {
  if (request.user.empty() && request.session.empty()) return "";
  static const std::string salt = random_hex(16);
  const Digest digest = sha256(salt + '\n' + request.user + '\n' + request.session);
  return hex_encode({reinterpret_cast<const char*>(digest.data()), 6});
}

}  // namespace

Streams::Streams(const Loop& loop, Deadlines& deadlines, RouteMetrics& metrics)
    : metrics_(metrics),
      deadlines_(deadlines),
      turn_end_(loop, [this] { after_turn(); }),
      next_turn_(loop, [this] { turn_end_.ask(); }),
      hub_({.on_pending = [this] { turn_end_.ask(); },
            .on_skipped = [this](const Route& route) { ++metrics_.of(route.name).skipped; }}) {
}

Streams::~Streams() {
  streams_.clear();
}

void Streams::add(std::unique_ptr<Stream> stream) {
  stream->index_ = streams_.size();
  if (drain_by_) set_drain_moment(*stream);
  streams_.push_back(std::move(stream));
}

void Streams::on_redis_up() {
  // By number: a listener that this makes overflow is answered by a stream of its own.
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    if (!streams_[i]->condemned()) streams_[i]->on_redis_up();
  }
}

void Streams::note_condemned(Stream& stream) {
  condemned_.push_back(&stream);
  turn_end_.ask();
}

// Under load events are worth more joined than at once: a write costs the same for one as for ten.
bool Streams::is_joining() {
  if (handing_out_ || !hub_.has_pending() || !more_coming_ || !more_coming_()) return false;
  const TimePoint now = Loop::now();
  if (!joining_until_) joining_until_ = now + kLongestJoin;
  return now < *joining_until_;
}

Chunk Streams::heartbeat(const Stream& stream, TimePoint now) {
  const Route& route = stream.route();
  const auto encode = [&] {
    std::string bytes;
    Chunk::begin(bytes);
    route.heartbeat.message.append_to(bytes, stream.values());
    return Chunk(std::move(bytes));
  };
  if (route.heartbeat.message.mentions("id")) return encode();
  // The routes of an earlier moment may be gone: a reload lets them go with their last stream.
  if (std::exchange(beats_at_, now) != now) beats_.clear();
  for (const auto& [whose, beat] : beats_) {
    if (whose == &route) return beat;
  }
  return beats_.emplace_back(&route, encode()).second;
}

// What opened together would stay in step for good.  A few dozen may: streams that are neighbours in memory,
// ours and the kernel's, cost less one after the other than each among strangers (DESIGN.md).
float Streams::next_heartbeat_jitter() {
  constexpr unsigned kAlike = 32;
  constexpr double kMostJitter = 0.1;
  if (alike_ == 0) {
    alike_ = kAlike;
    heartbeat_jitter_ = static_cast<float>(random_unit() * kMostJitter);
  }
  --alike_;
  return heartbeat_jitter_;
}

void Streams::after_turn() {
  if (is_joining()) {
    next_turn_.after(std::chrono::microseconds(0));
  } else {
    joining_until_.reset();
    handing_out_ = hub_.flush_some(kSlice);
    if (handing_out_) next_turn_.after(std::chrono::microseconds(0));
  }
  // Burying may let somebody else go: those are condemned into the next round.
  while (!condemned_.empty()) {
    for (Stream* stream : std::exchange(condemned_, {})) bury(*stream);
  }
  if (streams_.empty() && on_empty_) on_empty_();
}

void Streams::bury(Stream& stream) {
  const Request& request = stream.request_;
  // A stream that never began may have handed its exchange on.
  const bool was_open = request.exchange != nullptr && request.exchange->begun();
  if (was_open) {
    const auto now = Loop::now();
    RouteCounts& counted = metrics_.of(stream.route().name);
    --counted.open;
    ++counted.ended[static_cast<std::size_t>(stream.reason_)];
    counted.events += stream.events_;
    counted.bytes += stream.bytes_;
    log_info("stream.closed", {{"route", stream.route().name},
                               {"subject", subject_hash(request)},
                               {"seconds", std::chrono::duration<double>(now - stream.opened_).count()},
                               {"events", stream.events_},
                               {"bytes", stream.bytes_},
                               {"why", word_of(stream.reason_)}});
    if (stream.farewell_ == Stream::Farewell::kClean) {
      request.exchange->end();
    } else {
      request.exchange->cut();
    }
  }
  streams_.back()->index_ = stream.index_;
  std::swap(streams_[stream.index_], streams_.back());
  streams_.pop_back();
}

void Streams::drain(TimePoint by) {
  drain_by_ = by;
  for (const auto& stream : streams_) set_drain_moment(*stream);
}

void Streams::set_drain_moment(Stream& stream) const {
  const auto time = std::chrono::duration_cast<std::chrono::milliseconds>(*drain_by_ - Loop::now());
  const auto part = shortened(time / 2, 1.0);
  switch (stream.drain_turn()) {
    case Stream::DrainTurn::kEarly:
      stream.drain_at(*drain_by_ - time / 2 - part);
      return;
    case Stream::DrainTurn::kLate:
      stream.drain_at(*drain_by_ - part);
      return;
    case Stream::DrainTurn::kLast:
      stream.drain_at(*drain_by_ - part / 10);
      return;
  }
}

void Streams::end_all() {
  for (const auto& stream : streams_) stream->drain_now();
}

void Streams::shed(std::uint64_t bytes, Shed what) {
  std::vector<std::pair<std::size_t, Stream*>> behind;
  for (const auto& stream : streams_) {
    if (!stream->open() || (what == Shed::kChannels && stream->drain_turn() == Stream::DrainTurn::kLate))
      continue;
    if (const std::size_t backlog = stream->backlog(); backlog > 0)
      behind.emplace_back(backlog, stream.get());
  }
  std::sort(behind.begin(), behind.end(), std::greater<>());
  std::uint64_t freed = 0;
  std::uint64_t cut = 0;
  for (const auto& [backlog, stream] : behind) {
    if (freed >= bytes) break;
    stream->condemn(EndReason::kMemory, Stream::Farewell::kCut);
    freed += backlog;
    ++cut;
  }
  log_warning("memory.shed", {{"streams", cut}, {"bytes", freed}});
}

void Streams::write_metrics(MetricsText& out) const {
  RouteMetrics now = metrics_;
  for (const auto& stream : streams_) {
    if (stream->request_.exchange == nullptr || !stream->request_.exchange->begun()) continue;
    RouteCounts& counted = now.of(stream->route().name);
    counted.events += stream->events_;
    counted.bytes += stream->bytes_;
  }
  now.write(out);
  out.gauge("tailgate_streams", "Streams and requests that are being served, openings among them.",
            streams_.size());
}

void Streams::set_on_empty(std::function<void()> call) {
  on_empty_ = std::move(call);
  turn_end_.ask();
}

}  // namespace tailgate
