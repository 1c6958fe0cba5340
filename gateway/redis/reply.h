// Replies: reading a redisReply.
//
// Knows hiredis's struct and Redis's error words; knows no connection.
#pragma once

#include <hiredis/hiredis.h>

#include <string_view>

namespace tailgate {

// The text of a string, status or error; empty for a reply without text.  A view into the reply.
std::string_view text_of(const redisReply& reply);
// The error text of a reply that should have been an array; a fixed text if the reply is no error.
std::string_view error_of(const redisReply& reply);
// True for an error by which Redis refuses to serve for now, for example LOADING, MASTERDOWN or READONLY.
bool is_unavailable(const redisReply& reply);
// True for an error that holds for the whole server, not only for the connection that got it: the server is
// loading its data (LOADING), or it is a replica that has lost its primary (MASTERDOWN).
bool is_server_unsound(const redisReply& reply);
// True for WRONGTYPE: the Redis key holds another type than the command needs.
bool is_wrong_type(const redisReply& reply);

}  // namespace tailgate
