// A small file, whole.
//
// For what an operator puts on the local disk: keys.
#pragma once

#include <cstddef>
#include <string>

#include "gateway/base/result.h"

namespace tailgate {

// Refuses what is larger, and what is no regular file: a FIFO would block the loop.
Result<std::string> read_small_file(const std::string& path, std::size_t max_bytes);

}  // namespace tailgate
