// What a worker process changes about itself before it serves: limits, environment, user.
#pragma once

#include <string>
#include <vector>

#include "proxy/config/model.hpp"

namespace gatehouse::server {

/// Whether a worker with this configuration would give up root's rights: we are root and `user` names somebody else.
[[nodiscard]] bool gives_up_root(const config::MainSettings& main);

/// Sets the limit of open files (`worker_rlimit_nofile`, or the highest allowed one), of core files and the priority where they are given,
/// and the environment (`env`). Returns a text for the
/// log for everything that failed; the worker can do without.
[[nodiscard]] std::vector<std::string> set_process_limits(const config::MainSettings& main);

/// Becomes `user` if we are root and it is set, and enters `working_directory`. Irrevocable. Throws std::system_error.
void drop_privileges(const config::MainSettings& main);

/// Gives a file or folder to `user`, if we are root and it is set; for logs that a worker must be able to open anew.
void give_to_user(const std::string& path, const config::MainSettings& main);

}  // namespace gatehouse::server
