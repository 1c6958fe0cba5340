// Random numbers: for jitter and for names, never for keys.
//
// Names come from the system's generator, jitter from one that it has seeded.
#pragma once

#include <chrono>
#include <string>

namespace tailgate {

double random_unit();  // in [0, 1)

// `whole`, shortened by a random part of up to `share` of it.
std::chrono::milliseconds shortened(std::chrono::milliseconds whole, double share);

std::string random_hex(int bytes);
std::string random_uuid();  // version 4, RFC 4122

}  // namespace tailgate
