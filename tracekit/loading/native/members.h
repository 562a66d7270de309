// How the readers of all formats take objects apart: members by name, each at most once, and records that are added
// whole or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "json.h"

namespace tracekit {

// The members of an object, each at most once.
struct Member {
  const char* name;
  std::uint32_t length;
};

template <std::size_t N> constexpr Member member(const char (&name)[N]) { return {name, N - 1}; }

// Numbers that may each come once; the same again is odd.
class Once {
 public:
  void operator()(unsigned number) {
    if (seen_ >> number & 1) odd();
    seen_ |= 1u << number;
  }

  // Whether all numbers of these bits came.
  bool all(unsigned bits) const { return (seen_ & bits) == bits; }

 private:
  unsigned seen_ = 0;
};

// The members of an object by their numbers in a table, of which it may have the first N, each at most once.
template <std::size_t N, std::size_t ALL = N> class Plain {
 public:
  static constexpr std::size_t COUNT = N;

  explicit Plain(const Member (&names)[ALL]) : names_(names) {}

  // The number of a member, -1 for an unknown one; twice the same is odd.
  int operator()(const Text& key) { return taken(find(key.at, key.length)); }

  bool all(unsigned bits) const { return once_.all(bits); }

 protected:
  int taken(int found) {
    if (found < 0) return -1;
    once_(static_cast<unsigned>(found));
    next_ = found + 1;
    return found;
  }

  // Writers have an order, so the search begins behind the member before.
  int find(const Byte* at, std::uint32_t length) const {
    std::size_t n = static_cast<std::size_t>(next_);
    for (std::size_t i = 0; i < N; i++, n++) {
      if (n >= N) n = 0;
      if (names_[n].length == length && equal(reinterpret_cast<const Byte*>(names_[n].name), at, length))
        return static_cast<int>(n);
    }
    return -1;
  }

 private:
  const Member (&names_)[ALL];
  Once once_;
  int next_ = 0;
};

// Those of OTLP, which have two spellings.
template <std::size_t N, std::size_t ALL = N> class Members : public Plain<N, ALL> {
 public:
  using Plain<N, ALL>::Plain;

  // Whether a name was of the other spelling of the specification (trace_id).
  bool snake = false;

  int operator()(const Text& key) {
    const int found = this->find(key.at, key.length);
    return this->taken(found < 0 ? find_snake(key) : found);
  }

 private:
  // As ``_camel`` in otlp/tolerant.py; names in capitals or beyond ASCII are left to it.
  int find_snake(const Text& key) {
    constexpr std::uint32_t LONGEST = 64;
    if (!key.length) return -1;
    if (key.at[0] >= 'A' && key.at[0] <= 'Z') odd();
    Byte camel[LONGEST];
    std::uint32_t length = 0;
    bool upper = false;
    for (std::uint32_t i = 0; i < key.length; i++) {
      const Byte c = key.at[i];
      if (c >= 0x80) odd();
      if (c == '_') {
        if (!i) return -1;
        if (upper) odd();  // two of them
        snake = upper = true;
        continue;
      }
      if (length == LONGEST) odd();
      camel[length++] = upper && c >= 'a' && c <= 'z' ? static_cast<Byte>(c - 0x20) : c;
      upper = false;
    }
    return length < key.length ? this->find(camel, length) : -1;
  }
};

// Adds a record with all its rows, or nothing: returns whether it was read.
template <class Read, class... Rows> bool whole(Read read, std::vector<Rows>&... rows) {
  const std::size_t sizes[] = {rows.size()...};
  try {
    read();
    return true;
  } catch (const Odd&) {
    const std::size_t* size = sizes;
    (rows.resize(*size++), ...);
    return false;
  }
}

template <class Take> void object(Reader& r, Take take) {
  r.want('{');
  if (r.is('}')) return;
  do take(r.key());
  while (r.is(','));
  r.want('}');
}

template <class Take> void each(Reader& r, Take take) {
  r.want('[');
  if (r.is(']')) return;
  do take();
  while (r.is(','));
  r.want(']');
}

inline bool same(const Text& a, const Text& b) {
  return a.length == b.length && equal(a.at, b.at, a.length);
}

// A text as it is written, or none for null.
inline Text optional_text(Reader& r) { return r.null() ? Text() : r.text(); }

// The values of hex digits by byte, 255 for what is none.
struct HexDigits {
  Byte value[256];
  constexpr HexDigits() : value() {
    for (int i = 0; i < 256; i++) value[i] = 255;
    for (int i = 0; i < 10; i++) value['0' + i] = static_cast<Byte>(i);
    for (int i = 0; i < 6; i++) value['a' + i] = value['A' + i] = static_cast<Byte>(10 + i);
  }
};
constexpr HexDigits HEX_DIGITS;

// The number of 16 hex digits.
inline std::uint64_t hex(const Byte* p) {
  std::uint64_t value = 0;
  unsigned seen = 0;
  for (int i = 0; i < 16; i++) {
    const unsigned digit = HEX_DIGITS.value[p[i]];
    seen |= digit;
    value = value << 4 | (digit & 15);
  }
  if (seen > 15) odd();
  return value;
}

}  // namespace tracekit
