// Auth: what nginx asks before it lets a request through (auth_request).
//
// On a listener of its own, so that nobody but nginx can ask who somebody is, and so
// that what the stream listener believes was made by this process.  Every answer carries
// X-Tailgate-Verdict.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "gateway/auth/authenticator.h"
#include "gateway/auth/keys.h"
#include "gateway/base/metrics_text.h"
#include "gateway/streams/services.h"

namespace tailgate {

class Auth {
 public:
  Auth(const Loop& loop, Services& services, Keys& keys);

  // Takes one request from the auth listener.
  void handle_request(std::unique_ptr<Exchange> exchange);
  // The configuration was replaced: verdicts of the old one count no more.
  void on_reload();
  void write_metrics(MetricsText& out) const;

 private:
  // A request whose token names a key that may be a new one.
  struct Waiting final : Exchange::Observer {
    explicit Waiting(TurnEnd& its_clean_up) : clean_up(its_clean_up) {}
    void on_gone(Exchange::Gone /*gone*/) override {
      over = true;
      clean_up.ask();
    }

    TurnEnd& clean_up;
    std::unique_ptr<Exchange> exchange;
    KeyWait wait;
    bool over = false;
  };

  Verdict authenticate(const Exchange& exchange, const RouteMatch& match, std::string_view query,
                       Authenticator::UnknownKid unknown_kid);
  void answer(Exchange& exchange, const RouteMatch& match, const Verdict& verdict);
  void answer(Exchange& exchange, int status, const std::string& verdict, HttpHeaders headers);
  void on_keys(Waiting& waiting);

  Services& services_;
  Keys& keys_;
  std::unique_ptr<Authenticator> authenticator_;
  std::list<Waiting> waiting_;
  std::map<std::string, std::uint64_t, std::less<>> verdicts_;  // how many answers, by verdict
  std::uint64_t verifications_ = 0;                             // of tokens
  TurnEnd clean_up_;
};

}  // namespace tailgate
