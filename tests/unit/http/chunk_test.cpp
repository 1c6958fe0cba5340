#include "gateway/http/chunk.h"

#include <gtest/gtest.h>

namespace tailgate {
namespace {

Chunk chunk_of(std::string_view events) {
  std::string begun;
  Chunk::begin(begun);
  begun += events;
  EXPECT_EQ(Chunk::length(begun), events.size());
  return Chunk(std::move(begun));
}

TEST(Chunk, FramesEventsWithTheirLengthInHexadecimal) {
  EXPECT_EQ(chunk_of("x").framed(), "1\r\nx\r\n");
  EXPECT_EQ(chunk_of(std::string(300, 'y')).framed(), "12c\r\n" + std::string(300, 'y') + "\r\n");
  EXPECT_EQ(chunk_of(std::string(0x10000, 'z')).framed().substr(0, 8), "10000\r\nz");
}

TEST(Chunk, GivesTheEventsAloneForAResponseWithoutChunks) {
  const Chunk chunk = chunk_of("data: 1\n\n");
  EXPECT_EQ(chunk.events(), "data: 1\n\n");
  EXPECT_EQ(chunk.size(), 9U);
}

TEST(Chunk, ReservesRoomForTheLargestLength) {
  std::string room(Chunk::kRoom, ' ');
  EXPECT_EQ(Chunk::write_head(room.data() + room.size(), ~std::size_t{0}), room.data());
  EXPECT_EQ(room, "ffffffffffffffff\r\n");
}

}  // namespace
}  // namespace tailgate
