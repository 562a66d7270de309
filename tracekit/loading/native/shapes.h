// Takes attributes of OTLP JSON apart, and members of objects that are attributes: the bytes around their values (a
// shape) repeat from span to span, so they are compared with those that followed last time, and only the value is read.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "interner.h"
#include "json.h"
#include "pattern.h"

namespace tracekit {

// What attributes have in front of their values and behind them: of the first one, which is in the input.
struct Shape {
  const Byte* at;
  std::uint32_t front, value, back;  // lengths, in this order; quotes do not belong to the value
};

class Shapes {
 public:
  std::vector<Shape> found;  // by number

  // Passes over an attribute, at its brace; one that is not a key and one scalar is taken whole.
  Attribute take(Reader& r, int depth) {
    const Attribute guessed = guess(r);
    if (guessed.at) return guessed;
    const Byte* const from = r.p;
    Shape shape{from, 0, 0, 0};
    if (apart(r, shape)) return shaped(r, shape);
    r.p = from;
    r.skip(depth);
    return r.slice(from, false);
  }

  // Passes over the value of a member, behind its name; the attribute begins at ``from``, in front of that.
  Attribute member(Reader& r, const Byte* from, int depth) {
    const Byte first = r.next();
    const Text value = first == '"' ? r.text() : r.raw(depth);
    const Text all = r.slice(from, false);
    if (value.escaped || first == '{' || first == '[') return all;
    return shaped(r, {from, static_cast<std::uint32_t>(value.at - from), value.length, first == '"'});
  }

  // Passes over an attribute of a shape that followed the one before; without a place, and nothing is read, for others.
  Attribute guess(Reader& r) {
    const Byte* const from = r.p;
    for (const std::int32_t number : last().next) {
      if (number < 0) break;
      const Attribute guessed = fitting(r, number);
      if (guessed.at) return follow(guessed);
      r.p = from;
    }
    return {};
  }

 private:
  static constexpr std::size_t MOST = 4096, GUESSES = 4;

  struct Known {
    Pattern front, back;
    bool is_quoted;
    std::array<std::int32_t, GUESSES> next;  // the shapes that followed this one, the latest first
  };

  Known& last() { return known_[static_cast<std::size_t>(last_)]; }

  // Remembers that this attribute followed the one before.
  Attribute follow(const Attribute& attribute) {
    auto& next = last().next;
    if (next[0] != attribute.shape) {
      std::size_t at = 0;
      while (at + 1 < GUESSES && next[at] != attribute.shape) at++;
      for (; at > 0; at--) next[at] = next[at - 1];
      next[0] = attribute.shape;
    }
    last_ = attribute.shape + 1;
    return attribute;
  }

  // An attribute of this shape; without a place if it has another.
  Attribute fitting(Reader& r, std::int32_t number) const {
    const Known& known = known_[static_cast<std::size_t>(number) + 1];
    if (!known.front.begins(r.p, r.end)) return {};
    const Byte* const value = r.p + known.front.size();
    if (known.is_quoted) {
      r.p = plain(value, r.end, r.high);
    } else {
      if (value >= r.end || *value <= ' ' || *value == '"' || *value == '{' || *value == '[') return {};
      r.p = value;
      r.skip(0);
    }
    const auto length = static_cast<std::uint32_t>(r.p - value);
    if (!known.back.begins(r.p, r.end)) return {};
    r.p += known.back.size();
    return {value, length, number};
  }

  // Measures {"key":"...","value":{"...":...}}, also with one object more around the value; false for all others.
  static bool apart(Reader& r, Shape& shape) {
    r.want('{');
    if (!named(r, "key") || r.next() != '"' || r.text().escaped || !r.is(',') || !named(r, "value")) return false;
    int levels = 1;
    for (; r.is('{'); levels++)
      if (levels == 3 || r.next() != '"' || (r.text(), !r.is(':'))) return false;
    if (levels == 1 || r.next() == '[') return false;
    const bool is_quoted = *r.p == '"';
    const Byte* const from = r.p + is_quoted;
    if (is_quoted) {
      if (r.text().escaped) return false;
    } else {
      r.skip(0);
    }
    const Byte* const behind = r.p - is_quoted;
    while (levels--)
      if (!r.is('}')) return false;
    shape.front = static_cast<std::uint32_t>(from - shape.at);
    shape.value = r.slice(from, false).length - static_cast<std::uint32_t>(r.p - behind);
    shape.back = static_cast<std::uint32_t>(r.p - behind);
    return true;
  }

  // An attribute that ends here, by its shape, new or known; one whose shape is not kept is taken whole.
  Attribute shaped(const Reader& r, const Shape& shape) {
    const bool is_short = shape.front <= Pattern::MOST && shape.back <= Pattern::MOST;
    const std::int32_t number = is_short ? numbered(shape) : -1;
    return number < 0 ? Attribute(r.slice(shape.at, false)) : follow({shape.at + shape.front, shape.value, number});
  }

  template <std::size_t N> static bool named(Reader& r, const char (&name)[N]) {
    return r.next() == '"' && r.text().is(name) && r.is(':');
  }

  // The number of a shape, new or known; -1 for one that is not kept.
  std::int32_t numbered(const Shape& shape) {
    const Byte* const back = shape.at + shape.front + shape.value;
    const Text front{shape.at, shape.front, false};
    if (found.size() == MOST || !is_ascii(shape.at, shape.front) || !is_ascii(back, shape.back)) return -1;
    const std::int32_t number = fronts_.code(front);
    if (static_cast<std::size_t>(number) == found.size()) {
      found.push_back(shape);
      known_.push_back({{shape.at, shape.front}, {back, shape.back}, shape.at[shape.front - 1] == '"', NOTHING});
    }
    const Shape& known = found[static_cast<std::size_t>(number)];
    const bool is_same = known.back == shape.back && !std::memcmp(known.at + known.front + known.value, back, known.back);
    return is_same ? number : -1;
  }

  static constexpr std::array<std::int32_t, GUESSES> NOTHING{-1, -1, -1, -1};

  Interner fronts_{64};
  std::vector<Known> known_{{{}, {}, false, NOTHING}};  // the first: before any attribute
  std::int32_t last_ = 0;                                                   // into these
};

}  // namespace tracekit
