// Chunk: encoded events as one chunk of an HTTP response (RFC 9112, section 7.1).
//
// Pure.  The bytes are immutable and shared: every output buffer that still has to send them holds a
// reference.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace tailgate {

class Chunk {
 public:
  // Prepares `out` for appended events.  Leaves room for the chunk's head at the front, so that the events
  // are not copied again.
  static void begin(std::string& out) { out.assign(kRoom, ' '); }
  // The number of bytes appended since begin().
  static std::size_t length(const std::string& out) { return out.size() - kRoom; }

  Chunk() = default;
  // Precondition: events were appended to `begun` after begin(begun).
  explicit Chunk(std::string begun);

  // The events without head and tail, for a response that is not chunked.
  std::string_view events() const {
    return std::string_view(*bytes_).substr(kRoom, bytes_->size() - kRoom - kTail.size());
  }
  // Head, events, tail.
  std::string_view framed() const { return std::string_view(*bytes_).substr(begin_); }
  // The number of bytes in events().
  std::size_t size() const { return bytes_->size() - kRoom - kTail.size(); }
  // Owns the memory of events() and framed().  Both stay valid while a copy of this pointer lives.
  const std::shared_ptr<const std::string>& storage() const { return bytes_; }

  static constexpr std::string_view kTail = "\r\n";
  // Writes the head of a chunk of `size` bytes backwards from `end`.  Returns the beginning of the head.
  static char* write_head(char* end, std::size_t size);
  static constexpr std::size_t kRoom = 18;  // sixteen digits and a line end

 private:
  std::shared_ptr<const std::string> bytes_;
  std::size_t begin_ = 0;
};

}  // namespace tailgate
