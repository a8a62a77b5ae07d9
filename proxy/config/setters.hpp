// Actions of rows: a member of the typed configuration plus how its text is read. A row names the member, nothing else.
#pragma once

#include <array>
#include <concepts>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "proxy/config/binder.hpp"
#include "proxy/config/directive.hpp"
#include "proxy/config/parse_value.hpp"
#include "proxy/config/variables.hpp"

namespace gatehouse::config {

// --- which object of a level a member belongs to
// -----------------------------------------------------------------------

template <class T>
struct MemberOf;
template <class Class, class Type>
struct MemberOf<Type Class::*> {
  using Owner = Class;
  using Value = Type;
};
template <auto Member>
using OwnerOf = typename MemberOf<decltype(Member)>::Owner;
template <auto Member>
using ValueOf = typename MemberOf<decltype(Member)>::Value;

/// A group of settings that levels share until one of them changes it: specialised beside the group's struct with
/// `static constexpr auto member = &LocationSettings::NAME;`. A null member stands for the group's defaults.
template <class Owner>
struct GroupOf;
template <>
struct GroupOf<ProxySsl> {
  static constexpr auto member = &LocationSettings::proxy_ssl;
};
template <class Owner>
concept SettingsGroup = requires { GroupOf<Owner>::member; };

template <class Owner>
const Owner* read_target(const Level& level) {
  if constexpr (std::is_same_v<Owner, MainSettings>) return level.main;
  if constexpr (std::is_same_v<Owner, LocationSettings>) return level.settings;
  if constexpr (std::is_same_v<Owner, ServerSettings>) return level.server_settings;
  if constexpr (std::is_same_v<Owner, ServerSsl>) return level.server_settings ? &level.server_settings->ssl : nullptr;
  if constexpr (std::is_same_v<Owner, Location>) return level.location;
  if constexpr (std::is_same_v<Owner, Upstream>) return level.upstream;
  if constexpr (SettingsGroup<Owner>) {
    if (level.settings == nullptr) return nullptr;
    static const Owner kDefaults{};
    const auto& group = level.settings->*GroupOf<Owner>::member;
    return group ? group.get() : &kDefaults;
  }
}

/// The object to change; a group is copied first, once for each level.
template <class Owner>
Owner& target(Level& level) {
  if constexpr (SettingsGroup<Owner>) {
    auto& group = level.settings->*GroupOf<Owner>::member;
    if (level.own_groups.insert(&group).second) {
      group = group ? std::make_shared<Owner>(*group) : std::make_shared<Owner>();
    }
    return const_cast<Owner&>(*group);  // made just above, as a non-const object
  } else {
    return const_cast<Owner&>(*read_target<Owner>(level));
  }
}

/// Throws nginx's message of a directive whose setter refuses its arguments: `"x" directive WHAT`.
[[noreturn]] inline void refuse(const Use& use, std::size_t word, std::string_view what, std::string_view hint = {}) {
  throw Invalid{fmt::format("\"{}\" directive {}", use.row.name, what), word, std::string(hint)};
}

/// The member that a slot sets; a second use at the same level is nginx's error.
template <auto Member>
ValueOf<Member>& slot(const Use& use) {
  if (!use.first) refuse(use, 0, "is duplicate");
  return target<OwnerOf<Member>>(use.level).*Member;
}

template <auto Member>
const ValueOf<Member>* shown(const Level& level) {
  const auto* owner = read_target<OwnerOf<Member>>(level);
  return owner == nullptr ? nullptr : &(owner->*Member);
}

template <class T>
struct ValueIn {
  using Type = T;
};
template <class T>
struct ValueIn<std::optional<T>> {
  using Type = T;
};
template <class T>
const T* pointer_to(const T& value) {
  return &value;
}
template <class T>
const T* pointer_to(const std::optional<T>& value) {
  return value ? &*value : nullptr;
}

// --- text -> value
// -----------------------------------------------------------------------------------------------------

inline bool read_flag(const Use& use, std::size_t word = 1) {
  if (use[word] == "on") return true;
  if (use[word] == "off") return false;
  throw Invalid{
      fmt::format("invalid value \"{}\" in \"{}\" directive, it must be \"on\" or \"off\"", use[word], use.row.name),
      word,
      {}};
}
inline Milliseconds read_time(const Use& use, std::size_t word = 1, TimeUnit unit = TimeUnit::milliseconds) {
  if (const auto value = parse_time(use[word], unit)) return *value;
  refuse(use, word, "invalid value", "a time is such as 30, 30s, 500ms or 1h30m");
}
inline ByteCount read_size(const Use& use, std::size_t word = 1, Gigabytes gigabytes = Gigabytes::refused) {
  if (const auto value = parse_size(use[word], gigabytes)) return *value;
  refuse(use, word, "invalid value", "a size is such as 1024, 8k or 1m");
}
inline std::uint64_t read_number(const Use& use, std::size_t word, std::uint64_t least, std::uint64_t most) {
  const auto value = parse_number(use[word]);
  if (!value) refuse(use, word, "invalid number");
  if (*value >= least && *value <= most) return *value;
  if (most >= std::numeric_limits<std::uint32_t>::max()) {
    refuse(use, word, fmt::format("value must be equal to or greater than {}", least));
  }
  refuse(use, word, fmt::format("value must be between {} and {}", least, most));
}
/// `text` as a value with variables; it is a part of `word`, or stands for it.
inline ComplexValue read_value(const Use& use, std::size_t word, std::string_view text) {
  return use.level.binder->variables().compile(text, use.statement.place(word), word);
}
inline ComplexValue read_value(const Use& use, std::size_t word = 1) { return read_value(use, word, use[word]); }

/// A word of an enumeration or bit mask and its value.
template <class T>
struct Choice {
  std::string_view name;
  T value;
};

// --- actions
// -----------------------------------------------------------------------------------------------------------

template <auto Member>
constexpr Action flag() {
  return {[](const Use& use) { slot<Member>(use) = read_flag(use); },
          [](const Level& level) -> std::string {
            const auto* value = shown<Member>(level);
            return value == nullptr ? "" : *value ? "on" : "off";
          },
          "on | off"};
}

template <auto Member, TimeUnit Unit = TimeUnit::milliseconds>
constexpr Action time() {
  return {[](const Use& use) { slot<Member>(use) = read_time(use, 1, Unit); },
          [](const Level& level) -> std::string {
            const auto* member = shown<Member>(level);
            const auto* value = member == nullptr ? nullptr : pointer_to(*member);
            return value == nullptr ? "" : format_time(*value);
          },
          "TIME"};
}

template <auto Member, Gigabytes Large = Gigabytes::refused>
constexpr Action size() {
  return {[](const Use& use) { slot<Member>(use) = read_size(use, 1, Large); },
          [](const Level& level) -> std::string {
            const auto* member = shown<Member>(level);
            const auto* value = member == nullptr ? nullptr : pointer_to(*member);
            return value == nullptr ? "" : format_size(*value);
          },
          "SIZE"};
}

template <auto Member, std::uint64_t Least = 0, std::uint64_t Most = 0xffffffffu>
constexpr Action number() {
  using Number = typename ValueIn<ValueOf<Member>>::Type;
  return {[](const Use& use) { slot<Member>(use) = static_cast<Number>(read_number(use, 1, Least, Most)); },
          [](const Level& level) -> std::string {
            const auto* member = shown<Member>(level);
            const auto* value = member == nullptr ? nullptr : pointer_to(*member);
            return value == nullptr ? "" : std::to_string(*value);
          },
          "NUMBER"};
}

template <auto Member>
constexpr Action text(std::string_view syntax = "STRING") {
  return {[](const Use& use) { slot<Member>(use) = use[1]; },
          [](const Level& level) -> std::string {
            const auto* value = shown<Member>(level);
            return value == nullptr ? "" : *value;
          },
          syntax};
}

/// What a relative path starts from: the configuration file's folder, or the prefix (-p).
enum class PathBase : std::uint8_t { configuration, prefix };

template <auto Member, PathBase Base>
constexpr Action path() {
  return {[](const Use& use) {
            auto& member = slot<Member>(use);
            member = Base == PathBase::prefix ? use.level.binder->prefix_path(use[1])
                                              : use.level.binder->configuration_path(use[1]);
          },
          [](const Level& level) -> std::string {
            const auto* value = shown<Member>(level);
            return value == nullptr ? "" : *value;
          },
          "PATH"};
}

/// A string with variables, evaluated per request.
template <auto Member>
constexpr Action value() {
  return {[](const Use& use) { slot<Member>(use) = read_value(use); },
          [](const Level& level) -> std::string {
            const auto* member = shown<Member>(level);
            const auto* value = member == nullptr ? nullptr : pointer_to(*member);
            return value == nullptr ? "" : value->source();
          },
          "STRING"};
}

/// Any number of values with variables; a list of them.
template <auto Member>
constexpr Action values() {
  return {[](const Use& use) {
            auto& list = slot<Member>(use);
            if (use.first) list.clear();
            for (std::size_t i = 1; i <= use.count(); ++i) list.push_back(read_value(use, i));
          },
          [](const Level& level) {
            std::string text;
            const auto* list = shown<Member>(level);
            if (list == nullptr) return text;
            for (const auto& value : *list) text += (text.empty() ? "" : " ") + value.source();
            return text;
          },
          "STRING ..."};
}

template <class T, std::size_t N>
std::string choice_names(const std::array<Choice<T>, N>& choices) {
  std::string names;
  for (const auto& choice : choices) names += (names.empty() ? "one of " : ", ") + std::string(choice.name);
  return names;
}

/// One word of `Choices`, an array of Choice.
template <auto Member, const auto& Choices>
constexpr Action choice(std::string_view syntax) {
  return {[](const Use& use) {
            auto& member = slot<Member>(use);
            for (const auto& entry : Choices) {
              if (use[1] != entry.name) continue;
              member = entry.value;
              return;
            }
            throw Invalid{fmt::format("invalid value \"{}\"", use[1]), 1, choice_names(Choices)};
          },
          [](const Level& level) -> std::string {
            const auto* member = shown<Member>(level);
            if (member == nullptr) return "";
            for (const auto& entry : Choices) {
              if (entry.value == *member) return std::string(entry.name);
            }
            return "";
          },
          syntax};
}

/// Any number of words of `Choices`; their values are or-ed.
template <auto Member, const auto& Choices>
constexpr Action mask(std::string_view syntax) {
  return {[](const Use& use) {
            auto& member = slot<Member>(use);
            member = 0;
            for (std::size_t i = 1; i <= use.count(); ++i) {
              bool found = false;
              for (const auto& entry : Choices) {
                if (use[i] != entry.name) continue;
                if (entry.value != 0 && (member & entry.value) != 0) {
                  use.level.binder->warn(use.statement, i, fmt::format("duplicate value \"{}\"", use[i]));
                }
                member |= entry.value;
                found = true;
              }
              if (!found) throw Invalid{fmt::format("invalid value \"{}\"", use[i]), i, choice_names(Choices)};
            }
          },
          [](const Level& level) -> std::string {
            const auto* member = shown<Member>(level);
            std::string names;
            for (const auto& entry : Choices) {
              const bool set = member != nullptr && (entry.value == 0 ? *member == 0 : (*member & entry.value) != 0);
              if (set) names += (names.empty() ? "" : " ") + std::string(entry.name);
            }
            return names;
          },
          syntax};
}

/// Adds to a shared list: the level's first use starts a new list, for levels inherit a list only if they define none.
template <auto Member, class Entry>
void append(const Use& use, Entry entry) {
  using Shared = ValueOf<Member>;
  using List = std::remove_const_t<typename Shared::element_type>;
  auto& list = target<OwnerOf<Member>>(use.level).*Member;
  if (use.first || !list) list = std::make_shared<List>();
  const_cast<List&>(*list).push_back(std::move(entry));  // this level's own list, made as a non-const object
}

// --- accepted for nginx's sake: the argument is checked and has no effect
// ------------------------------------------------

constexpr Action accept_flag() {
  return {[](const Use& use) { (void)read_flag(use); }, nullptr, "on | off"};
}
constexpr Action accept_time() {
  return {[](const Use& use) { (void)read_time(use); }, nullptr, "TIME"};
}
constexpr Action accept_size() {
  return {[](const Use& use) { (void)read_size(use, 1, Gigabytes::accepted); }, nullptr, "SIZE"};
}
constexpr Action accept_number() {
  return {[](const Use& use) { (void)read_number(use, 1, 0, std::numeric_limits<std::uint32_t>::max()); }, nullptr,
          "NUMBER"};
}
constexpr Action accept_buffers() {
  return {[](const Use& use) {
            (void)read_number(use, 1, 1, 1u << 20);
            (void)read_size(use, 2);
          },
          nullptr, "NUMBER SIZE"};
}
constexpr Action accept_any(std::string_view syntax) {
  return {[](const Use&) {}, nullptr, syntax};
}

}  // namespace gatehouse::config
