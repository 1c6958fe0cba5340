// StreamLimits: counts the open streams, in total, by user and by client address; enforces bounds.
//
// Pure.  Must outlive its tickets.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "gateway/text/text_map.h"

namespace tailgate {

class StreamLimits {
  using Counts = TextMap<std::uint64_t>;
  struct Release {
    Counts::value_type* user = nullptr;  // the user's count; null: not counted
    Counts::value_type* address = nullptr;
    void operator()(StreamLimits* limits) const;
  };

 public:
  // Counts one stream while the ticket lives.
  using Ticket = std::unique_ptr<StreamLimits, Release>;

  struct Bounds {  // 0: no bound
    std::uint64_t streams = 0;
    std::uint64_t per_user = 0;
    std::uint64_t per_address = 0;
  };

  // Counts one stream, or returns null if a bound is reached.  An empty user or address is not counted.
  Ticket take(const Bounds& bounds, std::string_view user, std::string_view address);
  std::uint64_t streams() const { return streams_; }

 private:
  std::uint64_t streams_ = 0;
  Counts users_;
  Counts addresses_;
};

}  // namespace tailgate
