// EventStream: one client's stream of one channel.
//
// The opening, and the same again after each loss of Redis: subscribe, wait until
// Redis confirms, read the record, say where the job stands, then what arrived since the confirmation.
// DESIGN.md, "The opening sequence", says what happens when the client or Redis leaves in between.
#pragma once

#include <memory>
#include <vector>

#include "gateway/feeds/hub.h"
#include "gateway/streams/services.h"
#include "gateway/streams/stream.h"

namespace tailgate {

class EventStream final : public Stream,
                          private Receiver,
                          private ChannelFeeds::Observer,
                          private JobRecords::Observer {
 public:
  EventStream(Services& services, Request request);

  // Precondition: has been added to Streams.
  void start();

 private:
  enum class Phase {
    kSubscribing,  // Redis has not confirmed: what comes is not ours yet
    kLooking,      // confirmed; the record is being read, what comes is held
    kLive,
  };

  void on_batch(const Batch& batch) override;
  void on_confirmed() override;
  void on_unconfirmed() override;
  void on_refused() override;
  void on_record(const Record& record) override;
  void on_record_gone() override;
  void on_redis_up() override;
  void on_opening_late() override;
  void on_reminder() override;

  void look();
  void on_looked(JobRecords::Found found, const Record* record);
  void on_asked(StatusEndpoint::Answer answer, const Record* record);
  void no_record();
  void send_status(const Record* record);
  void send_ending(const Record& record);
  void go_live();
  void deliver(const Batch& batch);
  void unavailable();

  Phase phase_ = Phase::kSubscribing;
  Services& services_;
  TimePoint accepted_;
  std::vector<Batch> held_;
  std::size_t held_bytes_ = 0;
  std::unique_ptr<Record> ending_;  // the terminal record, while the published end may still come
  JobRecords::Look look_;
  StatusEndpoint::Question question_;
  // Declared last: they end first, before what they would call.
  Hub::Subscription subscription_;
  ChannelFeeds::Interest interest_;
  JobRecords::Watch watch_;
};

}  // namespace tailgate
