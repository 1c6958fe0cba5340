// Handles: libevent's objects as unique_ptrs.
#pragma once

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>

#include <memory>

#include "gateway/base/freed.h"

namespace tailgate {

using EventBaseHandle = std::unique_ptr<event_base, Freed<event_base_free>>;
using EventHandle = std::unique_ptr<event, Freed<event_free>>;
using BufferHandle = std::unique_ptr<evbuffer, Freed<evbuffer_free>>;
using BuffereventHandle = std::unique_ptr<bufferevent, Freed<bufferevent_free>>;
using HttpHandle = std::unique_ptr<evhttp, Freed<evhttp_free>>;
using ListenerHandle = std::unique_ptr<evconnlistener, Freed<evconnlistener_free>>;

}  // namespace tailgate
