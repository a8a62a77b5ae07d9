#include "waf/library.hpp"

#include <array>
#include <charconv>
#include <climits>
#include <string_view>

#include <dirent.h>
#include <fcntl.h>
#include <modsecurity/actions/action.h>
#include <modsecurity/rule_with_actions.h>
#include <unistd.h>

namespace gatehouse::waf {
namespace {

using modsecurity::RuleWithActions;
using modsecurity::actions::Action;
using modsecurity::audit_log::AuditLog;

// Reading private members of the library's public classes: an explicit instantiation may name them (C++20 13.9.3),
// which is checked by the compiler against the installed header, unlike any copy of the layout. There is no accessor
// for these.
template <class Tag, typename Tag::type Member>
struct Expose {
  friend constexpr typename Tag::type member_of(Tag) { return Member; }
};

// NOLINTBEGIN(bugprone-macro-parentheses): a pointer to member's type takes none
#define GATEHOUSE_EXPOSE(tag, member_type, member) \
  struct tag {                                     \
    using type = member_type;                      \
    friend constexpr type member_of(tag);          \
  };                                               \
  template struct Expose<tag, &member>
// NOLINTEND(bugprone-macro-parentheses)
GATEHOUSE_EXPOSE(StatusOf, AuditLog::AuditLogStatus AuditLog::*, AuditLog::m_status);
GATEHOUSE_EXPOSE(TypeOf, AuditLog::AuditLogType AuditLog::*, AuditLog::m_type);
GATEHOUSE_EXPOSE(RelevantOf, std::string AuditLog::*, AuditLog::m_relevant);
GATEHOUSE_EXPOSE(ByCtlOf, bool AuditLog::*, AuditLog::m_ctlAuditEngineActive);
GATEHOUSE_EXPOSE(DisruptiveOf, Action* RuleWithActions::*, RuleWithActions::m_disruptiveAction);
#undef GATEHOUSE_EXPOSE

// libmodsecurity never closes an audit file it opened (SharedFiles::close leaves it open), which keeps a rotated file's
// space in use. Its handle is the one on `path` that is inherited by children; ours are close-on-exec.
void release_file(const std::string& path) {
  if (path.empty()) return;
  DIR* directory = ::opendir("/proc/self/fd");
  if (directory == nullptr) return;
  while (const dirent* entry = ::readdir(directory)) {
    const std::string_view name = entry->d_name;
    int fd = -1;
    if (std::from_chars(name.data(), name.data() + name.size(), fd).ec != std::errc{} || fd <= STDERR_FILENO) continue;
    std::array<char, PATH_MAX> target{};
    const ssize_t length = ::readlink(("/proc/self/fd/" + std::string(name)).c_str(), target.data(), target.size());
    if (length <= 0 || std::string_view(target.data(), static_cast<std::size_t>(length)) != path) continue;
    if ((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0) continue;
    const int nothing = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nothing < 0) continue;
    ::dup3(nothing, fd, O_CLOEXEC);
    ::close(nothing);
  }
  ::closedir(directory);
}

}  // namespace

AuditDirectives audit_directives(const AuditLog& log) {
  return {log.*member_of(StatusOf{}), log.*member_of(TypeOf{}), log.*member_of(RelevantOf{}),
          log.*member_of(ByCtlOf{})};
}

void silence_audit_log(AuditLog& log) {
  log.*member_of(StatusOf{}) = AuditLog::OffAuditLogStatus;
  log.*member_of(ByCtlOf{}) = false;
  std::string error;
  log.init(&error);
  release_file(log.m_path1);
  release_file(log.m_path2);
}

void restore_audit_status(AuditLog& log, const AuditDirectives& directives) {
  log.*member_of(StatusOf{}) = directives.status;
  log.*member_of(ByCtlOf{}) = directives.by_ctl;
}

void unlimit_bodies(modsecurity::RulesSet& rules) {
  rules.m_requestBodyLimit.m_value = 0;
  rules.m_responseBodyLimit.m_value = 0;
}

std::string disruptive_action(const RuleWithActions& rule) {
  const Action* action = rule.*member_of(DisruptiveOf{});
  return action == nullptr || action->m_name == nullptr ? std::string() : *action->m_name;
}

}  // namespace gatehouse::waf
