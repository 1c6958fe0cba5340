#include "gateway/endpoints/drain_state.h"

#include <gtest/gtest.h>

namespace tailgate {
namespace {

bool closes(const DrainState& state) {
  HttpHeaders headers;
  state.add_close(headers);
  return !headers.empty();
}

TEST(DrainState, RefusesOnlyAfterItHasSettled) {
  DrainState state;
  EXPECT_FALSE(state.draining());
  state.settle();
  EXPECT_TRUE(state.draining());
  EXPECT_FALSE(state.refuses());
  EXPECT_FALSE(closes(state));
  state.refuse();
  EXPECT_TRUE(state.refuses());
  EXPECT_TRUE(closes(state));
}

TEST(DrainState, NeverRefusesOnceItHandsOver) {
  DrainState state;
  state.settle();
  state.refuse();
  state.hand_over();
  state.refuse();
  EXPECT_FALSE(state.refuses());
  EXPECT_TRUE(state.hands_over());
  EXPECT_TRUE(closes(state));
}

}  // namespace
}  // namespace tailgate
