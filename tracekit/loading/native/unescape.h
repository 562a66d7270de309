// Writes the characters that a JSON string means, for strings that contain JSON themselves.
#pragma once

#include <cstring>
#include <vector>

#include "json.h"

namespace tracekit {

constexpr std::size_t SPARE = 32;  // bytes behind the room for a string, which may be written to

// Copies plain text of a string, with up to 16 bytes more into spare room; returns where it ends.
inline const Byte* copied(Reader& r, Byte*& out) {
  const Byte* p = r.p;
#if defined(TRACEKIT_SSE2) && defined(__GNUC__)
  const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'), control = _mm_set1_epi8(0x1F);
  for (; r.end - p >= 16; p += 16, out += 16) {
    const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), v);
    const __m128i stop = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash)),
                                      _mm_cmpeq_epi8(_mm_min_epu8(v, control), v));
    r.high |= static_cast<unsigned>(_mm_movemask_epi8(v));
    const unsigned found = static_cast<unsigned>(_mm_movemask_epi8(stop));
    if (!found) continue;
    const int plain = __builtin_ctz(found);
    out += plain;
    return p + plain;
  }
#endif
  const Byte* const stop = plain(p, r.end, r.high);
  if (stop > p) std::memcpy(out, p, static_cast<std::size_t>(stop - p));
  out += stop - p;
  return stop;
}

// Reads a string, and writes its characters to room for as many bytes as it has, and the spare ones; returns their end.
inline Byte* unescape(Reader& r, Byte* out, std::vector<Byte>& spelled) {
  r.want('"');
  for (;;) {
    const Byte* const stop = copied(r, out);
    if (stop >= r.end || *stop < 0x20) odd();
    r.p = stop + 1;
    if (*stop == '"') return out;
    if (r.p < r.end && (*r.p == '"' || *r.p == '\\')) {
      *out++ = *r.p++;
      continue;
    }
    spelled.clear();
    put_utf8(spelled, escape(r.p, r.end));
    std::memcpy(out, spelled.data(), spelled.size());
    out += spelled.size();
  }
}

}  // namespace tracekit
