// Handles: the C libraries' objects as unique_ptrs.
//
// All deleters are here and nowhere else.
#pragma once

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>

#include <memory>

namespace tailgate {

template <auto kFree>
struct Freed {
  template <typename T>
  void operator()(T* handle) const {
    kFree(handle);
  }
};

inline void free_dns_base(evdns_base* base) {
  evdns_base_free(base, /*fail_requests=*/0);
}

using EventBaseHandle = std::unique_ptr<event_base, Freed<event_base_free>>;
using EventHandle = std::unique_ptr<event, Freed<event_free>>;
using BufferHandle = std::unique_ptr<evbuffer, Freed<evbuffer_free>>;
using BuffereventHandle = std::unique_ptr<bufferevent, Freed<bufferevent_free>>;
using HttpHandle = std::unique_ptr<evhttp, Freed<evhttp_free>>;
using ListenerHandle = std::unique_ptr<evconnlistener, Freed<evconnlistener_free>>;
using DnsHandle = std::unique_ptr<evdns_base, Freed<free_dns_base>>;

}  // namespace tailgate
