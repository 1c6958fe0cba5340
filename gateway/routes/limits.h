// StreamLimits: counts the open streams, in total, by user and by client address; enforces bounds.
//
// Pure.  Must outlive its tickets.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

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

// An address, or a block of addresses such as 10.0.0.0/8.
struct AddressBlock {
  std::array<unsigned char, 16> network{};  // an IPv4 address is mapped to IPv6
  unsigned bits = 128;

  // Nothing if `text` is malformed.
  static std::optional<AddressBlock> parse(std::string_view text);
  bool operator==(const AddressBlock&) const = default;
};

// The client's address.  Reads the hops of X-Forwarded-For from the right.  Stops after the first hop that is
// not a trusted proxy, or before a hop that is not an address.  Returns the last hop read, or an empty text
// if no hop was read.
std::string client_address(std::string_view forwarded_for, const std::vector<AddressBlock>& trusted);

}  // namespace tailgate
