// The part of Redis's protocol that the benchmark needs: writes commands and parses replies.
#pragma once

#include <charconv>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace tailgate::bench {

inline void append_command(std::string& out, std::initializer_list<std::string_view> words) {
  out += '*' + std::to_string(words.size()) + "\r\n";
  for (const std::string_view word : words) {
    out += '$' + std::to_string(word.size()) + "\r\n";
    out.append(word).append("\r\n");
  }
}

// One reply.  The texts of nested arrays are in one flat list.
struct RedisReply {
  char kind = 0;
  std::vector<std::string_view> texts;  // point into the parsed bytes
};

class ReplyParser {
 public:
  // Parses the reply at the beginning of `bytes` and sets its length.  False if it is incomplete.
  static bool parse(std::string_view bytes, RedisReply& reply, std::size_t& length) {
    reply.texts.clear();
    std::size_t at = 0;
    if (!element(bytes, at, reply)) return false;
    reply.kind = bytes.front();
    length = at;
    return true;
  }

 private:
  static bool element(std::string_view bytes, std::size_t& at, RedisReply& reply) {
    const auto end = bytes.find("\r\n", at);
    if (end == std::string_view::npos) return false;
    const char kind = bytes[at];
    const std::string_view line = bytes.substr(at + 1, end - at - 1);
    at = end + 2;
    if (kind != '$' && kind != '*') {
      reply.texts.push_back(line);
      return true;
    }
    long count = 0;
    std::from_chars(line.data(), line.data() + line.size(), count);
    if (kind == '*') {
      for (long i = 0; i < count; ++i) {
        if (!element(bytes, at, reply)) return false;
      }
      return true;
    }
    if (count < 0) {
      reply.texts.emplace_back();
      return true;
    }
    const auto size = static_cast<std::size_t>(count);
    if (bytes.size() < at + size + 2) return false;
    reply.texts.push_back(bytes.substr(at, size));
    at += size + 2;
    return true;
  }
};

}  // namespace tailgate::bench
