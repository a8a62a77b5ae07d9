// What is decided about a session before a byte of it is looked at.
#pragma once

namespace gatehouse::stream {

struct Session;

/// Real address, limit_conn, `set`, access, in nginx's order. Returns the status that ends the session, or 0.
[[nodiscard]] int admit(Session& session);

}  // namespace gatehouse::stream
