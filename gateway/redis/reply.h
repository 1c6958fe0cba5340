// Replies: reading a redisReply.
//
// Knows hiredis's struct and Redis's error words; knows no connection.
#pragma once

#include <hiredis/hiredis.h>

#include <string_view>

namespace tailgate {

// The text of a string, status or error; empty for a reply without text.  It lives as long as the reply.
std::string_view text_of(const redisReply& reply);
// Why a reply that should have been an array is of no use.
std::string_view error_of(const redisReply& reply);
// True for an error which says that Redis cannot serve now (LOADING, MASTERDOWN, NOAUTH, READONLY, …).
bool is_unavailable(const redisReply& reply);
// True for the error of a command on a key that holds another type.
bool is_wrong_type(const redisReply& reply);

}  // namespace tailgate
