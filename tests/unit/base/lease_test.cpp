#include "gateway/base/lease.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <utility>
#include <vector>

namespace tailgate {
namespace {

using Numbers = std::vector<int>;
using List = LeaseList<int>;

Numbers members_of(const List& list) {
  Numbers numbers;
  list.for_each([&](int number) { numbers.push_back(number); });
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

TEST(LeaseList, KeepsAMemberUntilItsLeaseDies) {
  List list([] {});
  const List::Lease one = list.add(1);
  {
    const List::Lease two = list.add(2);
    const List::Lease three = list.add(3);
    EXPECT_EQ(members_of(list), (Numbers{1, 2, 3}));
  }
  EXPECT_EQ(members_of(list), Numbers{1});
}

TEST(LeaseList, MovesALeaseWithItsMember) {
  List list([] {});
  List::Lease first = list.add(1);
  List::Lease second(std::move(first));
  EXPECT_FALSE(first.active());  // NOLINT(bugprone-use-after-move): a moved-from lease is inactive
  EXPECT_TRUE(second.active());
  EXPECT_EQ(members_of(list), Numbers{1});
  List::Lease other = list.add(2);
  other = std::move(second);
  EXPECT_EQ(members_of(list), Numbers{1}) << "the replaced lease has ended";
  other = {};
  EXPECT_TRUE(list.empty());
}

TEST(LeaseList, CallsOnEmptyWhenTheLastMemberLeaves) {
  int calls = 0;
  List list([&] { ++calls; });
  {
    const List::Lease one = list.add(1);
    { const List::Lease two = list.add(2); }
    EXPECT_EQ(calls, 0);
  }
  EXPECT_EQ(calls, 1);
  { const List::Lease again = list.add(1); }
  EXPECT_EQ(calls, 2);
}

TEST(LeaseList, MayBeDestroyedInsideOnEmpty) {
  std::optional<List> list;
  const auto calls = std::make_shared<int>(0);
  list.emplace([&list, calls] {
    list.reset();
    ++*calls;  // the running function outlives the list
  });
  { const List::Lease lease = list->add(1); }
  EXPECT_FALSE(list.has_value());
  EXPECT_EQ(*calls, 1);
}

TEST(LeaseList, VisitsEachMemberOnceInARoundWhileOthersLeave) {
  std::mt19937 dice(7);
  for (int round = 0; round < 500; ++round) {
    List list([] {});
    std::vector<List::Lease> leases(dice() % 8 + 1);
    for (std::size_t i = 0; i < leases.size(); ++i) leases[i] = list.add(static_cast<int>(i));
    std::set<int> left;
    std::set<int> visited;
    list.begin_round();
    while (list.in_round()) {
      const int* ahead = list.ahead(0);
      ASSERT_NE(ahead, nullptr);
      const int expected = *ahead;
      const int member = list.next();
      EXPECT_EQ(member, expected);
      EXPECT_FALSE(left.contains(member));
      EXPECT_TRUE(visited.insert(member).second) << member << " twice";
      const std::size_t leaver = dice() % leases.size();
      leases[leaver] = {};
      left.insert(static_cast<int>(leaver));
    }
    EXPECT_EQ(list.ahead(0), nullptr);
    for (const int member : members_of(list)) EXPECT_TRUE(visited.contains(member)) << member;
    EXPECT_EQ(members_of(list).size(), leases.size() - left.size());
  }
}

using Call = LeasedCall<int>;

TEST(LeasedCall, CallsOnceWhileItsLeaseLives) {
  Numbers received;
  Call call([&](int number) { received.push_back(number); });
  Call::Lease first = call.lease();
  const Call::Lease lease(std::move(first));
  EXPECT_TRUE(lease.under_way());
  EXPECT_TRUE(call.wanted());
  call(1);
  EXPECT_FALSE(lease.under_way());
  EXPECT_FALSE(call.wanted());
  call(2);
  EXPECT_EQ(received, Numbers{1});
}

TEST(LeasedCall, IsNotUnderWayInsideTheCall) {
  Call::Lease lease;
  std::optional<bool> under_way;
  Call call([&](int) { under_way = lease.under_way(); });
  lease = call.lease();
  call(1);
  EXPECT_EQ(under_way, false);
}

TEST(LeasedCall, IsNotCalledAfterItsLeaseHasDied) {
  Numbers received;
  const auto held = std::make_shared<int>(0);
  Call call([&received, held](int number) { received.push_back(number); });
  { const Call::Lease lease = call.lease(); }
  EXPECT_EQ(held.use_count(), 1) << "the function was destroyed with its captures";
  EXPECT_FALSE(call.wanted());
  call(1);
  EXPECT_EQ(received, Numbers{});
}

TEST(LeasedCall, IsNotCalledAfterItsLeaseWasReplaced) {
  Numbers received;
  Call first([&](int number) { received.push_back(number); });
  Call second([&](int number) { received.push_back(-number); });
  Call::Lease lease = first.lease();
  lease = second.lease();
  first(1);
  second(2);
  EXPECT_EQ(received, Numbers{-2});
}

TEST(LeasedCall, EndsItsLeaseWhenItIsDestroyedFirst) {
  std::optional<Call> call(std::in_place, [](int) {});
  const Call::Lease lease = call->lease();
  call.reset();
  EXPECT_FALSE(lease.under_way());
}

TEST(LeasedCall, FreesAFunctionThatOwnsItsLease) {
  struct Owner {
    Call::Lease lease;
  };
  auto owner = std::make_shared<Owner>();
  const std::weak_ptr<Owner> watched = owner;
  {
    Call call([owner](int) {});
    owner->lease = call.lease();
    owner.reset();
    EXPECT_FALSE(watched.expired());
  }
  EXPECT_TRUE(watched.expired());
}

TEST(LeasedCall, LetsTheFunctionReplaceItsLease) {
  Numbers received;
  Call::Lease lease;
  Call second([&](int number) { received.push_back(-number); });
  Call first([&](int number) {
    lease = second.lease();
    received.push_back(number);
  });
  lease = first.lease();
  first(1);
  EXPECT_TRUE(lease.under_way());
  second(2);
  EXPECT_EQ(received, (Numbers{1, -2}));
}

}  // namespace
}  // namespace tailgate
