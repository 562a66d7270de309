// Times and ids as Jaeger and Zipkin write them.
#pragma once

#include <cstdint>

#include "json.h"
#include "members.h"

namespace tracekit {

constexpr std::int64_t NS_PER_US = 1000, NO_DATE = 946684800;  // as in loading/microseconds.py
constexpr std::int64_t LATEST_US = 4600000000000000;           // the sum of two such times fits 64 bits in nanoseconds

// The bits of schema.Quality.
enum QualityBit : std::uint32_t {
  NO_START = 1 << 0, NO_END = 1 << 1, SHARED = 1 << 4, KIND_INFERRED = 1 << 8, ID_PADDED = 1 << 12, ERROR_TAGGED = 1 << 16
};

// A number without a sign, a point or an exponent, up to a bound.
inline std::int64_t digits_up_to(const Text& text, std::int64_t most) {
  if (!text.length || text.length > 18) odd();
  std::int64_t value = 0;
  for (const Byte *p = text.at, *end = p + text.length; p < end; p++) {
    if (!is_digit(*p)) odd();
    value = value * 10 + (*p - '0');
  }
  if (value > most) odd();
  return value;
}

// Microseconds as nanoseconds.
inline std::int64_t nanoseconds(Reader& r) { return digits_up_to(r.number(), LATEST_US) * NS_PER_US; }

inline std::uint32_t unsigned32(Reader& r) {
  return r.null() ? 0 : static_cast<std::uint32_t>(digits_up_to(r.number(), 0xFFFFFFFF));
}

// Up to 16 hex digits, without those that are zero in front perhaps; zero is odd.
inline std::uint64_t short_id(const Byte* at, std::uint32_t length) {
  if (!length || length > 16) odd();
  std::uint64_t value = 0;
  for (std::uint32_t i = 0; i < length; i++) {
    const int digit = hex_digit(at[i]);
    if (digit < 0) odd();
    value = value << 4 | static_cast<unsigned>(digit);
  }
  return value;
}

inline std::uint64_t short_id(const Text& text) {
  const std::uint64_t value = short_id(text.at, text.length);
  if (!value) odd();
  return value;
}

// Up to 32 hex digits; returns whether they are 16, which is an id of 64 bits.
inline bool long_id(const Text& text, std::uint64_t& hi, std::uint64_t& lo) {
  const std::uint32_t low = text.length < 16 ? text.length : 16;
  if (text.length > 32) odd();
  lo = short_id(text.at + (text.length - low), low);
  hi = text.length > 16 ? short_id(text.at, text.length - 16) : 0;
  if (!(hi | lo)) odd();
  return text.length == 16;
}

}  // namespace tracekit
