#include "gateway/auth/identity_seal.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "gateway/text/digest.h"
#include "gateway/text/hex.h"
#include "gateway/text/netstring.h"
#include "gateway/text/text.h"

namespace tailgate {

namespace {

constexpr std::string_view kVersion = "v1";
constexpr std::size_t kMaxSealedBytes = 4096;
constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kMaxKeysInFile = 16;

std::string text_of(WallTime time) {
  return std::to_string(time.time_since_epoch().count());
}

std::optional<WallTime> time_of(std::string_view digits) {
  const auto ms = parse_number<std::int64_t>(digits);
  if (!ms) return std::nullopt;
  return WallTime(std::chrono::milliseconds(*ms));
}

std::string mac_of(std::string_view key, std::string_view route, std::string_view job,
                   std::string_view payload) {
  std::string text;
  for (const std::string_view part : {std::string_view("tailgate-identity-v1"), route, job, payload}) {
    append_netstring(text, part);
  }
  return hmac(Hash::kSha256, key, text);
}

struct Payload {
  Identity identity;
  WallTime expiry;
};

std::optional<Payload> read_payload(std::string_view text) {
  const auto user = take_netstring(text);
  const auto session = take_netstring(text);
  const auto provider = take_netstring(text);
  const auto until = take_netstring(text);
  const auto expiry = take_netstring(text);
  if (!user || !session || !provider || !until || !expiry || !text.empty()) return std::nullopt;
  const auto expires = time_of(*expiry);
  if (!expires) return std::nullopt;
  return Payload{.identity = {.user = std::string(*user),
                              .session = std::string(*session),
                              .provider = std::string(*provider),
                              .until = time_of(*until)},
                 .expiry = *expires};
}

}  // namespace

IdentitySeal::IdentitySeal(std::vector<std::string> keys) : keys_(std::move(keys)) {
}

IdentitySeal::~IdentitySeal() {
  for (std::string& key : keys_) OPENSSL_cleanse(key.data(), key.size());
  for (RetiredKey& retired : retired_) OPENSSL_cleanse(retired.key.data(), retired.key.size());
}

void IdentitySeal::replace(std::vector<std::string> keys, WallTime now, std::chrono::milliseconds life) {
  for (std::string& key : keys_) retired_.push_back({.key = std::move(key), .until = now + life});
  keys_ = std::move(keys);
  std::erase_if(retired_, [&](RetiredKey& retired) {
    const bool is_needed = now < retired.until && !contains(keys_, retired.key);
    if (!is_needed) OPENSSL_cleanse(retired.key.data(), retired.key.size());
    return !is_needed;
  });
}

std::string IdentitySeal::seal(const Identity& identity, std::string_view route, std::string_view job,
                               WallTime expiry) const {
  std::string payload;
  for (const std::string& part : {identity.user, identity.session, identity.provider,
                                  identity.until ? text_of(*identity.until) : "", text_of(expiry)}) {
    append_netstring(payload, part);
  }
  std::string sealed(kVersion);
  sealed += '.';
  sealed += base64url_encode(payload);
  sealed += '.';
  sealed += base64url_encode(mac_of(keys_.front(), route, job, payload));
  return sealed;
}

IdentitySeal::Opened IdentitySeal::open(std::string_view sealed, std::string_view route, std::string_view job,
                                        WallTime now) const {
  if (sealed.size() > kMaxSealedBytes) return {};
  const auto parts = split(sealed, '.');
  if (parts.size() != 3 || parts[0] != kVersion) return {};
  const auto payload = base64url_decode(parts[1]);
  const auto mac = base64url_decode(parts[2]);
  if (!payload || !mac) return {};
  const auto is_sealed_with = [&](const std::string& key) {
    return same_secret(mac_of(key, route, job, *payload), *mac);
  };
  const bool is_genuine =
      std::ranges::any_of(keys_, is_sealed_with) || std::ranges::any_of(retired_, [&](const RetiredKey& one) {
        return now < one.until && is_sealed_with(one.key);
      });
  if (!is_genuine) return {};
  auto read = read_payload(*payload);
  if (!read) return {};
  return {.outcome = now < read->expiry ? Outcome::kGenuine : Outcome::kExpired,
          .identity = std::move(read->identity)};
}

Result<std::vector<std::string>> parse_identity_keys(std::string_view text) {
  std::vector<std::string> keys;
  int number = 0;
  for (const std::string_view raw : split(text, '\n')) {
    ++number;
    const std::string_view line = trim(raw);
    if (line.empty() || line.starts_with('#')) continue;
    const auto key = line.size() == 2 * kKeyBytes ? hex_decode(line) : base64_decode(line);
    if (!key || key->size() != kKeyBytes) {
      return Error{"line " + std::to_string(number) + " is not a key of 32 bytes in hexadecimal or base64"};
    }
    keys.push_back(*key);
  }
  if (keys.empty()) return Error{"it holds no key"};
  if (keys.size() > kMaxKeysInFile) return Error{"it holds more than 16 keys"};
  return keys;
}

Result<std::string> make_identity_keys() {
  std::string key(kKeyBytes, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(key.data()), static_cast<int>(key.size())) != 1) {
    return Error{"the system gives no random bytes"};
  }
  std::string text = hex_encode(key) + '\n';
  OPENSSL_cleanse(key.data(), key.size());
  return text;
}

}  // namespace tailgate
