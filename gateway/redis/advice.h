// Advice: what an operator can do about an error of Redis.
//
// Pure.
#pragma once

#include <string_view>

namespace tailgate {

// Empty if there is no advice.  `error` may have words before Redis's own, for example "SELECT: ".
std::string_view advice_about(std::string_view error);

}  // namespace tailgate
