// DrainState: the phase of this process's shutdown.  The Gateway changes it; endpoints read it.
//
// Pure.
#pragma once

#include "gateway/http/answer.h"

namespace tailgate {

class DrainState {
 public:
  enum class Phase {
    kServing,
    kSettling,     // /readyz answers 503, but requests are served until load balancers remove this process
    kRefusing,     // new streams get 503 or `unavailable`
    kHandingOver,  // requests are served until the exit: a successor accepts on the same sockets
  };

  void settle() { advance(Phase::kSettling); }
  void refuse() { advance(Phase::kRefusing); }
  void hand_over() { phase_ = Phase::kHandingOver; }

  bool draining() const { return phase_ != Phase::kServing; }
  bool refuses() const { return phase_ == Phase::kRefusing; }
  bool hands_over() const { return phase_ == Phase::kHandingOver; }
  // Adds "Connection: close" if the client's next request should not come to this process.
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
