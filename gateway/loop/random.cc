#include "gateway/loop/random.h"

#include <event2/util.h>

#include <cstdint>
#include <random>

#include "gateway/text/hex.h"

namespace tailgate {

namespace {

std::uint32_t seed() {
  std::uint32_t bits = 0;
  evutil_secure_rng_get_bytes(&bits, sizeof bits);
  return bits;
}

}  // namespace

// Does not use the system's generator, which makes a system call for each number (glibc 2.36).  A drain needs
// one number for each stream in the same turn.
double random_unit() {
  static std::mt19937 generator(seed());
  return static_cast<double>(generator()) / 4294967296.0;
}

std::chrono::milliseconds shortened(std::chrono::milliseconds whole, double share) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(whole * (1.0 - random_unit() * share));
}

std::string random_hex(int bytes) {
  std::string raw(static_cast<std::size_t>(bytes), '\0');
  evutil_secure_rng_get_bytes(raw.data(), raw.size());
  return hex_encode(raw);
}

std::string random_uuid() {
  std::string hex = random_hex(16);
  hex[12] = '4';
  hex[16] = "89ab"[static_cast<unsigned char>(hex[16]) & 3];
  return hex.substr(0, 8) + '-' + hex.substr(8, 4) + '-' + hex.substr(12, 4) + '-' + hex.substr(16, 4) + '-' +
         hex.substr(20);
}

}  // namespace tailgate
