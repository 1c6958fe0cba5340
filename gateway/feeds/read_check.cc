#include "gateway/feeds/read_check.h"

#include <algorithm>
#include <utility>

#include "gateway/base/log.h"
#include "gateway/loop/random.h"
#include "gateway/redis/advice.h"
#include "gateway/redis/reply.h"

namespace tailgate {

namespace {

constexpr std::chrono::milliseconds kPoll{20};
// For how many ids a key is read.  A node of a Redis Cluster refuses the keys that other nodes hold.  If a
// cluster has two nodes, one node holds all 16 keys of a pattern with a probability of 1 in 32,768.
constexpr int kIds = 16;

// Shortens "MOVED 3999 10.0.0.7:6381" to "MOVED": nginx publishes /readyz, and addresses and keys are
// internal.
std::string short_error(std::string_view error) {
  for (const std::string_view word : {"MOVED", "ASK"}) {
    if (error.starts_with(word)) return std::string(word);
  }
  // "ERR unknown command 'HMGET', with args beginning with: …" goes on with the key and the fields.
  return std::string(error.substr(0, error.find(", with args")));
}

// An id that the route accepts.
std::string example_id(const IdRule& ids, int number) {
  std::string text = std::to_string(number);
  if (ids.fits(text)) return text;
  return "00000000-0000-4000-8000-" + std::string(12 - text.size(), '0') + text;
}

std::string sentence(const std::string& begin, const std::string& error) {
  const std::string_view advice = advice_about(error);
  return "redis: " + begin + error + (advice.empty() ? "" : "; " + std::string(advice));
}

}  // namespace

// One read of one key, or the subscription to one channel.
struct ReadCheck::Question final : ChannelFeeds::Observer {
  Question(ReadCheck& its_check, RedisLink* its_link, std::string its_command, const KeyTemplate& key,
           std::string its_example)
      : check(its_check),
        link(its_link),
        command(std::move(its_command)),
        pattern(key.text()),
        has_names(!key.names().empty()),
        example(std::move(its_example)) {}
  virtual ~Question() = default;

  void on_confirmed() override { is_answered = true; }
  void on_unconfirmed() override {}
  void on_refused() override { check.refuse(*this, check.link_of(*this).why_lost()); }

