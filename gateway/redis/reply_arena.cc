#include "gateway/redis/reply_arena.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace tailgate {

namespace {

// The blocks have one size, so that later replies can use the blocks of a large reply.  Only a text or array
// that is larger than this gets a larger block.
constexpr std::size_t kBlock = 16UL * 1024;
#ifdef __SANITIZE_ADDRESS__
constexpr std::size_t kBlocksKept = 0;  // so that AddressSanitizer finds views into freed replies
#else
constexpr std::size_t kBlocksKept = 8;  // a page of a hundred lines takes five blocks
#endif

// The most elements of one array, far more than any expected reply has.  A reply announces the length of an
// array before its elements, and a server that is not Redis may announce any length.
constexpr std::size_t kMostElements = 1U << 20;

// The outermost reply.  free_cb() gets only the address of `reply`, and finds the arena before it.
struct Root {
  ReplyArena* arena;
  redisReply reply;
};

}  // namespace

void ReplyArena::serve(redisContext& context) {
  static redisReplyObjectFunctions functions = [] {
    redisReplyObjectFunctions made{};
    made.createString = string_cb;
    made.createArray = array_cb;
    made.createInteger = integer_cb;
    made.createNil = nil_cb;
#if HIREDIS_MAJOR >= 1
    made.createDouble = double_cb;
    made.createBool = bool_cb;
#endif
    made.freeObject = free_cb;
    return made;
  }();
  context.reader->fn = &functions;
  context.reader->privdata = this;
}

std::size_t ReplyArena::kept() const {
  std::size_t sum = 0;
  for (const Block& block : blocks_) sum += block.size;
  return sum;
}

void* ReplyArena::take(std::size_t size) {
  constexpr std::size_t kStep = alignof(redisReply);
  size = (size + kStep - 1) / kStep * kStep;
  if (current_ < blocks_.size() && size > blocks_[current_].size - used_) {
    ++current_;
    used_ = 0;
  }
  if (current_ == blocks_.size() || size > blocks_[current_].size) {
    const std::size_t room = std::max(size, kBlock);
    blocks_.insert(blocks_.begin() + static_cast<std::ptrdiff_t>(current_),
                   {.bytes = std::make_unique_for_overwrite<std::byte[]>(room), .size = room});
  }
  std::byte* const begin = blocks_[current_].bytes.get() + used_;
  used_ += size;
  return begin;
}

void ReplyArena::reset() {
  std::erase_if(blocks_, [](const Block& block) { return block.size > kBlock; });
  if (blocks_.size() > kBlocksKept) blocks_.resize(kBlocksKept);
  current_ = used_ = 0;
}

redisReply* ReplyArena::make(const Task& task, std::size_t more) {
  auto& arena = *static_cast<ReplyArena*>(task.privdata);
  redisReply* reply = nullptr;
  if (task.parent == nullptr) {
    reply = &(new (arena.take(sizeof(Root) + more)) Root{.arena = &arena, .reply = {}})->reply;
  } else {
    reply = new (arena.take(sizeof(redisReply) + more)) redisReply{};
    static_cast<redisReply*>(task.parent->obj)->element[task.idx] = reply;
  }
  reply->type = task.type;
  return reply;
}

void* ReplyArena::string_cb(const Task* task, char* text, std::size_t length) noexcept {
  redisReply* reply = make(*task, length + 1);
  reply->str = reinterpret_cast<char*>(reply + 1);
  std::memcpy(reply->str, text, length);
  reply->str[length] = '\0';
  reply->len = static_cast<decltype(reply->len)>(length);
  return reply;
}

void* ReplyArena::array_cb(const Task* task, Count elements) noexcept {
  const auto count = static_cast<std::size_t>(elements);
  if (count > kMostElements) return nullptr;  // hiredis reports "Out of memory" and closes the connection
  redisReply* reply = make(*task, count * sizeof(redisReply*));
  reply->elements = count;
  reply->element = reinterpret_cast<redisReply**>(reply + 1);
  std::fill_n(reply->element, count, nullptr);
  return reply;
}

void* ReplyArena::integer_cb(const Task* task, long long value) noexcept {
  redisReply* reply = make(*task, 0);
  reply->integer = value;
  return reply;
}

void* ReplyArena::nil_cb(const Task* task) noexcept {
  redisReply* reply = make(*task, 0);
  reply->type = REDIS_REPLY_NIL;  // the task has the type of the missing value
  return reply;
}

#if HIREDIS_MAJOR >= 1
// For RESP3, which Tailgate does not request.  Without these two functions, hiredis 1.x would use an invalid
// pointer as the reply.
void* ReplyArena::double_cb(const Task* task, double /*value*/, char* text, std::size_t length) noexcept {
  return string_cb(task, text, length);
}

void* ReplyArena::bool_cb(const Task* task, int value) noexcept {
  return integer_cb(task, value);
}
#endif

void ReplyArena::free_cb(void* root) noexcept {
  auto* const begin = static_cast<std::byte*>(root) - offsetof(Root, reply);
  reinterpret_cast<Root*>(begin)->arena->reset();
}

}  // namespace tailgate
