// ReplyArena: where hiredis puts the replies of one connection.
//
// By itself hiredis allocates each element of a reply and each text: a thousand times
// for a page of a hundred lines.  Here a reply is a few steps through blocks of one size.  One reply lives
// at a time: hiredis 0.14 and 1.x free it behind its callback, before they parse the next.  Outlives the
// connection.
#pragma once

#include <hiredis/hiredis.h>

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace tailgate {

class ReplyArena {
 public:
  // From here on the replies of `context` are made here.  Precondition: nothing has been read from it yet.
  void serve(redisContext& context);
  // What is kept for the next reply, in bytes.
  std::size_t kept() const;
  // How many bytes of texts have come since the last call.
  std::size_t take_came() { return std::exchange(came_, 0); }

 private:
  using Task = redisReadTask;
#if HIREDIS_MAJOR >= 1
  using Count = std::size_t;
  static void* double_cb(const Task* task, double value, char* text, std::size_t length) noexcept;
  static void* bool_cb(const Task* task, int value) noexcept;
#else
  using Count = int;
#endif
  static void* string_cb(const Task* task, char* text, std::size_t length) noexcept;
  static void* array_cb(const Task* task, Count elements) noexcept;
  static void* integer_cb(const Task* task, long long value) noexcept;
  static void* nil_cb(const Task* task) noexcept;
  static void free_cb(void* root) noexcept;

  // A reply of the task's type, zeroed, and `more` bytes behind it; its place in the array around it is
  // taken.
  static redisReply* make(const Task& task, std::size_t more);
  void* take(std::size_t size);
  void reset();

  struct Block {
    std::unique_ptr<std::byte[]> bytes;
    std::size_t size = 0;
  };
  std::vector<Block> blocks_;  // those before current_ are done with, those behind it empty
  std::size_t current_ = 0;
  std::size_t used_ = 0;  // bytes of the current one
  std::size_t came_ = 0;
};

}  // namespace tailgate
