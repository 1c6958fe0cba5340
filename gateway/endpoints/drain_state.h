// DrainState: how far this process is on its way out.  The Gateway moves it; endpoints read it.
//
// Pure.
#pragma once

#include "gateway/http/answer.h"

namespace tailgate {

class DrainState {
 public:
  enum class Phase {
    kServing,
    kSettling,     // not ready any more, but serves as before: load balancers take it out first
    kRefusing,     // new streams get 503 or `unavailable`
    kHandingOver,  // serves to the end: a successor accepts on the same sockets
  };

  void settle() { advance(Phase::kSettling); }
  void refuse() { advance(Phase::kRefusing); }
  void hand_over() { phase_ = Phase::kHandingOver; }

  bool draining() const { return phase_ != Phase::kServing; }
  bool refuses() const { return phase_ == Phase::kRefusing; }
  bool hands_over() const { return phase_ == Phase::kHandingOver; }
  // A connection that is kept alive would bring the client's next request here.
  void add_close(HttpHeaders& headers) const {
    if (refuses() || hands_over()) headers.emplace_back("Connection", "close");
  }

 private:
  void advance(Phase phase) {
    if (phase > phase_) phase_ = phase;
  }

  Phase phase_ = Phase::kServing;
};

}  // namespace tailgate
