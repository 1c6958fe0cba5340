// Chunk: encoded events as one chunk of an HTTP response (RFC 9112, section 7.1), made once and shared until
// the last output buffer has let go of it.
//
// Pure.  The head's room is left in front of the events, so that nothing is copied.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace tailgate {

class Chunk {
 public:
  // What events are appended to: room for the head.
  static void begin(std::string& out) { out.assign(kRoom, ' '); }
  // How many bytes of events there are in what begin() began.
  static std::size_t length(const std::string& out) { return out.size() - kRoom; }

  Chunk() = default;
  // Precondition: `begun` has gone through begin(), and has events.
  explicit Chunk(std::string begun);

  // The events alone, for a client that gets no chunks.
  std::string_view events() const {
    return std::string_view(*bytes_).substr(kRoom, bytes_->size() - kRoom - kTail.size());
  }
  // Head, events, tail.
  std::string_view whole() const { return std::string_view(*bytes_).substr(begin_); }
  std::size_t size() const { return bytes_->size() - kRoom - kTail.size(); }
  // What keeps all of it alive.
  const std::shared_ptr<const std::string>& owner() const { return bytes_; }

  static constexpr std::string_view kTail = "\r\n";
  // Writes the head of a chunk of `size` bytes so that it ends before `end`; where it begins.
  static char* write_head(char* end, std::size_t size);
  static constexpr std::size_t kRoom = 18;  // sixteen digits and a line end

 private:
  std::shared_ptr<const std::string> bytes_;
  std::size_t begin_ = 0;
};

}  // namespace tailgate
