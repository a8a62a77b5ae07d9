// The access log of stream sessions.
#pragma once

namespace gatehouse::stream {

struct Session;

/// Writes the session's lines to every target of its server.
void write_access_log(Session& session);

}  // namespace gatehouse::stream
