// ReplyArena: the memory in which hiredis builds the replies of one connection.
//
// hiredis's own functions allocate each element and each text: a thousand allocations for a page of a hundred
// lines.  The arena places them in blocks of one size.  Only one reply exists at a time: hiredis 0.14 and 1.x
// free a reply after its callback, before they parse the next one.  The arena must outlive the connection.
#pragma once

#include <hiredis/hiredis.h>

#include <cstddef>
#include <memory>
#include <vector>

namespace tailgate {

class ReplyArena {
 public:
  // Makes hiredis build the replies of `context` here.  Precondition: `context` has read nothing yet.
  void serve(redisContext& context);
  // The size of all blocks, in bytes.
  std::size_t kept() const;

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

  // Makes a zeroed reply of the task's type, followed by `more` bytes, and puts it into its parent array.
  static redisReply* make(const Task& task, std::size_t more);
  void* take(std::size_t size);
  void reset();

  struct Block {
    std::unique_ptr<std::byte[]> bytes;
    std::size_t size = 0;
  };
  std::vector<Block> blocks_;  // those before current_ are full, those after it are empty
  std::size_t current_ = 0;
  std::size_t used_ = 0;  // how many bytes of the current block are taken
};

}  // namespace tailgate
