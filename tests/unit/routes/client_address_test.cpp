#include "gateway/routes/client_address.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tailgate {
namespace {

using Header = ClientAddressRule::Header;

ClientAddressRule rule(const std::vector<std::string>& trusted = {}, Header header = Header::kXForwardedFor) {
  ClientAddressRule rule{.header = header, .trusted_proxies = {}, .ipv6_prefix = 64};
  for (const std::string& text : trusted) rule.trusted_proxies.push_back(*AddressBlock::parse(text));
  return rule;
}

// The client's address, or "error: " and the sentence.
std::string client(std::string_view value, const ClientAddressRule& by = rule()) {
  const auto address = client_address(value, by);
  return address ? *address : "error: " + address.error();
}

TEST(ClientAddress, IsTheRightmostHopThatIsNotATrustedProxy) {
  const auto trusted = rule({"10.0.0.0/8", "::1", "192.168.1.7"});
  EXPECT_EQ(client("203.0.113.9", trusted), "203.0.113.9");
  EXPECT_EQ(client("1.1.1.1, 203.0.113.9, 10.2.3.4, 192.168.1.7", trusted), "203.0.113.9");
  EXPECT_EQ(client("203.0.113.9, ::1", trusted), "203.0.113.9");
  EXPECT_EQ(client("10.1.1.1", trusted), "10.1.1.1");
  EXPECT_EQ(client("9.9.9.9, 10.1.1.1"), "10.1.1.1");
  EXPECT_EQ(client(""), "");
}

TEST(ClientAddress, HasNoPortAndNoBrackets) {
  EXPECT_EQ(client("203.0.113.7:40001"), "203.0.113.7");
  EXPECT_EQ(client("[2001:db8::1]:443"), "2001:db8::/64");
  EXPECT_EQ(client("[2001:db8::1]"), "2001:db8::/64");
  EXPECT_EQ(client("203.0.113.7:40001, 10.2.3.4:50000, [fd00::1]:443", rule({"10.0.0.0/8", "fd00::/8"})),
            "203.0.113.7");
  const auto by = rule({}, Header::kForwarded);
  EXPECT_EQ(client("for=\"203.0.113.9:_p1\"", by), "203.0.113.9") << "an obfuscated port";
  EXPECT_EQ(client("for=\"[2001:db8::1]:_a.b-c\"", by), "2001:db8::/64");
}

TEST(ClientAddress, IsTheBlockOfAnIpv6Address) {
  EXPECT_EQ(client("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
  EXPECT_EQ(client("2001:db8:1:2:ffff::1"), "2001:db8:1:2::/64");
  ClientAddressRule by = rule();
  by.ipv6_prefix = 128;
  EXPECT_EQ(client("2001:db8:1:2:3:4:5:6", by), "2001:db8:1:2:3:4:5:6");
  by.ipv6_prefix = 47;
  EXPECT_EQ(client("2001:db8:3:4::1", by), "2001:db8:2::/47");
}

TEST(ClientAddress, IsOneForAnIpv4AddressAndItsMappedIpv6Address) {
  EXPECT_EQ(client("::ffff:203.0.113.7"), "203.0.113.7");
  EXPECT_EQ(client("[::ffff:203.0.113.7]:443"), "203.0.113.7");
}

TEST(ClientAddress, IsNotOneForAllIpv4ClientsOfANat64) {
  EXPECT_EQ(client("64:ff9b::203.0.113.7"), "203.0.113.7");
  EXPECT_EQ(client("64:ff9b::203.0.113.8"), "203.0.113.8");
}

TEST(ClientAddress, IsNotHiddenByABlockOfMappedAddressesThatHoldsAllOthers) {
  EXPECT_FALSE(AddressBlock::parse("::ffff:10.0.0.0/8"));
  EXPECT_EQ(AddressBlock::parse("::ffff:10.0.0.0/104"), AddressBlock::parse("10.0.0.0/8"));
}

TEST(ClientAddress, IgnoresEmptyHops) {
  EXPECT_EQ(client("203.0.113.9, , 10.0.0.1", rule({"10.0.0.0/8"})), "203.0.113.9");
  EXPECT_EQ(client("203.0.113.9,"), "203.0.113.9");
  EXPECT_EQ(client(" , "), "");
  EXPECT_EQ(client("for=203.0.113.9,,", rule({}, Header::kForwarded)), "203.0.113.9");
}

TEST(ClientAddress, SkipsAProxyOnAUnixSocket) {
  EXPECT_EQ(client("203.0.113.7, unix:"), "203.0.113.7");
}

// The trusted proxy after the hop would stand for all clients.
TEST(ClientAddress, IsAnErrorIfAHopIsNotAnAddress) {
  EXPECT_EQ(client("203.0.113.9, junk, 10.2.3.4", rule({"10.0.0.0/8"})),
            "error: X-Forwarded-For holds \"junk\", which names no address");
  for (const std::string hop : {"unknown", "1.2.3.4:", "1.2.3.4:x", "1.2.3.4:70000", "[1.2.3.4]", "[::1",
                                "[::1]x", "[::1]:", "fe80::1%eth0", "1.2.3", "\"1.2.3.4\""}) {
    EXPECT_EQ(client("1.1.1.1, " + hop),
              "error: X-Forwarded-For holds \"" + hop + "\", which names no address");
  }
  EXPECT_TRUE(client(std::string_view("203.0.113.9\0.evil", 17)).starts_with("error: "));
}

TEST(ClientAddress, IgnoresABadHopBeforeTheClient) {
  EXPECT_EQ(client("junk, 203.0.113.9"), "203.0.113.9");
}

TEST(ClientAddress, ComesFromForwardedIfTheRuleSaysSo) {
  const auto by = rule({"10.0.0.0/8"}, Header::kForwarded);
  EXPECT_EQ(client("for=203.0.113.7", by), "203.0.113.7");
  EXPECT_EQ(client("For=\"[2001:db8:cafe::17]:4711\"", by), "2001:db8:cafe::/64");
  EXPECT_EQ(client("for=192.0.2.43, for=198.51.100.17;by=203.0.113.60;proto=http;host=example.com", by),
            "198.51.100.17");
  EXPECT_EQ(client("for=192.0.2.43;host=\"a,b;for=6.6.6.6\", proto=https;for=10.1.1.1", by), "192.0.2.43");
  EXPECT_EQ(client("host=\"a\\\",b\";for=192.0.2.43", by), "192.0.2.43");
  EXPECT_EQ(client("for=192.0.2.43, for=unknown", by),
            "error: Forwarded holds \"for=unknown\", which names no address");
  EXPECT_EQ(client("for=192.0.2.43, for=\"_hidden\"", by),
            "error: Forwarded holds \"for=\"_hidden\"\", which names no address");
}

TEST(ClientAddress, IsNotChangedByAQuoteThatAClientLeavesOpen) {
  const auto by = rule({"10.0.0.0/8"}, Header::kForwarded);
  for (const std::string sent :
       {"for=6.6.6.6;x=\"", "for=\"x", "for=6.6.6.6;x=\"\\", "for=6.6.6.6;x=\"\\\"", "\""}) {
    EXPECT_EQ(client(sent + ", for=203.0.113.9", by), "203.0.113.9") << sent;
    EXPECT_EQ(client(sent + ", for=203.0.113.9;host=\"a,\\\"b\", for=\"10.0.0.1:80\"", by), "203.0.113.9")
        << sent;
    EXPECT_EQ(client(sent + ", for=\"[2001:db8::9]\"", by), "2001:db8::/64") << sent;
  }
}

// Otherwise the hop to its left, which the client may have invented, would count as the client.
TEST(ClientAddress, IsAnErrorIfAProxyDoesNotSayWhomItServed) {
  const auto by = rule({"10.0.0.0/8"}, Header::kForwarded);
  for (const std::string last :
       {"by=10.0.0.5;proto=https", "for =203.0.113.9", "proto=https", "for=203.0.113.9;for=203.0.113.8"}) {
    EXPECT_TRUE(client("for=6.6.6.6, " + last, by).starts_with("error: Forwarded holds ")) << last;
    EXPECT_TRUE(client(last, by).starts_with("error: Forwarded holds ")) << last;
  }
}

}  // namespace
}  // namespace tailgate
