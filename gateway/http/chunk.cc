#include "gateway/http/chunk.h"

#include <utility>

#include "gateway/text/hex.h"

namespace tailgate {

char* Chunk::write_head(char* end, std::size_t size) {
  *--end = '\n';
  *--end = '\r';
  do {
    *--end = hex_digit(size);
    size >>= 4;
  } while (size > 0);
  return end;
}

Chunk::Chunk(std::string begun) {
  const std::size_t size = length(begun);
  begin_ = static_cast<std::size_t>(write_head(begun.data() + kRoom, size) - begun.data());
  begun += kTail;
  bytes_ = std::make_shared<const std::string>(std::move(begun));
}

}  // namespace tailgate
