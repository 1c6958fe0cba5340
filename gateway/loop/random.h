// Random numbers for jitter, identifiers and salts.  Not for keys.
//
// Identifiers and salts come from the system's generator.  It also seeds the generator for jitter.
#pragma once

#include <chrono>
#include <string>

namespace tailgate {

double random_unit();  // in [0, 1)

// Jitter: `whole`, shortened by a random fraction between 0 and `share`.
std::chrono::milliseconds shortened(std::chrono::milliseconds whole, double share);

std::string random_hex(int bytes);
std::string random_uuid();  // version 4, RFC 4122

}  // namespace tailgate
