// ChannelStream: one client's stream of one channel.
//
// An opening stream subscribes, waits until Redis confirms, reads the record, sends the job's status, then
// sends the events that arrived since the confirmation.  When Redis is lost, an open stream stays open
// (on_unconfirmed()).  When Redis is back, the stream repeats these steps, but sends `resync` in place of the
// status, or ends (reopen()).  DESIGN.md has "The opening sequence".
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "gateway/endpoints/answers.h"
#include "gateway/feeds/channel_feeds.h"
#include "gateway/feeds/hub.h"
#include "gateway/feeds/job_records.h"
#include "gateway/streams/opening.h"
#include "gateway/streams/stream.h"

namespace tailgate {

class ChannelStream final : public Stream,
                            private Receiver,
                            private ChannelFeeds::Observer,
                            private JobRecords::Observer,
                            private Opening::Observer {
 public:
  struct Resources {
    Opening::Sources opening;
    Hub& hub;
    ChannelFeeds& channels;
    Answers& answers;
  };

  ChannelStream(Streams& streams, const Resources& resources, Request request)
      : Stream(streams, std::move(request)), resources_(resources) {}
  // Precondition: Streams owns this object.
  void start();

 private:
  enum class Phase {
    kSubscribing,  // Redis has not confirmed; events that arrive are dropped, because some may be missing
    kReading,      // confirmed; the record is being read, and events that arrive are held
    kLive,
  };

  void on_batch(const Batch& batch) override;
  void on_confirmed() override;
  void on_unconfirmed() override;
  void on_refused() override;
  void on_record(const Record& record) override;
  void on_record_gone() override;
  bool is_ready() const override { return !condemned() && phase_ == Phase::kReading; }
  void on_outcome(Access access, const Record* record) override;
  void on_redis_up() override;
  void on_reminder() override;

  // Reads the record as soon as the source is ready.
  void read_record(Opening::TimeLimits limits);
  void open_with(const Record* record);
  void reopen(Access access, const Record* record);
  void go_live(const Record* record);
  void on_final_look(const Record* record);
  void send_ending(const Record& record);
  void deliver(const Batch& batch);

  Phase phase_ = Phase::kSubscribing;
  const Resources& resources_;
  std::vector<Batch> held_;
  std::size_t held_bytes_ = 0;
  std::unique_ptr<Record> ending_;    // the terminal record, while the stream waits for the published end
  bool looked_again_ = false;         // ending_ has been read again
  std::unique_ptr<Opening> opening_;  // null while live
  // Declared last, so that they are destroyed before the members that their callbacks use.
  Hub::Subscription subscription_;
  ChannelFeeds::Interest interest_;
  JobRecords::Watch watch_;
  JobRecords::Look look_;
};

}  // namespace tailgate
