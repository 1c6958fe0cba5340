// SseReader: parses one response as it arrives: status, headers, chunks, lines.
//
// Keeps only the incomplete line or chunk size, because 19,000 readers are open at once.
#pragma once

#include <charconv>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

namespace tailgate::bench {

class SseReader {
 public:
  // Calls `line` with each line of the body, without its line end.  Returns false if this is not HTTP.
  template <typename OnLine>
  bool feed(std::string_view bytes, const OnLine& line) {
    if (!in_body_) {
      if (!begun_) begun_ = std::make_unique<std::string>();
      begun_->append(bytes);
      const auto end = begun_->find("\r\n\r\n");
      if (end == std::string::npos) return begun_->size() < 65536;
      const std::unique_ptr<std::string> head = std::move(begun_);
      in_body_ = true;
      status_ = 0;
      if (head->size() > 12) std::from_chars(head->data() + 9, head->data() + 12, status_);
      chunked_ = strcasestr(head->substr(0, end).c_str(), "transfer-encoding: chunked") != nullptr;
      if (head->size() == end + 4) return true;
      return body(std::string_view(*head).substr(end + 4), line);
    }
    return body(bytes, line);
  }

  bool in_body() const { return in_body_; }
  bool ended() const { return ended_; }
  int status() const { return status_; }
  std::uint64_t body_bytes() const { return body_bytes_; }

 private:
  template <typename OnLine>
  bool body(std::string_view bytes, const OnLine& line) {
    if (!chunked_) {
      lines(bytes, line);
      return true;
    }
    while (!bytes.empty()) {
      if (left_ > 0) {
        const auto part = bytes.substr(0, left_);
        lines(part, line);
        left_ -= part.size();
        bytes.remove_prefix(part.size());
        continue;
      }
      // Between chunks: the line end of the last chunk, then the size of the next.
      const char next = bytes.front();
      bytes.remove_prefix(1);
      if (next == '\r') continue;
      if (next != '\n') {
        const int digit = next >= '0' && next <= '9'                 ? next - '0'
                          : (next | 32) >= 'a' && (next | 32) <= 'f' ? (next | 32) - 'a' + 10
                                                                     : -1;
        if (digit < 0) return false;
        size_ = size_ * 16 + static_cast<std::uint64_t>(digit);
        sized_ = true;
      } else if (sized_) {
        left_ = size_;
        ended_ = size_ == 0;
        size_ = 0;
        sized_ = false;
      }
    }
    return true;
  }

  template <typename OnLine>
  void lines(std::string_view bytes, const OnLine& line) {
    body_bytes_ += bytes.size();
    while (!bytes.empty()) {
      const auto* end = static_cast<const char*>(std::memchr(bytes.data(), '\n', bytes.size()));
      if (end == nullptr) {
        if (!begun_) begun_ = std::make_unique<std::string>();
        begun_->append(bytes);
        return;
      }
      const auto length = static_cast<std::size_t>(end - bytes.data());
      if (begun_) {
        begun_->append(bytes.substr(0, length));
        const std::unique_ptr<std::string> whole = std::move(begun_);
        line(std::string_view(*whole));
      } else {
        line(bytes.substr(0, length));
      }
      bytes.remove_prefix(length + 1);
    }
  }

  std::unique_ptr<std::string> begun_;  // an incomplete head or line
  std::uint64_t left_ = 0;              // how many bytes of this chunk are still to come
  std::uint64_t size_ = 0;              // the size of the next chunk, as far as it is read
  std::uint64_t body_bytes_ = 0;
  int status_ = 0;
  bool in_body_ = false;
  bool chunked_ = false;
  bool sized_ = false;
  bool ended_ = false;
};

}  // namespace tailgate::bench
