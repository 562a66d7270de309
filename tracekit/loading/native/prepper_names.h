// What the names of members mean in span documents of OpenSearch, as in ../otlp/prepper.py.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "json.h"
#include "members.h"

namespace tracekit {

// What a member belongs to.
enum class Owner : std::uint8_t { SPAN, RESOURCE, SCOPE, STATUS };

// The rest of a text behind a prefix; without a place if it begins otherwise.
inline Text behind(const Text& text, const Member& prefix) {
  if (text.length < prefix.length || std::memcmp(text.at, prefix.name, prefix.length)) return {};
  return {text.at + prefix.length, text.length - prefix.length, false};
}

// The owner of a member with a point in its name.
inline Owner owner_of(const Text& name) {
  static constexpr struct {
    Member prefix;
    Owner owner;
  } owners[] = {{member("span.attributes."), Owner::SPAN},
                {member("attributes."), Owner::SPAN},
                {member("resource.attributes."), Owner::RESOURCE},
                {member("resource."), Owner::RESOURCE},
                {member("status."), Owner::STATUS},
                {member("scope."), Owner::SCOPE},
                {member("instrumentationScope."), Owner::SCOPE},
                {member("instrumentationLibrary."), Owner::SCOPE}};
  for (const auto& one : owners) {
    const Text rest = behind(name, one.prefix);
    if (rest.at && !rest.length) odd();
    if (rest.at) return one.owner;
  }
  return Owner::SPAN;
}

// The name of an attribute that is written as a member of a document: its letters are in ``room``.
inline Text attribute_name(const Text& name, std::vector<Byte>& room) {
  Text rest = behind(name, member("span.attributes."));
  if (!rest.at) rest = behind(name, member("attributes."));
  if (rest.at) {
    room.assign(rest.at, rest.at + rest.length);
    std::replace(room.begin(), room.end(), Byte{'@'}, Byte{'.'});
  } else {
    static constexpr char OTHERS[] = "opensearch.";
    room.assign(OTHERS, OTHERS + sizeof OTHERS - 1);
    room.insert(room.end(), name.at, name.at + name.length);
  }
  return {room.data(), static_cast<std::uint32_t>(room.size()), false};
}

// The name at which an attribute begins: with its quote in an object of attributes, without it as a member of a document.
inline Text written_name(const Byte* at, const Byte* end) {
  at += *at == '"';
  const auto* const quote = static_cast<const Byte*>(std::memchr(at, '"', static_cast<std::size_t>(end - at)));
  if (!quote) odd();
  return {at, static_cast<std::uint32_t>(quote - at), false};
}

}  // namespace tracekit
