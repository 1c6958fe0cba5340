#include "gateway/streams/active_request.h"

#include <utility>

#include "gateway/streams/streams.h"

namespace tailgate {

ActiveRequest::ActiveRequest(Streams& streams, Request request)
    : streams_(streams), request_(std::move(request)) {
  request_.exchange->watch(*this);
}

void ActiveRequest::on_gone(Exchange::Gone gone) {
  condemn(gone == Exchange::Gone::kStalled ? EndReason::kStalled : EndReason::kClientLeft, Ending::kCut);
}

void ActiveRequest::condemn(EndReason reason, Ending ending) {
  if (condemned()) return;
  phase_ = phase_ == Phase::kOpen ? Phase::kEnding : Phase::kAnswered;
  reason_ = reason;
  ending_ = ending;
  streams_.on_condemned(*this);
}

Request ActiveRequest::hand_over() {
  Request handed = std::move(request_);
  request_.config = handed.config;  // until the burial, the leases of this object refer to the route
  request_.route = handed.route;
  condemn(EndReason::kAnswered);
  return handed;
}

}  // namespace tailgate
