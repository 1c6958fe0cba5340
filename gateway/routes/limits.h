// StreamLimits: how many streams there may be in all, of one user, from one address.
//
// Pure.
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
  // A place taken; given back when it dies.
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
    Counts::value_type* user_ = nullptr;  // its count, if it is counted
    Counts::value_type* address_ = nullptr;
  };

  struct Bounds {  // 0: none
    std::uint64_t streams = 0;
    std::uint64_t per_user = 0;
    std::uint64_t per_address = 0;
  };

  // Takes a place; `taken` says whether there was one.  An empty user or address is not counted as one.
  Ticket take(const Bounds& bounds, std::string_view user, std::string_view address, bool& taken);
  std::uint64_t streams() const { return streams_; }

 private:
  std::uint64_t streams_ = 0;
  Counts users_;
  Counts addresses_;
};

// The address that counts: the rightmost hop of X-Forwarded-For that is none of the trusted proxies
// (numeric addresses or CIDR blocks); what is no address ends the search.  Empty if there is none.
std::string client_address(std::string_view forwarded_for, const std::vector<std::string>& trusted);

}  // namespace tailgate
