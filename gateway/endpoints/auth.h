// Auth: what nginx asks before it lets a request through (auth_request).
//
// On a listener of its own, so that nobody but nginx can ask who somebody is, and so
// that what the stream listener believes was made by this process.  Every answer carries
// X-Tailgate-Verdict.
#pragma once

#include <list>
#include <memory>
#include <string>
#include <string_view>

#include "gateway/auth/judge.h"
#include "gateway/auth/keys.h"
#include "gateway/streams/services.h"

namespace tailgate {

class Auth {
 public:
  Auth(const Loop& loop, Services& services, Keys& keys);

  // Takes one request from the auth listener.
  void take_in(std::unique_ptr<Reply> reply);
  // The configuration was replaced: verdicts of the old one count no more.
  void on_reload();

 private:
  // A request whose token names a key that may be a new one.
  struct Waiting final : Reply::Watcher {
    explicit Waiting(TurnEnd& its_clean_up) : clean_up(its_clean_up) {}
    void on_gone(Reply::Gone /*gone*/) override {
      over = true;
      clean_up.ask();
    }

    TurnEnd& clean_up;
    std::unique_ptr<Reply> reply;
    KeyWait wait;
    bool over = false;
  };

  Verdict judge(const Reply& reply, const RouteMatch& match, std::string_view query,
                Judge::UnknownKid unknown_kid);
  void answer(Reply& reply, const RouteMatch& match, const Verdict& verdict);
  void answer(Reply& reply, int status, const std::string& verdict, HttpHeaders headers);
  void on_keys(Waiting& waiting);

  Services& services_;
  Keys& keys_;
  std::unique_ptr<Judge> judge_;
  std::list<Waiting> waiting_;
  TurnEnd clean_up_;
};

}  // namespace tailgate
