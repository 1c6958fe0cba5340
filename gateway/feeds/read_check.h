// ReadCheck: tries each kind of read that the routes need, before the gateway is ready.
//
// A Sentinel, a node of a Redis Cluster, and a Redis whose user lacks a right all accept connections and
// answer PING, but refuse reads.  ReadCheck finds this out before the first client does.  It reads keys that
// need not exist.  A refusal is logged once.  ReadCheck asks again until Redis answers, because an operator
// may correct the cause.  After it has passed, ReadCheck asks nothing more.
#pragma once

#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/backoff.h"
#include "gateway/feeds/channel_feeds.h"
#include "gateway/loop/loop.h"
#include "gateway/redis/link.h"
#include "gateway/routes/key_template.h"
#include "gateway/routes/route.h"

namespace tailgate {

class ReadCheck {
 public:
  // The connections on which the gateway reads.
  struct Sources {
    ChannelFeeds& channels;
    RedisLink& records;
    RedisLink& logs;
    RedisLink& pages;
  };

  // Asks for the kinds of read of `routes`.  Everything in `sources` must outlive the ReadCheck.
  // `wakeups` is redis.wakeups of the configuration.
  ReadCheck(const Loop& loop, const Sources& sources, const std::vector<Route>& routes,
            std::string_view wakeups);
  ~ReadCheck();
  ReadCheck(const ReadCheck&) = delete;
  ReadCheck& operator=(const ReadCheck&) = delete;

  // Begins again with the kinds of read of `routes`, unless it has passed.
  void replace_routes(const std::vector<Route>& routes);

  // True once Redis has answered each kind of read.  Two refusals (NOPERM) are ignored.  The first is about
  // the example for a template with names, because the user may have the right to the keys of real ids.  The
  // second is about a command that Redis answers for another key or channel: then only the routes that read
  // the refused one fail.
  bool passed() const { return passed_; }
  // Why it has not passed: what Redis refuses and what to do, or why there is no connection.  Empty if it has
  // passed, and while Redis has not answered yet.
  std::string why() const;

 private:
  struct Question;

  void add(const Route& route);
  // Adds questions for the command `name`.  Its words are `before`, then a key made from `key` and an id that
  // fits `ids`, then `after`.
  void add_questions(RedisLink* link, const std::string& name, const KeyTemplate& key, const IdRule& ids,
                     const std::vector<std::string>& before, const std::vector<std::string>& after = {});
  void ask_open();
  void ask(Question& question);
  void subscribe(Question& question);
  void on_answer(Question& question, const redisReply* reply);
  void refuse(Question& question, std::string_view error);
  void try_later();
  bool blocks(const Question& question) const;
  const RedisLink& link_of(const Question& question) const;

  Sources sources_;
  const std::string wakeups_;
  std::vector<std::unique_ptr<Question>> questions_;
  std::set<std::string> logged_;  // the refusals that are in the log
  Backoff backoff_{std::chrono::milliseconds(500), std::chrono::seconds(10)};
  TimePoint ask_again_at_{};
  bool passed_ = false;
  Timer timer_;
};

}  // namespace tailgate
