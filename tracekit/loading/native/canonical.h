// Arrays and maps as canonical JSON: members by name, no white space, as ../building/pool.py writes them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "json.h"
#include "members.h"

namespace tracekit {

// Writes values; what Python writes otherwise than it is read (doubles, escapes, large integers) is odd.
class Canonical {
 public:
  std::vector<Byte> text;  // of the values so far

  // Appends the next value, which has this many containers around it.
  void put(Reader& r, int depth = 0) {
    const Byte first = r.next();
    if ((first == '{' || first == '[') && depth == MOST) odd();
    switch (first) {
      case '{': return put_map(r, depth);
      case '[': return put_array(r, depth);
      case '"': return put_string(r.text());
      case 't':
      case 'f':
      case 'n': return put(r.raw(0));
      default: put_integer(r.number());
    }
  }

 private:
  static constexpr int MOST = 4;                    // levels of nesting: a value is passed over once for each
  static constexpr std::uint32_t MOST_DIGITS = 18;  // of integers that have 64 bits in any case

  void put(const Text& as_written) { text.insert(text.end(), as_written.at, as_written.at + as_written.length); }

  void put_string(const Text& string) {
    if (string.escaped) odd();
    text.push_back('"');
    put(string);
    text.push_back('"');
  }

  void put_integer(const Text& number) {
    const bool is_negative = *number.at == '-';
    if (number.length - is_negative > MOST_DIGITS || number.is("-0")) odd();
    for (std::uint32_t i = is_negative; i < number.length; i++)
      if (!is_digit(number.at[i])) odd();
    put(number);
  }

  void put_array(Reader& r, int depth) {
    text.push_back('[');
    const std::size_t begin = text.size();
    each(r, [&] {
      if (text.size() > begin) text.push_back(',');
      put(r, depth + 1);
    });
    text.push_back(']');
  }

  void put_map(Reader& r, int depth) {
    std::vector<std::pair<Text, Text>> members;
    object(r, [&](const Text& name) { members.emplace_back(name, r.raw(0)); });
    std::sort(members.begin(), members.end(), [](const auto& a, const auto& b) { return is_before(a.first, b.first); });
    text.push_back('{');
    for (std::size_t i = 0; i < members.size(); i++) {
      const auto& [name, value] = members[i];
      if (i && same(members[i - 1].first, name)) odd();
      if (i) text.push_back(',');
      put_string(name);
      text.push_back(':');
      Reader inner(value.at, value.at + value.length, false);
      put(inner, depth + 1);
    }
    text.push_back('}');
  }

  static bool is_before(const Text& a, const Text& b) {
    const int order = std::memcmp(a.at, b.at, std::min(a.length, b.length));
    return order ? order < 0 : a.length < b.length;
  }
};

}  // namespace tracekit
