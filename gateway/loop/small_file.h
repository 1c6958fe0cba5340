// read_small_file: the text of a file that an operator has put on the local disk, such as a key.
//
// Blocks the loop while it reads.
#pragma once

#include <cstddef>
#include <string>

#include "gateway/base/result.h"

namespace tailgate {

// Returns an error if the file is larger than `max_bytes`, or if it is not a regular file.  So a FIFO cannot
// block the loop for ever.
Result<std::string> read_small_file(const std::string& path, std::size_t max_bytes);

}  // namespace tailgate