  ReadCheck& check;
  RedisLink* const link;           // null for SUBSCRIBE, which ChannelFeeds sends
  const std::string command;       // its name, for example "XINFO STREAM"
  const std::string pattern;       // the key or channel, with "{id}"
  const bool has_names;            // true if `pattern` has a {name}
  const std::string example;       // the key or channel that is read, with an example for each name
  std::vector<std::string> words;  // the whole command
  bool is_answered = false;
  std::string refusal;  // Redis's last error; empty: none so far
  RedisCall call;
  bool is_subscribing = false;  // SUBSCRIBE: `interest` has begun
  ChannelFeeds::Interest interest;
};

ReadCheck::ReadCheck(const Loop& loop, const Sources& sources, const std::vector<Route>& routes,
                     std::string_view wakeups)
    : sources_(sources), wakeups_(wakeups), timer_(loop, [this] { ask_open(); }) {
  for (const Route& route : routes) add(route);
  timer_.after(std::chrono::milliseconds(0));
}

ReadCheck::~ReadCheck() = default;

void ReadCheck::replace_routes(const std::vector<Route>& routes) {
  if (passed_) return;
  questions_.clear();
  logged_.clear();
  for (const Route& route : routes) add(route);
  ask_again_at_ = {};
  // ask_open() comes first, because a question hears only of refusals that come after it has subscribed.
  ask_open();
  if (!passed_) sources_.channels.retry_refused_now();
}

void ReadCheck::add(const Route& route) {
  const IdRule& ids = route.path.ids();
  if (route.record != nullptr && route.record->kind == RecordRule::Kind::kHash) {
    const auto& fields = route.record->hash_fields;
    add_questions(&sources_.records, "HMGET", route.record->key, ids, {"HMGET"},
                  {fields.empty() ? "" : fields.front()});
  }
  switch (route.source) {
    case Source::kChannel:
      add_questions(nullptr, "SUBSCRIBE", route.key, ids, {"SUBSCRIBE"});
      break;
    case Source::kLog:
      add_questions(&sources_.logs, "XRANGE", route.key, ids, {"XRANGE"}, {"-", "+", "COUNT", "1"});
      add_questions(&sources_.logs, "XINFO STREAM", route.key, ids, {"XINFO", "STREAM"});
      if (wakeups_ == "notifications") break;  // only the sweep checks logs with XREAD
      add_questions(&sources_.logs, "XREAD", route.key, ids, {"XREAD", "COUNT", "1", "STREAMS"}, {"0-0"});
      break;
    case Source::kPages:
      add_questions(&sources_.pages, "XREVRANGE", route.key, ids, {"XREVRANGE"}, {"+", "-", "COUNT", "1"});
      break;
  }
}

void ReadCheck::add_questions(RedisLink* link, const std::string& name, const KeyTemplate& key,
                              const IdRule& ids, const std::vector<std::string>& before,
                              const std::vector<std::string>& after) {
  const bool is_known = std::ranges::any_of(questions_, [&](const auto& question) {
    return question->command == name && question->pattern == key.text();
  });
  if (is_known) return;  // several routes read the same keys
  const int count = link == nullptr || key.names().empty() ? 1 : kIds;
  for (int number = 0; number < count; ++number) {
    auto question =
        std::make_unique<Question>(*this, link, name, key, key.expand_all(example_id(ids, number)));
    question->words = before;
    question->words.push_back(question->example);
    question->words.insert(question->words.end(), after.begin(), after.end());
    questions_.push_back(std::move(question));
  }
}

void ReadCheck::ask_open() {
  if (std::ranges::none_of(questions_, [this](const auto& question) { return blocks(*question); })) {
    passed_ = true;
    questions_.clear();
    return;
  }
  timer_.after(kPoll);
  if (Loop::now() < ask_again_at_) return;
  for (const auto& question : questions_) {
    if (!question->is_answered) ask(*question);
  }
}

void ReadCheck::ask(Question& question) {
  if (question.link == nullptr) return subscribe(question);
  if (!question.link->up() || question.call.under_way()) return;
  // The command never gets CLUSTERDOWN as its reply.  The link drops the connection instead, because a
  // cluster answers CLUSTERDOWN for a moment while it fails over.
  const std::string& why_lost = question.link->why_lost();
  if (why_lost.starts_with("CLUSTERDOWN") && question.refusal.empty()) refuse(question, why_lost);
  const std::vector<std::string_view> words(question.words.begin(), question.words.end());
  question.call = question.link->command(
      words, [this, &question](const redisReply* reply) { on_answer(question, reply); });
}

void ReadCheck::subscribe(Question& question) {
  if (!std::exchange(question.is_subscribing, true)) {
    question.interest = ChannelFeeds::Interest(sources_.channels, question.example, question);
    question.is_answered = question.interest.confirmed();
    return;
  }
  // Each attempt that Redis refuses costs the connection.  So the channels are tried again only after Redis
  // has refused all of them.
  const bool all_refused = std::ranges::none_of(questions_, [](const auto& other) {
    return other->link == nullptr && (other->is_answered || other->refusal.empty());
  });
  if (!all_refused) return;
  question.refusal.clear();
  sources_.channels.retry_refused_now();
}

void ReadCheck::on_answer(Question& question, const redisReply* reply) {
  // The link was lost, or is being lost because Redis loads its data, for example.  Its why_lost() says why.
  if (reply == nullptr || is_unavailable(*reply)) return try_later();
  const bool is_refused = reply->type == REDIS_REPLY_ERROR && !is_wrong_type(*reply) &&
                          !text_of(*reply).starts_with("ERR no such key");
  if (is_refused) return refuse(question, text_of(*reply));
  question.is_answered = true;
}

void ReadCheck::refuse(Question& question, std::string_view error) {
  question.refusal = short_error(error);
  try_later();
  if (!logged_.insert(question.command + ' ' + question.pattern + ' ' + question.refusal).second) return;
  log_line(blocks(question) ? "error" : "warning", "redis.refused",
           {{"command", question.command},
            {"key", question.pattern},
            {"example", question.example},
            {"why", question.refusal},
            {"advice", advice_about(question.refusal)}});
}

void ReadCheck::try_later() {
  const TimePoint now = Loop::now();
  if (now >= ask_again_at_) ask_again_at_ = now + backoff_.on_failure(random_unit());
}

bool ReadCheck::blocks(const Question& question) const {
  if (question.is_answered) return false;
  if (!question.refusal.starts_with("NOPERM")) return true;
  // "… to run the 'hmget' command" is about all keys.  Any other NOPERM is about one key or channel.  The
  // user may still have the right to the keys of real ids, which differ from the example.
  const bool is_about_key = question.refusal.find("' command") == std::string::npos;
  if (question.has_names && is_about_key) return false;
  return std::ranges::none_of(questions_, [&](const auto& other) {
    return other->command == question.command && other->is_answered;
  });
}

const RedisLink& ReadCheck::link_of(const Question& question) const {
  return question.link == nullptr ? sources_.channels.link() : *question.link;
}

std::string ReadCheck::why() const {
  if (passed_) return {};
  for (const auto& question : questions_) {
    if (!question->refusal.empty() && blocks(*question)) {
      return sentence(question->command + " is refused: ", question->refusal);
    }
  }
  for (const auto& question : questions_) {
    const std::string& why_lost = link_of(*question).why_lost();
    if (!question->is_answered && !why_lost.empty()) return sentence({}, why_lost);
  }
  return {};
}

}  // namespace tailgate
