// The blocks that make levels: what they inherit and how they end.
#pragma once

#include "proxy/config/directive.hpp"

namespace gatehouse::config {

/// Called when a level's own settings are complete, before the levels inside it copy them.
void finish_settings(Level& level);

// Actions of the block rows.
void set_events(const Use& use);
void set_http(const Use& use);
void set_stream(const Use& use);  // directives_stream.cpp
void set_server(const Use& use);
void set_location(const Use& use);
void set_upstream(const Use& use);

// Actions of rows with a grammar of their own, by the file that has them.
void set_listen(const Use& use);              // listen.cpp
void set_server_name(const Use& use);         // listen.cpp
void set_proxy_pass(const Use& use);          // proxy_pass.cpp
void set_upstream_server(const Use& use);     // upstream_server.cpp
void set_sticky(const Use& use);              // sticky.cpp
std::string show_sticky(const Level& level);  // sticky.cpp

/// Says once that HTTP/2 is asked for and HTTP/1.1 served.
void note_http2(const Use& use, std::size_t word);  // directives_protocols.cpp

}  // namespace gatehouse::config
