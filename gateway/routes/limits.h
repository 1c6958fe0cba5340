// StreamLimits: counts the open streams, also by user and by client address, and enforces their bounds.
//
// Pure.  Must outlive its tickets.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace tailgate {

class StreamLimits {
  using Counts = std::unordered_map<std::string, std::uint64_t>;

 public:
  // Counts one stream until it is destroyed.
  class Ticket {
   public:
    Ticket() = default;
    Ticket(Ticket&& other) noexcept;
    Ticket& operator=(Ticket&& other) noexcept;
    ~Ticket();
    bool taken() const { return limits_ != nullptr; }

   private:
    friend class StreamLimits;
    StreamLimits* limits_ = nullptr;
    Counts::value_type* user_ = nullptr;  // the user's count; null: not counted
    Counts::value_type* address_ = nullptr;
  };

  struct Bounds {  // 0: no bound
    std::uint64_t streams = 0;
    std::uint64_t per_user = 0;
    std::uint64_t per_address = 0;
  };

  // Counts one stream and sets `taken`, unless a bound is reached.  An empty user or address is not counted.
  Ticket take(const Bounds& bounds, std::string_view user, std::string_view address, bool& taken);
  std::uint64_t streams() const { return streams_; }

 private:
  std::uint64_t streams_ = 0;
  Counts users_;
  Counts addresses_;
};

// The client's address: the rightmost hop of X-Forwarded-For that is not a trusted proxy.  `trusted` holds
// addresses and CIDR blocks.  The search stops at a hop that is not an address.  Empty if there is no
// address.
std::string client_address(std::string_view forwarded_for, const std::vector<std::string>& trusted);

}  // namespace tailgate
