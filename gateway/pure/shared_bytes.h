// SharedBytes: bytes that many streams send, encoded once and shared until the last output buffer has
// let go of them.  Rank 1 (pure).
#pragma once

#include <memory>
#include <string>

namespace tailgate {

using SharedBytes = std::shared_ptr<const std::string>;

}  // namespace tailgate
